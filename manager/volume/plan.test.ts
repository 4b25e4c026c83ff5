import { strict as assert } from 'node:assert';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask, makeVolume, makeVolumeNode } from '../store/testing.ts';
import type { ClusterVolume, PublishStatus, Task } from '../../types/index.ts';
import { failed, planVolume, released, succeeded, waitingFor, type VolumeCall } from './index.ts';

const service = makeService('web');

function taskOn(id: string, nodeId: string, state: Task['status']['state'] = 'preparing'): Task {
  return makeTask(id, service, {
    nodeId,
    status: { state, atMs: 0, message: '' },
    volumes: [{ id: 'v', source: 'v', target: '/v', isWriter: true }],
  });
}

async function given(
  volume: Partial<ClusterVolume>,
  tasks: readonly Task[] = [],
  nodes = [makeVolumeNode('a'), makeVolumeNode('b')],
): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  const puts: Change[] = [
    { op: 'put', table: 'service', object: service, base: 0 },
    { op: 'put', table: 'volume', object: makeVolume('v', volume), base: 0 },
    ...nodes.map((object): Change => ({ op: 'put', table: 'node', object, base: 0 })),
    ...tasks.map((object): Change => ({ op: 'put', table: 'task', object, base: 0 })),
  ];
  await store.propose(puts, { atMs: 0 });
  return store;
}

const env = (nowMs = 0, underWay: readonly string[] = []) => ({
  nowMs,
  newPublication: () => 'new',
  isUnderWay: (key: string) => underWay.includes(key),
});

const at = (nodeId: string, state: PublishStatus['state']): PublishStatus => ({
  nodeId,
  state,
  csiNodeId: `csi-${nodeId}`,
  publication: `p-${nodeId}`,
});
const info = { volumeId: 'id-v', capacityBytes: 0 };
const multi = makeVolume('v').spec;
const shared = {
  ...multi,
  cluster: {
    ...multi.cluster,
    accessMode: { scope: 'multi', sharing: 'all', mountVolume: {} },
  },
} as const;

/** "a published" after the plan, or the calls that it asks for. */
function told(store: Store, atMs = 0, underWay: readonly string[] = []): string {
  const plan = planVolume(store, 'v', env(atMs, underWay));
  const [change] = plan.changes;
  if (change?.op === 'delete') return 'forgotten';
  if (change?.op === 'put' && change.table === 'volume') {
    const statuses = change.object.publishStatus;
    return statuses.map(({ nodeId, state }) => `${nodeId} ${state}`).join(', ') || 'nowhere';
  }
  const calls = plan.calls.map(({ kind, status, through }) =>
    [kind, status?.nodeId, 'through', through].filter(Boolean).join(' '),
  );
  return [...calls, ...(plan.wakeAtMs === undefined ? [] : [`wakes ${plan.wakeAtMs}`])].join(', ');
}

