import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { Metrics } from '../lib/metrics.ts';
import { createRootCa, issueForSelf, type RootCa } from '../manager/ca/index.ts';
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

  it('are told to those who show the token, which may be replaced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ts-swarm-metrics-'));
    const tokenFile = join(folder, 'token');
    const serve = () => serveMetrics('127.0.0.1:0', new Metrics(), silentLogger, { tokenFile });
    try {
      await assert.rejects(serve(), { code: 'invalid-argument', message: /--metrics-token-file/ });
      writeFileSync(tokenFile, 'two words');
      await assert.rejects(serve(), { message: /has to hold one token/ });
      writeFileSync(tokenFile, 'abc\n');
      await using server = await serve();
      const status = async (authorization?: string) => {
        const headers = authorization === undefined ? {} : { authorization };
        return (await fetch(`http://${server.addr}/metrics`, { headers })).status;
      };
      assert.equal(await status('Bearer abc'), 200);
      for (const wrong of [undefined, 'Bearer abcd', 'Bearer', 'Basic abc', 'abc']) {
        assert.equal(await status(wrong), 401, wrong);
      }
      writeFileSync(tokenFile, 'next');
      assert.deepEqual([await status('Bearer abc'), await status('bearer next')], [401, 200]);
      rmSync(tokenFile);
      assert.equal(await status('Bearer next'), 401, 'a file that is gone lets nobody in');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are told over TLS to those whose certificate the CA has signed', async () => {
    const issue = async (root: RootCa) => {
      const subject = { role: 'manager', clusterId: 'c' } as const;
      return issueForSelf(root, subject, { lifeMs: undefined, clock: realClock });
    };
    const [root, foreign] = [await createRootCa(realClock), await createRootCa(realClock)];
    const [own, client, stranger] = [await issue(root), await issue(root), await issue(foreign)];
    const tls = { caPem: root.certPem, certPem: own.certPem, keyPem: own.keyPem };
    const readers = { tls };
    await using server = await serveMetrics('127.0.0.1:0', new Metrics(), silentLogger, readers);
    const ask = async (shown?: { readonly certPem: string; readonly keyPem: string }) => {
      const [host = '', port = ''] = server.addr.split(':');
      const identity = shown === undefined ? {} : { cert: shown.certPem, key: shown.keyPem };
      const options = { host, port, path: '/metrics', ca: root.certPem, agent: false as const };
      const made = request({ ...options, ...identity, checkServerIdentity: () => undefined });
      made.end();
      const [response] = (await once(made, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode;
    };
    assert.equal(await ask(client), 200);
    await assert.rejects(ask());
    await assert.rejects(ask(stranger));
  });

  it('say so where the port is taken', async () => {
    await using server = await serveMetrics('127.0.0.1:0', new Metrics(), silentLogger);
    await assert.rejects(serveMetrics(server.addr, new Metrics(), silentLogger), {
      code: 'unavailable',
      message: /cannot serve metrics on 127\.0\.0\.1:\d+: .*EADDRINUSE.*--metrics-addr/,
    });
  });
});
