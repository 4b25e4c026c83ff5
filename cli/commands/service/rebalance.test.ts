import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../../lib/clock.ts';
import { runCli } from '../../testing/run-cli.ts';
import { StubDaemon } from '../../testing/stub-daemon.ts';

const service = (Name: string, Mode: unknown, more: Record<string, unknown> = {}) => ({
  ID: `${Name}1`,
  Version: { Index: 1 },
  Spec: { Name, Labels: {}, TaskTemplate: { ContainerSpec: more }, Mode },
});
const web = service('web', { Replicated: { Replicas: 2 } });
const stopped = { State: 'stopped', Message: 'task t failed: no such image' };

describe('ts-swarm service rebalance', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    daemon = await new StubDaemon({
      'GET /services/web': { json: web },
      'POST /services/web1/rebalance': { status: 200 },
      'POST /plan': { json: { Changes: false, Services: [], Others: [] } },
    }).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());

  const cli = (...argv: string[]) =>
    runCli(daemon.host, ['service', 'rebalance', ...argv], { clock: new VirtualClock() });

  it('waits until all is spread, unless it is detached', async () => {
    assert.equal((await cli('web')).out, 'web\nweb is spread evenly\n');
    assert.equal((await cli('-q', 'web')).out, 'web\n');
    assert.equal((await cli('-d', 'web')).out, 'web\n');
  });

  it('ends with the reason where it was given up', async () => {
    daemon.answer({ 'GET /services/web': { json: { ...web, Rebalance: stopped } } });
    const { code, err } = await cli('web');
    assert.deepEqual([code, err], [1, 'web was not moved further: task t failed: no such image\n']);
  });

  it('asks for all that can be moved', async () => {
    const volume = { Mounts: [{ Type: 'volume', Source: 'data', Target: '/data' }] };
    daemon.answer({
      'GET /services': {
        json: [
          web,
          service('log', { Global: {} }),
          service('db', { Replicated: { Replicas: 2 } }, volume),
        ],
      },
    });
    assert.equal((await cli('--all', '--preview')).code, 0);
    assert.deepEqual(daemon.bodyOf('POST /plan'), {
      Changes: [{ Action: 'rebalance', Service: 'web' }],
    });
  });

  for (const argv of [[], ['--all', 'web'], ['--format', 'json', 'web']]) {
    it(`refuses "${argv.join(' ')}"`, async () => {
      assert.equal((await cli(...argv)).code, 125);
      assert.deepEqual(daemon.asked, []);
    });
  }
});
