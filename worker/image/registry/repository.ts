/** One repository of a registry: its manifests and blobs, over whichever endpoint answers. */
import { createHash } from 'node:crypto';
import { withAbort } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Random } from '../../../lib/random.ts';
import type { RegistryAuth } from '../images.ts';
import { acceptedManifests, matchesDigest, maxManifestBytes, sha256 } from '../oci.ts';
import type { Descriptor } from '../oci.ts';
import { isDigest, type Reference } from '../reference.ts';
import type { Authorizer } from './auth.ts';
import type { Endpoint } from './endpoints.ts';
import { repositoryError } from './errors.ts';
import type { HttpClient, HttpResponse } from './http.ts';

export interface RepositoryDependencies {
  readonly http: HttpClient;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly retry: RetryPolicy;
}

export interface RetryPolicy {
  /** Tries of a manifest, or of a download that gets nowhere. */
  readonly attempts: number;
  /** The pause before the second try; each further one doubles it. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

export const defaultRetry: RetryPolicy = { attempts: 5, firstDelayMs: 250, maxDelayMs: 10_000 };

export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

interface Ask {
  readonly method: 'GET' | 'HEAD';
  /** Below "/v2/<name>/". */
  readonly resource: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly accept: readonly number[];
  readonly signal: AbortSignal | undefined;
}

/** A download that came this far since its last break counts as a fresh start. */
const progressBytes = 1024 * 1024;
const maxErrorBytes = 64 * 1024;

export class Repository {
  readonly #reference: Reference;
  readonly #auth: RegistryAuth | undefined;
  readonly #parts: RepositoryDependencies;
  /** The one that answered last comes first; what it rules out is gone. */
  #endpoints: readonly Endpoint[];
  #trouble: SwarmError | undefined;

  constructor(
    reference: Reference,
    endpoints: readonly Endpoint[],
    auth: RegistryAuth | undefined,
    dependencies: RepositoryDependencies,
  ) {
    this.#reference = reference;
    this.#endpoints = endpoints;
    this.#auth = auth;
    this.#parts = dependencies;
  }

  /** What last went wrong and was tried again. */
  get trouble(): SwarmError | undefined {
    return this.#trouble;
  }

