/** Who is told to send requests to a task, and when its node is told to stop it. */
import { strict as assert } from 'node:assert';
import type { Task } from '../../types/index.ts';
import type { Change } from '../store/index.ts';
import { makeService } from '../store/testing.ts';
import { lingerMs, takenTimeoutMs } from './stop-gate.ts';
import { makeNetwork, makePeer, makeRunning, TestDesk } from './testing.ts';

const web = makeService('web', {
  spec: {
    name: 'web',
    labels: {},
    mode: {},
    task: { forceUpdate: 0, networks: [{ target: 'net1', aliases: ['www'] }] },
  },
  virtualIps: [{ networkId: 'net1', address: '10.1.255.1/16' }],
});

const put = (table: 'task' | 'node' | 'network' | 'service', object: object): Change =>
  ({ op: 'put', table, object, base: 0 }) as Change;

/** Three nodes on `net1`, a task of `web` on each, all connected and up to date. */
async function start(...tasks: Task[]): Promise<TestDesk> {
  const all = ['t0', 't1', 't2'].map((id, index) => makeRunning(id, `n${index}`));
  const test = await TestDesk.start(
    put('network', makeNetwork('net1')),
    put('service', web),
    ...['n0', 'n1', 'n2', 'n3'].map((id) => put('node', makePeer(id))),
    ...[...all, ...tasks].map((task) => put('task', task)),
  );
  for (const id of ['n0', 'n1', 'n2', 'n3']) test.connect(id).settle();
  return test;
}

const settle = (test: TestDesk) => test.sessions.forEach((node) => node.settle());
const activeAt = (test: TestDesk, nodeId: string) =>
  ['t0', 't1', 't2', 't3'].filter((id) => test.sessions.get(nodeId)?.endpoint(id)?.active);
/** What the task's own node was last told. */
const desired = (test: TestDesk, id: string) =>
  test.sessions.get(test.store.task(id)!.nodeId)?.task(id)?.desiredState;

describe('what a node is told of networks', () => {
  it('is all of its networks, and nothing of others', async () => {
    const test = await start();
    const keys = (nodeId: string) => [...test.sessions.get(nodeId)!.tables.keys()].sort();
    assert.deepEqual(keys('n0'), [
      'endpoint net1/t0',
      'endpoint net1/t1',
      'endpoint net1/t2',
      'network net1',
      'peer n0',
      'peer n1',
      'peer n2',
      'service-endpoint net1/web',
      'task t0',
    ]);
    assert.deepEqual(keys('n3'), []);
    assert.deepEqual(test.sessions.get('n0')!.tables.get('service-endpoint net1/web'), {
      id: 'net1/web',
      networkId: 'net1',
      serviceId: 'web',
      names: ['web', 'www'],
      mode: 'vip',
      virtualIps: ['10.1.255.1'],
      ports: [],
    });
  });

  it('begins with its first task, and ends once the last one has ended', async () => {
    const test = await start();
    const node = test.sessions.get('n3')!;
    const status = { state: 'assigned' as const, atMs: 0, message: '' };
    await test.put(makeRunning('t3', 'n3', { status }));
    const order = node.pull().changes.map(({ type }) => type);
    assert.equal(
      order.join(' '),
      'network peer peer peer peer service-endpoint endpoint endpoint endpoint endpoint task',
    );
    settle(test);
    assert.equal(test.sessions.get('n0')?.tables.has('peer n3'), true);
    await test.status('t3', 'failed');
    settle(test);
    assert.deepEqual([...node.tables.keys()], ['task t3']);
    assert.equal(test.sessions.get('n0')?.tables.has('peer n3'), false);
  });

  it('holds a task back until all of a large network is told', async () => {
    const many = Array.from({ length: 700 }, (_, index) => makeRunning(`t${index + 10}`, 'n0'));
    const test = await start(...many);
    const node = test.sessions.get('n3')!;
    await test.put(makeRunning('t3', 'n3'));
    const types = [node.pull(), node.pull()].map(
      ({ changes }) => new Set(changes.map(({ type }) => type)),
    );
    assert.equal(types[0]?.has('task'), false);
    assert.deepEqual([...types[1]!], ['endpoint', 'task']);
  });

  it('is encoded once for all nodes, and only where something changed', async () => {
    const test = await start();
    await test.status('t0', 'failed');
    const [second, third] = ['n1', 'n2'].map((id) => test.sessions.get(id)!.pull());
    assert.deepEqual(
      second?.changes.map(({ type, id }) => `${type} ${id}`),
      ['endpoint net1/t0', 'peer n0'],
    );
    assert.deepEqual(third?.changes, second?.changes);
    await test.put(makeRunning('t3', 'n1'));
    const object = (nodeId: string) =>
      test.sessions
        .get(nodeId)!
        .pull()
        .changes.find(({ type }) => type === 'endpoint')?.object;
    assert.equal(object('n1'), object('n2'));
  });
});

