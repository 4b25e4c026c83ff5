import { createHash } from 'node:crypto';
import type {
  Cluster,
  ClusterVolume,
  FileKind,
  FileObject,
  Network,
  Node,
  Service,
  Task,
} from '../../types/index.ts';
import { History } from '../history/history.ts';
import { applyEntry } from './apply.ts';
import type { Change } from './change.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';
import type { ChangeBatch, ChangeListener, ObjectEvent } from './event.ts';
import type { Fork } from './fork.ts';
import { documentsOf, previewDocuments, snapshotOf } from './documents.ts';
import type { ApplyResult, DocumentMachine, KeyedDocument, StoreLog } from './log.ts';
import { decodeSnapshot, encodeSnapshot } from './snapshot-codec.ts';
import { State } from './state.ts';
import type { NodeUsage, StoreView } from './view.ts';
import { Watch, type WatchOptions } from './watch.ts';

/**
 * The objects of the swarm as one manager has them: what the log's entries make of them. Reads are
 * synchronous, on the live tables; objects are never changed, only replaced. Iterables are live,
 * too: use them up before the next await.
 */
export class Store implements StoreView, DocumentMachine, AsyncDisposable {
  /** What its entries have changed of late. */
  readonly history = new History();
  readonly #log: StoreLog;
  readonly #state = new State();
  readonly #listeners = new Set<ChangeListener>();
  readonly #watches = new Set<Watch>();

  constructor(log: StoreLog) {
    this.#log = log;
  }

  /** Replays the log. Throws SwarmError when it is damaged, naming the file and the offset. */
  async open(): Promise<void> {
    await this.#log.open(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log[Symbol.asyncDispose]();
  }

  /**
   * Makes the changes one log entry. Resolves once it is durable and applied here; `applied: false`
   * means that nothing was changed, as an object had moved on. Rejects as StoreLog.propose does.
   */
  async propose(
    changes: readonly Change[],
    { atMs }: { readonly atMs: number },
  ): Promise<ApplyResult> {
    return this.#log.propose(encodeEntry({ changes, atMs }, this.#state.specs));
  }

  /** The tables, at least as new as every change acknowledged before the call. */
  async read(): Promise<StoreView> {
    await this.#log.barrier();
    return this;
  }

  get isLeader(): boolean {
    return this.#log.isLeader;
  }

  get documentBytesMax(): number | undefined {
    return this.#log.documentBytesMax;
  }

  /** Called now with the present role, and at every change of it. */
  onLeadership(listener: (leads: boolean) => void): Disposable {
    return this.#log.onLeadership(listener);
  }

