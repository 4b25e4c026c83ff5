/** A swarm's volumes in virtual time: the real store and keeper, storage and nodes made up. */
import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom, type Random } from '../../lib/random.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeService, makeTask, makeVolume, makeVolumeNode } from '../store/testing.ts';
import { schedule } from '../scheduler/index.ts';
import type { CsiReply, CsiRequest, Node, Task } from '../../types/index.ts';
import { VolumeKeeper } from './keeper.ts';

export const nodeIds = ['a', 'b', 'c'];
const mounts = [{ type: 'cluster' as const, source: 'v', target: '/v' }];
const service = makeService('web', {
  spec: {
    ...makeService('web').spec,
    task: { container: { image: 'web:1', mounts }, forceUpdate: 0 },
  },
});

/** Storage that knows who has what, answers when it likes, and fails at times. */
class FakeArray {
  /** It can take a volume from a node that does not answer. */
  readonly #fences: boolean;
  readonly published = new Set<string>();
  readonly violations: string[] = [];
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly deleted: string[] = [];
  isReliable = false;
  isBroken = false;

  constructor(clock: VirtualClock, random: Random, fences: boolean) {
    this.#clock = clock;
    this.#random = random;
    this.#fences = fences;
  }

  async ask(request: CsiRequest): Promise<CsiReply> {
    await this.#clock.sleep(this.#random.integer(2_000));
    if (this.isBroken) throw new SwarmError('internal', 'the array is broken');
    if (!this.isReliable && this.#random.integer(4) === 0) {
      throw new SwarmError('unavailable', 'the array is busy');
    }
    if (request.method === 'create') return { info: { volumeId: 'id-v', capacityBytes: 0 } };
    if (request.method === 'publish') {
      const others = [...this.published].filter((node) => node !== request.csiNodeId);
      if (others.length > 0) this.violations.push(`${request.csiNodeId} besides ${others.join()}`);
      this.published.add(request.csiNodeId);
    }
    if (request.method === 'delete') this.deleted.push(request.volumeId);
    if (request.method !== 'unpublish') return {};
    // The other kind lets every node mount what it likes.
    this.published.delete(request.csiNodeId);
    return { isFenced: this.#fences };
  }
}

export class Scene implements AsyncDisposable {
  readonly clock = new VirtualClock();
  store = new Store(new MemoryLog());
  readonly random: Random;
  readonly array: FakeArray;
  keeper: VolumeKeeper;
  /** The publication that each node has mounted. */
  readonly mounted = new Map<string, string>();
  /** They live, and nobody hears of them. */
  readonly cutOff = new Set<string>();
  readonly #fences: boolean;
  #tasks = 0;

  constructor(seed: number, { fences = true } = {}) {
    this.random = seededRandom(seed);
    this.#fences = fences;
    this.array = new FakeArray(this.clock, this.random, fences);
    this.keeper = this.#newKeeper();
  }

  #newKeeper(): VolumeKeeper {
    return new VolumeKeeper({
      store: this.store,
      ask: (_node, request) => this.array.ask(request),
      clock: this.clock,
      random: this.random,
      log: silentLogger,
    });
  }

  /** Another manager leads: it knows what the log has, and nothing else. */
  async changeLeader(): Promise<void> {
    const former = this.keeper;
    former.setLeads(false);
    await this.pass(3_000);
    await former[Symbol.asyncDispose]();
    const snapshot = { index: this.store.index, bytes: this.store.snapshot() };
    this.store = new Store(new MemoryLog({ storage: { snapshot, entries: [] } }));
    await this.store.open();
    this.keeper = this.#newKeeper();
    this.keeper.setLeads(true);
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
      ...nodeIds.map((id): Change => ({
        op: 'put',
        table: 'node',
        object: makeVolumeNode(id),
        base: 0,
      })),
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

  /** What the agents do on nodes that can be heard: they mount, let go, and say so. */
  obey(): void {
    const statuses = this.store.volume('v')?.publishStatus ?? [];
    for (const nodeId of nodeIds) {
      if (this.cutOff.has(nodeId) || this.store.node(nodeId)?.status.state !== 'ready') continue;
      const status = statuses.find((one) => one.nodeId === nodeId);
      if (status?.state === 'published') this.#mount(nodeId, status.publication);
      else this.mounted.delete(nodeId);
      if (status?.state !== 'pending-node-unpublish') continue;
      this.keeper.released(nodeId, 'v', status.publication);
    }
  }

  #mount(nodeId: string, publication: string): void {
    this.mounted.set(nodeId, publication);
    // What the array keeps a node from harms nothing, whatever is mounted there.
    const having = [...this.mounted.keys()].filter(
      (id) => !this.#fences || this.array.published.has(`csi-${id}`),
    );
    if (having.length > 1) this.array.violations.push(`mounted on ${having.join()}`);
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
