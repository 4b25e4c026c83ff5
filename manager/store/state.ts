/** The tables with their indexes: every change goes through `change`, which keeps both in step. */
import type {
  Cluster,
  ClusterVolume,
  FileKind,
  FileObject,
  Network,
  Node,
  Service,
  TableName,
  Tables,
  Task,
} from '../../types/index.ts';
import { Fork } from './fork.ts';
import { FileUse } from './file-use.ts';
import { NetworkUse } from './network-use.ts';
import { Rows } from './rows.ts';
import { SpecPool } from './spec-pool.ts';
import { OrphanedServices, TaskGroups, UnassignedTasks } from './task-indexes.ts';
import { ingressPortsOf, nameOf, revisionOf, UniqueKeys, vniOf } from './unique-keys.ts';
import { UsageIndex } from './usage.ts';
import type { NodeUsage, StoreView } from './view.ts';
import { VolumeUse } from './volume-use.ts';

export class State implements StoreView {
  /** Index of the last applied log entry. */
  index = 0;
  readonly specs = new SpecPool();
  readonly names = new UniqueKeys<Service>('service', 'name', nameOf);
  readonly ingressPorts = new UniqueKeys<Service>('service', 'port', ingressPortsOf);
  readonly networkNames = new UniqueKeys<Network>('network', 'name', nameOf);
  readonly vnis = new UniqueKeys<Network>('network', 'VNI', vniOf);
  readonly secretRevisions = new UniqueKeys<FileObject>('secret', 'revision', revisionOf);
  readonly configRevisions = new UniqueKeys<FileObject>('config', 'revision', revisionOf);
  readonly #rows = new Rows();
  readonly #byService = new TaskGroups('service', (task) => task.serviceId);
  readonly #byNode = new TaskGroups('node', (task) => task.nodeId);
  readonly #unassigned = new UnassignedTasks();
  readonly #usage = new UsageIndex();
  readonly #orphaned = new OrphanedServices(this.#rows.service, this.#byService);
  readonly #networkUse = new NetworkUse();
  readonly volumeNames = new UniqueKeys<ClusterVolume>('volume', 'name', nameOf);
  readonly #fileUse = new FileUse();
  readonly #volumeUse = new VolumeUse();

  get<T extends TableName>(table: T, id: string): Tables[T] | undefined {
    return this.#rows.get(table, id);
  }

  /** Creates or replaces an object. Returns what was there before. */
  put<T extends TableName>(table: T, object: Tables[T]): Tables[T] | undefined {
    const old = this.#rows.get(table, object.id);
    this.#rows.set(table, object);
    this.#changed(table, old, object);
    return old;
  }

  delete<T extends TableName>(table: T, id: string): Tables[T] | undefined {
    const old = this.#rows.get(table, id);
    if (old === undefined) return undefined;
    this.#rows.delete(table, id);
    this.#changed(table, old, undefined);
    return old;
  }

