/**
 * A cluster in virtual time: the real store on a log in memory, the real control and reconciler,
 * and simulated workers. Nothing sleeps, and a seed decides all that is random.
 */
import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import { VirtualClock, type Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { newIngressNetwork } from '../../manager/allocator/index.ts';
import { Control } from '../../manager/control/index.ts';
import { Preview } from '../../manager/preview/index.ts';
import { Reconciler, type PassLimits, type ReconcileStore } from '../../manager/reconcile/index.ts';
import {
  Store,
  type Change,
  type ChangeListener,
  type ObjectEvent,
} from '../../manager/store/index.ts';
import { MemoryLog } from '../../manager/store/memory-log.ts';
import type {
  FileKind,
  Network,
  Node,
  Preview as PreviewAnswer,
  PreviewChange,
  Service,
  ServiceSpec,
  SwarmSpec,
  Task,
  TaskStatus,
  VolumeSpec,
} from '../../types/index.ts';
import { Link } from './sim-link.ts';
import type { LoadOfService } from './sim-load.ts';
import { SimLoops, type Manager } from './sim-loops.ts';
import type { SimArray } from './sim-storage.ts';
import { base64, newCluster, nodeDocument, type SimNodeOptions } from './sim-objects.ts';
import { SimWorker, plainBehaviour, type Behaviour } from './sim-worker.ts';

/** Everything that a moment causes takes a few turns of the event loop; more is a hot loop. */
const maxTurns = 500;

/** Silence for this long makes a suspect node one that is down. */
const downAfterMs = 3000;

/** The longest that a simulation looks at before a snapshot is taken and the log forgotten. */
const snapshotEntries = 2_000;

export interface SimClusterOptions {
  readonly seed?: number;
  readonly limits?: Partial<PassLimits>;
  /** The store as the reconciler and the autoscaler see it, for planted bugs. */
  readonly distort?: (store: Store) => ReconcileStore;
  /** Volumes are taken from tasks that are only told to stop: a planted bug. */
  readonly isHasty?: boolean;
}

export class SimCluster implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly workers = new Map<string, SimWorker>();
  readonly behaviours = new Map<string, Behaviour>();
  readonly link: Link;
  /** Told of commands that are refused; where it is absent, that ends the test. */
  onRefusal: ((error: SwarmError) => void) | undefined;
  readonly #random;
  readonly #options: SimClusterOptions;
  readonly #listeners = new Set<ChangeListener>();
  #manager: Manager;
  /** How far the leader's clock is off, milliseconds. */
  #skewMs = 0;
  readonly #loops: SimLoops;
  #pending = 0;
  #failure: unknown;

  constructor(options: SimClusterOptions = {}) {
    const { seed = 1 } = options;
    this.#random = seededRandom(seed);
    this.#options = options;
    this.link = new Link(this.clock, seededRandom(seed + 1));
    this.#manager = this.#newManager(new MemoryLog({ snapshotEntries }));
    const { clock } = this;
    const { distort = (store: Store) => store, isHasty = false } = options;
    const random = seededRandom(seed + 2);
    this.#loops = new SimLoops({ store: () => this.store, distort, isHasty, clock, random });
  }

  get store(): Store {
    return this.#manager.store;
  }

  get log(): MemoryLog {
    return this.#manager.log;
  }

  get #control(): Control {
    return this.#manager.control;
  }

  async start(): Promise<void> {
    await this.store.open();
    this.onChange(({ events }) => {
      for (const event of events) this.#pass(event);
    });
    this.store.onChange((batch) => this.#tell(batch));
    const cluster = newCluster(this.meta);
    this.change([
      { op: 'put', table: 'cluster', base: 0, object: cluster },
      { op: 'put', table: 'network', base: 0, object: newIngressNetwork(cluster, this.#random) },
    ]);
    this.#lead();
    await this.settle();
  }

  /** Nodes hear of what is theirs. */
  #pass({ table, object, action }: ObjectEvent): void {
    if (table === 'task') {
      const { nodeId, id } = object;
      queueMicrotask(() => this.link.pass(() => this.workers.get(nodeId)?.notice(id)));
    }
    if (table === 'volume') {
      for (const { nodeId } of object.publishStatus) {
        queueMicrotask(() => this.link.pass(() => this.workers.get(nodeId)?.releaseVolumes()));
      }
    }
    if (table === 'node' && (action === 'remove' || object.status.state === 'down')) {
      this.workers.get(object.id)?.fence();
    }
  }

  /** Of whichever manager leads. */
  onChange(listener: ChangeListener): void {
    this.#listeners.add(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leadNoMore();
    await this.store[Symbol.asyncDispose]();
  }

  get meta() {
    const nowMs = this.clock.nowMs();
    return { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs };
  }

  /** Proposes; the result is looked at when the cluster settles. */
  change(changes: readonly Change[]): void {
    const proposed = this.store.propose(changes, { atMs: this.#managerClock.nowMs() });
    this.#follow(
      proposed.then((result) => {
        if (!result.applied) throw new Error(result.conflict);
      }),
    );
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turns = 0; ; turns++) {
      assert.ok(turns < maxTurns, 'the managers go on changing things without time passing');
      const { index } = this.store;
      await turn();
      await this.#manager.reconciler.idle();
      if (this.#failure !== undefined) throw this.#failure as Error;
      if (this.#pending === 0 && this.store.index === index) return;
    }
  }

  /** Lets time pass, each event at its own moment. */
  async run(durationMs: number, each?: () => void): Promise<void> {
    const endMs = this.clock.nowMs() + durationMs;
    await this.settle();
    let instants = 0;
    for (;;) {
      const nextMs = this.clock.nextTimerMs();
      instants = nextMs === this.clock.nowMs() ? instants + 1 : 0;
      assert.ok(instants < maxTurns, 'timers fire again and again without time passing');
      if (nextMs === undefined || nextMs > endMs) break;
      this.clock.advance(Math.max(0, nextMs - this.clock.nowMs()));
      await this.settle();
      each?.();
    }
    this.clock.advance(endMs - this.clock.nowMs());
  }

  /** Time passes, and no manager plans anything: then another one takes over. */
  async runLeaderless(durationMs: number): Promise<void> {
    await this.#leadNoMore();
    await this.run(durationMs);
    this.#manager = { ...this.#manager, reconciler: this.#newReconciler(this.store) };
    this.#lead();
    await this.settle();
  }

  /**
   * Another manager leads, which has its tables from a snapshot, and whose clock is off by
   * `skewMs`.
   */
  async changeLeader(skewMs = 0): Promise<void> {
    await this.settle();
    await this.#leadNoMore();
    await this.settle();
    const { store } = this.#manager;
    const digest = store.digest();
    const snapshot = { index: store.index, bytes: store.snapshot() };
    await store[Symbol.asyncDispose]();
    this.#skewMs = skewMs;
    const storage = { snapshot, entries: [] };
    this.#manager = this.#newManager(new MemoryLog({ storage, snapshotEntries }));
    await this.store.open();
    assert.equal(this.store.digest(), digest, 'a snapshot does not hold what it was made of');
    this.store.onChange((batch) => this.#tell(batch));
    this.#lead();
    await this.settle();
  }

  #lead(): void {
    this.#manager.reconciler.start();
    this.#loops.start(this.#managerClock);
  }

  async #leadNoMore(): Promise<void> {
    await this.#manager.reconciler[Symbol.asyncDispose]();
    await this.#loops.stop();
  }

  /** What the service has to do; undefined: nodes say nothing of it. */
  load(name: string, load: LoadOfService | undefined): void {
    this.#loops.load(name, load);
  }

  get array(): SimArray {
    return this.#loops.array;
  }

  get #managerClock(): Clock {
    const { clock } = this;
    return {
      nowMs: () => clock.nowMs() + this.#skewMs,
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, callback) => clock.after(delayMs, callback),
      sleep: (delayMs, options) => clock.sleep(delayMs, options),
    };
  }

  /** What the leader holds to be the time, milliseconds. */
  get managerMs(): number {
    return this.#managerClock.nowMs();
  }

  #newManager(log: MemoryLog): Manager {
    const store = new Store(log);
    const control = new Control({
      store,
      clock: this.#managerClock,
      random: this.#random,
      makeJoinToken: () => 'token',
      makeUnlockKey: () => 'key',
      checkDemotion: () => undefined,
    });
    return { log, store, control, reconciler: this.#newReconciler(store) };
  }

  #newReconciler(store: Store): Reconciler {
    const { limits = {}, distort = (present: Store) => present } = this.#options;
    return new Reconciler(limits, {
      store: distort(store),
      clock: this.#managerClock,
      random: this.#random,
      log: silentLogger,
    });
  }

  #tell(batch: Parameters<ChangeListener>[0]): void {
    for (const listener of this.#listeners) listener(batch);
  }

  #follow(work: Promise<unknown>): void {
    this.#pending += 1;
    void work
      .catch((thrown: unknown) => {
        this.#failure ??= thrown;
      })
      .finally(() => {
        this.#pending -= 1;
      });
  }

  /** A command of a user's, who may be refused it. */
  #command(work: Promise<unknown>): void {
    this.#follow(
      work.catch((thrown: unknown) => {
        const error = SwarmError.from(thrown);
        if (this.onRefusal === undefined || error.code === 'internal') throw thrown;
        this.onRefusal(error);
      }),
    );
  }

  addNode(id: string, options: SimNodeOptions = {}): void {
    const object = nodeDocument(id, this.meta, options);
    this.change([{ op: 'put', table: 'node', object, base: 0 }]);
    const worker: SimWorker = new SimWorker(id, {
      store: () => this.store,
      clock: this.clock,
      behaviourOf: (image) => this.behaviours.get(image) ?? plainBehaviour,
      report: (taskId, status) => this.link.pass(() => this.report(taskId, status)),
      release: (volumeId, publication) =>
        this.link.pass(() => this.#loops.released(id, volumeId, publication)),
      isHasty: this.#options.isHasty ?? false,
    });
    this.workers.set(id, worker);
  }

  report(id: string, status: TaskStatus): void {
    this.change([{ op: 'task-status', id, status }]);
  }

  updateNode(id: string, edit: Partial<Node['spec']>): void {
    const { meta, spec } = this.node(id);
    const asked = { ...spec, ...edit };
    this.#command(this.#control.updateNode({ id, version: meta.version, spec: asked }));
  }

  /** Its certificate carries another role from now on. */
  setRole(id: string, role: Node['role']): void {
    const node = this.node(id);
    const object: Node = { ...node, role, spec: { ...node.spec, role } };
    this.change([{ op: 'put', table: 'node', object, base: node.meta.version }]);
  }

  /** What the node says that it has from now on. */
  setResources(id: string, options: SimNodeOptions): void {
    const node = this.node(id);
    const { resources } = nodeDocument(id, node.meta, options).description;
    const description = { ...node.description!, resources };
    this.change([
      { op: 'put', table: 'node', object: { ...node, description }, base: node.meta.version },
    ]);
  }

  setNodeState(id: string, state: Node['status']['state']): void {
    const node = this.store.node(id);
    if (node === undefined) return;
    const status = { ...node.status, state, atMs: this.#managerClock.nowMs() };
    this.change([{ op: 'node-status', id, status }]);
  }

  /** The link of a node breaks: suspect at once, down after the grace if it stays away. */
  cut(id: string, options: { kill: boolean } = { kill: false }): void {
    const worker = this.worker(id);
    if (options.kill) worker.kill();
    else worker.disconnect();
    this.setNodeState(id, 'disconnected');
    this.clock.after(downAfterMs, () => {
      if (this.store.node(id)?.status.state === 'disconnected') this.setNodeState(id, 'down');
    });
  }

  restore(id: string): void {
    this.setNodeState(id, 'ready');
    this.worker(id).connect();
  }

  removeNode(id: string): void {
    const removed = this.#control.removeNode({ id, force: true }).then(() => {
      this.workers.get(id)?.kill();
      this.workers.delete(id);
    });
    this.#command(removed);
  }

  createNetwork(name: string, subnet?: string, ingress = false): void {
    const ipam = subnet === undefined ? {} : { ipam: { configs: [{ subnet }] } };
    const spec: Network['spec'] = { name, labels: {}, driver: 'overlay', ingress, ...ipam };
    this.#command(this.#control.createNetwork({ spec }));
  }

  removeNetwork(name: string): void {
    this.#command(this.#control.removeNetwork({ id: this.network(name).id }));
  }

  /** What the changes would do. The copy that it is tried on must be whole afterwards. */
  preview(changes: readonly PreviewChange[]): PreviewAnswer {
    const fork = this.store.fork();
    const digest = this.store.digest();
    const random = seededRandom(7);
    const preview = new Preview(fork, changes, { nowMs: this.clock.nowMs(), random });
    while (preview.step());
    const answer = preview.answer();
    assert.deepEqual(fork.audit(), []);
    assert.equal(this.store.digest(), digest, 'a plan has changed the store');
    return answer;
  }

  createService(spec: ServiceSpec): void {
    this.#command(this.#control.createService({ spec }));
  }

  updateService(name: string, edit: (spec: ServiceSpec) => ServiceSpec): void {
    const { id, meta, spec } = this.service(name);
    this.#command(this.#control.updateService({ id, version: meta.version, spec: edit(spec) }));
  }

  rollback(name: string): void {
    const { id, meta, spec } = this.service(name);
    const version = meta.version;
    this.#command(this.#control.updateService({ id, version, spec, rollback: true }));
  }

  rebalance(name: string): void {
    this.#command(this.#control.rebalanceService({ id: this.service(name).id }));
  }

  removeService(name: string): void {
    this.#command(this.#control.removeService({ id: this.service(name).id }));
  }

  /** The content is the text, in UTF-8. */
  createFile(kind: FileKind, name: string, text: string): void {
    const spec = { name, labels: {}, data: base64(text) };
    this.#command(this.#control.createFile({ kind, spec }));
  }

  reviseFile(kind: FileKind, name: string, text: string): void {
    const id = this.#fileId(kind, name);
    this.#command(this.#control.reviseFile({ kind, id, data: base64(text) }));
  }

  removeFile(kind: FileKind, name: string): void {
    this.#command(this.#control.removeFile({ kind, id: this.#fileId(kind, name) }));
  }

  #fileId(kind: FileKind, name: string): string {
    const file = this.store.revisions(kind, name).at(-1);
    assert.ok(file !== undefined, `there is no ${kind} ${name}`);
    return file.id;
  }

  setLabels(labels: Readonly<Record<string, string>>): void {
    this.#changeSwarm((spec) => ({ ...spec, labels: { ...spec.labels, ...labels } }));
  }

  createVolume(spec: VolumeSpec): void {
    this.#command(this.#control.createVolume({ spec }));
  }

  removeVolume(name: string): void {
    const volume = this.store.volumeByName(name);
    assert.ok(volume !== undefined, `there is no volume ${name}`);
    this.#command(this.#control.removeVolume({ id: volume.id, force: false }));
  }

  setHistoryLimit(taskHistoryLimit: number): void {
    this.#changeSwarm((spec) => ({ ...spec, orchestration: { taskHistoryLimit } }));
  }

  #changeSwarm(edit: (spec: SwarmSpec) => SwarmSpec): void {
    const cluster = this.store.cluster();
    assert.ok(cluster !== undefined);
    const version = cluster.meta.version;
    const asked = { rotateWorkerToken: false, rotateManagerToken: false };
    const spec = edit(cluster.spec);
    this.#command(this.#control.updateCluster({ ...asked, version, spec }));
  }

  network(name: string): Network {
    const network = this.store.networkByName(name);
    assert.ok(network !== undefined, `there is no network ${name}`);
    return network;
  }

  service(name: string): Service {
    const service = this.store.serviceByName(name);
    assert.ok(service !== undefined, `there is no service ${name}`);
    return service;
  }

  node(id: string): Node {
    const node = this.store.node(id);
    assert.ok(node !== undefined, `there is no node ${id}`);
    return node;
  }

  worker(id: string): SimWorker {
    const worker = this.workers.get(id);
    assert.ok(worker !== undefined, `there is no worker ${id}`);
    return worker;
  }

  tasks(serviceName: string): Task[] {
    return [...this.store.tasks()].filter((task) => task.serviceName === serviceName);
  }
}
