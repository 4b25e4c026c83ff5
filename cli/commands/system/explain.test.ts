import { strict as assert } from 'node:assert';
import { runCli } from '../../testing/run-cli.ts';
import { StubDaemon } from '../../testing/stub-daemon.ts';

describe('ts-swarm explain', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    daemon = await new StubDaemon({}).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());

  const cli = (...argv: string[]) => runCli(daemon.host, ['explain', ...argv]);
  const verdict = (ID: string, Refusals: string[]) => ({
    ID,
    Hostname: ID,
    Refusals,
    ServiceTasks: 1,
    Tasks: 4,
    Failures: 0,
  });
  const task = {
    ID: 't1',
    Name: 'web.1',
    NodeID: 'h2',
    State: 'running',
    DesiredState: 'running',
    Reasons: [{ About: 'place', Text: 'on h2: it fits' }],
    Nodes: [verdict('h2', []), verdict('h1', ['is drained', 'is small'])],
  };

  it('tells of a task why, and what each node says', async () => {
    daemon.answer({ 'GET /explain/web.1': { json: { Task: task } } });
    assert.deepEqual(await cli('web.1'), {
      code: 0,
      out:
        'task web.1 (t1): running, should be running\n' +
        '  place  on h2: it fits\n' +
        '  * h2  fits: 1 other tasks of the service, 4 in all\n' +
        '    h1  refuses: is drained; is small\n',
      err: '',
    });
  });

  it('tells of a service and of its tasks that are not as meant', async () => {
    const Reasons = [{ About: 'state', Text: '1 of 2 replicas run' }];
    const service = { ID: 's', Name: 'web', Reasons, Tasks: [task], MoreTasks: 3 };
    daemon.answer({ 'GET /explain/web': { json: { Service: service } } });
    const { out } = await cli('web');
    assert.match(out, /^service web \(s\)\n {2}state {2}1 of 2 replicas run\n\ntask web\.1/);
    assert.match(out, /\nand 3 more tasks that are not as they are meant to be\n$/);
    assert.deepEqual(JSON.parse((await cli('--format', 'json', 'web')).out), { Service: service });
  });

  it('counts nodes where there are many', async () => {
    const many = Array.from({ length: 30 }, (_, i) => verdict(`n${i}`, i < 20 ? ['is down'] : []));
    daemon.answer({ 'GET /explain/web.1': { json: { Task: { ...task, Nodes: many } } } });
    const { out } = await cli('web.1');
    assert.match(out, /20 nodes refuse: is down \(n0, …\)\n {4}10 nodes fit \(n20, …\)\n/);
  });
});
