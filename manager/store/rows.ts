/** The tables themselves: immutable objects by id, in the order of their creation. */
import type {
  Cluster,
  ClusterVolume,
  FileObject,
  Network,
  Node,
  Service,
  TableName,
  Tables,
  Task,
} from '../../types/index.ts';

export class Rows {
  readonly cluster = new Map<string, Cluster>();
  readonly node = new Map<string, Node>();
  readonly service = new Map<string, Service>();
  readonly task = new Map<string, Task>();
  readonly network = new Map<string, Network>();
  readonly secret = new Map<string, FileObject>();
  readonly config = new Map<string, FileObject>();
  readonly volume = new Map<string, ClusterVolume>();

  get<T extends TableName>(table: T, id: string): Tables[T] | undefined {
    return this.#table(table).get(id);
  }

  set<T extends TableName>(table: T, object: Tables[T]): void {
    this.#table(table).set(object.id, object);
  }

  delete(table: TableName, id: string): void {
    this[table].delete(id);
  }

  *all(): Iterable<readonly [TableName, Tables[TableName]]> {
    for (const table of Object.keys(this) as TableName[]) {
      for (const object of this.#table(table).values()) yield [table, object];
    }
  }

  clear(): void {
    const { cluster, config, network, node, secret, service, task, volume } = this;
    const all = [cluster, config, network, node, secret, service, task, volume];
    for (const table of all) table.clear();
  }

  #table<T extends TableName>(table: T): Map<string, Tables[T]> {
    return this[table] as unknown as Map<string, Tables[T]>;
  }
}
