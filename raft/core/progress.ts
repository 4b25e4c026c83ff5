/**
 * What a leader knows of one follower's log, and how it sends to it:
 * `probe`, one append at a time until one fits; `replicate`, pipelined within the window;
 * `snapshot`, nothing until the snapshot has arrived.
 */
import { invariant } from './assert.ts';

interface FlowLimits {
  /** Appends under way to one follower. */
  readonly maxInflight: number;
}

export class Progress {
  /** The last index known to be durable there. */
  match = 0;
  /** The next index to send. */
  next: number;
  mode: 'probe' | 'replicate' | 'snapshot' = 'probe';
  /** Heard from since the last check of the quorum. */
  active = false;
  /** What it was told to be committed: it may not have heard. */
  told = 0;
  /** Only in `snapshot`: its index. */
  pendingSnapshot = 0;
  /** Only in `probe`: one is under way. */
  #probing = false;
  /** Only in `replicate`: the last index of each append under way, oldest first. */
  #inflight: number[] = [];
  readonly #limits: FlowLimits;

  constructor(next: number, limits: FlowLimits) {
    this.next = next;
    this.#limits = limits;
  }

  get isPaused(): boolean {
    if (this.mode === 'snapshot') return true;
    if (this.mode === 'probe') return this.#probing;
    return this.#inflight.length >= this.#limits.maxInflight;
  }

  becomeProbe(): void {
    const afterSnapshot = this.mode === 'snapshot' ? this.pendingSnapshot + 1 : 0;
    this.#enter('probe');
    this.next = Math.max(this.match + 1, afterSnapshot);
  }

  becomeReplicate(): void {
    this.#enter('replicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot');
    this.pendingSnapshot = index;
  }

  sent(lastIndex: number, count: number): void {
    if (this.mode === 'probe') {
      this.#probing = true;
      return;
    }
    invariant(this.mode === 'replicate', 'nothing is sent while a snapshot is under way');
    if (count === 0) return;
    this.next = lastIndex + 1;
    this.#inflight.push(lastIndex);
  }

  /** The follower has everything up to `index`. True when that is news. */
  accepted(index: number): boolean {
    while ((this.#inflight[0] ?? Infinity) <= index) this.#inflight.shift();
    this.next = Math.max(this.next, index + 1);
    if (index <= this.match) return false;
    this.match = index;
    this.#probing = false;
    return true;
  }

  /**
   * The follower lacks the entry before those sent. False when the answer is stale: to an append
   * that has since been overtaken.
   */
  rejected(prevIndex: number, hintIndex: number): boolean {
    if (this.mode === 'replicate') {
      if (prevIndex <= this.match) return false;
      this.next = this.match + 1;
      return true;
    }
    if (this.next - 1 !== prevIndex) return false;
    this.next = Math.max(Math.min(prevIndex, hintIndex + 1), this.match + 1);
    this.#probing = false;
    return true;
  }

  /** Lets one more message go: the heartbeat's answer says that the follower is there. */
  resume(): void {
    this.#probing = false;
    if (this.#inflight.length >= this.#limits.maxInflight) this.#inflight.shift();
  }

  #enter(mode: 'probe' | 'replicate' | 'snapshot'): void {
    this.mode = mode;
    if (mode !== 'replicate') this.told = 0;
    this.#probing = false;
    this.#inflight = [];
    this.pendingSnapshot = 0;
  }
}