describe('planVolume', () => {
  const trouble = { message: 'no', attempts: 1, retryAtMs: 500 };
  const cases: readonly {
    readonly name: string;
    readonly volume?: Partial<ClusterVolume>;
    readonly tasks?: readonly Task[];
    readonly nodes?: readonly ReturnType<typeof makeVolumeNode>[];
    readonly underWay?: readonly string[];
    readonly expect: string;
  }[] = [
    { name: 'has it made first', expect: 'create through a' },
    { name: 'waits while that is under way', underWay: ['v'], expect: '' },
    { name: 'waits for a while after a failure', volume: { trouble }, expect: 'wakes 500' },
    {
      name: 'asks elsewhere after a failure',
      volume: { trouble: { ...trouble, retryAtMs: 0 } },
      expect: 'create through b',
    },
    { name: 'asks nobody where no node has the driver', nodes: [makeNode('a')], expect: '' },
    {
      name: 'forgets at once what was never made',
      volume: { isRemoved: true },
      expect: 'forgotten',
    },
    {
      name: 'makes what may have been made, to have it deleted',
      volume: { isRemoved: true, trouble: { ...trouble, retryAtMs: 0, isOpen: true } },
      expect: 'create through b',
    },
    { name: 'has it deleted', volume: { info, isRemoved: true }, expect: 'delete through a' },
    {
      name: 'writes down that it is to be published',
      volume: { info },
      tasks: [taskOn('t', 'b')],
      expect: 'b pending-publish',
    },
    {
      name: 'publishes it',
      volume: { info, publishStatus: [at('b', 'pending-publish')] },
      tasks: [taskOn('t', 'b')],
      expect: 'publish b through a',
    },
    {
      name: 'publishes one of many nodes to all of them',
      volume: { info, spec: shared, publishStatus: [at('b', 'published')] },
      tasks: [taskOn('t', 'b'), taskOn('u', 'a')],
      expect: 'b published, a pending-publish',
    },
    {
      name: 'publishes one of a single node nowhere else',
      volume: { info, publishStatus: [at('b', 'published')] },
      tasks: [taskOn('t', 'b'), taskOn('u', 'a')],
      expect: '',
    },
    {
      name: 'has the node let go of it once no task has it',
      volume: { info, publishStatus: [at('b', 'published')] },
      tasks: [taskOn('t', 'b', 'complete')],
      expect: 'b pending-node-unpublish',
    },
    {
      name: 'waits for the node, though a task is waiting elsewhere',
      volume: { info, publishStatus: [at('b', 'pending-node-unpublish')] },
      tasks: [taskOn('t', 'a')],
      expect: '',
    },
    {
      name: 'does not wait for a node that is down',
      volume: { info, publishStatus: [at('b', 'pending-node-unpublish')] },
      tasks: [taskOn('t', 'b', 'running')],
      nodes: [makeVolumeNode('a'), makeVolumeNode('b', 'down')],
      expect: 'b pending-controller-unpublish',
    },
    {
      name: 'takes it from a node that is gone',
      volume: { info, publishStatus: [at('gone', 'pending-controller-unpublish')] },
      tasks: [taskOn('t', 'a')],
      expect: 'unpublish gone through a',
    },
    {
      name: 'asks nothing of a node that is asked already',
      volume: {
        info,
        publishStatus: [{ ...at('b', 'pending-controller-unpublish'), released: 'node' }],
      },
      underWay: ['v/b'],
      expect: '',
    },
    {
      name: 'asks the node itself once it is heard of again',
      volume: { info, publishStatus: [at('b', 'pending-controller-unpublish')] },
      expect: 'b pending-node-unpublish',
    },
    {
      name: 'asks nothing of a node that has never been told of it',
      volume: { info, publishStatus: [at('b', 'pending-publish')] },
      expect: 'b pending-controller-unpublish',
    },
  ];
  for (const { name, volume = {}, tasks = [], nodes, underWay, expect } of cases) {
    it(name, async () => {
      const store = await given(volume, tasks, nodes as never);
      assert.equal(told(store, 0, underWay), expect);
    });
  }
});

describe('outcomes', () => {
  const volume = makeVolume('v', { info, publishStatus: [at('a', 'pending-publish')] });
  const [status] = volume.publishStatus;
  assert.ok(status !== undefined);
  const call: VolumeCall = { kind: 'publish', key: 'v/a', volume, status, through: 'a' };

  it('take turns that grow, up to a minute', () => {
    let present: ClusterVolume = volume;
    const delays: number[] = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      present = failed(present, call, { message: 'no', isOpen: false, nowMs: 0 }) ?? present;
      delays.push(present.publishStatus[0]?.trouble?.retryAtMs ?? 0);
    }
    assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    const published = succeeded(present, call, { publishContext: { a: 'b' } }, 0);
    assert.deepEqual(published?.publishStatus, [
      { ...status, state: 'published', publishContext: { a: 'b' } },
    ]);
  });

  it('of a publication that was called off meanwhile are passed over', () => {
    const off = { ...volume, publishStatus: [at('a', 'pending-controller-unpublish')] };
    assert.equal(succeeded(off, call, {}, 0), off);
    const anew = { ...volume, publishStatus: [{ ...status, publication: 'later' }] };
    assert.equal(succeeded(anew, call, {}, 0), anew);
    assert.equal(released(anew, status), anew);
  });
});

describe('waitingFor', () => {
  it('tells tasks what they wait for, and takes it back', async () => {
    const trouble = { message: 'full', attempts: 1, retryAtMs: 0 };
    const publishStatus = [{ ...at('b', 'pending-publish'), trouble }];
    const store = await given({ info, publishStatus }, [taskOn('t', 'b'), taskOn('u', 'a')]);
    const changes = waitingFor(store, 'v');
    const errors = changes.map((change) => change.op === 'task-status' && change.status.err);
    assert.deepEqual(errors, [
      'volume v: waiting for it to be published to b: full',
      'volume v: waiting for b to let go of it: full',
    ]);
    await store.propose(changes, { atMs: 0 });
    assert.deepEqual(waitingFor(store, 'v'), []);
    const volume = store.volume('v');
    assert.ok(volume !== undefined);
    const object = { ...volume, publishStatus: [at('b', 'published')] };
    const base = volume.meta.version;
    await store.propose([{ op: 'put', table: 'volume', object, base }], { atMs: 0 });
    const [first] = waitingFor(store, 'v');
    assert.ok(first?.op === 'task-status' && first.id === 't' && !('err' in first.status));
  });
});
