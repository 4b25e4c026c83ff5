/** Brings snapshots to followers: one at a time to each, and with a pause after a failure. */
import type { MessageOf, NodeId, SnapshotMeta } from '../core/index.ts';

interface SenderParts {
  readonly read: () => Promise<{ meta: SnapshotMeta; data: Uint8Array } | undefined>;
  readonly send: (message: MessageOf<'snapshot'>, data: Uint8Array) => Promise<void>;
  readonly report: (to: NodeId, delivered: boolean) => void;
  readonly onProblem: (what: string, error: unknown) => void;
  /** How long a follower is left alone after a failure. */
  readonly pauseTicks: number;
}

export class SnapshotSender {
  readonly #parts: SenderParts;
  readonly #sending = new Set<NodeId>();
  /** Ticks until the failure is reported, and so the next attempt made. */
  readonly #paused = new Map<NodeId, number>();

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** The newest snapshot on the disk goes, whichever the message names. */
  send(message: MessageOf<'snapshot'>): void {
    const { to } = message;
    // One that an earlier term began goes on, and its end is reported in this term, too.
    if (this.#sending.has(to) || this.#paused.has(to)) return;
    this.#sending.add(to);
    this.#deliver(message).then(
      (delivered) => {
        this.#sending.delete(to);
        if (delivered) this.#parts.report(to, true);
        else this.#paused.set(to, this.#parts.pauseTicks);
      },
      (error: unknown) => {
        this.#sending.delete(to);
        this.#paused.set(to, this.#parts.pauseTicks);
        this.#parts.onProblem(`a snapshot could not be sent to ${to}`, error);
      },
    );
  }

  tick(): void {
    for (const [to, ticks] of this.#paused) {
      if (ticks > 1) {
        this.#paused.set(to, ticks - 1);
      } else {
        this.#paused.delete(to);
        this.#parts.report(to, false);
      }
    }
  }

  /** False when there is none. */
  async #deliver(message: MessageOf<'snapshot'>): Promise<boolean> {
    const found = await this.#parts.read();
    if (found === undefined) return false;
    await this.#parts.send({ ...message, snapshot: found.meta }, found.data);
    return true;
  }
}
