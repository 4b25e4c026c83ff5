import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import type { Node, Service, Task, TaskSpec } from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask } from '../store/testing.ts';
import { schedule, type Schedule } from './schedule.ts';

const gib = 2 ** 30;

function nodeOf(id: string, labels: Record<string, string> = {}, overrides: Partial<Node> = {}) {
  return makeNode(id, {
    spec: { labels, role: 'worker', availability: 'active' },
    description: {
      hostname: id,
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 4e9, memoryBytes: 4 * gib },
      engine: { version: '1', labels: {}, plugins: [] },
    },
    ...overrides,
  });
}

function serviceOf(id: string, spec: Partial<TaskSpec> = {}): Service {
  const service = makeService(id);
  return { ...service, spec: { ...service.spec, task: { ...service.spec.task, ...spec } } };
}

function tasksOf(service: Service, count: number, overrides: Partial<Task> = {}): Task[] {
  return Array.from({ length: count }, (_, n) =>
    makeTask(`${service.id}-${n}-${overrides.nodeId ?? ''}`, service, {
      slot: n + 1,
      ...overrides,
    }),
  );
}

async function storeOf(
  nodes: readonly Node[],
  services: readonly Service[],
  tasks: readonly Task[] = [],
): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  const changes: Change[] = [
    ...nodes.map((object): Change => ({ op: 'put', table: 'node', object, base: 0 })),
    ...services.map((object): Change => ({ op: 'put', table: 'service', object, base: 0 })),
    ...tasks.map((object): Change => ({ op: 'put', table: 'task', object, base: 0 })),
  ];
  const result = await store.propose(changes, { atMs: 1000 });
  assert.ok(result.applied);
  return store;
}

function placeAll(store: Store, limit = Infinity, released: readonly Task[] = []): Schedule {
  return schedule(store, { tasks: store.unassignedTasks(), released, limit }, { nowMs: 2000 });
}

function counts({ placements }: Schedule): Record<string, number> {
  const groups = Map.groupBy(placements, ({ nodeId }) => nodeId);
  return Object.fromEntries([...groups].map(([id, there]) => [id, there.length]));
}

describe('schedule', () => {
  it('fills the nodes evenly, whatever else runs there first', async () => {
    const [web, other] = [serviceOf('web'), serviceOf('other')];
    const store = await storeOf(
      [nodeOf('a'), nodeOf('b'), nodeOf('c')],
      [web, other],
      [...tasksOf(other, 2, { nodeId: 'a' }), ...tasksOf(web, 7)],
    );
    assert.deepEqual(counts(placeAll(store)), { a: 2, b: 3, c: 2 });
  });

  it('prefers nodes without a task of the service to nodes with few tasks', async () => {
    const [web, other] = [serviceOf('web'), serviceOf('other')];
    const store = await storeOf(
      [nodeOf('a'), nodeOf('b')],
      [web, other],
      [
        ...tasksOf(web, 1, { nodeId: 'a' }),
        ...tasksOf(other, 3, { nodeId: 'b' }),
        ...tasksOf(web, 1),
      ],
    );
    assert.deepEqual(counts(placeAll(store)), { b: 1 });
  });

  it('spreads services of one task over the nodes', async () => {
    const services = Array.from({ length: 6 }, (_, n) => serviceOf(`s${n}`));
    const store = await storeOf(
      [nodeOf('a'), nodeOf('b'), nodeOf('c')],
      services,
      services.flatMap((service) => tasksOf(service, 1)),
    );
    assert.deepEqual(counts(placeAll(store)), { a: 2, b: 2, c: 2 });
  });

  it('puts nodes last where the same spec failed five times of late', async () => {
    const web = serviceOf('web');
    const failed = tasksOf(web, 5, {
      nodeId: 'a',
      desiredState: 'shutdown',
      status: { state: 'failed', atMs: 900, message: '' },
    });
    const store = await storeOf([nodeOf('a'), nodeOf('b')], [web], [...failed, ...tasksOf(web, 2)]);
    assert.deepEqual(counts(placeAll(store)), { b: 2 });
    const later = { nowMs: 1000 + 5 * 60_000 + 1 };
    const forgotten = schedule(
      store,
      { tasks: store.unassignedTasks(), released: [], limit: Infinity },
      later,
    );
    assert.deepEqual(counts(forgotten), { a: 1, b: 1 });
  });

  it('counts what a plan releases as free, and what it places as taken', async () => {
    const big = serviceOf('big', { resources: { reservations: { memoryBytes: 3 * gib } } });
    const [old] = tasksOf(big, 1, { nodeId: 'a' });
    const store = await storeOf([nodeOf('a')], [big], [old!, ...tasksOf(big, 2)]);
    assert.equal(placeAll(store).placements.length, 0);
    const { placements, refusals } = placeAll(store, Infinity, [old!]);
    assert.equal(placements.length, 1);
    assert.equal(refusals[0]?.reason, 'no suitable node (insufficient resources on 1 node)');
  });

  it('stops at the limit and says how many are left', async () => {
    const web = serviceOf('web');
    const store = await storeOf([nodeOf('a')], [web], tasksOf(web, 5));
    const { placements, refusals, untried } = placeAll(store, 3);
    assert.deepEqual([placements.length, refusals.length, untried], [3, 0, 2]);
  });

  it('gives named resources by name, each once', async () => {
    const train = serviceOf('train', {
      resources: {
        reservations: { genericResources: [{ discrete: { kind: 'gpu', value: 2 } }] },
      },
    });
    const named = ['g0', 'g1', 'g2', 'g3', 'g4'].map((value) => ({
      named: { kind: 'gpu', value },
    }));
    const node = nodeOf('a');
    const store = await storeOf(
      [
        {
          ...node,
          description: {
            ...node.description!,
            resources: { nanoCpus: 1, memoryBytes: 1, genericResources: named },
          },
        },
      ],
      [train],
      tasksOf(train, 3),
    );
    const { placements, refusals } = placeAll(store);
    const given = placements.flatMap(({ genericResources }) =>
      genericResources.map(({ named }) => named?.value),
    );
    assert.deepEqual(given, ['g0', 'g1', 'g2', 'g3']);
    assert.equal(refusals.length, 1);
  });

  it('confirms a task on the node that it was made for, and nowhere else', async () => {
    const log = serviceOf('log', { resources: { reservations: { nanoCpus: 3e9 } } });
    const [first, second] = tasksOf(log, 2, { slot: 0 });
    const store = await storeOf(
      [nodeOf('a'), nodeOf('b')],
      [log],
      [
        { ...first!, forNodeId: 'b' },
        { ...second!, forNodeId: 'b' },
      ],
    );
    const { placements, refusals } = placeAll(store);
    assert.deepEqual(
      placements.map(({ nodeId }) => nodeId),
      ['b'],
    );
    assert.deepEqual(
      refusals.map(({ reason }) => reason),
      ['no suitable node (insufficient resources on 1 node)'],
    );
  });
});

