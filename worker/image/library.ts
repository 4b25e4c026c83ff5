/** What is present: image records read back into images, by name, id or start of an id. */
import { SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Image } from './images.ts';
import {
  chainIds,
  maxConfigBytes,
  maxManifestBytes,
  parseConfig,
  parseManifest,
  type ConfigFile,
  type Descriptor,
  type Manifest,
  type OciPlatform,
} from './oci.ts';
import { readImageConfig } from './image-config.ts';
import { chooseManifest, normalizePlatform } from './platform.ts';
import {
  canonicalString,
  digestString,
  familiarString,
  tryParseReference,
  withDefaultTag,
} from './reference.ts';
import type { ContentStore } from './store/content.ts';
import { sameRepository, type ImageRecord, type Records } from './store/records.ts';
import type { Unpacker } from './store/unpack.ts';

/** One platform's image behind a target, read from the content store. Never changes. */
export interface Resolved {
  /** Digest of the configuration. */
  readonly id: string;
  readonly manifest: Manifest;
  readonly manifestDigest: string;
  readonly manifestBytes: number;
  readonly config: ConfigFile;
  readonly chainIds: readonly string[];
  /** Of each layer unpacked, bottom first. */
  readonly layerBytes: readonly number[];
}

/** An id or a start of one, with or without its algorithm. */
const idPattern = /^(?:sha256:)?[0-9a-f]{1,64}$/;

export class Library {
  readonly #records: Records;
  readonly #content: ContentStore;
  readonly #unpacker: Unpacker;
  readonly #runnable: readonly OciPlatform[];
  readonly #log: Logger;
  /** By digest of the target; only what is complete, and only while a record names it. */
  readonly #resolved = new Map<string, Resolved>();

  constructor(
    parts: { records: Records; content: ContentStore; unpacker: Unpacker },
    runnable: readonly OciPlatform[],
    log: Logger,
  ) {
    this.#records = parts.records;
    this.#content = parts.content;
    this.#unpacker = parts.unpacker;
    this.#runnable = runnable;
    this.#log = log;
  }

