import { strict as assert } from 'node:assert';
import { runCli } from '../../testing/run-cli.ts';
import { StubDaemon } from '../../testing/stub-daemon.ts';

const service = {
  ID: 'web1',
  Version: { Index: 7 },
  Spec: {
    Name: 'web',
    Labels: {},
    TaskTemplate: { ContainerSpec: { Image: 'web:1' }, ForceUpdate: 0, Runtime: 'container' },
    Mode: { Replicated: { Replicas: 2 } },
  },
};
const told = {
  Name: 'web',
  Action: 'update',
  Fields: [
    { Path: 'Mode.Replicated.Replicas', From: '2', To: '4' },
    { Path: 'TaskTemplate.ContainerSpec.Env[]', To: '"A=1"' },
  ],
  Tasks: [
    { Name: 'web.1', Change: 'replace', From: 'h1', To: 'h2' },
    { Name: 'web.3', Change: 'create', From: '', To: 'h1' },
    { Name: 'web.4', Change: 'wait', From: '', To: '', Reason: 'no suitable node' },
  ],
  UnchangedTasks: 1,
  Notes: ['it is so'],
};

describe('ts-swarm plan service', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    daemon = await new StubDaemon({
      'GET /services/web': { json: service },
      'POST /plan': { json: { Changes: true, Services: [told], Others: [] } },
    }).listen();
  });
  afterEach(() => daemon[Symbol.asyncDispose]());

  const cli = (...argv: string[]) => runCli(daemon.host, ['plan', 'service', ...argv]);

  it('tells fields, tasks and notes, and ends with 2', async () => {
    assert.deepEqual(await cli('scale', 'web=4'), {
      code: 2,
      out:
        'service web: would be updated\n' +
        '  ~ Mode.Replicated.Replicas: 2 → 4\n' +
        '  + TaskTemplate.ContainerSpec.Env[]: "A=1"\n' +
        '  tasks: 1 new, 1 replaced, 1 without a place, 1 unchanged\n' +
        '  ~ web.1  h1 → h2\n' +
        '  + web.3  on h1\n' +
        '  ! web.4  waits: no suitable node\n' +
        '  note: it is so\n',
      err: '',
    });
  });

  it('ends with 0 where nothing would change, and with 1 for an error', async () => {
    const none = { ...told, Action: 'none', Fields: [], Tasks: [], Notes: [] };
    daemon.answer({ 'POST /plan': { json: { Changes: false, Services: [none], Others: [] } } });
    const { code, out } = await cli('update', 'web');
    assert.deepEqual([code, out], [0, 'service web: would stay as it is\n']);
    daemon.answer({ 'POST /plan': { status: 400, message: 'name must be valid' } });
    const refused = await cli('rm', 'web');
    assert.deepEqual(refused, {
      code: 1,
      out: '',
      err: 'Error response from daemon: name must be valid\n',
    });
  });

  const asked: { argv: string[]; expect: unknown }[] = [
    { argv: ['rm', 'web', 'db'], expect: { Action: 'remove', Service: 'web' } },
    {
      argv: ['update', '--rollback', 'web'],
      expect: { Action: 'update', Service: 'web1', Rollback: true, Spec: service.Spec },
    },
    {
      argv: ['update', '--replicas', '4', 'web'],
      expect: {
        Action: 'update',
        Service: 'web1',
        Spec: { ...service.Spec, Mode: { Replicated: { Replicas: 4 } } },
      },
    },
    {
      argv: ['create', '--name', 'new', '--no-resolve-image', 'web:1'],
      expect: {
        Action: 'create',
        Spec: {
          ...service.Spec,
          Name: 'new',
          TaskTemplate: { ContainerSpec: { Image: 'web:1' }, ForceUpdate: 0 },
          Mode: { Replicated: { Replicas: 1 } },
        },
      },
    },
  ];
  for (const { argv, expect } of asked) {
    it(`asks for what ${argv.join(' ')} would send`, async () => {
      assert.equal((await cli(...argv)).code, 2);
      const body = daemon.bodyOf('POST /plan') as { Changes: unknown[] };
      assert.deepEqual(body.Changes[0], expect);
    });
  }

  it('knows no flags that only say how to wait', async () => {
    const { code, err } = await cli('update', '--detach', 'web');
    assert.equal(code, 125);
    assert.match(err, /unknown flag: --detach/);
  });
});
