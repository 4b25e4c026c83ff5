/** What planners read: the store's live tables and the indexes computed from them. */
import {
  isTerminal,
  type Cluster,
  type ClusterVolume,
  type FileKind,
  type FileObject,
  type Network,
  type NetworkAttachment,
  type Node,
  type PortConfig,
  type Service,
  type ServiceSpec,
  type Task,
} from '../../types/index.ts';
import type { Fork } from './fork.ts';

/** What the tasks that are wanted on a node take of it: an index, audited against the tasks. */
export interface NodeUsage {
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  /** Tasks assigned to the node that are still wanted (desired state COMPLETE or before). */
  readonly activeTasks: number;
  /** The same by service id. */
  readonly activeByService: ReadonlyMap<string, number>;
  /** Host-mode ports taken, as "tcp/8080". */
  readonly hostPorts: ReadonlySet<string>;
}

export interface StoreView {
  /** Index of the last applied log entry. */
  readonly index: number;
  cluster(): Cluster | undefined;
  node(id: string): Node | undefined;
  nodes(): Iterable<Node>;
  service(id: string): Service | undefined;
  serviceByName(name: string): Service | undefined;
  services(): Iterable<Service>;
  task(id: string): Task | undefined;
  tasks(): Iterable<Task>;
  /** Also of services that no longer exist. */
  tasksOfService(serviceId: string): Iterable<Task>;
  tasksOfNode(nodeId: string): Iterable<Task>;
  /** Tasks wanted to run that have no node yet. */
  unassignedTasks(): Iterable<Task>;
  /** Ids of services that own tasks but are gone. */
  orphanedServiceIds(): Iterable<string>;
  usage(nodeId: string): NodeUsage;
  /** The service that holds an ingress port ("tcp/8080"). */
  ingressPortOwner(port: string): Service | undefined;
  network(id: string): Network | undefined;
  networkByName(name: string): Network | undefined;
  networks(): Iterable<Network>;
  /** The routing mesh's network; there is at most one. */
  ingressNetwork(): Network | undefined;
  /** Tasks that hold an address on the network: assigned to a node, and not ended. */
  tasksOfNetwork(networkId: string): Iterable<Task>;
  /** Services whose spec names the network, or that publish ports through it. */
  servicesOfNetwork(networkId: string): Iterable<Service>;
  /** A secret or a config, whether it is what its name stands for or an older revision. */
  file(kind: FileKind, id: string): FileObject | undefined;
  /** All revisions. */
  files(kind: FileKind): Iterable<FileObject>;
  /** The revisions of one name; the last one is what the name stands for. */
  revisions(kind: FileKind, name: string): readonly FileObject[];
  /** Older revisions, which their names no longer stand for. */
  supersededFiles(kind: FileKind): Iterable<FileObject>;
  /** Services whose spec names the secret or config. */
  servicesOfFile(id: string): Iterable<Service>;
  /** A service's spec or its previous one names it, or a task that has not ended. */
  isFileUsed(id: string): boolean;
  volume(id: string): ClusterVolume | undefined;
  volumeByName(name: string): ClusterVolume | undefined;
  volumes(): Iterable<ClusterVolume>;
  /** Tasks that hold the cluster volume: assigned with it to a node, and not ended. */
  tasksOfVolume(volumeId: string): Iterable<Task>;
  /**
   * Addresses that are held on the network, without prefix, and the id of the holder: a task, a
   * service (its virtual address), or a node (on the routing mesh's network).
   */
  usedAddresses(networkId: string): ReadonlyMap<string, string>;
  /** A copy to try changes on: takes time and memory in proportion to the tables. */
  fork(): Fork;
}

/** Networks that every node has: named as they are, and no objects of the store. */
export const builtInNetworks: ReadonlySet<string> = new Set(['bridge', 'host', 'none']);

/** What the service's tasks are to be attached to, apart from the networks that every node has. */
export function attachmentsOf(
  spec: Pick<ServiceSpec['task'], 'networks'>,
): readonly NetworkAttachment[] {
  const { networks } = spec;
  if (networks === undefined || networks.length === 0) return [];
  return networks.filter(({ target }) => !builtInNetworks.has(target));
}

/** The service's tasks are to be on the routing mesh's network. */
export function publishesIngress({ endpoint }: Pick<ServiceSpec, 'endpoint'>): boolean {
  return endpoint?.ports?.some((port) => port.publishMode === 'ingress') ?? false;
}

/** The task's addresses are nobody else's: from its assignment until it has ended. */
export function holdsAddresses(task: Task): boolean {
  return task.networks !== undefined && task.nodeId !== '' && !isTerminal(task.status.state);
}

/** "10.0.1.5" of "10.0.1.5/24". */
export function withoutPrefix(address: string): string {
  const slash = address.indexOf('/');
  return slash < 0 ? address : address.slice(0, slash);
}

/** "tcp/8080": how ports are keyed in indexes. */
export function portKey(port: Pick<PortConfig, 'protocol' | 'publishedPort'>): string {
  return `${port.protocol}/${port.publishedPort ?? 0}`;
}
