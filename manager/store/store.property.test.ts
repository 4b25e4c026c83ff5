/** Random transactions: indexes stay in step, managers agree, and entries are all or nothing. */
import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import type { FileObject, Network, Service, Task } from '../../types/index.ts';
import type { Change } from './change.ts';
import type { ObjectEvent } from './event.ts';
import { MemoryLog, type MemoryStorage } from './memory-log.ts';
import { Store } from './store.ts';
import { makeNetwork, makeNode, makeService, makeTask, makeTaskSpec } from './testing.ts';

/** Numbers that a change is made of, on the state that it finds. */
interface Draw {
  readonly kind: number;
  readonly id: number;
  readonly other: number;
  readonly variant: number;
  /** Plans on a wrong version. */
  readonly stale: boolean;
}

const draw: fc.Arbitrary<Draw> = fc.record({
  kind: fc.nat(15),
  id: fc.nat(7),
  other: fc.nat(4),
  variant: fc.nat(3),
  stale: fc.integer({ min: 0, max: 19 }).map((number) => number === 0),
});
const transactions = fc.array(fc.array(draw, { minLength: 1, maxLength: 5 }), {
  minLength: 1,
  maxLength: 40,
});

const states = ['new', 'pending', 'assigned', 'running', 'failed', 'shutdown'] as const;
const desires = ['ready', 'running', 'complete', 'shutdown', 'remove'] as const;

function servicePut(store: Store, one: Draw): Change {
  const id = `s${one.id % 4}`;
  const old = store.service(id);
  const port = { protocol: 'tcp', targetPort: 80, publishedPort: 80 + one.variant } as const;
  const spec: Service['spec'] = {
    // Names and ports are drawn from few, so that they clash now and then.
    name: one.variant === 3 ? 'shared' : id,
    labels: {},
    mode: {},
    task: {
      ...makeTaskSpec(one.other, one.variant),
      ...(one.id > 3 ? { networks: [{ target: `w${one.variant}` }] } : {}),
      ...(one.other !== 2
        ? {}
        : {
            container: {
              image: 'web:1',
              secrets: [{ secretId: `f${one.variant}`, secretName: 'f' }],
            },
          }),
    },
    ...(one.other === 0 ? { endpoint: { ports: [{ ...port, publishMode: 'ingress' }] } } : {}),
  };
  const previous =
    old === undefined ? {} : { previousSpec: old.spec, previousSpecVersion: old.specVersion };
  const specVersion = (old?.specVersion ?? 0) + 1;
  // Addresses are drawn from few, too.
  const virtualIps =
    one.id > 3 ? [{ networkId: `w${one.variant}`, address: `10.9.0.${one.other}/24` }] : [];
  const object = makeService(id, { spec, specVersion, virtualIps, ...previous });
  return { op: 'put', table: 'service', object, base: base(old?.meta.version, one) };
}

function taskPut(store: Store, one: Draw): Change {
  const id = `t${one.id}`;
  const old = store.task(id);
  if (old !== undefined) {
    const networks = [{ networkId: `w${one.variant}`, addresses: [`10.9.0.${one.other}/24`] }];
    const object: Task = {
      ...old,
      ...(one.other === 4 || old.networks !== undefined ? {} : { networks }),
      nodeId: old.nodeId === '' && one.variant > 0 ? `n${one.other}` : old.nodeId,
    };
    return { op: 'put', table: 'task', object, base: base(old.meta.version, one) };
  }
  const service = store.service(`s${one.other % 4}`) ?? makeService(`gone${one.other}`);
  const ports = [
    { protocol: 'tcp', targetPort: 80, publishedPort: one.variant, publishMode: 'host' },
  ] as const;
  const object = makeTask(id, service, { nodeId: one.variant === 0 ? 'n0' : '', ports });
  return { op: 'put', table: 'task', object, base: base(undefined, one) };
}

