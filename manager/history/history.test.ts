import { strict as assert } from 'node:assert';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog, type MemoryStorage } from '../store/memory-log.ts';
import { makeCluster, makeNode, makeService, makeTask, makeVolume } from '../store/testing.ts';
import type { Cluster, Service } from '../../types/index.ts';
import { History, tellHistory } from './index.ts';

const web = makeService('web', { specVersion: 0 });

function scaled(service: Service, replicas: number, base: number): Change {
  const object = {
    ...service,
    specVersion: base,
    spec: { ...service.spec, mode: { replicated: { replicas } } },
  };
  return { op: 'put', table: 'service', object, base };
}

async function swarm(log = new MemoryLog()): Promise<Store> {
  const store = new Store(log);
  await store.open();
  return store;
}

async function propose(store: Store, atMs: number, ...changes: Change[]): Promise<void> {
  const result = await store.propose(changes, { atMs });
  assert.ok(result.applied, 'conflict' in result ? result.conflict : '');
}

/** Service web at 1 s, with 5 replicas from 2 s on, and gone at 3 s. */
async function lived(store: Store): Promise<void> {
  await propose(
    store,
    1000,
    { op: 'put', table: 'node', object: makeNode('a'), base: 0 },
    { op: 'put', table: 'service', object: web, base: 0 },
  );
  await propose(store, 2000, scaled(web, 5, store.service('web')!.meta.version));
  const base = store.service('web')!.meta.version;
  await propose(store, 3000, { op: 'delete', table: 'service', id: 'web', base });
}

const texts = (store: Store, atMs?: number) =>
  tellHistory(
    store.history,
    store,
    { limit: 100, service: 'web', ...(atMs === undefined ? {} : { atMs }) },
    9000,
  ).records.map(({ text }) => text);

describe('History', () => {
  it('rewinds the present to any moment that it remembers', async () => {
    const store = await swarm();
    await lived(store);
    const modes = [1000, 1999, 2000, 3000].map((atMs) => {
      const { moment } = tellHistory(store.history, store, { limit: 1, atMs }, 9000);
      return moment?.services.map(({ mode }) => mode);
    });
    assert.deepEqual(modes, [['1'], ['1'], ['5'], []]);
    assert.deepEqual(texts(store), [
      'created: image web:1, 1',
      'updated: Mode.Replicated.Replicas 1 → 5',
      'removed',
    ]);
    assert.deepEqual(texts(store, 2500), texts(store).slice(0, 2));
  });

  it('refuses moments before those, and tells since when it remembers', async () => {
    const store = await swarm();
    await lived(store);
    assert.throws(() => texts(store, 999), /remembers what was since 1970-01-01T00:00:01\.000Z/);
  });

  it('is there again after a restart, from the log', async () => {
    const storage: MemoryStorage = { entries: [] };
    const store = await swarm(new MemoryLog({ storage }));
    await lived(store);
    const again = await swarm(new MemoryLog({ storage }));
    assert.deepEqual(texts(again), texts(store));
  });

  it('begins anew with a snapshot: what was between is not known', async () => {
    const store = await swarm();
    await lived(store);
    store.restore(90, store.snapshot());
    assert.deepEqual(texts(store), []);
    await propose(store, 7000, { op: 'put', table: 'service', object: web, base: 0 });
    assert.throws(() => texts(store, 3000), /remembers what was since .*07\.000Z/);
  });

  it('passes over what says nothing', async () => {
    const store = await swarm();
    await lived(store);
    const before = store.history.records.length;
    const { status } = store.node('a')!;
    await propose(store, 4000, { op: 'node-status', id: 'a', status: { ...status, atMs: 4000 } });
    const task = makeTask('t', web, { specVersion: 7, nodeId: 'a' });
    await propose(store, 4000, { op: 'put', table: 'task', object: task, base: 0 });
    for (const state of ['accepted', 'preparing', 'starting'] as const) {
      const next = { state, atMs: 4000, message: '' };
      await propose(store, 4000, { op: 'task-status', id: 't', status: next });
    }
    assert.equal(store.history.records.length, before + 1, 'that the task was made');
  });

  it("tells of the swarm's settings and of volumes, and of no token", async () => {
    const store = await swarm();
    const cluster = makeCluster('c');
    const put = async (change: (present: Cluster) => Cluster) => {
      const present = store.cluster()!;
      const object = change(present);
      const base = present.meta.version;
      await propose(store, 2000, { op: 'put', table: 'cluster', object, base, user: 'ann' });
    };
    await propose(store, 1000, { op: 'put', table: 'cluster', object: cluster, base: 0 });
    const dispatcher = { heartbeatPeriodMs: 7_000 };
    await put((present) => ({ ...present, spec: { ...present.spec, dispatcher } }));
    await put((present) => ({ ...present, spec: { ...present.spec } }));
    await put((present) => {
      const joinTokens = { ...present.rootCa.joinTokens, worker: 'SWMTKN-1-new' };
      return { ...present, rootCa: { ...present.rootCa, joinTokens } };
    });
    await propose(store, 3000, { op: 'put', table: 'volume', object: makeVolume('v'), base: 0 });
    const { spec, ...rest } = store.volume('v')!;
    const drained = { ...spec, cluster: { ...spec.cluster, availability: 'drain' as const } };
    const object = { ...rest, spec: drained };
    const base = rest.meta.version;
    await propose(store, 4000, { op: 'put', table: 'volume', object, base });
    const gone = store.volume('v')!;
    const removed = { ...gone, isRemoved: true };
    const { version } = gone.meta;
    await propose(store, 5000, { op: 'put', table: 'volume', object: removed, base: version });
    const last = store.volume('v')!.meta.version;
    await propose(store, 6000, { op: 'delete', table: 'volume', id: 'v', base: last });
    const { records } = tellHistory(store.history, store, { limit: 100, atMs: 6000 }, 9000);
    assert.deepEqual(
      records.map(({ kind, name, by, user = '', text }) => [kind, name, by, user, text].join('|')),
      [
        `swarm|default|command||the swarm was made`,
        'swarm|default|command|ann|updated: Dispatcher.HeartbeatPeriod added: 7000000000',
        'swarm|default|command|ann|rotated: join token of workers',
        'volume|v|command||created: driver d',
        'volume|v|command||availability active → drain',
        'volume|v|command||removed',
        'volume|v|managers||forgotten',
      ],
    );
  });

  const limits = { maxCost: 50, maxAgeMs: 60_000 };
  const note = (history: History, atMs: number, spec: Service['spec']) => {
    const old = { ...web, spec };
    const event = { table: 'service', action: 'update', object: web, old } as const;
    const events = [{ ...event, index: atMs, atMs }];
    history.note({ index: atMs, atMs, restored: false, events });
  };

  it('forgets the oldest once it holds too much, larger specs sooner', () => {
    const count = (label: string) => {
      const history = new History(limits);
      for (let at = 0; at < 100; at++) note(history, at, { ...web.spec, labels: { label } });
      const [first] = history.records;
      assert.equal(history.sinceMs, first?.atMs ?? 99);
      return history.records.length;
    };
    assert.equal(count(''), 25);
    assert.equal(count('x'.repeat(4000)), 4);
    assert.equal(count('x'.repeat(40_000)), 0, 'one that is too large by itself');
  });

  it('forgets what is too long ago', () => {
    const history = new History(limits);
    for (const atMs of [0, 59_000, 61_000]) note(history, atMs, { ...web.spec });
    assert.deepEqual(
      history.records.map(({ atMs }) => atMs),
      [59_000, 61_000],
    );
  });
});
