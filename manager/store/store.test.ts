import { strict as assert } from 'node:assert';
import type { Change, Put } from './change.ts';
import type { ChangeBatch, ObjectEvent } from './event.ts';
import { MemoryLog, type MemoryStorage } from './memory-log.ts';
import { Store } from './store.ts';
import { makeNode, makeService, makeTask, makeTaskSpec } from './testing.ts';

async function openStore(storage: MemoryStorage = { entries: [] }): Promise<Store> {
  const store = new Store(new MemoryLog({ storage }));
  await store.open();
  return store;
}

const create = (object: Put['object'], table: Put['table']): Change =>
  ({ op: 'put', table, object, base: 0 }) as Change;

describe('Store', () => {
  const web = makeService('web');

  it('stamps what it creates, and what it replaces', async () => {
    const store = await openStore();
    const first = await store.propose([create(web, 'service')], { atMs: 10 });
    assert.deepEqual(first, { index: 1, applied: true });
    assert.deepEqual(store.service('web')?.meta, { version: 1, createdAtMs: 10, updatedAtMs: 10 });
    await store.propose([{ op: 'put', table: 'service', object: web, base: 1 }], { atMs: 20 });
    assert.deepEqual(store.service('web')?.meta, { version: 2, createdAtMs: 10, updatedAtMs: 20 });
    assert.deepEqual(store.audit(), []);
  });

  it('does nothing of an entry when one of its changes is stale', async () => {
    const store = await openStore();
    await store.propose([create(web, 'service'), create(makeNode('n1'), 'node')], { atMs: 1 });
    const before = store.digest();
    const cases: { name: string; changes: Change[]; conflict: RegExp }[] = [
      {
        name: 'created twice',
        changes: [create(makeNode('n2'), 'node'), create(makeNode('n1'), 'node')],
        conflict: /^node n1 exists already, at version 1$/,
      },
      {
        name: 'planned on another version',
        changes: [{ op: 'put', table: 'service', object: web, base: 7 }],
        conflict: /^service web is at version 1; the change was planned on version 7$/,
      },
      {
        name: 'removed already',
        changes: [{ op: 'delete', table: 'node', id: 'n9', base: 3 }],
        conflict: /^node n9 is gone; the change was planned on version 3$/,
      },
      {
        name: 'a name that is taken',
        changes: [create(makeService('x', { spec: { ...web.spec } }), 'service')],
        conflict: /^name web is in use by service web$/,
      },
      {
        name: 'a spec that changed without its version',
        changes: [
          create(
            makeTask('t', { ...web, spec: { ...web.spec, task: makeTaskSpec(1, 1) } }),
            'task',
          ),
        ],
        conflict: /^task t has another task spec than version 1 of service web$/,
      },
    ];
    for (const { name, changes, conflict } of cases) {
      const result = await store.propose(changes, { atMs: 2 });
      assert.ok(!result.applied, name);
      assert.match(result.conflict, conflict, name);
      assert.equal(store.digest(), before, name);
      assert.equal(store.index, result.index, name);
    }
  });

  it('takes over names and ports that the same entry gives up', async () => {
    const port = (publishedPort: number) => ({
      endpoint: {
        ports: [
          { protocol: 'tcp', targetPort: 80, publishedPort, publishMode: 'ingress' },
        ] as const,
      },
    });
    const a = makeService('a', { spec: { ...web.spec, name: 'x', ...port(80) } });
    const b = makeService('b', { spec: { ...web.spec, name: 'y', ...port(81) } });
    const store = await openStore();
    await store.propose([create(a, 'service'), create(b, 'service')], { atMs: 1 });
    const taken = { ...a, spec: { ...a.spec, ...port(81) }, specVersion: 2 };
    const refused = await store.propose([{ op: 'put', table: 'service', object: taken, base: 1 }], {
      atMs: 2,
    });
    assert.ok(!refused.applied && /port tcp\/81 is in use by service b/.test(refused.conflict));
    await store.propose(
      [
        { op: 'put', table: 'service', object: { ...a, spec: b.spec, specVersion: 2 }, base: 1 },
        { op: 'put', table: 'service', object: { ...b, spec: a.spec, specVersion: 2 }, base: 1 },
      ],
      { atMs: 3 },
    );
    assert.equal(store.serviceByName('y')?.id, 'a');
    assert.equal(store.serviceByName('x')?.id, 'b');
    assert.equal(store.ingressPortOwner('tcp/80')?.id, 'b');
    assert.equal(store.ingressPortOwner('tcp/81')?.id, 'a');
    assert.deepEqual(store.audit(), []);
  });

  it('joins statuses and desired states: nothing goes backwards', async () => {
    const store = await openStore();
    await store.propose([create(web, 'service'), create(makeTask('t', web), 'task')], { atMs: 1 });
    const running = { state: 'running', atMs: 5, message: 'started' } as const;
    await store.propose([{ op: 'task-status', id: 't', status: running }], { atMs: 5 });
    const version = store.task('t')?.meta.version;
    const passedOver: Change[] = [
      { op: 'task-status', id: 't', status: { state: 'ready', atMs: 6, message: 'late' } },
      { op: 'task-status', id: 't', status: { ...running, atMs: 9 } },
      { op: 'task-status', id: 'gone', status: running },
      { op: 'task-desire', id: 't', desiredState: 'ready' },
      { op: 'task-desire', id: 'gone', desiredState: 'remove' },
      { op: 'node-status', id: 'gone', status: makeNode('gone').status },
    ];
    assert.ok((await store.propose(passedOver, { atMs: 6 })).applied);
    assert.deepEqual(store.task('t')?.status, running);
    assert.equal(store.task('t')?.runningAtMs, 5);
    assert.equal(store.task('t')?.meta.version, version);
    await store.propose(
      [
        { op: 'task-status', id: 't', status: { ...running, message: 'healthy' } },
        { op: 'task-desire', id: 't', desiredState: 'shutdown' },
      ],
      { atMs: 7 },
    );
    assert.equal(store.task('t')?.status.message, 'healthy');
    assert.equal(store.task('t')?.desiredState, 'shutdown');
    const networks = [{ networkId: 'lan', addresses: ['10.0.0.7/24'] }];
    const moved = { ...running, message: 'healthy', networks };
    await store.propose([{ op: 'task-status', id: 't', status: moved }], { atMs: 8 });
    assert.deepEqual(store.task('t')?.status.networks, networks);
  });

  it('shares one spec among a service and its tasks, also after a restart', async () => {
    const storage: MemoryStorage = { entries: [] };
    const store = await openStore(storage);
    const tasks = ['t1', 't2', 't3'].map((id) => create(makeTask(id, web), 'task'));
    await store.propose([create(web, 'service'), ...tasks], { atMs: 1 });
    await store.propose([{ op: 'delete', table: 'service', id: 'web', base: 1 }], { atMs: 2 });
    await store.propose([create(makeTask('t4', web), 'task')], { atMs: 2 });
    const sizes = storage.entries.map(({ bytes }) => Buffer.from(bytes).toString());
    assert.equal(sizes[0]?.split('web:1').length, 2, 'the entry carries the spec once');
    const restored = await openStore({
      entries: [],
      snapshot: { index: store.index, bytes: store.snapshot() },
    });
    for (const copy of [store, restored]) {
      assert.equal(new Set([...copy.tasks()].map((task) => task.spec)).size, 1);
      assert.equal([...copy.tasks()].length, 4);
      assert.deepEqual([...copy.orphanedServiceIds()], ['web']);
      assert.deepEqual(copy.audit(), []);
    }
    assert.equal(restored.digest(), store.digest());
  });

  it('tells listeners and watches of every change, in order', async () => {
    const store = await openStore();
    const batches: ChangeBatch[] = [];
    const listening = store.onChange((batch) => batches.push(batch));
    const controller = new AbortController();
    const watch = store.watch({ signal: controller.signal });
    await store.propose([create(web, 'service'), create(makeTask('t', web), 'task')], { atMs: 1 });
    await store.propose([{ op: 'task-desire', id: 't', desiredState: 'remove' }], { atMs: 2 });
    await store.propose([{ op: 'task-desire', id: 't', desiredState: 'remove' }], { atMs: 3 });
    listening[Symbol.dispose]();
    await store.propose([{ op: 'delete', table: 'task', id: 't', base: 2 }], { atMs: 4 });
    const seen: ObjectEvent[] = [];
    for await (const event of watch) {
      seen.push(event);
      if (event.action === 'remove') controller.abort();
    }
    const brief = seen.map(({ table, action, index }) => `${index} ${action} ${table}`);
    assert.deepEqual(brief, [
      '1 create service',
      '1 create task',
      '2 update task',
      '4 remove task',
    ]);
    assert.deepEqual(
      batches.flatMap((batch) => batch.events),
      seen.slice(0, 3),
    );
    assert.equal(seen[2]?.old, seen[1]?.object);
  });

  it('ends the watch of a reader that falls behind', async () => {
    const store = await openStore();
    const { signal } = new AbortController();
    const watch = store.watch({ signal, maxPending: 2 });
    for (const id of ['a', 'b', 'c']) {
      await store.propose([create(makeNode(id), 'node')], { atMs: 1 });
    }
    await assert.rejects(watch.next(), { code: 'resource-exhausted', message: /list the objects/ });
    assert.deepEqual(await watch.next(), { done: true, value: undefined });
  });

  it('counts what tasks take of their nodes', async () => {
    const store = await openStore();
    const big = makeService('big', {
      spec: { ...web.spec, name: 'big', task: makeTaskSpec(5, 7) },
    });
    const ports = [
      { protocol: 'tcp', targetPort: 80, publishedPort: 8080, publishMode: 'host' },
    ] as const;
    await store.propose(
      [
        create(big, 'service'),
        create(makeTask('t1', big, { nodeId: 'n1', ports }), 'task'),
        create(makeTask('t2', big, { nodeId: 'n1', ports }), 'task'),
        create(makeTask('t3', big), 'task'),
      ],
      { atMs: 1 },
    );
    const usage = store.usage('n1');
    assert.equal(usage.nanoCpus, 10);
    assert.equal(usage.memoryBytes, 14);
    assert.equal(usage.activeTasks, 2);
    assert.deepEqual(
      [...store.unassignedTasks()].map((task) => task.id),
      ['t3'],
    );
    for (const id of ['t1', 't2']) {
      assert.ok(store.usage('n1').hostPorts.has('tcp/8080'), id);
      await store.propose([{ op: 'task-desire', id, desiredState: 'shutdown' }], { atMs: 2 });
    }
    assert.equal(store.usage('n1').activeTasks, 0);
    assert.equal(store.usage('n1').hostPorts.size, 0);
    assert.deepEqual(store.audit(), []);
  });
});
