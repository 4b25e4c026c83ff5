import type { Clock, Timer } from '../../lib/clock.ts';

interface StopGateParts {
  readonly clock: Clock;
  /** The nodes that send requests to tasks on the network. */
  readonly nodesOf: (networkId: string) => Iterable<string>;
  /**
   * Up to which version of the book the node has taken in what concerns it; nothing for a node that
   * is not to be waited for.
   */
  readonly taken: (nodeId: string) => number | undefined;
  /** The task's node may be told to stop it now. */
  readonly release: (taskId: string) => void;
  /** Some nodes did not take it in in time. */
  readonly onTimeout?: (taskIds: readonly string[], nodeIds: readonly string[]) => void;
}

interface Held {
  readonly networkIds: readonly string[];
  /** The version of the book in which its endpoints are inactive. */
  readonly version: number;
  /** When no node is waited for any longer. */
  readonly deadlineMs: number;
  /** Nobody sends requests any more; those on their way get until then. */
  releaseAtMs: number | undefined;
}

/**
 * Nodes that take longer are not waited for: stopping a task has to come to an end. One that is
 * silent is out of account before; this is for those that are there, and have much else to do.
 */
export const takenTimeoutMs = 5_000;
/** For requests that were sent before, and connections that are being opened. */
export const lingerMs = 200;

/**
 * Holds back the stop of tasks that others send requests to, until all those have taken in that
 * they are to send no more. Pure but for the clock that it is given.
 */
export class StopGate {
  readonly #parts: StopGateParts;
  readonly #held = new Map<string, Held>();
  #timer: { readonly atMs: number; readonly timer: Timer } | undefined;

  constructor(parts: StopGateParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Whether the task's node is not to hear yet that it is to stop. */
  holds(taskId: string): boolean {
    return this.#held.has(taskId);
  }

  /** `version`: one of the book in which the task's endpoints are inactive. */
  hold(taskId: string, networkIds: readonly string[], version: number): void {
    if (this.#held.has(taskId)) return;
    const deadlineMs = this.#parts.clock.monotonicMs() + takenTimeoutMs;
    this.#held.set(taskId, { networkIds, version, deadlineMs, releaseAtMs: undefined });
    this.#schedule(deadlineMs);
  }

  /** It has ended by itself, or is gone. */
  drop(taskId: string): void {
    this.#held.delete(taskId);
  }

  /** To be called when a node has taken something in, or is there no more. */
  check(): void {
    if (this.#held.size === 0) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const takenByNetwork = new Map<string, number>();
    const late = new Map<string, Held>();
    let nextMs = Infinity;
    for (const [taskId, held] of this.#held) {
      if (held.releaseAtMs === undefined) {
        const waits = this.#waits(held, takenByNetwork);
        if (waits && nowMs >= held.deadlineMs) late.set(taskId, held);
        if (!waits || nowMs >= held.deadlineMs) held.releaseAtMs = nowMs + lingerMs;
      }
      if (held.releaseAtMs !== undefined && held.releaseAtMs <= nowMs) {
        this.#held.delete(taskId);
        this.#parts.release(taskId);
      } else {
        nextMs = Math.min(nextMs, held.releaseAtMs ?? held.deadlineMs);
      }
    }
    this.#schedule(nextMs);
    if (late.size > 0) this.#parts.onTimeout?.([...late.keys()], this.#behind([...late.values()]));
  }

  stop(): void {
    this.#held.clear();
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #waits({ networkIds, version }: Held, takenByNetwork: Map<string, number>): boolean {
    return networkIds.some((id) => {
      let taken = takenByNetwork.get(id);
      if (taken === undefined) takenByNetwork.set(id, (taken = this.#takenByAll(id)));
      return taken < version;
    });
  }

  #takenByAll(networkId: string): number {
    let least = Infinity;
    for (const nodeId of this.#parts.nodesOf(networkId)) {
      least = Math.min(least, this.#parts.taken(nodeId) ?? Infinity);
    }
    return least;
  }

  #behind(late: readonly Held[]): string[] {
    const version = Math.max(...late.map((held) => held.version));
    const networkIds = new Set(late.flatMap((held) => held.networkIds));
    const nodeIds = new Set([...networkIds].flatMap((id) => [...this.#parts.nodesOf(id)]));
    return [...nodeIds].filter((id) => (this.#parts.taken(id) ?? Infinity) < version);
  }

  /** One timer for all of them. One that comes too early does no harm. */
  #schedule(atMs: number): void {
    if (atMs === Infinity || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return;
    this.#timer?.timer.cancel();
    const { clock } = this.#parts;
    const timer = clock.after(atMs - clock.monotonicMs(), () => {
      this.#timer = undefined;
      this.check();
    });
    this.#timer = { atMs, timer };
  }
}
