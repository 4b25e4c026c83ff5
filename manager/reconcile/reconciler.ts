/** The shell around the planners: what is dirty is planned, and each plan is one proposal. */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Clock, Timer } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Change } from '../store/change.ts';
import type { ChangeListener } from '../store/event.ts';
import type { ApplyResult } from '../store/log.ts';
import type { StoreView } from '../store/view.ts';
import { DirtyKeys } from './dirty.ts';
import { defaultLimits, planPass, type PassKeys, type PassLimits, type PassPlan } from './pass.ts';

/** What the reconciler asks of the store. */
export interface ReconcileStore extends StoreView {
  propose(changes: readonly Change[], options: { readonly atMs: number }): Promise<ApplyResult>;
  onChange(listener: ChangeListener): Disposable;
  onLeadership(listener: (leads: boolean) => void): Disposable;
}

export interface ReconcilerDeps {
  readonly store: ReconcileStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Called after each step of a pass with what it took. */
  readonly onStep?: (step: 'plan' | 'commit', tookMs: number) => void;
}

/** The rest after a proposal that was refused, for want of room or of a quorum. */
const retryAfterMs = 200;

/** A step of a plan takes a few changes together: with less room it would never be taken. */
const fewestChanges = 4;

/**
 * Works from `start` to disposal, whenever this manager leads. A change marks keys; the first mark
 * starts a pass at once, and what is marked while its proposal is under way waits for the next.
 */
