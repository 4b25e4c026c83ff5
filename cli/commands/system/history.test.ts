import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../../lib/clock.ts';
import { runCli } from '../../testing/run-cli.ts';
import { StubDaemon } from '../../testing/stub-daemon.ts';

const record = {
  Time: '2026-11-21T20:00:00.000Z',
  Index: 7,
  Kind: 'service',
  Name: 'web',
  By: 'command',
  Text: 'removed',
};
const moment = {
  Time: '2026-11-21T20:00:00.000Z',
  Services: [
    {
      Name: 'web',
      Image: 'web:1',
      Mode: '2',
      Update: 'update in progress',
      Running: 1,
      Tasks: [
        { Name: 'web.1', Node: 'h1', State: 'running' },
        { Name: 'web.2', Node: '', State: 'pending' },
      ],
    },
  ],
  Nodes: [{ Hostname: 'h1', State: 'ready', Availability: 'active' }],
};

describe('ts-swarm history', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    const Since = '2026-11-20T00:00:00.000Z';
    const json = { Since, Records: [record], More: 3, Moment: moment };
    daemon = await new StubDaemon({ 'GET /history': { json } }).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());

  const clock = new VirtualClock();
  const cli = (...argv: string[]) => runCli(daemon.host, ['history', ...argv], { clock });

  it('tells changes, and how things stood', async () => {
    assert.deepEqual(await cli('--at', '90s', '-n', '1', 'web'), {
      code: 0,
      out:
        'changes since 2026-11-20T00:00:00.000Z; 3 older ones are left out\n' +
        '2026-11-21T20:00:00.000Z  service web  command  removed\n' +
        '\n' +
        'at 2026-11-21T20:00:00.000Z\n' +
        'service web: 2 of web:1, 1 running (update in progress)\n' +
        '  web.1  h1  running\n' +
        '  web.2  -   pending\n' +
        'node h1: ready, active\n',
      err: '',
    });
    const query = daemon.asked[0]?.query;
    const at = ((clock.nowMs() - 90_000) / 1000).toFixed(3);
    assert.deepEqual(Object.fromEntries(query ?? []), { service: 'web', limit: '1', at });
  });

  it('refuses what is no time, and no number of changes', async () => {
    assert.match((await cli('--at', 'then')).err, /failed to parse "then" as a time/);
    assert.match((await cli('--tail', '0')).err, /--tail has to be 1 at least/);
  });
});
