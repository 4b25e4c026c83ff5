import { join } from 'node:path';
import { assert } from '../../lib/assert.ts';
import { SwarmError, type ErrorCode } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { Log, LogError, nodeDisk, Snapshots } from '../../raft/index.ts';
import type { Disk, LogErrorCode } from '../../raft/index.ts';
import type { ApplyResult, StateMachine, StoreLog } from './log.ts';

export interface LocalLogOptions {
  /** Made where it is not there; holds the log's segments and the snapshots. */
  readonly folder: string;
  readonly disk?: Disk;
  /** Size of a segment's file. 16 MiB where absent. */
  readonly segmentBytes?: number;
  /** Entries between snapshots. 10,000 where absent. */
  readonly snapshotEntries?: number;
  /** Bytes of entries between snapshots. 64 MiB where absent. */
  readonly snapshotBytes?: number;
  /** Proposals that may wait to be durable. 10,000 where absent. */
  readonly maxPending?: number;
}

const defaults = {
  disk: nodeDisk,
  segmentBytes: 16 << 20,
  snapshotEntries: 10_000,
  snapshotBytes: 64 << 20,
  maxPending: 10_000,
};

/** One manager needs no elections: its entries are all of one term, and of one type. */
const term = 1;
const entryType = 0;
const replayBytes = 4 << 20;

/**
 * The store's log on this manager's own disk. An entry is durable before it is applied, and applied
 * before its proposal resolves. Snapshots are written beside the running log, which then lets go of
 * what they contain.
 */
export class LocalLog implements StoreLog {
  readonly #options: Required<LocalLogOptions>;
  readonly #logger: Logger;
  readonly #snapshots: Snapshots;
  readonly #listeners = new Set<(leads: boolean) => void>();
  #log: Log | undefined;
  #machine: StateMachine | undefined;
  #leads = false;
  #pending = 0;
  #appliedIndex = 0;
  /** Entries and bytes applied since the last snapshot was tried. */
  #sinceEntries = 0;
  #sinceBytes = 0;
  #snapshotting: Promise<void> | undefined;

  constructor(options: LocalLogOptions, { log }: { readonly log: Logger }) {
    this.#options = { ...defaults, ...options };
    this.#logger = log.child({ module: 'store-log' });
    const { disk, folder } = this.#options;
    this.#snapshots = new Snapshots({ disk, folder: join(folder, 'snapshots') });
  }

  async open(machine: StateMachine): Promise<void> {
    const { disk, folder, segmentBytes } = this.#options;
    try {
      // The log's lock guards the snapshots, too.
      const log = await Log.open({ disk, folder: join(folder, 'log'), segmentBytes });
      this.#log = log;
      if (log.cut !== undefined) this.#logger.warn('torn tail of the log cut', { ...log.cut });
      await this.#snapshots.open();
      await this.#restore(machine);
      await this.#replay(log, machine);
    } catch (error) {
      await this.#log?.close();
      throw toSwarmError(error);
    }
    this.#machine = machine;
    this.#setLeads(true);
    this.#maybeSnapshot(machine);
  }

  async propose(entry: Uint8Array): Promise<ApplyResult> {
    const { log, machine } = this.#opened();
    const { maxPending } = this.#options;
    if (this.#pending >= maxPending) {
      throw new SwarmError(
        'resource-exhausted',
        `${maxPending} changes wait for the disk already; try again later`,
      );
    }
    this.#pending += 1;
    const index = log.lastIndex + 1;
    try {
      await log.append([{ index, term, type: entryType, data: entry }]);
    } catch (error) {
      if (error instanceof LogError && error.code === 'failed') this.#fail(error);
      throw toSwarmError(error);
    } finally {
      this.#pending -= 1;
    }
    return this.#apply(machine, index, entry);
  }

  /** Whatever was acknowledged was applied before: there is nothing to wait for. */
  barrier(): Promise<void> {
    this.#opened();
    return Promise.resolve();
  }

  get isLeader(): boolean {
    return this.#leads;
  }

