/**
 * Which nodes are there, by when they were last heard of. Pure: times are passed in, and come from
 * a clock that never jumps.
 */
import { awayGraceMs, downAfterMs, suspectAfterMs, unknownGraceMs } from './period.ts';

type NodeLife = 'unknown' | 'ready' | 'disconnected' | 'down';

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
  /** Its daemon has said that it is away; it is not missed before then. */
  awayUntilMs: number;
}

/** As long as it takes to read what waits, and to let nodes in that have come anew. */
const holdMs = 1_000;
const holdMaxMs = 2_000;

export class LivenessTracker {
  readonly #nodes = new Map<string, Entry>();
  #heldFromMs: number | undefined;
  #heldUntilMs = -Infinity;

  get size(): number {
    return this.#nodes.size;
  }

  life(nodeId: string): NodeLife | undefined {
    return this.#nodes.get(nodeId)?.life;
  }

  /** A node that has not been heard of yet; it gets a longer grace. */
  expect(nodeId: string, nowMs: number, periodMs: number): void {
    this.#nodes.set(nodeId, newEntry('unknown', nowMs, periodMs));
  }

  /** A node known to be down: it stays so until it is heard of. */
  expectDown(nodeId: string, nowMs: number, periodMs: number): void {
    this.#nodes.set(nodeId, newEntry('down', nowMs, periodMs));
  }

  /** Anything at all came from the node. */
  heard(nodeId: string, nowMs: number): Transition | undefined {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined) return undefined;
    const was = entry.life;
    entry.life = 'ready';
    entry.sinceMs = nowMs;
    entry.awayUntilMs = -Infinity;
    return was === 'ready' ? undefined : { nodeId, to: 'ready', reason: '' };
  }

  /** The node is being told this period; until it is heard again it may keep the one before. */
  told(nodeId: string, periodMs: number): void {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined) return;
    entry.periodMs = Math.max(entry.toldMs, periodMs);
    entry.toldMs = periodMs;
  }

  /**
   * The node's session has broken off: suspicion at once, and the grace counts from now. For one
   * that is suspect already it goes on as it was, and one that is away is expected back.
   */
  lost(nodeId: string, nowMs: number): Transition | undefined {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined || entry.life === 'down' || entry.life === 'disconnected') {
      return undefined;
    }
    if (nowMs < entry.awayUntilMs) return undefined;
    entry.life = 'disconnected';
    entry.sinceMs = nowMs;
    return { nodeId, to: 'disconnected', reason: 'the session broke off' };
  }

  /** The node has said that its daemon ends, and that it means to be back. */
  away(nodeId: string, nowMs: number): void {
    const entry = this.#nodes.get(nodeId);
    if (entry?.life === 'ready') entry.awayUntilMs = nowMs + awayGraceMs(entry.periodMs);
  }

  /** The node has said that it ends. */
  left(nodeId: string, reason: string): Transition | undefined {
    const entry = this.#nodes.get(nodeId);
    if (entry === undefined || entry.life === 'down') return undefined;
    entry.life = 'down';
    return { nodeId, to: 'down', reason };
  }

  forget(nodeId: string): void {
    this.#nodes.delete(nodeId);
  }

  clear(): void {
    this.#nodes.clear();
    this.#heldFromMs = undefined;
    this.#heldUntilMs = -Infinity;
  }

  /**
   * The listener itself stood still, which must not be taken for the nodes' silence: nobody is
   * judged until what they said meanwhile has been read. On a machine so busy that this is said
   * again and again, nodes are judged every now and then all the same, as what they say is read in
   * between.
   */
  stoodStill(nowMs: number): void {
    this.#heldFromMs ??= nowMs;
    this.#heldUntilMs = Math.min(nowMs + holdMs, this.#heldFromMs + holdMaxMs);
  }

  /** When `check` may have something to say, if nothing else happens before; Infinity for never. */
  get dueMs(): number {
    let firstMs = Infinity;
    for (const entry of this.#nodes.values()) firstMs = Math.min(firstMs, dueMs(entry));
    return firstMs;
  }

  /** What has become of those that are silent. */
  check(nowMs: number): Transition[] {
    if (nowMs < this.#heldUntilMs) return [];
    this.#heldFromMs = undefined;
    const transitions: Transition[] = [];
    for (const [nodeId, entry] of this.#nodes) {
      if (nowMs < dueMs(entry)) continue;
      const { to } = silence[entry.life];
      entry.life = to;
      const reason = to === 'down' ? 'heartbeat failure' : 'heartbeats were missed';
      transitions.push({ nodeId, to, reason });
    }
    return transitions;
  }
}

/** What becomes of a node that is silent, and after how long; one that is down stays so. */
const silence: Readonly<
  Record<NodeLife, { readonly to: NodeLife; readonly afterMs: (periodMs: number) => number }>
> = {
  unknown: { to: 'down', afterMs: unknownGraceMs },
  ready: { to: 'disconnected', afterMs: suspectAfterMs },
  disconnected: { to: 'down', afterMs: downAfterMs },
  down: { to: 'down', afterMs: () => Infinity },
};

function newEntry(life: NodeLife, nowMs: number, periodMs: number): Entry {
  return { life, sinceMs: nowMs, periodMs, toldMs: periodMs, awayUntilMs: -Infinity };
}

function dueMs({ life, sinceMs, periodMs, awayUntilMs }: Entry): number {
  return Math.max(awayUntilMs, sinceMs + silence[life].afterMs(periodMs));
}