export class Reconciler implements AsyncDisposable {
  readonly #store: ReconcileStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #onStep: ReconcilerDeps['onStep'];
  readonly #limits: PassLimits;
  /** Fewer changes than the limits have after a proposal that may have been too large. */
  #taskChanges: number;
  readonly #dirty = new DirtyKeys();
  readonly #wakes = new Map<string, number>();
  readonly #subscriptions = new DisposableStack();
  #leads = false;
  /** After a proposal that failed, no pass begins before this time. */
  #restUntilMs = 0;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: Partial<PassLimits>, deps: ReconcilerDeps) {
    this.#limits = { ...defaultLimits, ...options };
    this.#taskChanges = this.#limits.taskChanges;
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#log = deps.log.child({ module: 'reconcile' });
    this.#onStep = deps.onStep;
  }

  start(): void {
    this.#subscriptions.use(
      this.#store.onChange((batch) => {
        if (!this.#leads) return;
        this.#dirty.mark(batch);
        this.#run();
      }),
    );
    this.#subscriptions.use(this.#store.onLeadership((leads) => this.#lead(leads)));
  }

  /** Resolves when nothing is being planned or proposed any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscriptions[Symbol.dispose]();
    this.#lead(false);
    await this.idle();
  }

  #lead(leads: boolean): void {
    this.#leads = leads;
    this.#wakes.clear();
    this.#dirty.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#restUntilMs = 0;
    if (!leads) return;
    this.#dirty.markAll();
    this.#run();
  }

  #run(): void {
    if (this.#running !== undefined || !this.#leads || !this.#dirty.any) return;
    if (this.#clock.nowMs() < this.#restUntilMs) return;
    // The store tells of changes while it applies them: planning begins when it is done.
    this.#running = Promise.resolve()
      .then(() => this.#work())
      .finally(() => {
        this.#running = undefined;
        this.#setTimer();
        this.#run();
      });
  }

  async #work(): Promise<void> {
    while (this.#leads && this.#dirty.any) {
      const keys = this.#taken();
      const nowMs = this.#clock.nowMs();
      const env = { nowMs, random: this.#random };
      const startMs = this.#clock.monotonicMs();
      const limits = { ...this.#limits, taskChanges: this.#taskChanges };
      const plan = planPass(this.#store, keys, env, limits);
      this.#onStep?.('plan', this.#clock.monotonicMs() - startMs);
      this.#note(plan, keys);
      if (plan.changes.length === 0) await yieldToOthers();
      else if (!(await this.#commit(plan, keys, nowMs))) return;
    }
  }

  /** Returns false when passes should pause for a while. */
  async #commit(plan: PassPlan, keys: PassKeys, nowMs: number): Promise<boolean> {
    try {
      const startMs = this.#clock.monotonicMs();
      const result = await this.#store.propose(plan.changes, { atMs: nowMs });
      this.#onStep?.('commit', this.#clock.monotonicMs() - startMs);
      this.#taskChanges = Math.min(this.#limits.taskChanges, 2 * this.#taskChanges);
      if (!result.applied) {
        this.#log.debug('plan was overtaken', { conflict: result.conflict });
        this.#markAgain(keys);
      }
      return true;
    } catch (thrown) {
      const error = SwarmError.from(thrown);
      this.#markAgain(keys);
      this.#tryLess();
      this.#log.warn('plan was not committed', { code: error.code, error: error.message });
      this.#restUntilMs = this.#clock.nowMs() + retryAfterMs;
      return false;
    }
  }

  /** All that is dirty; or, where little may have been too much already, one service alone. */
  #taken(): PassKeys {
    const keys = this.#dirty.take(this.#store);
    if (this.#taskChanges > fewestChanges) return keys;
    const [first, ...others] = keys.services;
    for (const id of others) this.#dirty.markService(id);
    return { ...keys, services: first === undefined ? [] : [first] };
  }

  /**
   * The log takes no entry above a size: what is refused for it would be again, and with it the
   * plans of all services. What was planned goes to the end of the line as well (see `#note`), so
   * that one that is too large by itself keeps no other waiting for good.
   */
  #tryLess(): void {
    const { taskChanges } = this.#limits;
    const half = Math.ceil(this.#taskChanges / 2);
    this.#taskChanges = Math.min(taskChanges, Math.max(fewestChanges, half));
  }

  #note(plan: PassPlan, keys: PassKeys): void {
    for (const [id, wakeAtMs] of plan.planned) {
      if (wakeAtMs === undefined) this.#wakes.delete(id);
      else this.#wakes.set(id, wakeAtMs);
    }
    // Those that had no turn come first in the next pass.
    const [begun, untouched] = partition(plan.leftover, (id) => plan.planned.has(id));
    for (const id of [...untouched, ...begun]) this.#dirty.markService(id);
    for (const id of plan.leftoverNodes) this.#dirty.markAddresses(id);
    for (const id of plan.leftoverAttachments) this.#dirty.markAttachment(id);
    if (plan.retryUnassigned) this.#dirty.markUnassigned();
    const { isShort, unaddressed } = plan;
    const isWhole = keys.retryUnassigned && plan.leftover.length === 0 && !plan.retryUnassigned;
    this.#dirty.note({ isShort, isWhole, nodes: unaddressed });
    for (const id of unaddressed) {
      this.#log.warn('node takes no part in the routing mesh', {
        nodeId: id,
        reason: plan.reasons.get(id),
      });
    }
  }

  #markAgain(keys: PassKeys): void {
    for (const id of keys.services) this.#dirty.markService(id);
    for (const id of keys.nodes ?? []) this.#dirty.markAddresses(id);
    for (const id of keys.attachments ?? []) this.#dirty.markAttachment(id);
    if (keys.retryUnassigned) this.#dirty.markUnassigned();
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (!this.#leads) return;
    let firstMs = this.#dirty.any ? this.#restUntilMs : Infinity;
    for (const atMs of this.#wakes.values()) firstMs = Math.min(firstMs, atMs);
    if (firstMs === Infinity) return;
    const delayMs = Math.max(0, firstMs - this.#clock.nowMs());
    this.#timer = this.#clock.after(delayMs, () => this.#wake());
  }

  #wake(): void {
    const nowMs = this.#clock.nowMs();
    for (const [id, atMs] of this.#wakes) {
      if (atMs > nowMs) continue;
      this.#wakes.delete(id);
      this.#dirty.markService(id);
    }
    if (this.#dirty.any) this.#run();
    else this.#setTimer();
  }
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}
