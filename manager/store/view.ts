/** What planners read: the store's live tables and the indexes computed from them. */
import type { Cluster, Node, PortConfig, Service, Task } from '../../types/index.ts';

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
}

/** "tcp/8080": how ports are keyed in indexes. */
export function portKey(port: Pick<PortConfig, 'protocol' | 'publishedPort'>): string {
  return `${port.protocol}/${port.publishedPort ?? 0}`;
}
