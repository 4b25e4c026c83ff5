/**
 * Which nodes are there, by when they were last heard of. Pure: times are passed in, and come from
 * a clock that never jumps.
 */
import { downAfterMs, suspectAfterMs, unknownGraceMs } from './period.ts';

export type NodeLife = 'unknown' | 'ready' | 'disconnected' | 'down';

/** A node's life has changed: what the managers are to be told. */
export interface Transition {
  readonly nodeId: string;
  readonly to: NodeLife;
  readonly reason: string;
}

interface Entry {
  life: NodeLife;
  /** When it was last heard of, when its session broke, or since when it is waited for. */
  sinceMs: number;
  /** The longest period that it may be keeping, and the last one that it was told. */
  periodMs: number;
  toldMs: number;
}

export class LivenessTracker {
  readonly #nodes = new Map<string, Entry>();

  get size(): number {
    return this.#nodes.size;
  }

  life(nodeId: string): NodeLife | undefined {
    return this.#nodes.get(nodeId)?.life;
  }

  /** A node that has not been heard of yet; it gets a longer grace. */
  expect(nodeId: string, nowMs: number, periodMs: number): void {
    this.#nodes.set(nodeId, { life: 'unknown', sinceMs: nowMs, periodMs, toldMs: periodMs });
  }

  /** A node known to be down: it stays so until it is heard of. */
  expectDown(nodeId: string, nowMs: number, periodMs: number): void {
    this.#nodes.set(nodeId, { life: 'down', sinceMs: nowMs, periodMs, toldMs: periodMs });
  }

  /** Anything at all came from the node. */
  heard(nodeId: string, nowMs: number): Transition | undefined {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined) return undefined;
    const was = entry.life;
    entry.life = 'ready';
    entry.sinceMs = nowMs;
    return was === 'ready' ? undefined : { nodeId, to: 'ready', reason: '' };
  }

  /** The node is being told this period; until it is heard again it may keep the one before. */
  told(nodeId: string, periodMs: number): void {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined) return;
    entry.periodMs = Math.max(entry.toldMs, periodMs);
    entry.toldMs = periodMs;
  }

  /** The node's session has broken off: suspicion at once, and the grace counts from now. */
  lost(nodeId: string, nowMs: number): Transition | undefined {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined || entry.life === 'down') return undefined;
    const was = entry.life;
    entry.life = 'disconnected';
    entry.sinceMs = nowMs;
    if (was === 'disconnected') return undefined;
    return { nodeId, to: 'disconnected', reason: 'the session broke off' };
  }

  /** The node has said that it leaves. */
  left(nodeId: string): Transition | undefined {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined || entry.life === 'down') return undefined;
    entry.life = 'down';
    return { nodeId, to: 'down', reason: 'the node has left' };
  }

  forget(nodeId: string): void {
    this.#nodes.delete(nodeId);
  }

  clear(): void {
    this.#nodes.clear();
  }

  /** The listener's own standstill must not be taken for the nodes' silence. */
  postpone(byMs: number): void {
    for (const entry of this.#nodes.values()) entry.sinceMs += byMs;
  }

  /** What has become of those that are silent. */
  check(nowMs: number): Transition[] {
    const transitions: Transition[] = [];
    for (const [nodeId, entry] of this.#nodes) {
      const to = judge(entry, nowMs - entry.sinceMs);
      if (to === entry.life) continue;
      entry.life = to;
      const reason = to === 'down' ? 'heartbeat failure' : 'heartbeats were missed';
      transitions.push({ nodeId, to, reason });
    }
    return transitions;
  }
}

function judge({ life, periodMs }: Entry, silentMs: number): NodeLife {
  if (life === 'unknown') return silentMs >= unknownGraceMs(periodMs) ? 'down' : life;
  if (life === 'ready') return silentMs >= suspectAfterMs(periodMs) ? 'disconnected' : life;
  if (life === 'disconnected') return silentMs >= downAfterMs(periodMs) ? 'down' : life;
  return life;
}
