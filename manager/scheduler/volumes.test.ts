import { strict as assert } from 'node:assert';
import type { ClusterVolume, Node, Task } from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask, makeVolume } from '../store/testing.ts';
import { schedule } from './schedule.ts';
import { verdictsOn } from './verdicts.ts';

function nodeOf(id: string, zone: string, state: Node['status']['state'] = 'ready'): Node {
  return makeNode(id, {
    status: { state, message: '', addr: '', atMs: 0 },
    description: {
      hostname: `host-${id}`,
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 4e9, memoryBytes: 2 ** 32 },
      engine: { version: '1', labels: {}, plugins: [] },
      csi: [
        {
          driver: 'd',
          nodeId: `csi-${id}`,
          maxVolumes: 2,
          isController: true,
          topology: { segments: { zone } },
        },
      ],
    },
  });
}

type Sharing = 'none' | 'readonly' | 'onewriter' | 'all';

function volumeOf(
  id: string,
  scope: 'single' | 'multi' = 'single',
  sharing: Sharing = 'none',
  more: Partial<ClusterVolume> & { readonly zone?: string; readonly group?: string } = {},
): ClusterVolume {
  const { zone, group, ...rest } = more;
  const { spec } = makeVolume(id);
  const accessMode = { scope, sharing, mountVolume: {} };
  const cluster = { ...spec.cluster, accessMode, ...(group === undefined ? {} : { group }) };
  const info = {
    volumeId: id,
    capacityBytes: 0,
    ...(zone === undefined ? {} : { accessibleTopology: [{ segments: { zone } }] }),
  };
  return makeVolume(id, { spec: { ...spec, cluster }, info, ...rest });
}

interface Case {
  readonly name: string;
  readonly volumes: readonly ClusterVolume[];
  readonly source?: string;
  readonly readOnly?: boolean;
  /** Tasks that hold volume `v` already: node, and how far they are. */
  readonly holders?: readonly (readonly [string, Task['status']['state'], boolean?])[];
  readonly down?: readonly string[];
  readonly tasks?: number;
  /** "node volume" or the reason. */
  readonly expected: readonly (string | RegExp)[];
}

const published = (nodeId: string) => ({
  publishStatus: [
    { nodeId, state: 'published', csiNodeId: `csi-${nodeId}`, publication: 'p' } as const,
  ],
});

const cases: readonly Case[] = [
  {
    name: 'one of one task is given once',
    volumes: [volumeOf('v')],
    tasks: 2,
    expected: ['a v', /cannot fulfill requested CSI volume mounts on 3 nodes: volume v: /],
  },
  {
    name: 'one of a single node keeps its tasks together',
    volumes: [volumeOf('v', 'single', 'all')],
    tasks: 3,
    expected: ['a v', 'a v', 'a v'],
  },
  {
    name: 'one of many nodes lets its tasks spread',
    volumes: [volumeOf('v', 'multi', 'all')],
    tasks: 3,
    expected: ['a v', 'b v', 'c v'],
  },
  {
    name: 'a group has one for each task',
    volumes: [
      volumeOf('v', 'single', 'none', { group: 'g' }),
      volumeOf('w', 'single', 'none', { group: 'g' }),
    ],
    source: 'group:g',
    tasks: 3,
    expected: ['a v', 'b w', /on 3 nodes/],
  },
  {
    name: 'a task that is to stop holds it until it has',
    volumes: [volumeOf('v', 'single', 'none', published('b'))],
    holders: [['b', 'running']],
    expected: [/waiting for host-b to let go of it|another task uses it/],
  },
  {
    name: 'it is free once the task has ended, where it is published still',
    volumes: [volumeOf('v', 'single', 'none', published('b'))],
    holders: [['b', 'complete']],
    expected: ['b v'],
  },
  {
    name: 'a node that is lost has it until its driver has taken it away',
    volumes: [volumeOf('v', 'single', 'none', published('b'))],
    holders: [['b', 'running']],
    down: ['b'],
    expected: [/waiting for it to be taken from host-b, which is lost/],
  },
  {
    name: 'of several readers and one writer there is no second writer',
    volumes: [volumeOf('v', 'multi', 'onewriter')],
    holders: [['b', 'running', true]],
    expected: [/another task writes to it/],
  },
  {
    name: 'readers come beside a writer',
    volumes: [volumeOf('v', 'multi', 'onewriter')],
    holders: [['b', 'running', true]],
    readOnly: true,
    expected: ['a v'],
  },
  {
    name: 'what is read only has no writer',
    volumes: [volumeOf('v', 'multi', 'readonly')],
    expected: [/it can only be mounted readonly/],
  },
  {
    name: 'it is used where it can be reached',
    volumes: [volumeOf('v', 'multi', 'all', { zone: 'z2' })],
    expected: ['c v'],
  },
  {
    name: 'a node has as many volumes as its driver can do',
    volumes: [
      volumeOf('v', 'multi', 'all', { zone: 'z2' }),
      volumeOf('x', 'single', 'none', published('c')),
      volumeOf('y', 'single', 'none', published('c')),
    ],
    expected: [/the node has 2 volumes of d, and can have no more/],
  },
  {
    name: 'one that is not there is waited for',
    volumes: [],
    expected: [/no such cluster volume/],
  },
];

