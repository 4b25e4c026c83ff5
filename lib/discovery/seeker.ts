/** A node's side: asks its own network where managers are, for as long as it has none. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { NodeIdentity } from '../identity/index.ts';
import type { Logger } from '../log.ts';
import { Recurring } from '../recurring.ts';
import type { Random } from '../random.ts';
import { bodyOf, open, seal } from './datagram.ts';
import type { Asking, Udp } from './udp.ts';

export interface FoundManager {
  readonly nodeId: string;
  readonly addr: string;
}

export interface SeekerParts {
  readonly identity: NodeIdentity;
  readonly udp: Pick<Udp, 'ask'>;
  /** Whether this node is without a manager. */
  readonly isLost: () => boolean;
  /** The numbers of the cluster ports that managers may have. */
  readonly ports: () => readonly number[];
  /** Other ways to look, at each attempt: addresses that were given by hand. */
  readonly lookElsewhere?: (options: { readonly signal: AbortSignal }) => Promise<void>;
  readonly onFound: (found: FoundManager) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const lookEveryMs = 1_000;
/** While there is none. */
const lookAgainMs = 250;
/** Longer than the lead takes to pass from one manager to another. */
const lostAfterMs = 1_500;
const askMinMs = 500;
const askMaxMs = 10_000;
const nonceBytes = 16;
/** More answers than there are managers to one question are not looked at. */
const answersMax = 64;

export class Seeker implements AsyncDisposable {
  readonly #parts: SeekerParts;
  readonly #work: Recurring;
  /** Since when there has been none. */
  #lostMs: number | undefined;

  constructor(parts: SeekerParts) {
    this.#parts = parts;
    const { clock, log } = parts;
    this.#work = new Recurring({
      restMs: () => (this.#lostMs === undefined ? lookEveryMs : lookAgainMs),
      round: () => this.#look(),
      onFailure: (error) => {
        log.warn('managers could not be looked for', { error: messageOf(error) });
        // Not at once again: what is missing, as a socket, may take a while to be there.
        this.#lostMs = clock.monotonicMs();
      },
      clock,
    });
  }

  start(): void {
    this.#lostMs = this.#parts.clock.monotonicMs();
    this.#work.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { clock, isLost } = this.#parts;
    if (isLost()) {
      this.#lostMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - this.#lostMs >= lostAfterMs) await this.#seek();
    } else this.#lostMs = undefined;
  }

  /** Until there is a manager again; more and more seldom. */
  async #seek(): Promise<void> {
    const { udp, isLost, random, log } = this.#parts;
    log.info('no manager can be reached: looking for them on the local network');
    const nonce = randomBytes(nonceBytes);
    let answers = 0;
    const asking = await udp.ask((bytes) => {
      answers += 1;
      if (answers <= answersMax) this.#take(bytes, nonce);
    });
    try {
      for (let pauseMs = askMinMs; isLost(); pauseMs = Math.min(askMaxMs, pauseMs * 2)) {
        answers = 0;
        await Promise.all([this.#askAll(asking, nonce), this.#lookElsewhere()]);
        if (!(await this.#pause(pauseMs * (0.5 + random.float() / 2)))) return;
      }
    } finally {
      await asking[Symbol.asyncDispose]();
    }
  }

  async #askAll(asking: Asking, nonce: Buffer): Promise<void> {
    const { identity, ports, log } = this.#parts;
    const question = seal(identity, { case: 'ask', value: { nonce } });
    for (const port of new Set(ports())) {
      try {
        await asking.everybody(port, question);
      } catch (error) {
        log.debug('cannot ask the local network', { port, error: messageOf(error) });
      }
    }
  }

  async #lookElsewhere(): Promise<void> {
    const { lookElsewhere, log } = this.#parts;
    try {
      await lookElsewhere?.({ signal: this.#work.signal });
    } catch (error) {
      log.debug('no manager was found elsewhere', { error: messageOf(error) });
    }
  }

  #take(bytes: Uint8Array, nonce: Buffer): void {
    const { identity, onFound, log } = this.#parts;
    try {
      if (bodyOf(identity, bytes)?.message.case !== 'answer') return;
      const { body, sender } = open(identity, bytes);
      if (body.message.case !== 'answer' || !nonce.equals(body.message.value.nonce)) return;
      const { addr } = body.message.value;
      const { nodeId, role } = sender;
      if (role !== 'manager' || nodeId === identity.nodeId) return;
      onFound({ nodeId, addr });
    } catch (error) {
      log.debug('an answer was dropped', { error: messageOf(error) });
    }
  }

  /** False once this is stopped. */
  async #pause(delayMs: number): Promise<boolean> {
    const { signal } = this.#work;
    if (signal.aborted) return false;
    try {
      await this.#parts.clock.sleep(delayMs, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return !signal.aborted;
  }
}
