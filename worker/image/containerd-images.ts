/** The port of images over containerd: wires pulls, what is present, and archives. */
import { createHash } from 'node:crypto';
import { linkAbort } from '../../lib/abort.ts';
import { SharedWork } from '../../lib/concurrency.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { ArchiveLoader } from './archive/load.ts';
import { saveArchive } from './archive/save.ts';
import { imagesToSave } from './archive/saved-names.ts';
import type { CommitRequest } from './commit.ts';
import type { ImageEvents } from './events.ts';
import type {
  Distribution,
  Image,
  ImageManifest,
  Images,
  PullProgress,
  RegistryAuth,
} from './images.ts';
import type { Library } from './library.ts';
import { describeDistribution } from './distribution.ts';
import { manifestsOf } from './manifests.ts';
import type { OciPlatform } from './oci.ts';
import { PartReader } from './parts.ts';
import { parsePlatform } from './platform.ts';
import type { Puller } from './pull.ts';
import type { Pusher } from './push.ts';
import {
  canonicalString,
  familiarName,
  familiarString,
  parseReference,
  tryParseReference,
  withDefaultTag,
} from './reference.ts';
import { pruneImages, type PruneOptions, type Pruned } from './prune.ts';
import type { RegistryClient, SearchResult } from './registry/index.ts';
import { planRemoval } from './remove.ts';
import type { ContentStore } from './store/content.ts';
import type { Leases } from './store/leases.ts';
import type { Unpacker } from './store/unpack.ts';
import type { ImageRecord, Records } from './store/records.ts';
import { removeVariants, variantOf } from './variants.ts';

interface ContainerdImagesParts {
  readonly registry: RegistryClient;
  readonly puller: Puller;
  readonly pusher: Pusher;
  readonly host: OciPlatform;
  readonly library: Library;
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly unpacker: Unpacker;
  readonly records: Records;
  readonly events: ImageEvents;
  readonly loader: ArchiveLoader;
  readonly committer: (request: CommitRequest) => Promise<{ id: string; name: string | undefined }>;
  readonly importer: (
    tarball: AsyncIterable<Uint8Array>,
    options: ImportOptions,
  ) => Promise<{ id: string; name: string | undefined }>;
}

type PullOptions = NonNullable<Parameters<Images['pull']>[1]>;
type PushOptions = NonNullable<Parameters<Images['push']>[1]>;
type ImportOptions = Parameters<Images['import']>[1];
type RemoveOptions = Parameters<Images['remove']>[1];
type Removed = Awaited<ReturnType<Images['remove']>>;

export class ContainerdImages implements Images, AsyncDisposable {
  readonly #parts: ContainerdImagesParts;
  readonly #pulls = new SharedWork<Image, PullProgress>(({ id, status }) => id ?? status);

  readonly #closing = new AbortController();
  readonly #pushes = new Set<Promise<void>>();

  constructor(parts: ContainerdImagesParts) {
    this.#parts = parts;
  }

