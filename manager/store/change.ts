/**
 * What a log entry carries: one transaction of many changes, planned on versions that it names.
 * Applying an entry is deterministic, and all or nothing.
 */
import type {
  DesiredState,
  NodeDescription,
  NodeStatus,
  TableName,
  Tables,
  TaskStatus,
} from '../../types/index.ts';

/** Creates (`base` 0) or replaces (`base` = the version it was planned on) an object. */
export type Put = {
  readonly [T in TableName]: {
    readonly op: 'put';
    readonly table: T;
    readonly object: Tables[T];
    readonly base: number;
    /** Whose command it comes of, for the history. */
    readonly user?: string;
  };
}[TableName];

/** Removes an object; a conflict unless it is still at version `base`. */
export interface Delete {
  readonly op: 'delete';
  readonly table: TableName;
  readonly id: string;
  readonly base: number;
  /** Whose command it comes of, for the history. */
  readonly user?: string;
}

/**
 * A task's observed status. It joins rather than replaces: an earlier state never overwrites a later
 * one, and a task that is gone is passed over, so it needs no version and never conflicts.
 */
interface TaskStatusChange {
  readonly op: 'task-status';
  readonly id: string;
  readonly status: TaskStatus;
}

/** A task's desired state. Monotone, like the status: it never conflicts and is never lost. */
interface TaskDesireChange {
  readonly op: 'task-desire';
  readonly id: string;
  readonly desiredState: DesiredState;
}

/** What a node says, or what the dispatcher saw of it. The last one wins; it never conflicts. */
export interface NodeStatusChange {
  readonly op: 'node-status';
  readonly id: string;
  readonly status?: NodeStatus;
  readonly description?: NodeDescription;
}

/**
 * A node's own addresses on the routing mesh's network, with prefix; none where there is no such
 * network. Only the allocator gives them, so that it needs no version. It conflicts where somebody
 * else holds an address already; a node that is gone is passed over.
 */
interface NodeAddressesChange {
  readonly op: 'node-addresses';
  readonly id: string;
  readonly ingressAddresses: readonly string[];
}

export type Change =
  | Put
  | Delete
  | TaskStatusChange
  | TaskDesireChange
  | NodeStatusChange
  | NodeAddressesChange;

export interface Entry {
  readonly changes: readonly Change[];
  /** Proposer's clock, milliseconds since the epoch: the only time that apply may use. */
  readonly atMs: number;
}