function networkPut(store: Store, one: Draw): Change {
  const id = `w${one.id % 4}`;
  const old = store.network(id);
  const made = makeNetwork(id, { vni: 4096 + one.other });
  const object: Network =
    one.variant > 0 ? made : { ...made, spec: { ...made.spec, ingress: true } };
  return { op: 'put', table: 'network', object, base: base(old?.meta.version, one) };
}

function secretPut(store: Store, one: Draw): Change {
  const id = `f${one.id % 4}`;
  const old = store.file('secret', id);
  const spec = { name: `name${one.variant % 2}`, labels: {}, data: 'eA==' };
  const object: FileObject = {
    id,
    meta: { version: 0, createdAtMs: 0, updatedAtMs: 0 },
    spec,
    revision: old?.revision ?? one.other + 1,
  };
  return { op: 'put', table: 'secret', object, base: base(old?.meta.version, one) };
}

function changeOf(store: Store, one: Draw): Change {
  const task = `t${one.id}`;
  const node = `n${one.other}`;
  const message = `message ${one.variant}`;
  switch (one.kind) {
    case 0:
    case 1:
      return servicePut(store, one);
    case 2:
    case 3:
    case 4:
      return taskPut(store, one);
    case 5: {
      const version = store.node(node)?.meta.version;
      return { op: 'put', table: 'node', object: makeNode(node), base: base(version, one) };
    }
    case 6: {
      const table = (['task', 'service', 'node'] as const)[one.variant % 3] ?? 'task';
      const id = { task, service: `s${one.id % 4}`, node }[table];
      const version = { task: store.task(id), service: store.service(id), node: store.node(id) };
      return { op: 'delete', table, id, base: base(version[table]?.meta.version, one) };
    }
    case 7: {
      const state = states[(one.other + one.variant) % states.length] ?? 'new';
      return { op: 'task-status', id: task, status: { state, atMs: one.other, message } };
    }
    case 8:
      return { op: 'task-desire', id: task, desiredState: desires[one.other] ?? 'running' };
    case 9:
    case 10:
      return networkPut(store, one);
    case 11: {
      const id = `w${one.id % 4}`;
      const version = store.network(id)?.meta.version;
      return { op: 'delete', table: 'network', id, base: base(version, one) };
    }
    case 13:
      return secretPut(store, one);
    case 14: {
      const id = `f${one.id % 4}`;
      const version = store.file('secret', id)?.meta.version;
      return { op: 'delete', table: 'secret', id, base: base(version, one) };
    }
    case 12: {
      const ingressAddresses = one.variant === 0 ? [] : [`10.9.0.${one.id}/24`];
      return { op: 'node-addresses', id: node, ingressAddresses };
    }
    default: {
      const status = { state: 'down', message, addr: '', atMs: one.id } as const;
      return { op: 'node-status', id: node, status };
    }
  }
}

function base(version: number | undefined, one: Draw): number {
  return one.stale ? 999_999 : (version ?? 0);
}

async function openStore(storage: MemoryStorage): Promise<Store> {
  const store = new Store(new MemoryLog({ storage }));
  await store.open();
  return store;
}

/** What the view says, as text, in an order of its own. */
function report(store: Store): string {
  const ids = (objects: Iterable<{ id: string }>) => [...objects].map(({ id }) => id).sort();
  const nodes = ['n0', 'n1', 'n2', 'n3', 'n4'];
  const networks = ['w0', 'w1', 'w2', 'w3'];
  const services = ['s0', 's1', 's2', 's3', 'gone0', 'gone1', 'gone2', 'gone3', 'gone4'];
  return JSON.stringify([
    nodes.map((id) => [ids(store.tasksOfNode(id)), store.usage(id).activeTasks]),
    nodes.map((id) => [...store.usage(id).hostPorts].sort()),
    services.map((id) => ids(store.tasksOfService(id))),
    ['s0', 's1', 's2', 's3', 'shared'].map((name) => store.serviceByName(name)?.id),
    [80, 81, 82, 83].map((port) => store.ingressPortOwner(`tcp/${port}`)?.id),
    ids(store.unassignedTasks()),
    ids(store.networks()),
    networks.map((id) => [ids(store.tasksOfNetwork(id)), ids(store.servicesOfNetwork(id))]),
    networks.map((id) => [...store.usedAddresses(id)].map(String).sort()),
    networks.map((id) => store.networkByName(id)?.id),
    store.ingressNetwork()?.id,
    [...store.orphanedServiceIds()].sort(),
  ]);
}