describe('refusals', () => {
  const port = { protocol: 'tcp', targetPort: 80, publishedPort: 80, publishMode: 'host' } as const;
  const nodes = [
    nodeOf('a', { zone: 'x' }),
    nodeOf('b', { zone: 'x' }),
    nodeOf('c', { zone: 'y' }),
    nodeOf('d', {}, { status: { state: 'down', message: '', addr: '', atMs: 0 } }),
    nodeOf('e', {}, { spec: { labels: {}, role: 'worker', availability: 'drain' } }),
  ];
  const cases: { name: string; spec: Partial<TaskSpec>; task?: Partial<Task>; expect: string }[] = [
    {
      name: 'resources',
      spec: { resources: { reservations: { nanoCpus: 5e9 } } },
      expect: 'insufficient resources on 3 nodes; 2 nodes not available for new tasks',
    },
    {
      name: 'constraints, the most frequent reason first',
      spec: {
        placement: { constraints: ['node.labels.zone==x'] },
        resources: { reservations: { nanoCpus: 5e9 } },
      },
      expect: 'insufficient resources on 3 nodes; 2 nodes not available for new tasks',
    },
    {
      name: 'constraints',
      spec: { placement: { constraints: ['node.labels.zone==z'] } },
      expect:
        'scheduling constraints not satisfied on 3 nodes; 2 nodes not available for new tasks',
    },
    {
      name: 'platforms',
      spec: { placement: { platforms: [{ os: 'windows' }, { architecture: 'aarch64' }] } },
      expect: 'unsupported platform on 3 nodes; 2 nodes not available for new tasks',
    },
    {
      name: 'volume plugins',
      spec: {
        container: {
          image: 'web:1',
          mounts: [
            {
              type: 'volume',
              target: '/d',
              volumeOptions: { driverConfig: { name: 'nfs' } },
            },
          ],
        },
      },
      expect: 'missing plugin on 3 nodes; 2 nodes not available for new tasks',
    },
    {
      name: 'replicas per node, after one on each',
      spec: { placement: { maxReplicas: 1 } },
      expect: 'max replicas per node limit exceed; 2 nodes not available for new tasks',
    },
    {
      name: 'host ports, after one on each',
      spec: {},
      task: { ports: [port] },
      expect: 'host-mode port already in use on 3 nodes; 2 nodes not available for new tasks',
    },
  ];
  for (const { name, spec, task, expect } of cases) {
    it(`names ${name}`, async () => {
      const service = serviceOf('web', spec);
      const store = await storeOf(nodes, [service], tasksOf(service, 4, task));
      const { refusals } = placeAll(store);
      assert.equal(refusals.at(-1)?.reason, `no suitable node (${expect})`);
    });
  }

  it('accepts either name of an architecture', async () => {
    const service = serviceOf('web', { placement: { platforms: [{ architecture: 'amd64' }] } });
    const store = await storeOf(nodes, [service], tasksOf(service, 1));
    assert.equal(placeAll(store).placements.length, 1);
  });

  it('are the same for services that ask the same, but not for those that ask less', async () => {
    const large = { resources: { reservations: { memoryBytes: 5 * gib } } };
    const services = [serviceOf('one', large), serviceOf('two', large), serviceOf('three')];
    const store = await storeOf(
      nodes,
      services,
      services.flatMap((service) => tasksOf(service, 1)),
    );
    const { placements, refusals } = placeAll(store);
    assert.equal(placements.length, 1);
    assert.deepEqual(new Set(refusals.map(({ reason }) => reason)).size, 1);
  });
});