describe('an endpoint is active', () => {
  const cases: readonly {
    readonly name: string;
    readonly change: (test: TestDesk) => Promise<unknown>;
    readonly expect: readonly string[];
  }[] = [
    { name: 'where its task runs', change: async () => {}, expect: ['t0', 't1', 't2'] },
    {
      name: 'not before its task runs',
      change: (test) =>
        test.put(makeRunning('t3', 'n1', { status: { state: 'starting', atMs: 0, message: '' } })),
      expect: ['t0', 't1', 't2'],
    },
    {
      name: 'not where its task is to stop',
      change: (test) => test.desire('t1', 'shutdown'),
      expect: ['t0', 't2'],
    },
    {
      name: 'not where its node is suspect',
      change: (test) => test.node('n1', 'disconnected'),
      expect: ['t0', 't2'],
    },
    {
      name: 'where a new leader has not heard of its node yet',
      change: (test) => test.node('n1', 'unknown'),
      expect: ['t0', 't1', 't2'],
    },
    {
      name: 'not where its node is down',
      change: (test) => test.node('n1', 'down'),
      expect: ['t0', 't2'],
    },
    {
      name: 'again once its node is heard of',
      change: async (test) => {
        await test.node('n1', 'disconnected');
        await test.node('n1', 'ready');
      },
      expect: ['t0', 't1', 't2'],
    },
    {
      name: 'where all nodes that run the service are suspect',
      change: async (test) => {
        for (const id of ['n0', 'n1', 'n2']) await test.node(id, 'disconnected');
      },
      expect: ['t0', 't1', 't2'],
    },
    {
      name: 'only on the good one of them once there is one',
      change: async (test) => {
        for (const id of ['n0', 'n1', 'n2']) await test.node(id, 'disconnected');
        await test.put(makeRunning('t3', 'n3'));
      },
      expect: ['t3'],
    },
    {
      name: 'where the others that are left are suspect, and the good one is to stop',
      change: async (test) => {
        await test.node('n1', 'disconnected');
        await test.node('n2', 'disconnected');
        await test.desire('t0', 'shutdown');
      },
      expect: ['t1', 't2'],
    },
  ];
  for (const { name, change, expect } of cases) {
    it(name, async () => {
      const test = await start();
      await change(test);
      settle(test);
      assert.deepEqual(activeAt(test, 'n0'), expect);
      test.lead();
      test.connect('n0');
      assert.deepEqual(activeAt(test, 'n0'), expect);
    });
  }
});

