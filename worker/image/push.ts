/** Sends an image to a registry: layers, configuration, and at last the manifest. */
import type { Clock } from '../../lib/clock.ts';
import { linkAbort } from '../../lib/abort.ts';
import { Semaphore } from '../../lib/concurrency.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { PullProgress, RegistryAuth } from './images.ts';
import type { Library } from './library.ts';
import { maxManifestBytes, type Descriptor, type OciPlatform } from './oci.ts';
import { PartReader, type Part } from './parts.ts';
import {
  canonicalName,
  canonicalString,
  digestString,
  familiarName,
  familiarString,
  type Reference,
} from './reference.ts';
import type { Destination, RegistryClient } from './registry/index.ts';
import type { ContentStore } from './store/content.ts';
import { sameRepository, type ImageRecord, type Records } from './store/records.ts';

interface PushParts {
  readonly registry: RegistryClient;
  readonly content: ContentStore;
  readonly records: Records;
  readonly library: Library;
  readonly clock: Clock;
}

type Report = (progress: PullProgress) => void;

interface PushRequest {
  readonly reference: Reference;
  readonly auth: RegistryAuth | undefined;
  /** Only the image of this platform, of those that the name stands for. */
  readonly platform: OciPlatform | undefined;
  readonly signal: AbortSignal;
  readonly report: Report;
}

interface Job {
  readonly reference: Reference;
  readonly destination: Destination;
  readonly signal: AbortSignal;
  readonly report: Report;
}

/** As many as Docker sends at a time. */
const uploadsPerPush = 5;
const progressPeriodMs = 100;

export class Pusher {
  readonly #parts: PushParts;
  readonly #reader: PartReader;

  constructor(parts: PushParts) {
    this.#parts = parts;
    this.#reader = new PartReader(parts);
  }

  /** Without a tag, all tags of the repository. Answers with what was pushed. */
  async push(request: PushRequest): Promise<void> {
    const { reference, report } = request;
    report({ status: `The push refers to repository [${canonicalName(reference)}]` });
    for (const record of await this.#wanted(reference)) await this.#pushOne(record, request);
  }

  async #wanted(reference: Reference): Promise<readonly Named[]> {
    const records = (await this.#parts.records.list()).filter(isNamed);
    if (reference.tag === undefined) {
      const tagged = records.filter(
        (record) => record.reference.tag !== undefined && sameRepository(record, reference),
      );
      if (tagged.length > 0) return tagged;
      const message = `An image does not exist locally with the tag: ${familiarName(reference)}`;
      throw new SwarmError('not-found', message);
    }
    const record = records.find(({ name }) => name === canonicalString(reference));
    if (record !== undefined) return [record];
    if (records.some((other) => sameRepository(other, reference))) {
      throw new SwarmError('not-found', `tag does not exist: ${familiarString(reference)}`);
    }
    const message = `An image does not exist locally with the tag: ${familiarName(reference)}`;
    throw new SwarmError('not-found', message);
  }

  async #pushOne({ reference, target }: Named, request: PushRequest): Promise<void> {
    const { content, records, registry } = this.#parts;
    const { auth, platform, report, signal } = request;
    const whole = platform === undefined ? await this.#reader.wholeIndex(target) : undefined;
    const single =
      whole === undefined ? await this.#reader.single(reference, target, platform) : undefined;
    const parts = whole ?? (single === undefined ? [] : [single]);
    const sources = await this.#sourcesOf(reference, parts);
    const destination = await registry.destination(reference, sources, auth);
    const job = { reference, destination, signal, report };
    for (const part of parts) await this.#pushParts(job, part);
    for (const { digest, mediaType, bytes } of whole ?? []) {
      await destination.putManifest(digest, { mediaType, bytes }, signal);
    }
    const top = single ?? {
      ...target,
      bytes: await content.read(target.digest, maxManifestBytes),
    };
    const { bytes, digest, mediaType } = top;
    const tag = reference.tag ?? 'latest';
    await destination.putManifest(tag, { mediaType, bytes }, signal);
    const size = bytes.length;
    report({ status: `${tag}: digest: ${digest} size: ${size}` });
    report({ status: '', aux: { Tag: tag, Digest: digest, Size: size } });
    // A name stands for all that it had: what was pushed of it alone is another image here.
    if (digest === target.digest) await records.assign(digestString(reference, digest), target);
  }

  /** Where in the same registry the layers came from: what is there need not be sent. */
  async #sourcesOf(reference: Reference, parts: readonly Part[]): Promise<readonly string[]> {
    const found = new Set<string>();
    for (const { digest } of parts.flatMap(({ manifest }) => manifest.layers)) {
      for (const path of await this.#parts.content.sources(digest, reference.domain)) {
        if (path !== reference.path) found.add(path);
      }
    }
    return [...found];
  }

  async #pushParts(job: Job, part: Part): Promise<void> {
    using abort = linkAbort(job.signal);
    const slots = new Semaphore(uploadsPerPush);
    const inner = { ...job, signal: abort.signal };
    const layers = part.manifest.layers.map((layer, index) => ({
      layer,
      id: shortId(part.diffIds[index] ?? layer.digest),
    }));
    for (const { id } of layers) job.report({ id, status: 'Preparing' });
    const uploads = layers.map(({ layer, id }) =>
      slots.run(() => this.#pushBlob(inner, layer, id), abort.signal),
    );
    const settled = Promise.allSettled(uploads);
    try {
      await Promise.all(uploads);
      await this.#pushBlob(inner, part.manifest.config, undefined);
    } catch (thrown) {
      abort.abort(thrown);
      throw thrown;
    } finally {
      await settled;
    }
  }

  /** `id` is absent for what is not worth a line. */
  async #pushBlob(job: Job, blob: Descriptor, id: string | undefined): Promise<void> {
    const { content } = this.#parts;
    const { destination, reference, signal } = job;
    const report = (status: string) => {
      if (id !== undefined) job.report({ id, status });
    };
    if (/foreign|nondistributable/.test(blob.mediaType)) {
      report('Skipped foreign layer');
      return;
    }
    const heldBy = (await content.sources(blob.digest, reference.domain))
      .filter((path) => path !== reference.path)
      .toReversed();
    const upload = {
      sizeBytes: blob.size,
      content: () => this.#told(job, blob, id),
    };
    const outcome = await destination.putBlob({ digest: blob.digest, heldBy, upload }, signal);
    await content.addSource(blob.digest, reference);
    if (outcome.kind === 'mounted') report(`Mounted from ${outcome.from}`);
    else report(outcome.kind === 'present' ? 'Layer already exists' : 'Pushed');
  }

  async *#told(
    { report, signal }: Job,
    { digest, size }: Descriptor,
    id: string | undefined,
  ): AsyncGenerator<Uint8Array> {
    const { clock, content } = this.#parts;
    let currentBytes = 0;
    let toldMs = Number.NEGATIVE_INFINITY;
    for await (const chunk of content.chunks(digest, signal)) {
      currentBytes += chunk.length;
      if (id !== undefined && clock.monotonicMs() - toldMs >= progressPeriodMs) {
        toldMs = clock.monotonicMs();
        report({ id, status: 'Pushing', currentBytes, totalBytes: size });
      }
      yield chunk;
    }
  }
}

type Named = ImageRecord & { readonly reference: Reference };

function isNamed(record: ImageRecord): record is Named {
  return record.reference !== undefined;
}

/** Docker names layers by what they are unpacked. */
function shortId(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}
