/** What the store tells of its changes. */
import type { TableName, Tables } from '../../types/index.ts';

/** One object that was created, changed or removed. */
export type ObjectEvent = {
  readonly [T in TableName]: {
    readonly table: T;
    readonly action: 'create' | 'update' | 'remove';
    /** After the change; for `remove` what was removed. */
    readonly object: Tables[T];
    /** Before the change; absent for `create`. */
    readonly old?: Tables[T];
    readonly index: number;
    readonly atMs: number;
    /** Whose command it was; absent where nobody's, or where nobody knows. */
    readonly user?: string;
  };
}[TableName];

/** Everything that one log entry changed. */
export interface ChangeBatch {
  readonly index: number;
  readonly atMs: number;
  readonly events: readonly ObjectEvent[];
  /** The state was replaced by a snapshot: anything may have changed, and `events` is empty. */
  readonly restored: boolean;
}

export type ChangeListener = (batch: ChangeBatch) => void;
