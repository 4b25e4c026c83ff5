/** `docker load`: the images of a `docker save` archive, or of an OCI one. */
import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import type { Logger } from '../../../lib/log.ts';
import { SwarmError } from '../../../lib/errors.ts';
import {
  chainIds,
  isObject,
  maxConfigBytes,
  maxManifestBytes,
  mediaTypes,
  parseConfig,
  parseManifest,
  type Descriptor,
  type Manifest,
  type OciPlatform,
} from '../oci.ts';
import { chooseManifest, formatPlatform, normalizePlatform } from '../platform.ts';
import { canonicalString, isDigest, tryParseReference, withDefaultTag } from '../reference.ts';
import type { ContentStore } from '../store/content.ts';
import { configLabels, indexLabels, manifestLabels } from '../store/labels.ts';
import type { Lease, Leases } from '../store/leases.ts';
import type { Records } from '../store/records.ts';
import type { Unpacker } from '../store/unpack.ts';
import { writeManifest } from './import.ts';
import { readArchive, type ArchiveEntry } from './read.ts';

interface LoadParts {
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly records: Records;
  readonly unpacker: Unpacker;
  readonly log: Logger;
}

interface LoadedImage {
  readonly id: string;
  /** Canonical; absent for an image that the archive does not name. */
  readonly name: string | undefined;
}

interface Job {
  readonly lease: Lease;
  /** Of an index, just this one. */
  readonly platform: OciPlatform | undefined;
}

interface StoredFile {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
}

interface Contents {
  readonly files: ReadonlyMap<string, StoredFile>;
  readonly links: ReadonlyMap<string, string>;
  readonly index: Buffer | undefined;
  readonly dockerManifest: Buffer | undefined;
}

/** What says which images there are; the rest is stored as it comes. */
const indexFile = 'index.json';
const dockerManifestFile = 'manifest.json';
/** Of the oldest archives: nothing is read from them. */
const legacyNames = new Set(['json', 'VERSION', 'repositories', 'oci-layout']);
const maxFiles = 10_000;
const maxLinkDepth = 16;

/** Throws `invalid-argument` for an archive that holds no images, or broken ones. */
export class ArchiveLoader {
  readonly #parts: LoadParts;
  readonly #runnable: readonly OciPlatform[];

  constructor(parts: LoadParts, runnable: readonly OciPlatform[]) {
    this.#parts = parts;
    this.#runnable = runnable;
  }

