/** Brings an image from its registry: manifest, configuration and layers, unpacked and recorded. */
import { linkAbort, withAbort } from '../../lib/abort.ts';
import { assert } from '../../lib/assert.ts';
import type { Clock } from '../../lib/clock.ts';
import { KeyedMutex, Semaphore } from '../../lib/concurrency.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { PullProgress, RegistryAuth } from './images.ts';
import type { Library, Resolved } from './library.ts';
import {
  chainIds,
  maxConfigBytes,
  parseConfig,
  parseManifest,
  type ConfigFile,
  type Descriptor,
  type Manifest,
  type OciPlatform,
} from './oci.ts';
import { chooseManifest, formatPlatform, normalizePlatform } from './platform.ts';
import { canonicalString, digestString, familiarString, type Reference } from './reference.ts';
import type { FetchedManifest, RegistryClient, Repository } from './registry/index.ts';
import type { ContentStore } from './store/content.ts';
import { configLabels, indexLabels, manifestLabels } from './store/labels.ts';
import type { Lease, Leases } from './store/leases.ts';
import { sameRepository, type ImageRecord, type Records } from './store/records.ts';
import type { Unpacker } from './store/unpack.ts';

export interface PullParts {
  readonly registry: RegistryClient;
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly records: Records;
  readonly unpacker: Unpacker;
  readonly library: Library;
  readonly clock: Clock;
  readonly log: Logger;
}

type Report = (progress: PullProgress) => void;

/** Layers downloaded at a time by one pull, and by all together: each holds a few MiB. */
const downloadsPerPull = 3;
const downloadsInAll = 9;
/**
 * How long a registry may take to say what a name stands for, all tries together: a task waits for
 * it. Shorter where a present image can serve.
 */
const answerMs = { present: 5_000, absent: 15_000 } as const;
/** Progress of one layer is told no more often than this. */
const progressPeriodMs = 100;

export class Puller {
  readonly #parts: PullParts;
  readonly #runnable: readonly OciPlatform[];
  readonly #downloads = new Semaphore(downloadsInAll);
  readonly #blobs = new KeyedMutex();

  constructor(parts: PullParts, runnable: readonly OciPlatform[]) {
    this.#parts = parts;
    this.#runnable = runnable;
  }