  /**
   * Calls the listener after each entry that changed something, before its proposal resolves.
   * It must be quick, and must not throw: it marks what is dirty, and leaves the work for later.
   */
  onChange(listener: ChangeListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /**
   * Every change from this call on, in order, without gaps. A reader that falls behind gets a
   * SwarmError `resource-exhausted`, and must list again. Ends when the signal aborts.
   */
  watch(options: WatchOptions): AsyncIterableIterator<ObjectEvent> {
    const watch: Watch = new Watch(options, () => this.#watches.delete(watch));
    if (!options.signal.aborted) this.#watches.add(watch);
    return watch;
  }

  fork(): Fork {
    return this.#state.fork();
  }

  /** Computes every index anew from the tables. Returns a sentence for each difference. */
  audit(): string[] {
    return this.#state.audit();
  }

  /** A checksum of all objects: the same on every manager that applied the same entries. */
  digest(): string {
    const hash = createHash('sha256');
    const cluster = this.cluster();
    const tables: Iterable<{ readonly id: string }>[] = [
      cluster === undefined ? [] : [cluster],
      this.nodes(),
      this.networks(),
      this.files('secret'),
      this.files('config'),
      this.volumes(),
      this.services(),
      this.tasks(),
    ];
    for (const table of tables) {
      const objects = [...table].sort((a, b) => (a.id < b.id ? -1 : 1));
      hash.update(JSON.stringify(objects, withSortedKeys));
    }
    return hash.digest('hex');
  }

  /** Called by the log. */
  apply(index: number, entry: Uint8Array): ApplyResult {
    const decoded = decodeEntry(entry);
    const outcome = applyEntry(this.#state, index, decoded);
    this.#state.index = index;
    if ('conflict' in outcome) return { index, applied: false, conflict: outcome.conflict };
    const { events } = outcome;
    if (events.length > 0) this.#tell({ index, atMs: decoded.atMs, events, restored: false });
    return { index, applied: true };
  }

  /** Called by the log. */
  snapshot(): Uint8Array {
    return Buffer.concat([...this.snapshotParts()]);
  }

  /** Called by the log. */
  snapshotParts(): Iterable<Uint8Array> {
    return encodeSnapshot(this.#state);
  }

  /** Called by the log. */
  preview(firstIndex: number, entries: readonly Uint8Array[]) {
    return previewDocuments(this.#state, firstIndex, entries.map(decodeEntry));
  }

  /** Called by the log. */
  documents(): Iterable<KeyedDocument> {
    return documentsOf(this.#state);
  }

  /** Called by the log. */
  snapshotOf(documents: Iterable<KeyedDocument>): Uint8Array {
    return snapshotOf(documents);
  }

  /** Called by the log. */
  restore(index: number, snapshot: Uint8Array): void {
    this.#state.clear();
    decodeSnapshot(snapshot, this.#state);
    this.#state.index = index;
    this.#tell({ index, atMs: 0, events: [], restored: true });
  }

  get index(): number {
    return this.#state.index;
  }
  cluster(): Cluster | undefined {
    return this.#state.cluster();
  }
  node(id: string): Node | undefined {
    return this.#state.node(id);
  }
  nodes(): Iterable<Node> {
    return this.#state.nodes();
  }
  service(id: string): Service | undefined {
    return this.#state.service(id);
  }
  serviceByName(name: string): Service | undefined {
    return this.#state.serviceByName(name);
  }
  services(): Iterable<Service> {
    return this.#state.services();
  }
  task(id: string): Task | undefined {
    return this.#state.task(id);
  }
  tasks(): Iterable<Task> {
    return this.#state.tasks();
  }
  tasksOfService(serviceId: string): Iterable<Task> {
    return this.#state.tasksOfService(serviceId);
  }
  tasksOfNode(nodeId: string): Iterable<Task> {
    return this.#state.tasksOfNode(nodeId);
  }
  unassignedTasks(): Iterable<Task> {
    return this.#state.unassignedTasks();
  }
  orphanedServiceIds(): Iterable<string> {
    return this.#state.orphanedServiceIds();
  }
  usage(nodeId: string): NodeUsage {
    return this.#state.usage(nodeId);
  }
  ingressPortOwner(port: string): Service | undefined {
    return this.#state.ingressPortOwner(port);
  }
  network(id: string): Network | undefined {
    return this.#state.network(id);
  }
  networkByName(name: string): Network | undefined {
    return this.#state.networkByName(name);
  }
  networks(): Iterable<Network> {
    return this.#state.networks();
  }
  ingressNetwork(): Network | undefined {
    return this.#state.ingressNetwork();
  }
  tasksOfNetwork(networkId: string): Iterable<Task> {
    return this.#state.tasksOfNetwork(networkId);
  }
  servicesOfNetwork(networkId: string): Iterable<Service> {
    return this.#state.servicesOfNetwork(networkId);
  }
  usedAddresses(networkId: string): ReadonlyMap<string, string> {
    return this.#state.usedAddresses(networkId);
  }

  file(kind: FileKind, id: string): FileObject | undefined {
    return this.#state.file(kind, id);
  }
  files(kind: FileKind): Iterable<FileObject> {
    return this.#state.files(kind);
  }
  revisions(kind: FileKind, name: string): readonly FileObject[] {
    return this.#state.revisions(kind, name);
  }
  supersededFiles(kind: FileKind): Iterable<FileObject> {
    return this.#state.supersededFiles(kind);
  }
  servicesOfFile(id: string): Iterable<Service> {
    return this.#state.servicesOfFile(id);
  }
  isFileUsed(id: string): boolean {
    return this.#state.isFileUsed(id);
  }
  volume(id: string): ClusterVolume | undefined {
    return this.#state.volume(id);
  }
  volumeByName(name: string): ClusterVolume | undefined {
    return this.#state.volumeByName(name);
  }
  volumes(): Iterable<ClusterVolume> {
    return this.#state.volumes();
  }
  tasksOfVolume(volumeId: string): Iterable<Task> {
    return this.#state.tasksOfVolume(volumeId);
  }

  #tell(batch: ChangeBatch): void {
    this.history.note(batch);
    for (const watch of this.#watches) watch.push(batch);
    for (const listener of this.#listeners) {
      try {
        listener(batch);
      } catch (error) {
        // A programmer's error: it ends the process, but may not leave an entry half told.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** Objects restored from a snapshot hold the same keys in another order. */
function withSortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
