/** `docker save`: images as an archive that is an OCI layout and Docker's own form at once. */
import type { Readable } from 'node:stream';
import { pack, type Pack } from 'tar-stream';
import { noteHandled, SwarmError } from '../../../lib/errors.ts';
import { mediaTypes, sha256, type Descriptor, type OciPlatform } from '../oci.ts';
import type { Part, PartReader } from '../parts.ts';
import { canonicalString, familiarName, familiarString, type Reference } from '../reference.ts';
import type { ContentStore } from '../store/content.ts';

export interface SavedImage {
  readonly target: Descriptor;
  /** Tags that are to be in the archive; none for an image that was named by its id. */
  readonly references: readonly Reference[];
}

interface Blob {
  readonly digest: string;
  readonly size: number;
}

interface DockerImage {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
}

/** Always the same, so that the same images give the same archive. */
const epoch = new Date(0);

interface SaveOptions {
  /** Just this platform's images. */
  readonly platform?: OciPlatform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Throws before the first byte where an image is not complete. */
export async function saveArchive(
  parts: { readonly content: ContentStore; readonly reader: PartReader },
  images: readonly SavedImage[],
  { platform, signal }: SaveOptions = {},
): Promise<AsyncIterable<Uint8Array>> {
  const { content, reader } = parts;
  const blobs = new Map<string, Blob>();
  const index: object[] = [];
  const docker: DockerImage[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  for (const { target, references } of images) {
    const [first] = references;
    const shown = first ?? { domain: '', path: target.digest };
    const whole = platform === undefined ? await reader.wholeIndex(target) : undefined;
    const single = await reader.single(shown, target, platform);
    const top = whole === undefined ? descriptorOf(single) : target;
    for (const part of whole ?? [single])
      for (const blob of blobsOf(part)) blobs.set(blob.digest, blob);
    blobs.set(top.digest, top);
    index.push(...indexEntries(top, references));
    docker.push(dockerImage(single, references));
    for (const reference of references) {
      const layer = single.manifest.layers.at(-1)?.digest ?? single.digest;
      (repositories[familiarName(reference)] ??= {})[reference.tag ?? ''] = hexOf(layer);
    }
  }
  const documents: readonly (readonly [string, unknown])[] = [
    ['index.json', { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: index }],
    ['manifest.json', docker],
    ['oci-layout', { imageLayoutVersion: '1.0.0' }],
    ...(Object.keys(repositories).length === 0 ? [] : [['repositories', repositories] as const]),
  ];
  return written(async (tar) => {
    for (const folder of ['blobs/', 'blobs/sha256/']) {
      await entry(tar, { name: folder, type: 'directory', size: 0 }, []);
    }
    for (const { digest, size } of [...blobs.values()].toSorted(byDigest)) {
      await entry(tar, { name: pathOf(digest), size }, content.chunks(digest, signal));
    }
    for (const [name, document] of documents) {
      const bytes = Buffer.from(JSON.stringify(document));
      await entry(tar, { name, size: bytes.length }, [bytes]);
    }
  });
}

/** A tar whose entries are written as fast as they are read. */
function written(work: (tar: Pack) => Promise<void>): AsyncIterable<Uint8Array> {
  const tar = pack();
  void work(tar).then(
    () => tar.finalize(),
    (thrown: unknown) => tar.destroy(SwarmError.from(thrown)),
  );
  return tar as unknown as Readable as AsyncIterable<Uint8Array>;
}

async function entry(
  tar: Pack,
  header: { name: string; size: number; type?: 'directory' },
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const mode = header.type === 'directory' ? 0o755 : 0o644;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sink = tar.entry({ ...header, mode, mtime: epoch }, (error) =>
    error ? reject(error) : resolve(),
  );
  const onClose = () => {
    reject(new SwarmError('cancelled', 'nobody reads the archive any more'));
  };
  tar.once('close', onClose);
  // Whoever waits for room below learns of it by the same rejection; a sink that nobody listened to
  // would end the process when a client goes away in the middle of a layer.
  promise.catch(noteHandled);
  sink.on('error', reject);
  try {
    for await (const chunk of content) {
      if (sink.write(chunk)) continue;
      const drained = new Promise<void>((settle) => sink.once('drain', () => settle()));
      await Promise.race([promise, drained]);
    }
    sink.end(null);
    await promise;
  } finally {
    tar.off('close', onClose);
  }
}

function blobsOf({ digest, bytes, manifest }: Part): readonly Blob[] {
  const own = [manifest.config, ...manifest.layers].map((blob) => ({
    digest: blob.digest,
    size: blob.size,
  }));
  return [...own, { digest, size: bytes.length }];
}

function descriptorOf({ bytes, digest, mediaType }: Part): Descriptor {
  return { mediaType, digest, size: bytes.length };
}

function indexEntries(
  { mediaType, digest, size }: Descriptor,
  references: readonly Reference[],
): object[] {
  if (references.length === 0) return [{ mediaType, digest, size }];
  return references.map((reference) => ({
    mediaType,
    digest,
    size,
    annotations: {
      'io.containerd.image.name': canonicalString(reference),
      'org.opencontainers.image.ref.name': reference.tag ?? '',
    },
  }));
}

function dockerImage({ manifest }: Part, references: readonly Reference[]): DockerImage {
  return {
    Config: pathOf(manifest.config.digest),
    RepoTags: references.length === 0 ? null : references.map(familiarString),
    Layers: manifest.layers.map(({ digest }) => pathOf(digest)),
  };
}

function pathOf(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

function byDigest(a: Blob, b: Blob): number {
  return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0;
}

/** An archive around a manifest that lies in a folder with its blobs, named by their digits. */
export function archiveOf(
  manifest: Buffer,
  names: readonly string[],
  blob: (digest: string) => AsyncIterable<Uint8Array>,
  blobs: readonly Blob[],
): AsyncIterable<Uint8Array> {
  const document = JSON.parse(manifest.toString('utf8')) as { mediaType?: string };
  const mediaType = document.mediaType ?? mediaTypes.dockerManifest;
  const descriptor = { mediaType, digest: sha256(manifest), size: manifest.length };
  const named = names.map((name) => ({
    ...descriptor,
    annotations: { 'io.containerd.image.name': name },
  }));
  const manifests = named.length === 0 ? [descriptor] : named;
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }));
  return written(async (tar) => {
    for (const { digest, size } of blobs)
      await entry(tar, { name: pathOf(digest), size }, blob(digest));
    await entry(tar, { name: pathOf(descriptor.digest), size: manifest.length }, [manifest]);
    await entry(tar, { name: 'index.json', size: index.length }, [index]);
  });
}
