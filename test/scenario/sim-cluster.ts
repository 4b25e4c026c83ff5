/**
 * A cluster in virtual time: the real store on a log in memory, the real reconciler, and simulated
 * workers. Nothing sleeps, and a seed decides all that is random.
 */
import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { allocateNetwork, newIngressNetwork } from '../../manager/allocator/index.ts';
import { firstStatuses, nextStatuses } from '../../manager/control/job-status.ts';
import { normalizeService } from '../../manager/control/normalize.ts';
import { rebalancedService } from '../../manager/control/service-commands.ts';
import { resolveNetworks } from '../../manager/control/service-networks.ts';
import { Preview } from '../../manager/preview/index.ts';
import { Reconciler, type PassLimits } from '../../manager/reconcile/index.ts';
import { MemoryLog, Store, type Change } from '../../manager/store/index.ts';
import {
  isJobMode,
  type Cluster,
  type Network,
  type Node,
  type Preview as PreviewAnswer,
  type PreviewChange,
  type Service,
  type ServiceSpec,
  type Task,
  type TaskStatus,
} from '../../types/index.ts';
import { SimWorker, plainBehaviour, type Behaviour } from './sim-worker.ts';

/** Everything that a moment causes takes a few turns of the event loop; more is a hot loop. */
const maxTurns = 500;

/** Silence for this long makes a suspect node one that is down. */
const downAfterMs = 3000;

export interface SimNodeOptions {
  readonly labels?: Record<string, string>;
  readonly nanoCpus?: number;
  readonly memoryBytes?: number;
  readonly generic?: { kind: string; value: number };
}

