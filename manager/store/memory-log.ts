import { SwarmError } from '../../lib/errors.ts';
import { untriedError } from './raft-errors.ts';
import type { ApplyResult, StateMachine, StoreLog } from './log.ts';

/** What a MemoryLog keeps; give it to another one to see what a restart would. */
export interface MemoryStorage {
  snapshot?: { readonly index: number; readonly bytes: Uint8Array };
  readonly entries: { readonly index: number; readonly bytes: Uint8Array }[];
}

interface MemoryLogOptions {
  readonly storage?: MemoryStorage;
  /** Entries between snapshots; none are made where absent. */
  readonly snapshotEntries?: number;
  /** Proposals that may wait. */
  readonly maxPending?: number;
  readonly documentBytesMax?: number;
}

/** The store's log without a disk, for tests and simulations: applies in the next microtask. */
export class MemoryLog implements StoreLog {
  readonly #storage: MemoryStorage;
  readonly #options: MemoryLogOptions;
  readonly #listeners = new Set<(leads: boolean) => void>();
  #machine: StateMachine | undefined;
  #index = 0;
  #pending = 0;
  #leads = false;

  get documentBytesMax(): number | undefined {
    return this.#options.documentBytesMax;
  }

  constructor(options: MemoryLogOptions = {}) {
    this.#options = options;
    this.#storage = options.storage ?? { entries: [] };
  }

  open(machine: StateMachine): Promise<void> {
    const { snapshot, entries } = this.#storage;
    if (snapshot !== undefined) {
      machine.restore(snapshot.index, snapshot.bytes);
      this.#index = snapshot.index;
    }
    for (const { index, bytes } of entries) {
      machine.apply(index, bytes);
      this.#index = index;
    }
    this.#machine = machine;
    this.setLeader(true);
    return Promise.resolve();
  }

  async propose(entry: Uint8Array): Promise<ApplyResult> {
    this.#requireLead();
    const { maxPending = 10_000 } = this.#options;
    if (this.#pending >= maxPending) {
      throw new SwarmError(
        'resource-exhausted',
        `${maxPending} proposals wait already; try again later`,
      );
    }
    this.#pending += 1;
    await Promise.resolve();
    this.#pending -= 1;
    const machine = this.#requireLead();
    this.#index += 1;
    this.#storage.entries.push({ index: this.#index, bytes: entry });
    const result = machine.apply(this.#index, entry);
    this.#maybeSnapshot(machine);
    return result;
  }

  async barrier(): Promise<void> {
    await Promise.resolve();
    this.#requireLead();
  }

  get isLeader(): boolean {
    return this.#leads;
  }

  onLeadership(listener: (leads: boolean) => void): Disposable {
    this.#listeners.add(listener);
    listener(this.#leads);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** For tests: takes the lead away, or gives it back. */
  setLeader(leads: boolean): void {
    if (leads === this.#leads) return;
    this.#leads = leads;
    for (const listener of this.#listeners) listener(leads);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.setLeader(false);
    this.#machine = undefined;
    return Promise.resolve();
  }

  #requireLead(): StateMachine {
    if (this.#machine === undefined || !this.#leads) {
      throw untriedError('this manager does not lead; ask another one');
    }
    return this.#machine;
  }

  #maybeSnapshot(machine: StateMachine): void {
    const { snapshotEntries } = this.#options;
    const { entries } = this.#storage;
    if (snapshotEntries === undefined || entries.length < snapshotEntries) return;
    this.#storage.snapshot = { index: this.#index, bytes: machine.snapshot() };
    entries.length = 0;
  }
}
