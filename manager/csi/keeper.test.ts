import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom, type Random } from '../../lib/random.ts';
import { MemoryLog, Store, type Change } from '../store/index.ts';
import { makeNode, makeService, makeTask, makeVolume } from '../store/testing.ts';
import { schedule } from '../scheduler/index.ts';
import type { CsiReply, CsiRequest, Node, Task } from '../../types/index.ts';
import { VolumeKeeper } from './keeper.ts';

const nodeIds = ['a', 'b', 'c'];
const mounts = [{ type: 'cluster' as const, source: 'v', target: '/v' }];
const service = makeService('web', {
  spec: {
    ...makeService('web').spec,
    task: { container: { image: 'web:1', mounts }, forceUpdate: 0 },
  },
});

function nodeOf(id: string, state: Node['status']['state'] = 'ready'): Node {
  return makeNode(id, {
    status: { state, message: '', addr: '', atMs: 0 },
    description: {
      hostname: id,
      platform: { os: 'linux', architecture: 'x86_64' },
      resources: { nanoCpus: 0, memoryBytes: 0 },
      engine: { version: '', labels: {}, plugins: [] },
      csi: [{ driver: 'd', nodeId: `csi-${id}`, maxVolumes: 0, isController: true }],
    },
  });
}

/** Storage that knows who has what, answers when it likes, and fails at times. */
class FakeArray {
  readonly published = new Set<string>();
  readonly violations: string[] = [];
  readonly #clock: VirtualClock;
  readonly #random: Random;
  isReliable = false;

  constructor(clock: VirtualClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  async ask(request: CsiRequest): Promise<CsiReply> {
    await this.#clock.sleep(this.#random.integer(2_000));
    if (!this.isReliable && this.#random.integer(4) === 0) {
      throw new SwarmError('unavailable', 'the array is busy');
    }
    if (request.method === 'create') return { info: { volumeId: 'id-v', capacityBytes: 0 } };
    if (request.method === 'publish') {
      const others = [...this.published].filter((node) => node !== request.csiNodeId);
      if (others.length > 0) this.violations.push(`${request.csiNodeId} besides ${others.join()}`);
      this.published.add(request.csiNodeId);
    }
    if (request.method === 'unpublish') this.published.delete(request.csiNodeId);
    return {};
  }
}

class Scene implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly store = new Store(new MemoryLog());
  readonly random: Random;
  readonly array: FakeArray;
  readonly keeper: VolumeKeeper;
  /** What each node has mounted: publications by node. */
  readonly mounted = new Map<string, string>();
  #tasks = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.array = new FakeArray(this.clock, this.random);
    this.keeper = new VolumeKeeper({
      store: this.store,
      ask: (_node, request) => this.array.ask(request),
      clock: this.clock,
      random: this.random,
      log: silentLogger,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.keeper.setLeads(false);
    await this.pass(10_000);
    await this.keeper[Symbol.asyncDispose]();
  }

  async open(): Promise<void> {
    await this.store.open();
    await this.change(
      { op: 'put', table: 'service', object: service, base: 0 },
      { op: 'put', table: 'volume', object: makeVolume('v'), base: 0 },
      ...nodeIds.map((id): Change => ({ op: 'put', table: 'node', object: nodeOf(id), base: 0 })),
    );
    this.keeper.setLeads(true);
  }

  async change(...changes: Change[]): Promise<void> {
    const result = await this.store.propose(changes, { atMs: this.clock.nowMs() });
    assert.ok(result.applied, JSON.stringify(result));
  }

  async pass(ms: number): Promise<void> {
    for (let gone = 0; gone < ms; gone += 100) {
      this.clock.advance(100);
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
  }

  /** What a scheduler would do with one more task. */
  async place(): Promise<Task | undefined> {
    const task = makeTask(`t${this.#tasks++}`, service);
    const request = { tasks: [task], released: [], limit: 10 };
    const [placement] = schedule(this.store, request, { nowMs: 0 }).placements;
    if (placement === undefined) return undefined;
    const { nodeId, volumes } = placement;
    const status = { state: 'preparing', atMs: 0, message: '' } as const;
    const object: Task = { ...task, nodeId, volumes, status };
    await this.change({ op: 'put', table: 'task', object, base: 0 });
    return object;
  }

  /** What an agent would do on a node that is heard of: it lets go of what it is told to. */
  obey(): void {
    for (const { nodeId, state, publication } of this.store.volume('v')?.publishStatus ?? []) {
      if (this.store.node(nodeId)?.status.state !== 'ready') continue;
      if (state === 'pending-node-unpublish') this.keeper.released(nodeId, 'v', publication);
    }
  }

  async setState(id: string, state: Node['status']['state']): Promise<void> {
    const status = { state, message: '', addr: '', atMs: this.clock.nowMs() };
    await this.change({ op: 'node-status', id, status });
  }

  async endTasks(): Promise<void> {
    for (const { id } of this.store.tasksOfVolume('v')) {
      const status = { state: 'complete', atMs: 0, message: '' } as const;
      await this.change({ op: 'task-status', id, status });
    }
  }

  get statuses(): string {
    const statuses = this.store.volume('v')?.publishStatus ?? [];
    return statuses.map(({ nodeId, state }) => `${nodeId} ${state}`).join();
  }
}

describe('VolumeKeeper', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`never lets two nodes at a volume of one, and comes to rest (seed ${seed})`, async () => {
      await using scene = new Scene(seed);
      await scene.open();
      const { random } = scene;
      for (let step = 0; step < 120; step++) {
        const nodeId = nodeIds[random.integer(nodeIds.length)]!;
        const what = random.integer(6);
        if (what === 0) await scene.setState(nodeId, 'down');
        else if (what === 1) await scene.setState(nodeId, 'ready');
        else if (what === 2) await scene.endTasks();
        else if (what === 3) scene.obey();
        else if (what === 4 && random.integer(4) === 0) {
          scene.keeper.setLeads(false);
          await scene.pass(3_000);
          scene.keeper.setLeads(true);
        } else await scene.place();
        await scene.pass(100 + random.integer(1_500));
      }
      assert.deepEqual(scene.array.violations, []);
      scene.array.isReliable = true;
      for (const id of nodeIds) await scene.setState(id, 'ready');
      await scene.endTasks();
      for (let round = 0; round < 10; round++) {
        scene.obey();
        await scene.pass(15_000);
      }
      assert.equal(scene.statuses, '');
      assert.deepEqual([...scene.array.published], []);
      const task = await scene.place();
      await scene.pass(10_000);
      assert.equal(scene.statuses, `${task?.nodeId} published`);
      assert.deepEqual(scene.store.audit(), []);
    });
  }
});
