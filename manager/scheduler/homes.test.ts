import { strict as assert } from 'node:assert';
import type { Node, Service, Task } from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask } from '../store/testing.ts';
import { schedule } from './schedule.ts';
import { verdictsOn } from './verdicts.ts';

const ownMount = { type: 'volume', source: 'data-{{.Task.Slot}}', target: '/d' } as const;
const sharedMount = { type: 'volume', source: 'shared', target: '/d' } as const;

function nodeOf(id: string, volumes: readonly string[], more: Partial<Node> = {}): Node {
  return makeNode(id, {
    spec: { labels: {}, role: 'worker', availability: 'active' },
    description: {
      hostname: `host-${id}`,
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 4e9, memoryBytes: 2 ** 32 },
      engine: { version: '1', labels: {}, plugins: [] },
      ...(volumes.length === 0 ? {} : { volumes }),
    },
    ...more,
  });
}

const drained = { spec: { labels: {}, role: 'worker', availability: 'drain' } } as const;

interface Case {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly follow?: 'prefer' | 'require' | 'ignore';
  readonly mount?: typeof ownMount | typeof sharedMount;
  /** Earlier tasks, the oldest first: "slot node". */
  readonly history?: readonly string[];
  readonly failures?: { readonly node: string; readonly count: number };
  /** "slot node", or "slot reason". */
  readonly expected: readonly (string | RegExp)[];
}

const cases: readonly Case[] = [
  {
    name: 'without any history spread as ever',
    nodes: [nodeOf('a', []), nodeOf('b', [])],
    expected: ['1 a', '2 b'],
  },
  {
    name: 'go where the volumes of their slots are',
    nodes: [nodeOf('a', ['data-2']), nodeOf('b', ['data-1', 'other'])],
    expected: ['1 b', '2 a'],
  },
  {
    name: 'go there though it is more loaded',
    nodes: [nodeOf('a', ['data-1', 'data-2']), nodeOf('b', [])],
    expected: ['1 a', '2 a'],
  },
  {
    name: 'go back to where the slot was last, of nodes that have the volume',
    nodes: [nodeOf('a', ['data-1']), nodeOf('b', ['data-1']), nodeOf('c', [])],
    history: ['1 a', '1 b'],
    expected: ['1 b', '2 a'],
  },
  {
    name: 'go elsewhere when that node is drained',
    nodes: [nodeOf('a', []), nodeOf('b', ['data-1', 'data-2'], drained)],
    expected: ['1 a', '2 a'],
  },
  {
    name: 'wait for it where it is required',
    nodes: [nodeOf('a', []), nodeOf('b', ['data-1'], drained)],
    follow: 'require',
    expected: [
      '2 a',
      /^1 no suitable node \(1 node .*\): slot 1 waits for host-b, which has its volume data-1$/,
    ],
  },
  {
    name: 'do not take an older copy where it is required',
    nodes: [nodeOf('a', ['data-1']), nodeOf('b', ['data-1'], drained), nodeOf('c', [])],
    follow: 'require',
    history: ['1 a', '1 b'],
    expected: ['2 a', /^1 .*waits for host-b/],
  },
  {
    name: 'begin anywhere though it is required, and anew once the node is gone',
    nodes: [nodeOf('a', []), nodeOf('b', [])],
    follow: 'require',
    history: ['1 gone'],
    expected: ['1 a', '2 b'],
  },
  {
    name: 'are spread where volumes are to be ignored',
    nodes: [nodeOf('a', ['data-1', 'data-2']), nodeOf('b', [])],
    follow: 'ignore',
    history: ['1 a', '2 a'],
    expected: ['1 a', '2 b'],
  },
  {
    name: 'with one volume for all go back to where each was, and not all to who has it',
    nodes: [nodeOf('a', ['shared']), nodeOf('b', []), nodeOf('c', [])],
    mount: sharedMount,
    history: ['2 c'],
    expected: ['2 c', '1 a'],
  },
  {
    name: 'leave a node where they fail again and again',
    nodes: [nodeOf('a', ['data-1']), nodeOf('b', [])],
    failures: { node: 'a', count: 5 },
    expected: ['1 b', '2 b'],
  },
  {
    name: 'stay there where it is required',
    nodes: [nodeOf('a', ['data-1']), nodeOf('b', [])],
    follow: 'require',
    failures: { node: 'a', count: 5 },
    expected: ['1 a', '2 b'],
  },
];

function serviceOf({ follow, mount = ownMount }: Case): Service {
  const service = makeService('web');
  const container = { image: 'web:1', mounts: [mount] };
  const labels = follow === undefined ? {} : { 'ts-swarm.volumes.follow': follow };
  return {
    ...service,
    spec: {
      ...service.spec,
      labels,
      mode: { replicated: { replicas: 2 } },
      task: { ...service.spec.task, container },
    },
  };
}

async function storeOf(given: Case): Promise<Store> {
  const service = serviceOf(given);
  const over = (
    id: string,
    slot: number,
    nodeId: string,
    atMs: number,
    state: 'shutdown' | 'failed',
  ) =>
    makeTask(id, service, {
      slot,
      nodeId,
      meta: { version: 1, createdAtMs: atMs, updatedAtMs: 1000 },
      desiredState: 'shutdown',
      status: { state, atMs: 1000, message: '' },
    });
  const history = (given.history ?? []).map((line, index) => {
    const [slot = '', node = ''] = line.split(' ');
    return over(`old-${index}`, Number(slot), node, index, 'shutdown');
  });
  const { node = '', count = 0 } = given.failures ?? {};
  const failed = Array.from({ length: count }, (_, n) => over(`bad-${n}`, 1, node, n, 'failed'));
  const wanted = [1, 2].map((slot) =>
    makeTask(`new-${slot}`, service, {
      slot,
      meta: { version: 1, createdAtMs: 500, updatedAtMs: 500 },
    }),
  );
  const put = (table: 'node' | 'service' | 'task') => (object: Node | Service | Task) =>
    ({ op: 'put', table, object, base: 0 }) as Change;
  const store = new Store(new MemoryLog());
  await store.open();
  const result = await store.propose(
    [
      ...given.nodes.map(put('node')),
      put('service')(service),
      ...[...history, ...failed, ...wanted].map(put('task')),
    ],
    { atMs: 1000 },
  );
  assert.ok(result.applied);
  return store;
}

describe('tasks with volumes of their own', () => {
  for (const given of cases) {
    it(given.name, async () => {
      const store = await storeOf(given);
      const request = { tasks: store.unassignedTasks(), released: [], limit: Infinity };
      const { placements, refusals } = schedule(store, request, { nowMs: 2000 });
      const told = [
        ...placements.map(({ task, nodeId }) => `${task.slot} ${nodeId}`),
        ...refusals.map(({ task, reason }) => `${task.slot} ${reason}`),
      ];
      assert.equal(told.length, given.expected.length, told.join('\n'));
      for (const [index, expected] of given.expected.entries()) {
        if (typeof expected === 'string') assert.equal(told[index], expected);
        else assert.match(told[index] ?? '', expected);
      }
    });
  }

  it('are explained, node by node', async () => {
    const nodes = [nodeOf('a', []), nodeOf('b', ['data-1'])];
    const store = await storeOf({ name: '', nodes, follow: 'require', expected: [] });
    const task = store.task('new-1');
    assert.ok(task !== undefined);
    assert.deepEqual(
      verdictsOn(store, task, { nowMs: 2000 }).map(({ node, refusals }) => [node.id, ...refusals]),
      [['b'], ['a', 'does not have the volumes of its slot']],
    );
  });
});
