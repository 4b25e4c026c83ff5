/** Asks a registry: over whichever endpoint answers, with credentials, and again where it helps. */
import { withAbort } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Random } from '../../../lib/random.ts';
import type { RegistryAuth } from '../images.ts';
import type { Authorizer, AuthTarget } from './auth.ts';
import type { Endpoint } from './endpoints.ts';
import type { HttpClient, HttpResponse, Upload } from './http.ts';

interface AskerDependencies {
  readonly http: HttpClient;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly retry: RetryPolicy;
}

export interface RetryPolicy {
  /** Tries of a manifest, or of a transfer that gets nowhere. */
  readonly attempts: number;
  /** The pause before the second try; each further one doubles it. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

export const defaultRetry: RetryPolicy = { attempts: 5, firstDelayMs: 250, maxDelayMs: 10_000 };

/** What is asked for, and how its failures are told. */
interface Subject {
  /** "library/busybox"; empty where the registry as a whole is meant. */
  readonly path: string;
  readonly actions: AuthTarget['actions'];
  /** Repositories of the same registry that blobs are taken from. */
  readonly sources?: readonly string[];
  readonly auth: RegistryAuth | undefined;
  fault(answer: FailedAnswer): SwarmError;
}

export interface FailedAnswer {
  readonly method: string;
  readonly url: URL;
  readonly status: number;
  readonly body: Buffer;
}

interface Ask {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  /** Below "/v2/<name>/"; from the root, with a slash; or where the registry has pointed to. */
  readonly resource: string | URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly accept: readonly number[];
  readonly upload?: Upload;
  readonly signal: AbortSignal | undefined;
}

const maxErrorBytes = 64 * 1024;

export class Asker {
  readonly #subject: Subject;
  readonly #parts: AskerDependencies;
  /** The one that answered last comes first; what it rules out is gone. */
  #endpoints: readonly Endpoint[];
  #trouble: SwarmError | undefined;

  constructor(subject: Subject, endpoints: readonly Endpoint[], dependencies: AskerDependencies) {
    this.#subject = subject;
    this.#endpoints = endpoints;
    this.#parts = dependencies;
  }

  /** What last went wrong and was tried again. */
  get trouble(): SwarmError | undefined {
    return this.#trouble;
  }

  /** Asks one endpoint after the other until one answers; sticks to that one from then on. */
  async ask(ask: Ask): Promise<HttpResponse> {
    let failure: unknown;
    for (const endpoint of this.#endpoints) {
      try {
        return await this.#askEndpoint(endpoint, ask);
      } catch (thrown) {
        ask.signal?.throwIfAborted();
        // HTTPS that does not work leads to HTTP where that is allowed; an answer is final, but
        // for a mirror's.
        const settled = this.#endpoints.length === 1 && this.#endpoints[0] === endpoint;
        if (settled) throw thrown;
        failure = thrown;
      }
    }
    throw failure;
  }

  /** Tries again after trouble that passes: resets, time-outs, overload. */
  async retried<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    const { log, retry } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      try {
        // The look-up of a name takes its time, whatever the signal says.
        return await withAbort(run(), signal);
      } catch (thrown) {
        const passes = isUnavailable(thrown) && thrown.details['transient'] === true;
        if (signal?.aborted || !passes || failures >= retry.attempts) throw thrown;
        this.#trouble = thrown;
        log.warn('registry is asked again', { failures, reason: thrown.message });
        await this.pause(failures, signal);
      }
    }
  }

  /** Doubles with every failure; spread out, so that a cluster's nodes do not come back as one. */
  async pause(failures: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, random, retry } = this.#parts;
    const fullMs = Math.min(retry.maxDelayMs, retry.firstDelayMs * 2 ** (failures - 1));
    const pauseMs = fullMs * (0.5 + random.float() / 2);
    await clock.sleep(pauseMs, signal === undefined ? {} : { signal });
  }

  /** A registry that has answered over HTTPS is never asked over HTTP, whatever happens next. */
  #settleOn(endpoint: Endpoint): void {
    const others = this.#endpoints.filter((other) => other !== endpoint);
    this.#endpoints = endpoint.mirror ? [endpoint, ...others] : [endpoint];
  }

  async #askEndpoint(endpoint: Endpoint, ask: Ask): Promise<HttpResponse> {
    const { authorizer, http } = this.#parts;
    const { auth, actions, path, sources = [] } = this.#subject;
    const target = { endpoint, path, actions, sources, auth };
    const url = this.#urlOf(endpoint, ask.resource);
    // Where a registry sends uploads to another host, our credentials are none of its business.
    const isOwn = url.origin === endpoint.origin;
    const send = async () => {
      const authorization = isOwn ? await authorizer.header(target, ask.signal) : undefined;
      return http.send({
        method: ask.method,
        url,
        headers: {
          ...ask.headers,
          'user-agent': 'ts-swarm',
          ...(authorization === undefined ? {} : { authorization }),
        },
        verifyTls: endpoint.verifyTls,
        ...(ask.upload === undefined ? {} : { upload: ask.upload }),
        ...(ask.signal === undefined ? {} : { signal: ask.signal }),
      });
    };
    let response = await send();
    this.#settleOn(endpoint);
    if (response.status === 401 && isOwn) {
      response.discard();
      authorizer.learn(target, { method: ask.method, url }, response.header('www-authenticate'));
      response = await send();
    }
    if (ask.accept.includes(response.status)) return response;
    const body = ask.method === 'HEAD' ? Buffer.alloc(0) : await response.bytes(maxErrorBytes);
    throw this.#subject.fault({ method: ask.method, url, status: response.status, body });
  }

  #urlOf({ origin }: Endpoint, resource: string | URL): URL {
    if (typeof resource !== 'string') return resource;
    if (resource.startsWith('/')) return new URL(origin + resource);
    const { path } = this.#subject;
    return new URL(`${origin}/v2/${path === '' ? '' : `${path}/`}${resource}`);
  }
}

export function isUnavailable(thrown: unknown): thrown is SwarmError {
  return thrown instanceof SwarmError && thrown.code === 'unavailable';
}
