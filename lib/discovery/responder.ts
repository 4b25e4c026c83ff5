/** A manager's side: answers those of its swarm who ask where managers are. */
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { NodeIdentity } from '../identity/index.ts';
import type { Logger } from '../log.ts';
import { bodyOf, open, seal } from './datagram.ts';
import type { Listening, Udp } from './udp.ts';

export interface ResponderParts {
  readonly identity: NodeIdentity;
  readonly udp: Pick<Udp, 'listen'>;
  /** The cluster port's number: datagrams come to the same. */
  readonly port: number;
  /** What is answered: where this manager is. */
  readonly addr: () => string;
  readonly isRemoved: (nodeId: string) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * What this costs at most, whoever sends: verifying takes a third of a millisecond. A swarm of a
 * thousand nodes that have lost their managers asks less often.
 */
const questionsPerSecond = 200;

/** Throws nothing once it listens: what cannot be answered is dropped. */
export class Responder implements AsyncDisposable {
  readonly #parts: ResponderParts;
  #listening: Listening | undefined;
  #second = 0;
  #questions = 0;

  constructor(parts: ResponderParts) {
    this.#parts = parts;
  }

  /** Where it cannot listen, this host is found by what it says itself, or by hand. */
  async start(): Promise<void> {
    const { udp, port, log } = this.#parts;
    try {
      this.#listening = await udp.listen(port, (bytes, answer) => this.#take(bytes, answer));
    } catch (error) {
      log.warn('nodes that look for managers on this network will not be heard', {
        port,
        error: messageOf(error),
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listening?.[Symbol.asyncDispose]();
  }

  #take(bytes: Uint8Array, answer: (bytes: Uint8Array) => void): void {
    const { identity, addr, isRemoved, log } = this.#parts;
    try {
      const unverified = bodyOf(identity, bytes);
      if (unverified?.message.case !== 'ask' || this.#isTooMuch()) return;
      const { body, sender } = open(identity, bytes);
      if (body.message.case !== 'ask' || isRemoved(sender.nodeId)) return;
      const { nonce } = body.message.value;
      answer(seal(identity, { case: 'answer', value: { nonce, addr: addr() } }));
    } catch (error) {
      log.debug('a datagram was dropped', { error: messageOf(error) });
    }
  }

  #isTooMuch(): boolean {
    const second = Math.floor(this.#parts.clock.monotonicMs() / 1_000);
    if (second !== this.#second) this.#questions = 0;
    this.#second = second;
    this.#questions += 1;
    return this.#questions > questionsPerSecond;
  }
}
