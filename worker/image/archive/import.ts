/** `docker import`: a file system's tarball becomes an image of one layer. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { Images } from '../images.ts';
import { mediaTypes, sha256, type Descriptor, type Manifest, type OciPlatform } from '../oci.ts';
import { canonicalString, parseReference, withDefaultTag } from '../reference.ts';
import type { ContentStore } from '../store/content.ts';
import { configLabels, manifestLabels } from '../store/labels.ts';
import type { Lease, Leases } from '../store/leases.ts';
import type { Records } from '../store/records.ts';
import type { Unpacker } from '../store/unpack.ts';
import { applyChanges } from './changes.ts';
import { detectCompression } from './read.ts';

interface ImportParts {
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly records: Records;
  readonly unpacker: Unpacker;
  readonly clock: Clock;
}

type ImportOptions = Parameters<Images['import']>[1];

const layerTypes = {
  none: mediaTypes.ociLayer,
  gzip: `${mediaTypes.ociLayer}+gzip`,
  zstd: `${mediaTypes.ociLayer}+zstd`,
} as const;

/** Returns the image's id and, where one was given, its canonical name. */
export async function importTarball(
  parts: ImportParts,
  platform: OciPlatform,
  tarball: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<{ id: string; name: string | undefined }> {
  // What the user wrote is checked before a long upload, not after it.
  const name = options.reference === undefined ? undefined : importName(options.reference);
  const runtimeConfig = applyChanges({}, options.changes);
  const { compression, bytes } = await detectCompression(tarball);
  return parts.leases.during('import', async (lease) => {
    const { content, records } = parts;
    const ref = `import-${randomUUID()}`;
    const blob = await content.write({ ref, leaseId: lease.id }, () => bytes);
    if (blob.size === 0) {
      throw new SwarmError('invalid-argument', 'the tarball is empty; give that of a file system');
    }
    const layer = { mediaType: layerTypes[compression], ...blob };
    const diffId = await unpack(parts, layer, lease);
    const created = new Date(parts.clock.nowMs()).toISOString();
    const comment = options.message ?? '';
    const config = {
      created,
      ...platform,
      ...(comment === '' ? {} : { comment }),
      config: runtimeConfig,
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created, ...(comment === '' ? {} : { comment }) }],
    };
    const labels = configLabels(parts.unpacker.snapshotter, diffId);
    const stored = await writeJson(content, lease, mediaTypes.ociConfig, config, labels);
    const target = await writeManifest(content, lease, stored, [layer]);
    if (name === undefined) await records.putNameless(target);
    else await records.assign(name, target);
    return { id: stored.digest, name };
  });
}

/** Writes an OCI manifest for a configuration and layers that are stored already. */
export async function writeManifest(
  content: ContentStore,
  lease: Lease,
  config: Descriptor,
  layers: readonly Descriptor[],
): Promise<Descriptor> {
  const mediaType = mediaTypes.ociManifest;
  const manifest: Manifest = { kind: 'manifest', mediaType, config, layers };
  const document = { schemaVersion: 2, mediaType, config, layers };
  return writeJson(content, lease, mediaType, document, manifestLabels(manifest));
}

/** Stores a document under its digest. */
export async function writeJson(
  content: ContentStore,
  lease: Lease,
  mediaType: string,
  document: unknown,
  labels: Readonly<Record<string, string>>,
): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(document));
  const digest = sha256(bytes);
  const size = bytes.length;
  const write = { ref: `json-${randomUUID()}`, leaseId: lease.id, digest, size, labels };
  await content.write(write, async function* (offset) {
    if (offset < bytes.length) yield bytes.subarray(offset);
  });
  return { mediaType, digest, size };
}

/** Unpacked on nothing, a layer's chain id is its diff id, which only the unpacking tells. */
async function unpack(parts: ImportParts, layer: Descriptor, lease: Lease): Promise<string> {
  const { unpacker } = parts;
  try {
    const diffId = await unpacker.apply(layer, undefined, lease, undefined, (applied) => applied);
    await unpacker.unpack(layer, { parent: undefined, chainId: diffId, diffId }, lease);
    return diffId;
  } catch (thrown) {
    const { code, message } = SwarmError.from(thrown);
    if (code === 'unavailable' || code === 'cancelled') throw thrown;
    const reason = `the tarball cannot be unpacked: ${message}`;
    throw new SwarmError('invalid-argument', reason, { cause: thrown });
  }
}

function importName(text: string): string {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw new SwarmError(
      'invalid-argument',
      'cannot import digest reference; give a name and a tag',
    );
  }
  return canonicalString(withDefaultTag(reference));
}
