/** The connections that clients of builds have open to this daemon, by their ids. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import { withAbort } from '../../../lib/abort.ts';
import type { Clock, Timer } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import { BuildSession } from './session.ts';

/** More than there can be builds that run or wait; each is a connection. */
const maxSessions = 64;
/** How long a session may be without a build. */
export const maxIdleMs = 30_000;
/** Clients open their session and ask for their build at once. */
export const arrivalMs = 10_000;

interface Entry {
  readonly session: BuildSession;
  users: number;
  idle: Timer | undefined;
}

export class BuildSessions implements Disposable {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** Those who wait for a session that is not there yet. */
  readonly #waiting = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Checks a request for a session, before it is answered. Throws `invalid-argument` and
   * `resource-exhausted`.
   */
  check(headers: IncomingHttpHeaders): void {
    const id = headerOf(headers, 'x-docker-expose-session-uuid');
    if (!/^[\w-]{1,128}$/.test(id)) {
      throw new SwarmError('invalid-argument', 'a session needs an id of letters and digits');
    }
    if (headers.upgrade !== 'h2c') {
      const said = headers.upgrade ?? '';
      const message =
        said === '' ? 'no upgrade proto in request' : `protocol ${said} not supported`;
      throw new SwarmError('invalid-argument', message);
    }
    if (this.#entries.has(id)) {
      throw new SwarmError('invalid-argument', `session ${id} already exists`);
    }
    if (this.#entries.size >= maxSessions) {
      throw new SwarmError(
        'resource-exhausted',
        `${maxSessions} sessions of builds are open on this node: try again when some have ended`,
      );
    }
  }

  /** Takes over the connection of a request that was checked. Resolves when it has closed. */
  async serve(headers: IncomingHttpHeaders, socket: Duplex): Promise<void> {
    const id = headerOf(headers, 'x-docker-expose-session-uuid');
    const methods = headerOf(headers, 'x-docker-expose-session-grpc-method').split(/,\s*/);
    using session = new BuildSession(id, socket, methods);
    const entry: Entry = { session, users: 0, idle: undefined };
    this.#entries.set(id, entry);
    this.#rest(entry);
    for (const wake of this.#waiting) wake();
    try {
      await session.closed;
    } finally {
      entry.idle?.cancel();
      this.#entries.delete(id);
    }
  }

  /** The session of this id, which is kept until it is given back. Throws `not-found`. */
  async use(
    id: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<{ readonly session: BuildSession } & Disposable> {
    const entry = this.#entries.get(id) ?? (await this.#arrival(id, signal));
    entry.users += 1;
    entry.idle?.cancel();
    const giveBack = () => {
      entry.users -= 1;
      if (entry.users === 0) this.#rest(entry);
    };
    return { session: entry.session, [Symbol.dispose]: giveBack };
  }

  /** Closes them all. */
  [Symbol.dispose](): void {
    for (const { session } of this.#entries.values()) session[Symbol.dispose]();
  }

  #rest(entry: Entry): void {
    entry.idle = this.#clock.after(maxIdleMs, () => entry.session[Symbol.dispose]());
  }

  async #arrival(id: string, signal: AbortSignal): Promise<Entry> {
    const { promise, resolve, reject } = Promise.withResolvers<Entry>();
    const wake = () => {
      const entry = this.#entries.get(id);
      if (entry !== undefined) resolve(entry);
    };
    const timer = this.#clock.after(arrivalMs, () => {
      reject(new SwarmError('not-found', `no active session for ${id}`));
    });
    this.#waiting.add(wake);
    try {
      return await withAbort(promise, signal);
    } finally {
      timer.cancel();
      this.#waiting.delete(wake);
    }
  }
}

/** Of a header that is repeated, Node makes one with commas. */
function headerOf(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return Array.isArray(value) ? value.join(',') : (value ?? '');
}