describe('preferences', () => {
  const spread = (...labels: string[]) => ({
    placement: {
      preferences: labels.map((label) => ({ spread: { descriptor: `node.labels.${label}` } })),
    },
  });

  it('spread over a label before nodes, counting what runs already', async () => {
    const web = serviceOf('web', spread('zone'));
    const nodes = ['a', 'b', 'c'].map((id) => nodeOf(id, { zone: 'east' }));
    const store = await storeOf(
      [...nodes, nodeOf('w', { zone: 'west' })],
      [web],
      [...tasksOf(web, 3, { nodeId: 'w' }), ...tasksOf(web, 5)],
    );
    assert.deepEqual(counts(placeAll(store)), { a: 2, b: 1, c: 1, w: 1 });
  });

  it('leave a branch that is full to the others', async () => {
    const spec = { ...spread('zone'), resources: { reservations: { memoryBytes: 2 * gib } } };
    const web = serviceOf('web', spec);
    const store = await storeOf(
      [nodeOf('a', { zone: 'east' }), nodeOf('b', { zone: 'east' }), nodeOf('w', { zone: 'west' })],
      [web],
      tasksOf(web, 7),
    );
    const plan = placeAll(store);
    assert.deepEqual(counts(plan), { a: 2, b: 2, w: 2 });
    assert.equal(plan.refusals.length, 1);
  });

  it('spread services of one task over the branches too', async () => {
    const services = Array.from({ length: 4 }, (_, n) => serviceOf(`s${n}`, spread('zone')));
    const store = await storeOf(
      [nodeOf('a', { zone: 'east' }), nodeOf('w', { zone: 'west' })],
      services,
      services.flatMap((service) => tasksOf(service, 1)),
    );
    assert.deepEqual(counts(placeAll(store)), { a: 2, w: 2 });
  });
});

describe('schedule, for random clusters', () => {
  it('keeps within every limit and spreads as evenly as the room allows', async () => {
    const arbitrary = fc.record({
      memory: fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 12 }),
      tasks: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ memory, tasks }) => {
        const nodes = memory.map((size, n) => {
          const node = nodeOf(`n${n}`);
          const resources = { nanoCpus: 1e12, memoryBytes: size * gib };
          return { ...node, description: { ...node.description!, resources } };
        });
        const services = tasks.map((_, n) =>
          serviceOf(`s${n}`, { resources: { reservations: { memoryBytes: gib } } }),
        );
        const store = await storeOf(
          nodes,
          services,
          services.flatMap((service, n) => tasksOf(service, tasks[n]!)),
        );
        const plan = placeAll(store);
        const used = counts(plan);
        const room = memory.reduce((sum, size) => sum + size, 0);
        const asked = tasks.reduce((sum, count) => sum + count, 0);
        assert.equal(plan.placements.length, Math.min(room, asked));
        for (const [n, size] of memory.entries()) assert.ok((used[`n${n}`] ?? 0) <= size);
        const [first] = services;
        const own = plan.placements.filter(({ task }) => task.serviceId === first!.id);
        const byNode = Map.groupBy(own, ({ nodeId }) => nodeId);
        const most = Math.max(0, ...[...byNode.values()].map((there) => there.length));
        // The first service met empty nodes: one that has room left is at most one behind.
        for (const [n, size] of memory.entries()) {
          const here = byNode.get(`n${n}`)?.length ?? 0;
          assert.ok(here >= Math.min(size, most - 1), `n${n} has ${here} of ${most}`);
        }
      }),
      { numRuns: 100 },
    );
  });
});