/** Services on networks that are not there, but for those that may have gone back to them. */
function dangling(store: Store): string[] {
  return [...store.services()].flatMap(({ id, spec, previousSpec }) =>
    (previousSpec === undefined ? (spec.task.networks ?? []) : [])
      .filter(({ target }) => store.network(target) === undefined)
      .map(({ target }) => `${id} on ${target}`),
  );
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const inner of Object.values(value)) freeze(inner);
}

describe('Store, whatever is proposed', () => {
  it('keeps its indexes in step, and managers agree', async function () {
    this.timeout(180_000);
    let applied = 0;
    let conflicts = 0;
    const kinds = new Set<string>();
    const property = fc.asyncProperty(transactions, fc.nat(39), async (all, snapshotAt) => {
      const storage: MemoryStorage = { entries: [] };
      const store = await openStore(storage);
      const mirror = new Map<string, ObjectEvent['object']>();
      store.onChange(({ events }) => {
        for (const event of events) {
          freeze(event.object);
          const key = `${event.table} ${event.object.id}`;
          assert.equal(event.old, mirror.get(key), 'an event tells what was there before');
          if (event.action === 'remove') mirror.delete(key);
          else mirror.set(key, event.object);
        }
      });
      let snapshot = { index: 0, bytes: store.snapshot() };
      for (const [position, draws] of all.entries()) {
        const before = store.digest();
        const changes = draws.map((one) => changeOf(store, one));
        const result = await store.propose(changes, { atMs: position });
        if (result.applied) applied += 1;
        else conflicts += 1;
        if (!result.applied) {
          assert.equal(store.digest(), before, result.conflict);
          kinds.add(result.conflict.replaceAll(/\b[a-z]+\d\b|\d+/g, '#'));
        }
        assert.deepEqual(store.audit(), []);
        assert.deepEqual(dangling(store), []);
        if (position === snapshotAt) snapshot = { index: store.index, bytes: store.snapshot() };
      }
      const swarm = [store.nodes(), store.networks(), store.services(), store.tasks()];
      const tables = [...swarm, store.files('secret')];
      const objects = tables.flatMap((table) => [...table]);
      assert.deepEqual(new Set(mirror.values()), new Set(objects), 'events tell everything');
      const later = storage.entries.slice(snapshot.index);
      for (const other of [
        await openStore({ entries: storage.entries }),
        await openStore({ entries: later, ...(snapshot.index === 0 ? {} : { snapshot }) }),
      ]) {
        assert.equal(other.digest(), store.digest());
        assert.equal(report(other), report(store));
        assert.deepEqual(other.audit(), []);
      }
    });
    await fc.assert(property, { numRuns: 1600, seed: 20_261_121 });
    assert.ok(applied > 1500 && conflicts > 500, `${applied} applied, ${conflicts} conflicts`);
    for (const clash of [
      'VNI # is in use by network #',
      "network # is the routing mesh's already",
      "address #.#.#.# of network # is #'s",
      'network # is in use by service #',
      'network #, which service # is to be on, does not exist',
      'network #, which task # is to be on, does not exist',
      'revision # # is in use by secret #',
      'secret #, which service # is to have, does not exist',
    ]) {
      assert.ok(kinds.has(clash), `nothing clashed like this: ${clash}`);
    }
  });
});