  /** The same objects, in tables and indexes of their own. */
  fork(): Fork {
    const copy = new State();
    for (const [table, object] of this.#rows.all()) copy.put(table, object);
    copy.index = this.index;
    return new Fork(copy);
  }

  clear(): void {
    const { specs, names, ingressPorts, networkNames, vnis } = this;
    const indexes = [specs, names, ingressPorts, networkNames, vnis, this.#networkUse];
    const files = [this.secretRevisions, this.configRevisions, this.#fileUse];
    const more = [this.#byService, this.#byNode, this.#unassigned, this.#usage, this.#orphaned];
    const volumes = [this.volumeNames, this.#volumeUse];
    for (const part of [this.#rows, ...indexes, ...files, ...more, ...volumes]) part.clear();
    this.index = 0;
  }

  /** Computes every index anew from the tables. Returns a sentence for each difference. */
  audit(): string[] {
    const { network, service, task } = this.#rows;
    return [
      ...this.specs.audit(service.values(), task.values()),
      ...this.names.audit(service.values()),
      ...this.ingressPorts.audit(service.values()),
      ...this.#byService.audit(task.values()),
      ...this.#byNode.audit(task.values()),
      ...this.#unassigned.audit(task.values()),
      ...this.#usage.audit(task.values()),
      ...this.#orphaned.audit(task.values()),
      ...this.networkNames.audit(network.values()),
      ...this.vnis.audit(network.values()),
      ...this.#networkUse.audit(this.#rows),
      ...this.secretRevisions.audit(this.#rows.secret.values()),
      ...this.configRevisions.audit(this.#rows.config.values()),
      ...this.#fileUse.audit(this.#rows),
      ...this.volumeNames.audit(this.#rows.volume.values()),
      ...this.#volumeUse.audit(task.values()),
    ];
  }

  cluster(): Cluster | undefined {
    return this.#rows.cluster.values().next().value;
  }
  node(id: string): Node | undefined {
    return this.#rows.node.get(id);
  }
  nodes(): Iterable<Node> {
    return this.#rows.node.values();
  }
  service(id: string): Service | undefined {
    return this.#rows.service.get(id);
  }
  serviceByName(name: string): Service | undefined {
    return this.#rows.service.get(this.names.owner(name) ?? '');
  }
  services(): Iterable<Service> {
    return this.#rows.service.values();
  }
  task(id: string): Task | undefined {
    return this.#rows.task.get(id);
  }
  tasks(): Iterable<Task> {
    return this.#rows.task.values();
  }
  tasksOfService(serviceId: string): Iterable<Task> {
    return this.#byService.of(serviceId);
  }
  tasksOfNode(nodeId: string): Iterable<Task> {
    return this.#byNode.of(nodeId);
  }
  unassignedTasks(): Iterable<Task> {
    return this.#unassigned.all();
  }
  orphanedServiceIds(): Iterable<string> {
    return this.#orphaned.ids();
  }
  usage(nodeId: string): NodeUsage {
    return this.#usage.of(nodeId);
  }
  ingressPortOwner(port: string): Service | undefined {
    return this.#rows.service.get(this.ingressPorts.owner(port) ?? '');
  }
  network(id: string): Network | undefined {
    return this.#rows.network.get(id);
  }
  networkByName(name: string): Network | undefined {
    return this.#rows.network.get(this.networkNames.owner(name) ?? '');
  }
  networks(): Iterable<Network> {
    return this.#rows.network.values();
  }
  ingressNetwork(): Network | undefined {
    return this.#rows.network.get(this.#networkUse.ingressId);
  }
  tasksOfNetwork(networkId: string): Iterable<Task> {
    return this.#networkUse.tasks(networkId);
  }
  servicesOfNetwork(networkId: string): Iterable<Service> {
    return this.#networkUse.services(networkId);
  }
  usedAddresses(networkId: string): ReadonlyMap<string, string> {
    return this.#networkUse.addresses(networkId);
  }

  file(kind: FileKind, id: string): FileObject | undefined {
    return this.#rows[kind].get(id);
  }
  files(kind: FileKind): Iterable<FileObject> {
    return this.#rows[kind].values();
  }
  revisions(kind: FileKind, name: string): readonly FileObject[] {
    return this.#fileUse.revisions(kind, name);
  }
  supersededFiles(kind: FileKind): Iterable<FileObject> {
    return this.#fileUse.superseded(kind);
  }
  servicesOfFile(id: string): Iterable<Service> {
    return this.#fileUse.services(id);
  }
  isFileUsed(id: string): boolean {
    return this.#fileUse.isUsed(id);
  }

  volume(id: string): ClusterVolume | undefined {
    return this.#rows.volume.get(id);
  }
  volumeByName(name: string): ClusterVolume | undefined {
    return this.#rows.volume.get(this.volumeNames.owner(name) ?? '');
  }
  volumes(): Iterable<ClusterVolume> {
    return this.#rows.volume.values();
  }
  tasksOfVolume(volumeId: string): Iterable<Task> {
    return this.#volumeUse.tasks(volumeId);
  }

  #changed(table: TableName, old: Tables[TableName] | undefined, next?: Tables[TableName]): void {
    if (table === 'task') this.#taskChanged(old as Task | undefined, next as Task | undefined);
    if (table === 'service') {
      this.#serviceChanged(old as Service | undefined, next as Service | undefined);
    }
    if (table === 'node') {
      this.#networkUse.nodeChanged(old as Node | undefined, next as Node | undefined);
    }
    if (table === 'network') {
      this.#networkChanged(old as Network | undefined, next as Network | undefined);
    }
    if (table === 'secret' || table === 'config') {
      this.#fileChanged(table, old as FileObject | undefined, next as FileObject | undefined);
    }
    if (table === 'volume') {
      this.volumeNames.changed(old as ClusterVolume | undefined, next as ClusterVolume | undefined);
    }
  }

  #taskChanged(old: Task | undefined, next: Task | undefined): void {
    this.specs.taskChanged(old, next);
    this.#byService.changed(old, next);
    this.#byNode.changed(old, next);
    this.#unassigned.changed(old, next);
    this.#usage.changed(old, next);
    this.#networkUse.taskChanged(old, next);
    this.#fileUse.taskChanged(old, next);
    this.#volumeUse.taskChanged(old, next);
    if (old?.serviceId === next?.serviceId) return;
    if (old !== undefined) this.#orphaned.check(old.serviceId);
    if (next !== undefined) this.#orphaned.check(next.serviceId);
  }

  #serviceChanged(old: Service | undefined, next: Service | undefined): void {
    this.specs.serviceChanged(old, next);
    this.names.changed(old, next);
    this.ingressPorts.changed(old, next);
    this.#networkUse.serviceChanged(old, next);
    this.#fileUse.serviceChanged(old, next);
    const id = next?.id ?? old?.id;
    if (id !== undefined && (old === undefined || next === undefined)) this.#orphaned.check(id);
  }

  #fileChanged(kind: FileKind, old: FileObject | undefined, next: FileObject | undefined): void {
    const keys = kind === 'secret' ? this.secretRevisions : this.configRevisions;
    keys.changed(old, next);
    this.#fileUse.fileChanged(kind, old, next);
  }

  #networkChanged(old: Network | undefined, next: Network | undefined): void {
    this.networkNames.changed(old, next);
    this.vnis.changed(old, next);
    this.#networkUse.networkChanged(old, next);
  }
}