  load(
    archive: AsyncIterable<Uint8Array>,
    platform?: OciPlatform,
  ): Promise<readonly LoadedImage[]> {
    return this.#parts.leases.during('load', async (lease) => {
      const contents = await this.#store(archive, lease);
      if (contents.index !== undefined) return this.#loadOci(contents.index, { lease, platform });
      if (contents.dockerManifest !== undefined) {
        return this.#loadDocker(contents, contents.dockerManifest, { lease, platform });
      }
      throw invalid(
        'the archive holds neither index.json nor manifest.json; give the output of docker save, ' +
          'an OCI archive, or use import for a file system',
      );
    });
  }

  /** Every file becomes a blob: the archive is read once, and what names them may come last. */
  async #store(archive: AsyncIterable<Uint8Array>, lease: Lease): Promise<Contents> {
    const files = new Map<string, StoredFile>();
    const links = new Map<string, string>();
    let index: Buffer | undefined;
    let dockerManifest: Buffer | undefined;
    for await (const entry of readArchive(archive)) {
      const { path, type } = entry;
      if (files.size + links.size > maxFiles) throw invalid(`more than ${maxFiles} files`);
      if (type === 'symlink') {
        links.set(path, posix.join(posix.dirname(path), entry.linkTarget));
      } else if (type === 'link') {
        links.set(path, entry.linkTarget.replace(/^(?:\.?\/)+/, ''));
      } else if (type === 'file' && path === indexFile) {
        index = await small(entry);
      } else if (type === 'file' && path === dockerManifestFile) {
        dockerManifest = await small(entry);
      } else if (type === 'file' && !legacyNames.has(posix.basename(path))) {
        files.set(path, await this.#storeFile(entry, lease));
      }
    }
    return { files, links, index, dockerManifest };
  }

  async #storeFile(entry: ArchiveEntry, lease: Lease): Promise<StoredFile> {
    const head: { bytes: Buffer } = { bytes: Buffer.alloc(0) };
    async function* watched(): AsyncGenerator<Uint8Array> {
      for await (const chunk of entry.content) {
        if (head.bytes.length < 4) {
          head.bytes = Buffer.concat([head.bytes, chunk.subarray(0, 4)]);
        }
        yield chunk;
      }
    }
    const [, algorithm = '', hex = ''] = /^blobs\/(\w+)\/(\w+)$/.exec(entry.path) ?? [];
    const named = `${algorithm}:${hex}`;
    const ref = `load-${randomUUID()}`;
    const write = { ref, leaseId: lease.id, ...(isDigest(named) ? { digest: named } : {}) };
    try {
      const { digest, size } = await this.#parts.content.write(write, (offset) =>
        withoutStart(watched(), offset),
      );
      return { digest, size, mediaType: layerType(head.bytes) };
    } catch (thrown) {
      if (!(thrown instanceof SwarmError && thrown.code === 'failed-precondition')) throw thrown;
      const message = `the archive's ${entry.path} is damaged: ${thrown.message}`;
      throw new SwarmError('invalid-argument', message, { cause: thrown });
    }
  }

  async #loadOci(index: Buffer, job: Job): Promise<readonly LoadedImage[]> {
    const document = parseManifest(index, mediaTypes.ociIndex);
    if (document.kind !== 'index') throw invalid("the archive's index.json is no index");
    const loaded: LoadedImage[] = [];
    for (const entry of document.manifests) {
      const installed = await this.#installTarget(entry, ociName(entry), job);
      if (installed === undefined) continue;
      const { id, target } = installed;
      loaded.push(await this.#record(target, id, ociName(entry)));
    }
    if (loaded.length === 0) throw invalid('the archive holds no image for this platform');
    return loaded;
  }

  async #loadDocker(contents: Contents, bytes: Buffer, job: Job): Promise<readonly LoadedImage[]> {
    const loaded: LoadedImage[] = [];
    for (const { config, layers, names } of readDockerManifest(bytes)) {
      const configFile = find(contents, config);
      const target = await writeManifest(
        this.#parts.content,
        job.lease,
        { ...configFile, mediaType: mediaTypes.ociConfig },
        layers.map((path) => find(contents, path)),
      );
      const installed = await this.#installTarget(target, names[0], job);
      if (installed === undefined) continue;
      const { id } = installed;
      for (const name of names) loaded.push(await this.#record(target, id, name));
      if (names.length === 0) loaded.push(await this.#record(target, id, undefined));
    }
    if (loaded.length === 0) throw invalid("the archive's manifest.json names no image");
    return loaded;
  }

  /** Unpacks what a stored manifest, or the best entry of a stored index, describes. */
  async #installTarget(
    target: Descriptor,
    name: string | undefined,
    job: Job,
  ): Promise<{ id: string; target: Descriptor } | undefined> {
    const { lease, platform } = job;
    const document = parseManifest(await this.#read(target.digest), target.mediaType);
    if (document.kind === 'manifest') {
      if (!(await this.#isFor(document, platform))) throw otherPlatform(name, target, job);
      await this.#install(target.digest, document, lease);
      return { id: document.config.digest, target };
    }
    const present = await this.#presentOf(document.manifests);
    const wanted = platform === undefined ? this.#runnable : [platform];
    const descriptors = present.map(({ descriptor }) => descriptor);
    // As with a pull, of none that runs here there is still one to look at, save and push.
    const other = descriptors.find((one) => (one.platform?.os ?? 'unknown') !== 'unknown');
    const best = chooseManifest(descriptors, wanted) ?? (platform ? undefined : other);
    const chosen = present.find(({ descriptor }) => descriptor === best);
    if (chosen === undefined && platform !== undefined) throw otherPlatform(name, target, job);
    if (chosen === undefined) return undefined;
    const { descriptor, manifest } = chosen;
    await this.#install(descriptor.digest, manifest, lease);
    const id = manifest.config.digest;
    if (platform !== undefined) return { id, target: descriptor };
    for (const one of present) {
      await this.#parts.content.setLabels(one.descriptor.digest, manifestLabels(one.manifest));
    }
    const digests = descriptors.map(({ digest }) => digest);
    await this.#parts.content.setLabels(target.digest, indexLabels(digests));
    return { id, target };
  }

  /** An archive may list platforms that it does not hold, or does not hold all of. */
  async #presentOf(entries: readonly Descriptor[]) {
    const { content } = this.#parts;
    const present: { descriptor: Descriptor; manifest: Manifest }[] = [];
    for (const descriptor of entries) {
      if ((await content.info(descriptor.digest)) === undefined) continue;
      const manifest = parseManifest(await this.#read(descriptor.digest), descriptor.mediaType);
      if (manifest.kind !== 'manifest') throw invalid('the archive nests an index in an index');
      const blobs = [manifest.config, ...manifest.layers];
      const infos = await Promise.all(blobs.map(({ digest }) => content.info(digest)));
      if (infos.every((info) => info !== undefined)) present.push({ descriptor, manifest });
    }
    return present;
  }

  async #isFor(manifest: Manifest, platform: OciPlatform | undefined): Promise<boolean> {
    if (platform === undefined) return true;
    const config = parseConfig(await this.#read(manifest.config.digest));
    return formatPlatform(normalizePlatform(config)) === formatPlatform(platform);
  }

  async #install(digest: string, manifest: Manifest, lease: Lease): Promise<void> {
    const { content, unpacker } = this.#parts;
    const config = parseConfig(await this.#read(manifest.config.digest));
    const { diffIds } = config;
    if (diffIds.length !== manifest.layers.length) {
      throw invalid(
        `the image has ${manifest.layers.length} layers, but its configuration names ` +
          `${diffIds.length}`,
      );
    }
    const chain = chainIds(diffIds);
    await content.setLabels(
      manifest.config.digest,
      configLabels(unpacker.snapshotter, chain.at(-1)),
    );
    for (const [index, layer] of manifest.layers.entries()) {
      const chainId = chain[index] ?? '';
      const diffId = diffIds[index] ?? '';
      await unpacker.unpack(layer, { parent: chain[index - 1], chainId, diffId }, lease);
    }
    await content.setLabels(digest, manifestLabels(manifest));
  }

  async #record(target: Descriptor, id: string, name: string | undefined): Promise<LoadedImage> {
    const { log, records } = this.#parts;
    const reference = name === undefined ? undefined : tryParseReference(name);
    if (name !== undefined && reference === undefined) {
      log.warn('an archive names an image in a way that is no reference', { name });
    }
    if (reference === undefined) {
      await records.putNameless(target);
      return { id, name: undefined };
    }
    const canonical = canonicalString(withDefaultTag(reference));
    await records.assign(canonical, target);
    return { id, name: canonical };
  }

  async #read(digest: string): Promise<Buffer> {
    try {
      const limit = Math.max(maxConfigBytes, maxManifestBytes);
      return await this.#parts.content.read(digest, limit);
    } catch (thrown) {
      if (!(thrown instanceof SwarmError && thrown.code === 'not-found')) throw thrown;
      throw invalid(`the archive names ${digest}, but does not hold it`);
    }
  }
}