describe('cluster volumes', () => {
  for (const { name, volumes, source = 'v', readOnly, holders = [], ...given } of cases) {
    it(name, async () => {
      const mount = { type: 'cluster' as const, source, target: '/d', readOnly: readOnly ?? false };
      const base = makeService('web');
      const task = { container: { image: 'web:1', mounts: [mount] }, forceUpdate: 0 };
      const service = { ...base, spec: { ...base.spec, task } };
      const { down = [], tasks = 1, expected } = given;
      const nodes = ['a', 'b', 'c'].map((id) =>
        nodeOf(id, id === 'c' ? 'z2' : 'z1', down.includes(id) ? 'down' : 'ready'),
      );
      const store = new Store(new MemoryLog());
      await store.open();
      const held = holders.map(([nodeId, state, isWriter = true], index) =>
        makeTask(`held${index}`, service, {
          nodeId,
          desiredState: 'shutdown',
          status: { state, atMs: 0, message: '' },
          volumes: [{ id: 'v', source: 'v', target: '/d', isWriter }],
        }),
      );
      await store.propose(
        [
          ...nodes.map((object): Change => ({ op: 'put', table: 'node', object, base: 0 })),
          { op: 'put', table: 'service', object: service, base: 0 },
          ...volumes.map((object): Change => ({ op: 'put', table: 'volume', object, base: 0 })),
          ...held.map((object): Change => ({ op: 'put', table: 'task', object, base: 0 })),
        ],
        { atMs: 0 },
      );
      const wanted = Array.from({ length: tasks }, (_, slot) =>
        makeTask(`t${slot}`, service, { slot }),
      );
      const plan = schedule(store, { tasks: wanted, released: [], limit: 10 }, { nowMs: 0 });
      const said = [
        ...plan.placements.map(({ nodeId, volumes: got }) =>
          [nodeId, ...got.map(({ id }) => id)].join(' '),
        ),
        ...plan.refusals.map(({ reason }) => reason),
      ];
      assert.equal(said.length, expected.length, said.join('\n'));
      for (const [index, one] of expected.entries()) {
        if (typeof one === 'string') assert.equal(said[index], one);
        else assert.match(said[index] ?? '', one);
      }
    });
  }

  it('are no reason to refuse the task that holds them its own node', async () => {
    const mount = { type: 'cluster' as const, source: 'v', target: '/d' };
    const base = makeService('web');
    const spec = { container: { image: 'web:1', mounts: [mount] }, forceUpdate: 0 };
    const service = { ...base, spec: { ...base.spec, task: spec } };
    const store = new Store(new MemoryLog());
    await store.open();
    const task = makeTask('t', service, {
      nodeId: 'a',
      volumes: [{ id: 'v', source: 'v', target: '/d', isWriter: true }],
      status: { state: 'running', atMs: 0, message: '' },
    });
    await store.propose(
      [
        { op: 'put', table: 'node', object: nodeOf('a', 'z1'), base: 0 },
        { op: 'put', table: 'service', object: service, base: 0 },
        {
          op: 'put',
          table: 'volume',
          object: volumeOf('v', 'single', 'none', published('a')),
          base: 0,
        },
        { op: 'put', table: 'task', object: task, base: 0 },
      ],
      { atMs: 0 },
    );
    assert.deepEqual(
      verdictsOn(store, task, { nowMs: 0 }).map(({ refusals }) => refusals),
      [[]],
    );
  });
});