  async pull(text: string, options: PullOptions = {}): Promise<Image> {
    const reference = withDefaultTag(parseReference(text));
    const { auth, platform: given, ...caller } = options;
    const { host } = this.#parts;
    const platform = given === undefined ? undefined : parsePlatform(given, host);
    // Who may not see an image must not get it because someone else pulls it just then.
    const key = `${canonicalString(reference)} ${given ?? ''} ${secretOf(auth)}`;
    return this.#pulls.run(
      key,
      (signal, report) => this.#pull({ reference, auth, platform, signal, report }),
      caller,
    );
  }

  /** Aborts pulls and pushes, and waits until they have let go of what they hold in containerd. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new SwarmError('cancelled', 'the daemon ends'));
    await this.#pulls[Symbol.asyncDispose]();
    await Promise.allSettled(this.#pushes);
  }

  async get(
    nameOrId: string,
    { platform }: { platform?: string } = {},
  ): Promise<Image | undefined> {
    const { host, library } = this.#parts;
    if (platform === undefined) return library.get(nameOrId);
    const found = await library.find(nameOrId);
    if (found === undefined) return undefined;
    return variantOf(this.#parts, nameOrId, found, parsePlatform(platform, host));
  }

  manifests({ target }: Image): Promise<readonly ImageManifest[]> {
    return manifestsOf(this.#parts, target);
  }

  list(): Promise<readonly Image[]> {
    return this.#parts.library.list();
  }

  async tag(nameOrId: string, newReference: string): Promise<void> {
    const { events, library, records } = this.#parts;
    const reference = withDefaultTag(parseReference(newReference));
    if (reference.digest !== undefined) {
      throw new SwarmError(
        'invalid-argument',
        'refusing to create a tag with a digest reference; give a name and a tag',
      );
    }
    const found = await library.find(nameOrId);
    if (found === undefined) throw noSuchImage(nameOrId);
    const [first] = found.records;
    const target = (found.named ?? first)?.target;
    if (target === undefined) throw noSuchImage(nameOrId);
    await records.assign(canonicalString(reference), target);
    events.emit('tag', found.image.id, familiarString(reference), found.image);
  }

  async remove(nameOrId: string, options: RemoveOptions): Promise<Removed> {
    const { host, library } = this.#parts;
    const found = await library.find(nameOrId);
    if (found === undefined) return this.#removeBroken(nameOrId);
    const { inUse, platforms = [] } = options;
    if (platforms.length > 0) {
      const wanted = platforms.map((platform) => parsePlatform(platform, host));
      const removed = await removeVariants(this.#parts, nameOrId, found, wanted, inUse);
      if (removed !== undefined) return removed;
    }
    return this.#remove(nameOrId, found, options);
  }

  async #remove(
    nameOrId: string,
    found: NonNullable<Awaited<ReturnType<Library['find']>>>,
    { force, inUse }: RemoveOptions,
  ): Promise<Removed> {
    const { events, records } = this.#parts;
    const { image } = found;
    const plan = planRemoval({
      given: nameOrId,
      image,
      named: found.named?.reference,
      references: found.records
        .map(({ reference }) => reference)
        .filter((reference) => reference !== undefined),
      force,
      usedBy: inUse(image.id),
    });
    const untagged = plan.untag.map(canonicalString);
    const going = plan.remove
      ? found.records
      : found.records.filter(({ name }) => untagged.includes(name));
    await this.#keepNameless(found.records, going, plan.remove);
    const shared = plan.remove ? await this.#chainsOfOthers(image.id) : new Set<string>();
    for (const [index, { name }] of going.entries()) {
      await records.delete(name, { collect: plan.remove && index === going.length - 1 });
    }
    for (const _name of plan.untag) events.emit('untag', image.id, image.id, image);
    // Docker looks the labels up, and finds no image any more.
    if (plan.remove) events.emit('delete', image.id, image.id);
    const layers = found.resolved.chainIds.filter((chainId) => !shared.has(chainId)).toReversed();
    return [
      ...plan.untag.map((reference) => ({ untagged: familiarString(reference) })),
      ...(plan.remove ? [image.id, ...layers].map((deleted) => ({ deleted })) : []),
    ];
  }

  async distribution(
    text: string,
    options: { auth?: RegistryAuth; signal?: AbortSignal } = {},
  ): Promise<Distribution> {
    const reference = withDefaultTag(parseReference(text));
    const repository = await this.#parts.registry.repository(reference, options.auth);
    return describeDistribution(repository, options.signal);
  }

  async tags(
    text: string,
    options: { auth?: RegistryAuth; signal?: AbortSignal } = {},
  ): Promise<readonly string[]> {
    const repository = await this.#parts.registry.repository(parseReference(text), options.auth);
    return repository.tags(options.signal);
  }

  async push(text: string, options: PushOptions = {}): Promise<void> {
    const { events, pusher } = this.#parts;
    const reference = parseReference(text);
    if (reference.digest !== undefined) {
      throw new SwarmError('invalid-argument', 'cannot push a digest reference');
    }
    using link = linkAbort(this.#closing.signal);
    const onAbort = () => link.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (options.signal?.aborted) onAbort();
      const { auth, onProgress: report = () => undefined, platform: given } = options;
      const platform = given === undefined ? undefined : parsePlatform(given, this.#parts.host);
      const work = pusher.push({ reference, auth, platform, signal: link.signal, report });
      this.#pushes.add(work);
      await work.finally(() => this.#pushes.delete(work));
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
    }
    const name = familiarString(reference);
    const image = await this.#parts.library.get(name);
    events.emit('push', name, familiarName(reference), image);
  }

  async prune(options: PruneOptions): Promise<Pruned> {
    const pruned = await pruneImages(this, this.#parts.unpacker, options);
    this.#parts.events.emitPrune(pruned.reclaimedBytes);
    return pruned;
  }

  async commit(request: CommitRequest): Promise<string> {
    const { id, name } = await this.#parts.committer(request);
    if (name !== undefined) await this.#tellTag(id, name);
    return id;
  }

  async login(domain: string, auth: RegistryAuth, options: { signal?: AbortSignal } = {}) {
    await this.#parts.registry.login(domain, auth, options.signal);
  }

  search(
    domain: string,
    query: { term: string; limit: number },
    options: { auth?: RegistryAuth; signal?: AbortSignal } = {},
  ): Promise<readonly SearchResult[]> {
    return this.#parts.registry.search(domain, query, options.auth, options.signal);
  }

  async save(
    names: readonly string[],
    options: { platform?: string; signal?: AbortSignal; quietly?: boolean } = {},
  ) {
    const { platform: given, signal, quietly = false } = options;
    const { content, events, host, library, records } = this.#parts;
    const reader = new PartReader({ content, library });
    const images = await imagesToSave(names, { library, records });
    const platform = given === undefined ? undefined : parsePlatform(given, host);
    const archive = await saveArchive({ content, reader }, images, { platform, signal });
    for (const { id } of quietly ? [] : images) {
      events.emit('save', id, id, await library.get(id));
    }
    return archive;
  }

  async load(
    archive: AsyncIterable<Uint8Array>,
    { platform, built = false }: { platform?: string; built?: boolean } = {},
  ): Promise<readonly string[]> {
    const { events, host, library, loader } = this.#parts;
    const wanted = platform === undefined ? undefined : parsePlatform(platform, host);
    const loaded = await loader.load(archive, wanted);
    for (const { id, name } of loaded) {
      if (!built) events.emit('load', id, id, await library.get(id));
      else if (name !== undefined) await this.#tellTag(id, name);
    }
    return loaded.map(({ id, name }) =>
      name === undefined ? id : familiarString(parseReference(name)),
    );
  }

  async import(tarball: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<string> {
    const { events, importer } = this.#parts;
    const { id, name } = await importer(tarball, options);
    if (name !== undefined) await this.#tellTag(id, name);
    events.emit('import', id, id, await this.#parts.library.get(id));
    return id;
  }

  /** An image came with a canonical name: as in Docker, it was given to it. */
  async #tellTag(id: string, name: string): Promise<void> {
    const { events, library } = this.#parts;
    events.emit('tag', id, familiarString(parseReference(name)), await library.get(id));
  }

  async #pull(request: Parameters<Puller['pull']>[0]): Promise<Image> {
    const { events, library, puller } = this.#parts;
    const { reference, report } = request;
    const name = familiarString(reference);
    const { isNew } = await puller.pull(request);
    const image = await library.get(name);
    if (image === undefined) {
      throw new SwarmError('internal', `${name} was removed while it was pulled; pull it again`);
    }
    const done = isNew ? 'Downloaded newer image for' : 'Image is up to date for';
    report({ status: `Status: ${done} ${name}` });
    // Nobody was asked for what a digest pins and is there.
    if (isNew || reference.digest === undefined) {
      events.emit('pull', name, familiarName(reference), image);
    }
    return image;
  }

  /** An image that a container still needs stays without a name when its last one is taken. */
  async #keepNameless(
    all: readonly ImageRecord[],
    going: readonly ImageRecord[],
    remove: boolean,
  ): Promise<void> {
    const [first] = going;
    if (remove || first === undefined || going.length < all.length) return;
    await this.#parts.records.putNameless(first.target);
  }

  /** A name whose image has lost parts cannot be shown, but must not take up space for ever. */
  async #removeBroken(name: string): Promise<Removed> {
    const { records } = this.#parts;
    const parsed = tryParseReference(name);
    const reference = parsed === undefined ? undefined : withDefaultTag(parsed);
    const record =
      reference === undefined ? undefined : await records.get(canonicalString(reference));
    if (reference === undefined || record === undefined) throw noSuchImage(name);
    await records.delete(record.name, { collect: true });
    return [{ untagged: familiarString(reference) }];
  }

  async #chainsOfOthers(imageId: string): Promise<ReadonlySet<string>> {
    const entries = await this.#parts.library.entries();
    const others = entries.filter(({ resolved }) => resolved.id !== imageId);
    return new Set(others.flatMap(({ resolved }) => resolved.chainIds));
  }
}

function noSuchImage(name: string): SwarmError {
  return new SwarmError('not-found', `No such image: ${name}`);
}

function secretOf(auth: RegistryAuth | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify(auth ?? {}))
    .digest('hex');
}