/** What containerd has of it already: of a blob that was removed a moment ago, all. */
async function* withoutStart(
  content: AsyncIterable<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array> {
  let passed = 0;
  for await (const chunk of content) {
    const skipped = Math.min(chunk.length, Math.max(0, offset - passed));
    passed += chunk.length;
    if (skipped < chunk.length) yield chunk.subarray(skipped);
  }
}

async function small(entry: ArchiveEntry): Promise<Buffer> {
  if (entry.sizeBytes > maxManifestBytes) {
    throw invalid(`${entry.path} is longer than ${maxManifestBytes} bytes`);
  }
  const parts: Uint8Array[] = [];
  for await (const part of entry.content) parts.push(part);
  return Buffer.concat(parts);
}

interface DockerEntry {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

function readDockerManifest(bytes: Buffer): readonly DockerEntry[] {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString('utf8'));
  } catch (thrown) {
    throw new SwarmError('invalid-argument', 'manifest.json is not JSON', { cause: thrown });
  }
  if (!Array.isArray(document)) throw invalid('manifest.json is not a list of images');
  const texts = (value: unknown) =>
    Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
  return document.filter(isObject).map((entry) => {
    const config = entry['Config'];
    if (typeof config !== 'string') throw invalid('manifest.json names no configuration');
    return { config, layers: texts(entry['Layers']), names: texts(entry['RepoTags']) };
  });
}

/** Follows links: archives hold a layer that several images share once. */
function find({ files, links }: Contents, path: string): StoredFile {
  let current = posix.normalize(path);
  for (let depth = 0; depth < maxLinkDepth; depth += 1) {
    const file = files.get(current);
    if (file !== undefined) return file;
    const next = links.get(current);
    if (next === undefined) break;
    current = next;
  }
  throw invalid(`the archive names ${JSON.stringify(path)}, but does not hold it`);
}

/** containerd's full name, or the OCI one; a bare tag is no name for an image here. */
function ociName({ annotations = {} }: Descriptor): string | undefined {
  const full = annotations['io.containerd.image.name'];
  if (full !== undefined) return full;
  const name = annotations['org.opencontainers.image.ref.name'];
  return name !== undefined && /[:/]/.test(name) ? name : undefined;
}

function layerType(head: Buffer): string {
  if (head[0] === 0x1f && head[1] === 0x8b) return `${mediaTypes.ociLayer}+gzip`;
  const zstd = head.length >= 4 && head.readUInt32BE(0) === 0x28b52ffd;
  return zstd ? `${mediaTypes.ociLayer}+zstd` : mediaTypes.ociLayer;
}

function otherPlatform(
  name: string | undefined,
  { digest }: Descriptor,
  { platform }: Job,
): SwarmError {
  const wanted = platform === undefined ? '' : formatPlatform(platform);
  return new SwarmError(
    'not-found',
    `image ${name ?? digest} was found but does not provide the specified platform (${wanted})`,
  );
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