describe('a stop', () => {
  it('waits until every node has taken the endpoint out, and a moment more', async () => {
    const test = await start();
    await test.desire('t0', 'shutdown');
    for (const id of ['n0', 'n1', 'n2']) test.sessions.get(id)?.pull();
    assert.deepEqual(activeAt(test, 'n1'), ['t1', 't2']);
    for (const id of ['n0', 'n1']) test.sessions.get(id)?.acknowledge();
    test.clock.advance(lingerMs * 2);
    settle(test);
    assert.equal(desired(test, 't0'), 'running');
    test.clock.advance(lingerMs);
    settle(test);
    assert.equal(desired(test, 't0'), 'shutdown');
    assert.deepEqual(test.warnings, []);
  });

  it('of a task that is on no network is told at once', async () => {
    const { networks: _, ...task } = makeRunning('t9', 'n0');
    const test = await start(task);
    await test.desire('t9', 'shutdown');
    test.sessions.get('n0')?.pull();
    assert.equal(desired(test, 't9'), 'shutdown');
  });

  it('of a task that nobody sends requests to yet is told at once', async () => {
    const status = { state: 'starting' as const, atMs: 0, message: '' };
    const test = await start(makeRunning('t9', 'n0', { status }));
    await test.desire('t9', 'shutdown');
    test.sessions.get('n0')?.pull();
    assert.equal(desired(test, 't9'), 'shutdown');
    // It had begun to run meanwhile: its node knows that it is to stop.
    await test.status('t9', 'running');
    assert.equal(test.desk.holds('t9'), false);
  });

  it('is not held back by a node that does not answer', async () => {
    const test = await start();
    await test.desire('t0', 'remove');
    for (const id of ['n0', 'n2']) test.sessions.get(id)?.settle();
    test.clock.advance(takenTimeoutMs);
    assert.equal(test.warnings.length, 1);
    test.clock.advance(lingerMs);
    settle(test);
    assert.equal(desired(test, 't0'), 'remove');
  });

  it('waits for a node that comes back in time, and not for one that is suspect', async () => {
    const test = await start();
    await test.desire('t0', 'shutdown');
    test.disconnect('n1');
    settle(test);
    test.silent.delete('n1');
    const again = test.connect('n1');
    test.clock.advance(lingerMs);
    settle(test);
    // The two others had been enough: the moment was counted from then.
    assert.equal(desired(test, 't0'), 'shutdown');
    assert.equal(again.endpoint('t0')?.active, false);

    await test.desire('t2', 'shutdown');
    test.sessions.get('n0')?.settle();
    test.sessions.get('n2')?.settle();
    test.disconnect('n1');
    test.silent.delete('n1');
    test.connect('n1').acknowledge();
    test.clock.advance(lingerMs);
    settle(test);
    assert.equal(desired(test, 't2'), 'shutdown');
    assert.deepEqual(test.warnings, []);
  });

  it('is worked out anew by a new leader, which waits for those it has not heard of', async () => {
    const test = await start();
    await test.desire('t0', 'shutdown');
    test.lead();
    const own = test.connect('n0');
    assert.equal(own.task('t0')?.desiredState, 'running');
    assert.equal(own.endpoint('t0')?.active, false);
    own.acknowledge();
    test.connect('n1').acknowledge();
    test.clock.advance(lingerMs * 2);
    own.settle();
    assert.equal(own.task('t0')?.desiredState, 'running');
    test.connect('n2').acknowledge();
    test.clock.advance(lingerMs);
    own.settle();
    assert.equal(own.task('t0')?.desiredState, 'shutdown');
    assert.deepEqual(test.warnings, []);
  });

  it('is told, and waited for no longer, once the task has ended by itself', async () => {
    const test = await start();
    await test.desire('t0', 'shutdown');
    settle(test);
    assert.equal(desired(test, 't0'), 'running');
    await test.status('t0', 'failed');
    assert.equal(test.desk.holds('t0'), false);
    settle(test);
    assert.equal(desired(test, 't0'), 'shutdown');
    assert.deepEqual(activeAt(test, 'n1'), ['t1', 't2']);
    assert.equal(test.sessions.get('n1')?.endpoint('t0'), undefined);
    assert.equal(test.clock.nextTimerMs() === undefined, false);
    test.clock.advance(60_000);
    assert.equal(test.clock.nextTimerMs(), undefined);
  });

  /** Each is what the reconciler proposes in one go. */
  const histories: readonly {
    readonly name: string;
    readonly changes: (test: TestDesk) => Promise<unknown>;
    readonly stops: readonly string[];
    readonly active: readonly string[];
  }[] = [
    {
      name: 'the removal of a service',
      changes: (test) =>
        test.propose(
          {
            op: 'delete',
            table: 'service',
            id: 'web',
            base: test.store.service('web')!.meta.version,
          },
          ...['t0', 't1', 't2'].map((id): Change => ({
            op: 'task-desire',
            id,
            desiredState: 'remove',
          })),
        ),
      stops: ['t0', 't1', 't2'],
      active: [],
    },
    {
      name: 'a scale-down',
      changes: (test) =>
        test.propose(
          { op: 'task-desire', id: 't1', desiredState: 'remove' },
          { op: 'task-desire', id: 't2', desiredState: 'remove' },
        ),
      stops: ['t1', 't2'],
      active: ['t0'],
    },
    {
      name: 'a drain, with a replacement elsewhere',
      changes: (test) =>
        test.propose(
          { op: 'task-desire', id: 't1', desiredState: 'shutdown' },
          put('task', makeRunning('t3', 'n3', { status: { state: 'new', atMs: 0, message: '' } })),
        ),
      stops: ['t1'],
      active: ['t0', 't2'],
    },
    {
      name: 'an update that stops first',
      changes: (test) =>
        test.propose(
          { op: 'task-desire', id: 't1', desiredState: 'shutdown' },
          put(
            'task',
            makeRunning('t3', 'n1', {
              desiredState: 'ready',
              status: { state: 'assigned', atMs: 0, message: '' },
            }),
          ),
        ),
      stops: ['t1'],
      active: ['t0', 't2'],
    },
    {
      name: 'an update that starts first',
      changes: async (test) => {
        await test.put(makeRunning('t3', 'n1'));
        await test.desire('t1', 'shutdown');
      },
      stops: ['t1'],
      active: ['t0', 't2', 't3'],
    },
  ];
  for (const { name, changes, stops, active } of histories) {
    it(`waits in ${name}`, async () => {
      const test = await start();
      await changes(test);
      test.sessions.forEach((node) => node.pull());
      test.clock.advance(lingerMs);
      for (const id of stops) assert.equal(desired(test, id), 'running', id);
      for (const nodeId of ['n0', 'n1', 'n2']) assert.deepEqual(activeAt(test, nodeId), active);
      settle(test);
      test.clock.advance(lingerMs);
      settle(test);
      for (const id of stops) assert.notEqual(desired(test, id), 'running', id);
      assert.deepEqual(test.warnings, []);
    });
  }

  it('of an update that starts first is never seen before the start', async () => {
    const test = await start();
    await test.put(makeRunning('t3', 'n1'));
    await test.desire('t0', 'shutdown');
    const node = test.sessions.get('n2')!;
    const seen: string[][] = [];
    for (let sets = 0; sets < 10; sets++) {
      node.pull(1);
      seen.push(activeAt(test, 'n2'));
    }
    assert.deepEqual(
      seen.filter((active) => active.length < 3),
      [],
    );
    assert.deepEqual(seen.at(-1), ['t1', 't2', 't3']);
  });
});