  /**
   * `reference` has a tag or a digest. With a platform, the name stands for the image of just that
   * platform from then on. Answers whether something new was brought.
   */
  async pull(request: PullRequest): Promise<{ resolved: Resolved; isNew: boolean }> {
    const { reference, platform } = request;
    const present = await this.#present(reference);
    const isFitting =
      present !== undefined && (platform === undefined || isFor(present.resolved.config, platform));
    if (isFitting && reference.digest !== undefined) {
      return { resolved: present.resolved, isNew: false };
    }
    try {
      return await this.#fromRegistry(request, isFitting ? present : undefined);
    } catch (thrown) {
      const unreachable = thrown instanceof SwarmError && thrown.code === 'unavailable';
      if (!isFitting || !unreachable) throw thrown;
      this.#parts.log.warn('registry is out of reach, the present image is used', {
        image: familiarString(reference),
        reason: thrown.message,
      });
      return { resolved: present.resolved, isNew: false };
    }
  }

  async #present(
    reference: Reference,
  ): Promise<{ record: ImageRecord; resolved: Resolved } | undefined> {
    const { library, records } = this.#parts;
    const { digest } = reference;
    const record =
      digest === undefined
        ? await records.get(canonicalString(reference))
        : (await records.list()).find(
            (candidate) =>
              candidate.target.digest === digest && sameRepository(candidate, reference),
          );
    const resolved = record === undefined ? undefined : await library.resolve(record.target);
    return record === undefined || resolved === undefined ? undefined : { record, resolved };
  }

  async #fromRegistry(
    { reference, auth, platform, signal, report }: PullRequest,
    present: { record: ImageRecord; resolved: Resolved } | undefined,
  ): Promise<{ resolved: Resolved; isNew: boolean }> {
    const { leases, library } = this.#parts;
    const { repository, top } = await this.#ask(reference, auth, present?.record, signal);
    // Said as soon as it is known that there is something: what fails before fails without a word.
    report({ id: wantedOf(reference), status: `Pulling from ${reference.path}` });
    const target =
      top === undefined
        ? present?.record.target
        : await leases.during('pull', (lease) =>
            this.#fetch({ reference, platform, repository, lease, signal, report }, top),
          );
    assert(target !== undefined, 'only what is present is not asked for');
    const resolved = await library.resolve(target);
    if (resolved === undefined) {
      throw new SwarmError(
        'internal',
        `${familiarString(reference)} was pulled, but its parts were removed at once; pull it again`,
      );
    }
    report({ status: `Digest: ${target.digest}` });
    return { resolved, isNew: present?.record.target.digest !== target.digest };
  }

  /** Its manifest, unless it is the one that is present. */
  async #ask(
    reference: Reference,
    auth: RegistryAuth | undefined,
    present: ImageRecord | undefined,
    signal: AbortSignal,
  ): Promise<{ repository: Repository; top: FetchedManifest | undefined }> {
    const { clock, registry } = this.#parts;
    const limitMs = present === undefined ? answerMs.absent : answerMs.present;
    let repository: Repository | undefined;
    using patience = linkAbort(signal);
    const timer = clock.after(limitMs, () => {
      const silence = `registry ${reference.domain} did not answer within ${limitMs / 1000} s`;
      const message = repository?.trouble?.message ?? silence;
      patience.abort(new SwarmError('unavailable', message, { cause: repository?.trouble }));
    });
    try {
      repository = await withAbort(registry.repository(reference, auth), patience.signal);
      const remote = present === undefined ? undefined : await repository.head(patience.signal);
      if (present !== undefined && remote?.digest === present.target.digest) {
        return { repository, top: undefined };
      }
      return { repository, top: await repository.manifest(undefined, patience.signal) };
    } finally {
      timer.cancel();
    }
  }

  async #fetch(job: Job, top: FetchedManifest): Promise<Descriptor> {
    const { content, records } = this.#parts;
    const { reference, platform, repository, lease, signal } = job;
    const document = parseManifest(top.bytes, top.descriptor.mediaType);
    const listed = { ...top.descriptor, mediaType: document.mediaType };
    let target: Descriptor = listed;
    if (document.kind === 'manifest') {
      await this.#fetchImage(job, target, top.bytes, document);
    } else {
      const chosen = this.#choose(document.manifests, job);
      const inner = await repository.manifest(chosen.digest, signal);
      const manifest = parseManifest(inner.bytes, inner.descriptor.mediaType);
      if (manifest.kind !== 'manifest') {
        throw new SwarmError('failed-precondition', 'an index inside an index cannot be pulled');
      }
      await this.#fetchImage(job, inner.descriptor, inner.bytes, manifest);
      if (platform !== undefined) target = { ...inner.descriptor, mediaType: manifest.mediaType };
      await content.write(
        {
          ref: `manifest-${listed.digest}`,
          leaseId: lease.id,
          digest: listed.digest,
          size: top.bytes.length,
          labels: indexLabels([chosen.digest]),
        },
        (offset) => once(top.bytes, offset),
      );
    }
    await records.assign(digestString(reference, listed.digest), target);
    if (reference.digest === undefined) await records.assign(canonicalString(reference), target);
    return target;
  }

  /** Configuration, layers and at last the manifest: what it refers to is there before it is. */
  async #fetchImage(
    job: Job,
    target: Descriptor,
    bytes: Buffer,
    manifest: Manifest,
  ): Promise<void> {
    const { content } = this.#parts;
    const { lease, reference } = job;
    const config = await this.#fetchConfig(job, manifest.config);
    if (config.diffIds.length !== manifest.layers.length) {
      throw new SwarmError(
        'failed-precondition',
        `${familiarString(reference)} has ${manifest.layers.length} layers, but its configuration ` +
          `names ${config.diffIds.length}; only container images can be pulled`,
      );
    }
    const { platform } = job;
    if (platform !== undefined && !isFor(config, platform)) {
      throw new SwarmError(
        'not-found',
        `image with reference ${familiarString(reference)} was found but its platform ` +
          `(${formatPlatform(normalizePlatform(config))}) does not match the specified platform ` +
          `(${formatPlatform(platform)})`,
      );
    }
    await this.#fetchLayers(job, manifest.layers, config);
    // A push to the same registry can then point to them.
    for (const { digest } of [manifest.config, ...manifest.layers]) {
      await content.addSource(digest, reference);
    }
    await content.write(
      {
        ref: `manifest-${target.digest}`,
        leaseId: lease.id,
        digest: target.digest,
        size: bytes.length,
        labels: manifestLabels(manifest),
      },
      (offset) => once(bytes, offset),
    );
  }

  async #fetchConfig(job: Job, descriptor: Descriptor): Promise<ConfigFile> {
    const { content, unpacker } = this.#parts;
    const { lease, repository, signal } = job;
    if (descriptor.size > maxConfigBytes) {
      const message = `the image's configuration is longer than ${maxConfigBytes} bytes`;
      throw new SwarmError('failed-precondition', message);
    }
    const { digest, size } = descriptor;
    const write = { ref: `config-${digest}`, leaseId: lease.id, digest, size, signal };
    await this.#blobs.run(
      digest,
      () => content.write(write, (offset) => repository.blob(descriptor, { offset, signal })),
      signal,
    );
    const config = parseConfig(await content.read(digest, maxConfigBytes));
    const top = chainIds(config.diffIds).at(-1);
    await content.setLabels(digest, configLabels(unpacker.snapshotter, top));
    return config;
  }

  /** Layers come in parallel, and are unpacked in order as soon as it is their turn. */
  async #fetchLayers(job: Job, layers: readonly Descriptor[], config: ConfigFile): Promise<void> {
    using abort = linkAbort(job.signal);
    const slots = new Semaphore(downloadsPerPull);
    const signal = abort.signal;
    for (const layer of layers) job.report({ id: shortId(layer), status: 'Pulling fs layer' });
    const downloads = layers.map((layer) =>
      slots.run(
        () => this.#downloads.run(() => this.#fetchLayer({ ...job, signal }, layer), signal),
        signal,
      ),
    );
    const settled = Promise.allSettled(downloads);
    try {
      const chain = chainIds(config.diffIds);
      for (const [index, layer] of layers.entries()) {
        await downloads[index];
        const unpacked = await this.#parts.unpacker.unpack(
          layer,
          {
            parent: chain[index - 1],
            chainId: chain[index] ?? '',
            diffId: config.diffIds[index] ?? '',
          },
          job.lease,
          {
            signal,
            onStart: () =>
              job.report({ id: shortId(layer), status: 'Extracting', totalBytes: layer.size }),
          },
        );
        const status = unpacked ? 'Pull complete' : 'Already exists';
        job.report({ id: shortId(layer), status });
      }
    } catch (thrown) {
      abort.abort(thrown);
      throw thrown;
    } finally {
      await settled;
    }
  }

  async #fetchLayer(job: Job, layer: Descriptor): Promise<void> {
    const { content } = this.#parts;
    const { lease, repository, report, signal } = job;
    const { digest, size } = layer;
    const write = { ref: `layer-${digest}`, leaseId: lease.id, digest, size, signal };
    const source = (offset: number) =>
      this.#told(layer, offset, repository.blob(layer, { offset, signal }), report);
    await this.#blobs.run(digest, () => content.write(write, source), signal);
    report({ id: shortId(layer), status: 'Download complete' });
  }

  async *#told(
    layer: Descriptor,
    offset: number,
    source: AsyncIterable<Buffer>,
    report: Report,
  ): AsyncGenerator<Buffer> {
    const { clock } = this.#parts;
    let currentBytes = offset;
    let toldMs = Number.NEGATIVE_INFINITY;
    for await (const chunk of source) {
      currentBytes += chunk.length;
      if (clock.monotonicMs() - toldMs >= progressPeriodMs) {
        toldMs = clock.monotonicMs();
        const id = shortId(layer);
        report({ id, status: 'Downloading', currentBytes, totalBytes: layer.size });
      }
      yield chunk;
    }
    report({ id: shortId(layer), status: 'Verifying Checksum' });
  }

  #choose(manifests: readonly Descriptor[], { platform, reference }: Job): Descriptor {
    const acceptable = platform === undefined ? this.#runnable : [platform];
    const chosen = chooseManifest(manifests, acceptable);
    if (chosen !== undefined) return chosen;
    const [host] = acceptable;
    const wanted = host === undefined ? 'this host' : formatPlatform(host);
    throw new SwarmError(
      'not-found',
      `no matching manifest for ${wanted} in the manifest list entries of ` +
        familiarString(reference),
    );
  }
}

interface PullRequest {
  readonly reference: Reference;
  readonly auth: RegistryAuth | undefined;
  /** Normalized; absent: the best one for this host. */
  readonly platform: OciPlatform | undefined;
  readonly signal: AbortSignal;
  readonly report: Report;
}

interface Job {
  readonly reference: Reference;
  readonly platform: OciPlatform | undefined;
  readonly repository: Repository;
  readonly lease: Lease;
  readonly signal: AbortSignal;
  readonly report: Report;
}

function isFor(config: ConfigFile, platform: OciPlatform): boolean {
  return formatPlatform(normalizePlatform(config)) === formatPlatform(platform);
}

function wantedOf({ digest, tag = 'latest' }: Reference): string {
  return digest ?? tag;
}

/** Docker shows the first twelve digits of a layer's digest. */
function shortId({ digest }: Descriptor): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}

async function* once(bytes: Uint8Array, offset: number): AsyncGenerator<Uint8Array> {
  if (offset < bytes.length) yield bytes.subarray(offset);
}