  /** Undefined where a blob or a snapshot is missing: the image must be fetched again. */
  async resolve(target: Descriptor): Promise<Resolved | undefined> {
    const known = this.#resolved.get(target.digest);
    if (known === undefined) return this.#readAnew(target);
    const top = known.chainIds.at(-1);
    if (top === undefined || (await this.#unpacker.has(top))) return known;
    this.#resolved.delete(target.digest);
    return undefined;
  }

  /**
   * The records of all images that are complete, with what they stand for. That an image read
   * before is still unpacked is not looked up for each: see `find`.
   */
  async entries(): Promise<readonly { record: ImageRecord; resolved: Resolved }[]> {
    const records = await this.#records.list();
    const entries = [];
    for (const record of records) {
      try {
        const known = this.#resolved.get(record.target.digest);
        const resolved = known ?? (await this.#readAnew(record.target));
        if (resolved !== undefined) entries.push({ record, resolved });
      } catch (thrown) {
        const { code, message } = SwarmError.from(thrown);
        // A record that cannot be read must not hide the others; a containerd that is away must.
        if (code !== 'failed-precondition') throw thrown;
        this.#log.warn('image cannot be read', { name: record.name, reason: message });
      }
    }
    const live = new Set(records.map(({ target }) => target.digest));
    for (const digest of this.#resolved.keys()) {
      if (!live.has(digest)) this.#resolved.delete(digest);
    }
    return entries;
  }

  async list(): Promise<readonly Image[]> {
    const groups = Map.groupBy(await this.entries(), ({ resolved }) => resolved.id);
    return [...groups.values()].map((group) => toImage(group));
  }

  async get(nameOrId: string): Promise<Image | undefined> {
    return (await this.find(nameOrId))?.image;
  }

  /**
   * The image, all its records, and the one that was named (absent when it was found by id).
   * Throws `invalid-argument` when several images' ids begin so.
   */
  async find(nameOrId: string): Promise<
    | {
        image: Image;
        named: ImageRecord | undefined;
        records: readonly ImageRecord[];
        resolved: Resolved;
      }
    | undefined
  > {
    const entries = await this.entries();
    const named = findNamed(entries, nameOrId);
    const id = named?.resolved.id ?? findId(entries, nameOrId);
    const group = entries.filter(({ resolved }) => resolved.id === id);
    const [first] = group;
    if (first === undefined || (await this.resolve(first.record.target)) === undefined) {
      return undefined;
    }
    return {
      image: toImage(group, named?.record),
      named: named?.record,
      records: group.map(({ record }) => record),
      resolved: named?.resolved ?? first.resolved,
    };
  }

  /** What the target stands for is looked up again: not all of it may be here any more. */
  forget(digest: string): void {
    this.#resolved.delete(digest);
  }

  async #readAnew(target: Descriptor): Promise<Resolved | undefined> {
    try {
      const resolved = await this.#read(target);
      if (resolved !== undefined) this.#resolved.set(target.digest, resolved);
      return resolved;
    } catch (thrown) {
      if (thrown instanceof SwarmError && thrown.code === 'not-found') return undefined;
      throw thrown;
    }
  }

  async #read(target: Descriptor): Promise<Resolved | undefined> {
    const top = parseManifest(
      await this.#content.read(target.digest, maxManifestBytes),
      target.mediaType,
    );
    if (top.kind === 'manifest') return this.#readManifest(target, top);
    const best = chooseManifest(top.manifests, this.#runnable);
    // Without the one that runs here, the name stands for another that is whole.
    for (const entry of new Set([...(best === undefined ? [] : [best]), ...top.manifests])) {
      if ((await this.#content.info(entry.digest)) === undefined) continue;
      const manifest = parseManifest(await this.#content.read(entry.digest, maxManifestBytes));
      if (manifest.kind === 'index') continue;
      const resolved = await this.#readManifest(entry, manifest);
      if (resolved !== undefined) return resolved;
    }
    return undefined;
  }

  async #readManifest(chosen: Descriptor, manifest: Manifest): Promise<Resolved | undefined> {
    const config = parseConfig(await this.#content.read(manifest.config.digest, maxConfigBytes));
    const chain = chainIds(config.diffIds);
    const layerBytes: number[] = [];
    for (const chainId of chain) {
      const bytes = await this.#unpacker.sizeBytes(chainId);
      if (bytes === undefined) return undefined;
      layerBytes.push(bytes);
    }
    const id = manifest.config.digest;
    return {
      id,
      manifest,
      manifestDigest: chosen.digest,
      manifestBytes: chosen.size,
      config,
      chainIds: chain,
      layerBytes,
    };
  }
}

type Entry = { readonly record: ImageRecord; readonly resolved: Resolved };

function findNamed(entries: readonly Entry[], name: string): Entry | undefined {
  const parsed = tryParseReference(name);
  if (parsed === undefined) return undefined;
  const reference = withDefaultTag(parsed);
  const wanted =
    reference.digest === undefined
      ? canonicalString(reference)
      : digestString(reference, reference.digest);
  const exact = entries.find(({ record }) => record.name === wanted);
  if (exact !== undefined || reference.digest === undefined) return exact;
  return entries.find(
    ({ record }) => record.target.digest === reference.digest && sameRepository(record, reference),
  );
}

function findId(entries: readonly Entry[], text: string): string | undefined {
  if (!idPattern.test(text)) return undefined;
  const start = text.startsWith('sha256:') ? text : `sha256:${text}`;
  const ids = new Set(
    entries.map(({ resolved }) => resolved.id).filter((id) => id.startsWith(start)),
  );
  const [id] = ids;
  if (ids.size > 1) {
    throw new SwarmError(
      'invalid-argument',
      `ambiguous image id ${JSON.stringify(text)}: ${ids.size} images' ids begin so; give more of it`,
    );
  }
  return id;
}

/** `group`: all records of one image. What it is like, the first one's `resolved` says. */
export function toImage(group: readonly Entry[], named?: ImageRecord): Image {
  const [first] = group;
  if (first === undefined) throw new SwarmError('internal', 'an image without a record');
  const { config, chainIds, id, layerBytes, manifest, manifestBytes, manifestDigest } =
    first.resolved;
  const references = group
    .map(({ record }) => record.reference)
    .filter((reference) => reference !== undefined);
  const repoTags = references.filter(({ digest }) => digest === undefined).map(familiarString);
  const repoDigests = references.filter(({ digest }) => digest !== undefined).map(familiarString);
  const platform = normalizePlatform(config);
  const name = named?.reference === undefined ? undefined : familiarString(named.reference);
  return {
    id,
    repoTags,
    repoDigests,
    createdAt: config.created ?? '0001-01-01T00:00:00Z',
    sizeBytes: layerBytes.reduce((sum, bytes) => sum + bytes, 0),
    layerBytes,
    platform: { architecture: platform.architecture, os: platform.os },
    config: readImageConfig(config.raw),
    rootfs: { name: name ?? repoTags[0] ?? repoDigests[0] ?? id, chainId: chainIds.at(-1) ?? '' },
    rawConfig: config.raw,
    target: (named ?? first.record).target,
    manifest: {
      mediaType: manifest.mediaType,
      digest: manifestDigest,
      size: manifestBytes,
      platform,
    },
  };
}
