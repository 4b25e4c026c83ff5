import { strict as assert } from 'node:assert';
import { silentLogger } from '../lib/log.ts';
import { Metrics } from '../lib/metrics.ts';
import { serveMetrics } from './metrics-server.ts';
import { stepTimes, watchProcess, watchSwarm } from './metrics.ts';

describe('the metrics of the daemon', () => {
  it('are served where they are asked for, and nothing else is', async () => {
    const metrics = new Metrics();
    using _watch = watchProcess(metrics);
    watchSwarm(metrics, () => undefined);
    stepTimes(metrics)('plan', 12);
    await using server = await serveMetrics('127.0.0.1:0', metrics, silentLogger);
    const url = `http://${server.addr}/metrics`;
    const response = await fetch(url);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    assert.match(text, /^process_resident_memory_bytes [1-9]\d{6,}$/m);
    assert.match(text, /^ts_swarm_reconcile_pass_seconds_sum\{step="plan"\} 0\.012$/m);
    assert.doesNotMatch(text, /swarm_node|raft/, 'nothing is said of a swarm that is not there');
    assert.equal((await fetch(`http://${server.addr}/`)).status, 404);
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    assert.equal(await (await fetch(url, { method: 'HEAD' })).text(), '');
  });

  it('say so where the port is taken', async () => {
    await using server = await serveMetrics('127.0.0.1:0', new Metrics(), silentLogger);
    await assert.rejects(serveMetrics(server.addr, new Metrics(), silentLogger), {
      code: 'unavailable',
      message: /cannot serve metrics on 127\.0\.0\.1:\d+: .*EADDRINUSE.*--metrics-addr/,
    });
  });
});