  onLeadership(listener: (leads: boolean) => void): Disposable {
    this.#listeners.add(listener);
    listener(this.#leads);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** Waits for proposals and a snapshot under way, and lets go of the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    const log = this.#log;
    this.#setLeads(false);
    this.#machine = undefined;
    this.#log = undefined;
    // The log's lock is given up last: it guards the snapshots, too.
    await this.#snapshotting;
    await log?.close();
  }

  async #restore(machine: StateMachine): Promise<void> {
    const [newest] = await this.#snapshots.list();
    if (newest === undefined) return;
    machine.restore(newest.index, await this.#snapshots.load(newest));
    this.#appliedIndex = newest.index;
  }

  async #replay(log: Log, machine: StateMachine): Promise<void> {
    const { firstIndex, lastIndex } = log;
    const from = this.#appliedIndex + 1;
    if (firstIndex > from || lastIndex < this.#appliedIndex) {
      throw new SwarmError(
        'internal',
        `the log in ${this.#options.folder} holds entries ${firstIndex} to ${lastIndex}, ` +
          `but the newest snapshot ends at ${this.#appliedIndex}: files are missing; ` +
          'restore the folder from a backup',
      );
    }
    while (this.#appliedIndex < lastIndex) {
      const next = this.#appliedIndex + 1;
      const entries = await log.read(next, lastIndex, { maxBytes: replayBytes });
      for (const { index, data } of entries) {
        machine.apply(index, data);
        this.#applied(index, data);
      }
    }
  }

  #apply(machine: StateMachine, index: number, entry: Uint8Array): ApplyResult {
    assert(index === this.#appliedIndex + 1, `entry ${index} follows ${this.#appliedIndex}`);
    let result: ApplyResult;
    try {
      result = machine.apply(index, entry);
    } catch (error) {
      // The state is not what the log says any more; only a restart brings them together.
      this.#fail(error);
      throw error;
    }
    this.#applied(index, entry);
    this.#maybeSnapshot(machine);
    return result;
  }

  #applied(index: number, entry: Uint8Array): void {
    this.#appliedIndex = index;
    this.#sinceEntries += 1;
    this.#sinceBytes += entry.length;
  }

  #maybeSnapshot(machine: StateMachine): void {
    const { snapshotEntries, snapshotBytes } = this.#options;
    if (this.#sinceEntries < snapshotEntries && this.#sinceBytes < snapshotBytes) return;
    if (this.#snapshotting !== undefined || this.#log === undefined) return;
    this.#sinceEntries = 0;
    this.#sinceBytes = 0;
    this.#snapshotting = this.#snapshot(this.#log, machine).finally(() => {
      this.#snapshotting = undefined;
    });
  }

  /** A snapshot that fails costs disk, not data: it is tried again after as many entries. */
  async #snapshot(log: Log, machine: StateMachine): Promise<void> {
    const index = this.#appliedIndex;
    const parts = machine.snapshotParts();
    try {
      const { bytes } = await this.#snapshots.save({ index, term }, parts);
      await this.#snapshots.prune(1);
      if (this.#log === log) await log.compact(index);
      this.#logger.info('snapshot written', { index, bytes });
    } catch (error) {
      this.#logger.error('snapshot failed', { index, error });
    }
  }

  #opened(): { log: Log; machine: StateMachine } {
    if (this.#log === undefined || this.#machine === undefined || !this.#leads) {
      throw new SwarmError(
        'unavailable',
        `the store in ${this.#options.folder} is not open; look for the reason in the daemon's log`,
      );
    }
    return { log: this.#log, machine: this.#machine };
  }

  #fail(error: unknown): void {
    this.#logger.error('the log failed; the store takes no changes until a restart', { error });
    this.#setLeads(false);
  }

  #setLeads(leads: boolean): void {
    if (leads === this.#leads) return;
    this.#leads = leads;
    for (const listener of this.#listeners) listener(leads);
  }
}

const codes: Readonly<Record<LogErrorCode, ErrorCode>> = {
  full: 'resource-exhausted',
  busy: 'resource-exhausted',
  'too-large': 'invalid-argument',
  locked: 'failed-precondition',
  failed: 'unavailable',
  closed: 'unavailable',
  corrupt: 'internal',
  missing: 'internal',
};

function toSwarmError(error: unknown): SwarmError {
  if (!(error instanceof LogError)) return SwarmError.from(error);
  const code = codes[error.code];
  const before = code === 'resource-exhausted' ? 'the change was not stored: ' : '';
  const after = code === 'internal' ? '; restore the folder from a backup' : '';
  const { path, offset } = error;
  return new SwarmError(code, `${before}${error.message}${after}`, {
    cause: error,
    details: path === undefined ? {} : { path, ...(offset === undefined ? {} : { offset }) },
  });
}
