import { strict as assert } from 'node:assert';
import type { Node, Task, TaskState } from '../../types/index.ts';
import { MemoryLog, Store, type Change } from '../store/index.ts';
import { makeNode, makeService, makeTask } from '../store/testing.ts';
import { DirtyKeys } from './dirty.ts';

const web = makeService('web');
const node = makeNode('a');
const task = makeTask('t', web, {
  nodeId: 'a',
  status: { state: 'assigned', atMs: 0, message: '' },
});

const status = (state: TaskState): Change => ({
  op: 'task-status',
  id: 't',
  status: { state, atMs: 1, message: '' },
});
const desire = (desiredState: Task['desiredState']): Change => {
  return { op: 'task-desire', id: 't', desiredState };
};
const putNode = (change: Partial<Node>): Change => {
  return { op: 'put', table: 'node', object: { ...node, ...change }, base: 1 };
};

describe('DirtyKeys', () => {
  const cases: { name: string; change: Change; services: string[]; retry: boolean }[] = [
    { name: 'a task on its way', change: status('starting'), services: [], retry: false },
    { name: 'a task that runs', change: status('running'), services: ['web'], retry: false },
    { name: 'a task that failed', change: status('failed'), services: ['web'], retry: false },
    {
      name: 'a task that gives up its place',
      change: desire('shutdown'),
      services: ['web'],
      retry: true,
    },
    {
      name: 'a node that is down',
      change: {
        op: 'node-status',
        id: 'a',
        status: { ...node.status, state: 'down' },
      },
      services: ['web', 'log'],
      retry: true,
    },
    {
      name: 'a node that says nothing new',
      change: { op: 'node-status', id: 'a', status: { ...node.status, atMs: 5 } },
      services: [],
      retry: false,
    },
    {
      name: "a node's labels",
      change: putNode({ spec: { labels: { a: 'b' }, role: 'worker', availability: 'active' } }),
      services: ['web', 'log'],
      retry: true,
    },
    {
      name: 'a service that is removed',
      change: { op: 'delete', table: 'service', id: 'web', base: 1 },
      services: ['web'],
      retry: false,
    },
  ];
  for (const { name, change, services, retry } of cases) {
    it(`are marked by ${name}: ${services.join(' and ') || 'nothing'}`, async () => {
      const store = new Store(new MemoryLog());
      await store.open();
      const log = makeService('log');
      const global = { ...log, spec: { ...log.spec, mode: { global: {} } } };
      await store.propose(
        [
          { op: 'put', table: 'node', object: node, base: 0 },
          { op: 'put', table: 'service', object: web, base: 0 },
          { op: 'put', table: 'service', object: global, base: 0 },
          { op: 'put', table: 'task', object: task, base: 0 },
        ],
        { atMs: 0 },
      );
      const dirty = new DirtyKeys();
      store.onChange((batch) => dirty.mark(batch));
      await store.propose([change], { atMs: 1 });
      const keys = dirty.take(store);
      assert.deepEqual([...keys.services], services);
      assert.equal(keys.retryUnassigned, retry);
      assert.ok(!dirty.any);
    });
  }

  it('become a mark on everything after a snapshot', async () => {
    const store = new Store(new MemoryLog());
    await store.open();
    await store.propose(
      [
        { op: 'put', table: 'service', object: web, base: 0 },
        { op: 'put', table: 'task', object: makeTask('o', { ...web, id: 'gone' }), base: 0 },
      ],
      { atMs: 0 },
    );
    const dirty = new DirtyKeys();
    dirty.mark({ index: 1, atMs: 0, events: [], restored: true });
    const keys = dirty.take(store);
    assert.deepEqual([...keys.services].sort(), ['gone', 'web']);
    assert.ok(keys.retryUnassigned);
  });
});
