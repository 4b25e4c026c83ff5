/**
 * Questions that are not the swarm's go to other name servers: one after the other, without waiting
 * for a silent one longer than a moment, and never longer than a stub resolver waits for us.
 */
import type { Clock, Timer } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { AnswerCache } from './cache.ts';
import type { Ask, Exchange, NameServer } from './exchange.ts';
import {
  addressedTo,
  headerBytes,
  isTruncated,
  layoutOf,
  questionKey,
  rcodeOf,
  rcodes,
  refusal,
} from './wire.ts';

/** The next server is asked too when one is silent for so long. */
const patienceMs = 800;
/** Stub resolvers give up after five seconds. */
const deadlineMs = 4500;
/** What a server has said in part is passed on where nobody has said more by then. */
const partPatienceMs = 1500;
const rounds = 2;
const serversMax = 3;
/** Of all containers together; a question more is answered with a failure at once. */
const inFlightMax = 1024;
/** A server that was silent is asked last for so long. */
const avoidMs = 10_000;
const avoidedMax = 256;
const cacheLimits = {
  entries: 2000,
  bytes: 1 << 20,
  positiveSeconds: 300,
  negativeSeconds: 5,
} as const;

/** Where a container's foreign questions go. */
export interface Via {
  /** Answers are shared among those with the same key. */
  readonly key: string;
  readonly servers: readonly NameServer[];
  readonly netnsPath?: string;
}

interface ForwarderDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly udp: Exchange;
  readonly tcp: Exchange;
}

export class Forwarder implements Disposable {
  readonly #deps: ForwarderDeps;
  readonly #cache = new AnswerCache(cacheLimits);
  /** Those who ask the same at the same time wait for the same answer. */
  readonly #asked = new Map<string, Promise<Buffer | undefined>>();
  /** Silent servers, and until when they come last. */
  readonly #avoided = new Map<string, number>();
  /** Ends each question that is on its way. */
  readonly #running = new Set<() => void>();
  #inFlight = 0;

  constructor(deps: ForwarderDeps) {
    this.#deps = deps;
  }

  [Symbol.dispose](): void {
    for (const end of this.#running) end();
  }

  /** Never rejects: where nobody answers, the answer says so. As long as it is: cut it to fit. */
  async forward(query: Buffer, questionEnd: number, via: Via): Promise<Buffer> {
    const failure = () => refusal(query, rcodes.serverFailure, questionEnd);
    // All that can change an answer: flags, question, and what EDNS adds.
    const key = [
      via.key,
      query.toString('latin1', 2, headerBytes),
      questionKey(query, questionEnd),
      query.toString('latin1', questionEnd),
    ].join(' ');
    const cached = this.#cache.get(key, this.#deps.clock.monotonicMs());
    if (cached !== undefined) return addressedTo(query, questionEnd, cached);
    if (this.#inFlight >= inFlightMax || via.servers.length === 0) return failure();
    this.#inFlight++;
    try {
      let asked = this.#asked.get(key);
      if (asked === undefined) {
        asked = this.#ask(query, questionEnd, via).finally(() => this.#asked.delete(key));
        this.#asked.set(key, asked);
      }
      const answer = await asked;
      if (answer === undefined) return failure();
      this.#cache.set(key, answer, this.#deps.clock.monotonicMs());
      return addressedTo(query, questionEnd, answer);
    } finally {
      this.#inFlight--;
    }
  }

  /** The first good answer; else a part of one; else a bad one (SERVFAIL, REFUSED); else none. */
  #ask(query: Buffer, questionEnd: number, via: Via): Promise<Buffer | undefined> {
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
    const stop = new AbortController();
    const end = () => resolve(undefined);
    this.#running.add(end);
    const servers = this.#inOrder(via.servers);
    const attempts = Array.from({ length: rounds }, () => servers).flat();
    const deadline = this.#deps.clock.after(deadlineMs, () => resolve(part ?? bad));
    let bad: Buffer | undefined;
    let part: Buffer | undefined;
    let partTimer: Timer | undefined;
    let pending = 0;
    let timer: Timer | undefined;
    const next = () => {
      timer?.cancel();
      const server = attempts.shift();
      if (server === undefined) {
        if (pending === 0) resolve(part ?? bad);
        return;
      }
      pending++;
      timer = this.#deps.clock.after(patienceMs, () => {
        this.#avoid(server);
        next();
      });
      const { netnsPath } = via;
      const ask = {
        query,
        questionEnd,
        server,
        signal: stop.signal,
        ...(netnsPath === undefined ? {} : { netnsPath }),
      };
      const onPart = (cut: Buffer) => {
        if (!isGood(cut) || part !== undefined) return;
        part = cut;
        partTimer = this.#deps.clock.after(partPatienceMs, () => resolve(cut));
      };
      void this.#exchange(ask, onPart).then((answer) => {
        pending--;
        if (stop.signal.aborted) return;
        if (answer !== undefined && isGood(answer)) resolve(answer);
        else {
          bad ??= answer;
          next();
        }
      });
    };
    next();
    return promise.finally(() => {
      this.#running.delete(end);
      deadline.cancel();
      timer?.cancel();
      partTimer?.cancel();
      stop.abort(new Error('answered'));
    });
  }

  /**
   * Undefined: this server does not answer. The part of a long answer is better than none: it is
   * told at once, for where firewalls let UDP through alone, there will be no more.
   */
  async #exchange(ask: Ask, onPart: (cut: Buffer) => void): Promise<Buffer | undefined> {
    let answer: Buffer;
    try {
      answer = sound(await this.#deps.udp(ask));
    } catch (error) {
      if (ask.signal.aborted) return undefined;
      this.#deps.log.debug('a name server does not answer', { server: ask.server, error });
      this.#avoid(ask.server);
      return undefined;
    }
    this.#avoided.delete(nameOf(ask.server));
    if (!isTruncated(answer)) return answer;
    onPart(answer);
    try {
      return sound(await this.#deps.tcp(ask));
    } catch (error) {
      this.#deps.log.debug('a name server answers in part only', { server: ask.server, error });
      return answer;
    }
  }

  #avoid(server: NameServer): void {
    if (this.#avoided.size >= avoidedMax) this.#avoided.clear();
    this.#avoided.set(nameOf(server), this.#deps.clock.monotonicMs() + avoidMs);
  }

  #inOrder(servers: readonly NameServer[]): readonly NameServer[] {
    const nowMs = this.#deps.clock.monotonicMs();
    const isAvoided = (server: NameServer) => (this.#avoided.get(nameOf(server)) ?? 0) > nowMs;
    const some = servers.slice(0, serversMax);
    return [...some.filter((server) => !isAvoided(server)), ...some.filter(isAvoided)];
  }
}

/** Throws for bytes that are not a whole message. */
function sound(answer: Buffer): Buffer {
  layoutOf(answer);
  return answer;
}

function isGood(answer: Buffer): boolean {
  const rcode = rcodeOf(answer);
  return rcode === rcodes.noError || rcode === rcodes.noSuchName;
}

function nameOf({ address, port }: NameServer): string {
  return `${address} ${port}`;
}