  /** What the tag names now, without its contents; undefined where the registry does not tell. */
  async head(signal?: AbortSignal): Promise<Descriptor | undefined> {
    const response = await this.#retried(signal, () =>
      this.#ask({
        method: 'HEAD',
        resource: `manifests/${wanted(this.#reference)}`,
        headers: { accept: acceptedManifests },
        // Any answer will do: a HEAD carries no words, so the GET that follows shall fail instead.
        accept: [200, 400, 401, 403, 404, 405, 429],
        signal,
      }),
    );
    response.discard();
    const digest = response.header('docker-content-digest') ?? '';
    const size = Number(response.header('content-length') ?? Number.NaN);
    if (response.status !== 200 || !isDigest(digest) || !Number.isSafeInteger(size)) {
      return undefined;
    }
    return { mediaType: typeOf(response), digest, size };
  }

  /** By the reference's own digest or tag, or by the digest of an index's entry; verified. */
  async manifest(digest?: string, signal?: AbortSignal): Promise<FetchedManifest> {
    const name = digest ?? wanted(this.#reference);
    const { response, bytes } = await this.#retried(signal, async () => {
      const response = await this.#ask({
        method: 'GET',
        resource: `manifests/${name}`,
        headers: { accept: acceptedManifests },
        accept: [200],
        signal,
      });
      return { response, bytes: await response.bytes(maxManifestBytes) };
    });
    const told = response.header('docker-content-digest');
    const expected = isDigest(name)
      ? name
      : told !== undefined && isDigest(told)
        ? told
        : undefined;
    if (expected !== undefined && !matchesDigest(bytes, expected)) {
      throw corrupt(`manifest verification failed for digest ${expected}`);
    }
    const descriptor = {
      mediaType: typeOf(response),
      digest: expected ?? sha256(bytes),
      size: bytes.length,
    };
    return { descriptor, bytes };
  }

  /**
   * The blob's bytes from `offset` on. Broken downloads go on where they stopped; size and (from
   * offset 0) digest are checked at the end, before the last chunk's successor is asked for.
   */
  async *blob(
    blob: Descriptor,
    options: { offset?: number; signal?: AbortSignal } = {},
  ): AsyncGenerator<Buffer> {
    const { offset = 0, signal } = options;
    const { clock, log, retry } = this.#parts;
    const [algorithm = '', hex] = blob.digest.split(':');
    const hash = offset === 0 ? createHash(algorithm) : undefined;
    let position = offset;
    let failures = 0;
    while (position < blob.size) {
      const start = position;
      try {
        for await (const chunk of this.#blobFrom(blob, position, signal)) {
          position += chunk.length;
          hash?.update(chunk);
          yield chunk;
        }
        if (position < blob.size) throw cutShort(blob, position);
      } catch (thrown) {
        failures = position - start >= progressBytes ? 1 : failures + 1;
        if (!isUnavailable(thrown) || failures >= retry.attempts) throw thrown;
        log.warn('download broke off', {
          digest: blob.digest,
          position,
          failures,
          reason: thrown.message,
        });
        await clock.sleep(this.#pauseMs(failures), signal === undefined ? {} : { signal });
      }
    }
    if (hash !== undefined && hash.digest('hex') !== hex) {
      throw corrupt(`filesystem layer verification failed for digest ${blob.digest}`);
    }
  }

  async *#blobFrom(
    blob: Descriptor,
    position: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer> {
    const response = await this.#ask({
      method: 'GET',
      resource: `blobs/${blob.digest}`,
      headers: position === 0 ? {} : { range: `bytes=${position}-${blob.size - 1}` },
      accept: [200, 206],
      signal,
    });
    const from = firstByte(response);
    if (from > position) throw corrupt(`the registry sent another part of ${blob.digest}`);
    // A server that knows no ranges sends everything again.
    let skip = position - from;
    let left = blob.size - from;
    for await (const chunk of response.chunks()) {
      left -= chunk.length;
      if (left < 0) throw corrupt(`${blob.digest} is longer than the ${blob.size} bytes announced`);
      if (skip >= chunk.length) skip -= chunk.length;
      else {
        const rest = chunk.subarray(skip);
        skip = 0;
        yield rest;
      }
    }
  }

  /** Asks one endpoint after the other until one answers; sticks to that one from then on. */
  async #ask(ask: Ask): Promise<HttpResponse> {
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

  /** A registry that has answered over HTTPS is never asked over HTTP, whatever happens next. */
  #settleOn(endpoint: Endpoint): void {
    const others = this.#endpoints.filter((other) => other !== endpoint);
    this.#endpoints = endpoint.mirror ? [endpoint, ...others] : [endpoint];
  }

  async #askEndpoint(endpoint: Endpoint, ask: Ask): Promise<HttpResponse> {
    const { authorizer, http } = this.#parts;
    const target = {
      endpoint,
      path: this.#reference.path,
      actions: 'pull' as const,
      auth: this.#auth,
    };
    const url = new URL(`${endpoint.origin}/v2/${this.#reference.path}/${ask.resource}`);
    const send = async () => {
      const authorization = await authorizer.header(target, ask.signal);
      return http.send({
        method: ask.method,
        url,
        headers: {
          ...ask.headers,
          'user-agent': 'ts-swarm',
          ...(authorization === undefined ? {} : { authorization }),
        },
        verifyTls: endpoint.verifyTls,
        ...(ask.signal === undefined ? {} : { signal: ask.signal }),
      });
    };
    let response = await send();
    this.#settleOn(endpoint);
    if (response.status === 401) {
      response.discard();
      authorizer.learn(target, { method: ask.method, url }, response.header('www-authenticate'));
      response = await send();
    }
    if (ask.accept.includes(response.status)) return response;
    const body = ask.method === 'HEAD' ? Buffer.alloc(0) : await response.bytes(maxErrorBytes);
    const answer = { method: ask.method, url, status: response.status, body };
    throw repositoryError(this.#reference, answer);
  }

  /** Tries again after trouble that passes: resets, time-outs, overload. */
  async #retried<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    const { clock, log, retry } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      try {
        // The look-up of a name takes its time, whatever the signal says.
        return await withAbort(run(), signal);
      } catch (thrown) {
        const passes = isUnavailable(thrown) && thrown.details['transient'] === true;
        if (signal?.aborted || !passes || failures >= retry.attempts) throw thrown;
        this.#trouble = thrown;
        log.warn('registry is asked again', { failures, reason: thrown.message });
        await clock.sleep(this.#pauseMs(failures), signal === undefined ? {} : { signal });
      }
    }
  }

  /** Doubles with every failure; spread out, so that a cluster's nodes do not come back as one. */
  #pauseMs(failures: number): number {
    const { random, retry } = this.#parts;
    const fullMs = Math.min(retry.maxDelayMs, retry.firstDelayMs * 2 ** (failures - 1));
    return fullMs * (0.5 + random.float() / 2);
  }
}

function wanted(reference: Reference): string {
  return reference.digest ?? reference.tag ?? 'latest';
}

function typeOf(response: HttpResponse): string {
  return (response.header('content-type') ?? '').split(';')[0]?.trim() ?? '';
}

/** Where the body begins: 0, unless the server heeded the range. */
function firstByte(response: HttpResponse): number {
  if (response.status !== 206) return 0;
  const match = /^bytes (\d+)-/.exec(response.header('content-range') ?? '');
  return match === null ? 0 : Number(match[1]);
}

function isUnavailable(thrown: unknown): thrown is SwarmError {
  return thrown instanceof SwarmError && thrown.code === 'unavailable';
}

function cutShort(blob: Descriptor, position: number): SwarmError {
  const message = `${blob.digest} ended after ${position} of ${blob.size} bytes; try again`;
  return new SwarmError('unavailable', message, { details: { transient: true } });
}

function corrupt(what: string): SwarmError {
  return new SwarmError(
    'failed-precondition',
    `${what}; push the image again or ask the registry's operator`,
  );
}