export class SimCluster implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly log = new MemoryLog();
  readonly store = new Store(this.log);
  readonly workers = new Map<string, SimWorker>();
  readonly behaviours = new Map<string, Behaviour>();
  readonly #random;
  readonly #limits: Partial<PassLimits>;
  #reconciler: Reconciler;
  #pending = 0;
  #failure: unknown;

  constructor(seed = 1, limits: Partial<PassLimits> = {}) {
    this.#random = seededRandom(seed);
    this.#limits = limits;
    this.#reconciler = this.#newReconciler();
  }

  async start(): Promise<void> {
    await this.store.open();
    this.store.onChange(({ events }) => {
      for (const event of events) {
        if (event.table !== 'task') continue;
        queueMicrotask(() => this.workers.get(event.object.nodeId)?.notice(event.object.id));
      }
    });
    const cluster = newCluster(this.meta);
    this.change([
      { op: 'put', table: 'cluster', base: 0, object: cluster },
      { op: 'put', table: 'network', base: 0, object: newIngressNetwork(cluster, this.#random) },
    ]);
    this.#reconciler.start();
    await this.settle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reconciler[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
  }

  get meta() {
    const nowMs = this.clock.nowMs();
    return { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs };
  }

  /** Proposes; the result is looked at when the cluster settles. */
  change(changes: readonly Change[]): void {
    this.#pending += 1;
    void this.store
      .propose(changes, { atMs: this.clock.nowMs() })
      .then((result) => {
        if (!result.applied) this.#failure ??= new Error(result.conflict);
      })
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#pending -= 1;
      });
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turns = 0; ; turns++) {
      assert.ok(turns < maxTurns, 'the managers go on changing things without time passing');
      const { index } = this.store;
      await turn();
      await this.#reconciler.idle();
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
    await this.#reconciler[Symbol.asyncDispose]();
    await this.run(durationMs);
    this.#reconciler = this.#newReconciler();
    this.#reconciler.start();
    await this.settle();
  }

  #newReconciler(): Reconciler {
    return new Reconciler(this.#limits, {
      store: this.store,
      clock: this.clock,
      random: this.#random,
      log: silentLogger,
    });
  }

  addNode(id: string, options: SimNodeOptions = {}): void {
    const { labels = {}, nanoCpus = 4e9, memoryBytes = 8 * 2 ** 30, generic } = options;
    const node: Node = {
      id,
      meta: this.meta,
      spec: { labels, role: 'worker', availability: 'active' },
      role: 'worker',
      description: {
        hostname: id,
        platform: { architecture: 'x86_64', os: 'linux' },
        resources: {
          nanoCpus,
          memoryBytes,
          ...(generic === undefined ? {} : { genericResources: [{ discrete: generic }] }),
        },
        engine: { version: '1', labels: {}, plugins: [] },
      },
      status: { state: 'ready', message: '', addr: '10.0.0.1', atMs: this.clock.nowMs() },
    };
    this.change([{ op: 'put', table: 'node', object: node, base: 0 }]);
    const { store, clock } = this;
    const worker: SimWorker = new SimWorker(id, {
      store,
      clock,
      behaviourOf: (image) => this.behaviours.get(image) ?? plainBehaviour,
      report: (taskId, status) => this.report(taskId, status),
    });
    this.workers.set(id, worker);
  }

  report(id: string, status: TaskStatus): void {
    this.change([{ op: 'task-status', id, status }]);
  }

  updateNode(id: string, spec: Partial<Node['spec']>): void {
    const node = this.node(id);
    const object = { ...node, spec: { ...node.spec, ...spec } };
    this.change([{ op: 'put', table: 'node', object, base: node.meta.version }]);
  }

  setNodeState(id: string, state: Node['status']['state']): void {
    const node = this.store.node(id);
    if (node === undefined) return;
    const status = { ...node.status, state, atMs: this.clock.nowMs() };
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
    const node = this.node(id);
    this.workers.get(id)?.kill();
    this.workers.delete(id);
    this.change([{ op: 'delete', table: 'node', id, base: node.meta.version }]);
  }

  createNetwork(name: string, subnet?: string, ingress = false): void {
    const cluster = this.store.cluster();
    assert.ok(cluster !== undefined);
    const spec: Network['spec'] = {
      name,
      labels: {},
      driver: 'overlay',
      ingress,
      ...(subnet === undefined ? {} : { ipam: { configs: [{ subnet }] } }),
    };
    const networks = this.store.networks();
    const given = allocateNetwork(spec, { cluster, networks, random: this.#random });
    const object: Network = { id: this.#random.id(), meta: this.meta, spec, ...given };
    this.change([{ op: 'put', table: 'network', object, base: 0 }]);
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

  removeNetwork(name: string): void {
    const { id, meta } = this.network(name);
    this.change([{ op: 'delete', table: 'network', id, base: meta.version }]);
  }

  createService(spec: ServiceSpec): void {
    const id = this.#random.id();
    const resolved = resolveNetworks(this.store, normalizeService(spec, this.#random));
    const object: Service = {
      id,
      meta: this.meta,
      spec: resolved,
      specVersion: 0,
      ...firstStatuses(resolved, this.clock.nowMs()),
    };
    this.change([{ op: 'put', table: 'service', object, base: 0 }]);
  }

  updateService(name: string, edit: (spec: ServiceSpec) => ServiceSpec): void {
    const service = this.service(name);
    const edited = normalizeService(edit(service.spec), this.#random);
    const spec = resolveNetworks(this.store, edited);
    const { jobStatus, cronStatus, ...rest } = without(service, 'updateStatus');
    const object: Service = {
      ...rest,
      ...nextStatuses(service, spec, this.clock.nowMs()),
      spec,
      specVersion: service.meta.version,
      previousSpec: service.spec,
      previousSpecVersion: service.specVersion,
    };
    this.change([{ op: 'put', table: 'service', object, base: service.meta.version }]);
  }

  rollback(name: string): void {
    const service = this.service(name);
    assert.ok(service.previousSpec !== undefined, `${name} has no previous spec`);
    const nowMs = this.clock.nowMs();
    const object: Service = {
      ...without(service, 'updateStatus'),
      ...nextStatuses(service, service.previousSpec, nowMs),
      spec: service.previousSpec,
      specVersion: service.previousSpecVersion ?? 0,
      previousSpec: service.spec,
      previousSpecVersion: service.specVersion,
      ...(isJobMode(service.spec.mode)
        ? {}
        : {
            updateStatus: {
              state: 'rollback_started',
              startedAtMs: nowMs,
              message: 'manually requested rollback',
            },
          }),
    };
    this.change([{ op: 'put', table: 'service', object, base: service.meta.version }]);
  }

  rebalance(name: string): void {
    const service = this.service(name);
    const object = rebalancedService(service, this.clock.nowMs());
    this.change([{ op: 'put', table: 'service', object, base: service.meta.version }]);
  }

  setLabels(labels: Readonly<Record<string, string>>): void {
    const cluster = this.store.cluster();
    assert.ok(cluster !== undefined);
    const object = { ...cluster, spec: { ...cluster.spec, labels } };
    this.change([{ op: 'put', table: 'cluster', object, base: cluster.meta.version }]);
  }

  removeService(name: string): void {
    const { id, meta } = this.service(name);
    this.change([{ op: 'delete', table: 'service', id, base: meta.version }]);
  }

  setHistoryLimit(limit: number): void {
    const cluster = this.store.cluster();
    assert.ok(cluster !== undefined);
    const spec = { ...cluster.spec, orchestration: { taskHistoryLimit: limit } };
    const object = { ...cluster, spec };
    this.change([{ op: 'put', table: 'cluster', object, base: cluster.meta.version }]);
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

function without<T, K extends keyof T>(object: T, key: K): Omit<T, K> {
  const copy = { ...object };
  delete copy[key];
  return copy;
}

function newCluster(meta: Cluster['meta']): Cluster {
  return {
    id: 'cluster',
    meta,
    spec: {
      name: 'default',
      labels: {},
      orchestration: {},
      raft: {},
      dispatcher: {},
      ca: {},
      taskDefaults: {},
      encryption: { autoLockManagers: false },
    },
    rootCa: { certPem: '', keyPem: '', joinTokens: { worker: '', manager: '' } },
    dataPathPort: 4789,
    defaultAddressPools: [],
    subnetSize: 24,
    removedNodes: {},
  };
}
