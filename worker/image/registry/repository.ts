/** One repository of a registry: its manifests and blobs, over whichever endpoint answers. */
import { createHash } from 'node:crypto';
import { SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { acceptedManifests, isObject, matchesDigest, maxManifestBytes, sha256 } from '../oci.ts';
import type { Descriptor } from '../oci.ts';
import { isDigest, type Reference } from '../reference.ts';
import { isUnavailable, type Asker } from './asker.ts';
import type { HttpResponse } from './http.ts';

export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** A download that came this far since its last break counts as a fresh start. */
const progressBytes = 1024 * 1024;
const maxTagListBytes = 4 * 1024 * 1024;
const maxTags = 10_000;

export class Repository {
  readonly #reference: Reference;
  readonly #asker: Asker;
  readonly #log: Logger;
  readonly #attempts: number;

  constructor(reference: Reference, asker: Asker, options: { log: Logger; attempts: number }) {
    this.#reference = reference;
    this.#asker = asker;
    this.#log = options.log;
    this.#attempts = options.attempts;
  }

  /** What last went wrong and was tried again. */
  get trouble(): SwarmError | undefined {
    return this.#asker.trouble;
  }

  /** What the tag names now, without its contents; undefined where the registry does not tell. */
  async head(signal?: AbortSignal): Promise<Descriptor | undefined> {
    const response = await this.#asker.retried(signal, () =>
      this.#asker.ask({
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
    const { response, bytes } = await this.#asker.retried(signal, async () => {
      const response = await this.#asker.ask({
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
        if (!isUnavailable(thrown) || failures >= this.#attempts) throw thrown;
        this.#log.warn('download broke off', {
          digest: blob.digest,
          position,
          failures,
          reason: thrown.message,
        });
        await this.#asker.pause(failures, signal);
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
    const response = await this.#asker.ask({
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

  /** The repository's tags, in the registry's order. */
  async tags(signal?: AbortSignal): Promise<readonly string[]> {
    const tags: string[] = [];
    let next: string | URL | undefined = 'tags/list';
    while (next !== undefined) {
      const resource: string | URL = next;
      const ask = { method: 'GET', resource, headers: {}, accept: [200], signal } as const;
      const { response, bytes } = await this.#asker.retried(signal, async () => {
        const response = await this.#asker.ask(ask);
        return { response, bytes: await response.bytes(maxTagListBytes) };
      });
      tags.push(...readTags(bytes));
      if (tags.length > maxTags) throw corrupt(`the registry lists more than ${maxTags} tags`);
      next = nextPage(response);
    }
    return tags;
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

function readTags(bytes: Buffer): readonly string[] {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    const message = 'the registry answers with a list of tags that is not JSON';
    throw new SwarmError('failed-precondition', message, { cause });
  }
  const tags: unknown = isObject(document) ? document['tags'] : undefined;
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

/** Long lists come in pages: `Link: </v2/…?n=100&last=x>; rel="next"`. */
function nextPage(response: HttpResponse): URL | undefined {
  const [, target = ''] = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.header('link') ?? '') ?? [];
  if (target === '' || !URL.canParse(target, response.url.href)) return undefined;
  const url = new URL(target, response.url.href);
  return url.origin === response.url.origin ? url : undefined;
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
