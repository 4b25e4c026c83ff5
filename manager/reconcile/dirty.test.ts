import { strict as assert } from 'node:assert';
import type { Node, Service, Task, TaskState } from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNetwork, makeNode, makeService, makeTask } from '../store/testing.ts';
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

const remove = (table: 'network' | 'node' | 'service', id: string): Change => {
  return { op: 'delete', table, id, base: 1 };
};

function onNetwork(service: Service): Service {
  return { ...service, virtualIps: [{ networkId: 'back', address: '10.9.0.2/24' }] };
}

/** The service and its task on a network, and another network. */
async function onNetworks(): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  const networks = [{ networkId: 'back', addresses: ['10.9.0.3/24'] }];
  const result = await store.propose(
    [
      { op: 'put', table: 'node', object: node, base: 0 },
      { op: 'put', table: 'node', object: makeNode('b'), base: 0 },
      { op: 'put', table: 'network', object: makeNetwork('back'), base: 0 },
      { op: 'put', table: 'network', object: makeNetwork('spare', { vni: 4097 }), base: 0 },
      { op: 'put', table: 'service', object: onNetwork(web), base: 0 },
      { op: 'put', table: 'task', object: { ...task, networks }, base: 0 },
    ],
    { atMs: 0 },
  );
  assert.ok(result.applied);
  return store;
}

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

  const releases: { name: string; change: Change; retry: boolean }[] = [
    { name: 'a task that is told to stop', change: desire('shutdown'), retry: true },
    { name: 'a task that is on its way', change: status('starting'), retry: false },
    { name: 'a task that has ended', change: status('failed'), retry: true },
    {
      name: 'a service that is removed',
      change: { op: 'delete', table: 'service', id: 'web', base: 1 },
      retry: true,
    },
    {
      name: 'a service that keeps its address',
      change: { op: 'put', table: 'service', object: onNetwork(web), base: 1 },
      retry: false,
    },
    {
      name: 'a service that gives its address up',
      change: { op: 'put', table: 'service', object: web, base: 1 },
      retry: true,
    },
    { name: 'a node that is removed', change: remove('node', 'a'), retry: true },
    { name: 'a network that is removed', change: remove('network', 'spare'), retry: true },
  ];
  for (const { name, change, retry } of releases) {
    it(`retry what waits for an address after ${name}: ${retry ? 'yes' : 'no'}`, async () => {
      const store = await onNetworks();
      const dirty = new DirtyKeys();
      dirty.note({ isShort: true, isWhole: true, nodes: ['b'] });
      store.onChange((batch) => dirty.mark(batch));
      assert.ok((await store.propose([change], { atMs: 1 })).applied);
      const { retryUnassigned, nodes = [] } = dirty.take(store);
      assert.equal(retryUnassigned, retry);
      const isReleased = retry && !name.includes('told') && !name.includes('network');
      assert.equal([...nodes].includes('b'), isReleased, 'nodes without an address get one, too');
    });
  }

  it('pass over a release where nothing is short, or no longer is', async () => {
    const store = await onNetworks();
    const dirty = new DirtyKeys();
    store.onChange((batch) => dirty.mark(batch));
    dirty.note({ isShort: true, isWhole: false, nodes: [] });
    dirty.note({ isShort: false, isWhole: true, nodes: [] });
    await store.propose([remove('service', 'web')], { atMs: 1 });
    assert.equal(dirty.take(store).retryUnassigned, false);
    dirty.note({ isShort: true, isWhole: true, nodes: [] });
    dirty.note({ isShort: false, isWhole: false, nodes: [] });
    await store.propose([status('failed')], { atMs: 1 });
    assert.equal(
      dirty.take(store).retryUnassigned,
      true,
      'a pass that saw only a part says nothing',
    );
  });

  it('hold every node once the routing mesh’s network comes or goes', async () => {
    const store = await onNetworks();
    const dirty = new DirtyKeys();
    store.onChange((batch) => dirty.mark(batch));
    const { spec, ...rest } = makeNetwork('mesh', { vni: 5000 });
    const object = { ...rest, spec: { ...spec, ingress: true } };
    await store.propose([{ op: 'put', table: 'network', object, base: 0 }], { atMs: 1 });
    const { nodes = [], services } = dirty.take(store);
    assert.deepEqual([...nodes], ['a', 'b']);
    assert.deepEqual([...services], []);
    const lost = { op: 'node-addresses', id: 'a', ingressAddresses: ['10.9.0.7/24'] } as const;
    await store.propose([lost], { atMs: 1 });
    assert.ok(!dirty.any);
    await store.propose([{ ...lost, ingressAddresses: [] }], { atMs: 1 });
    assert.deepEqual([...(dirty.take(store).nodes ?? [])], ['a']);
  });

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
