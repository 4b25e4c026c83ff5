/** Images of other platforms than this host's, behind the same name. */
import { SwarmError } from '../../lib/errors.ts';
import type { Image, Images } from './images.ts';
import { toImage, type Library } from './library.ts';
import { manifestsOf } from './manifests.ts';
import {
  chainIds,
  maxConfigBytes,
  maxManifestBytes,
  parseConfig,
  parseManifest,
  type Descriptor,
  type OciPlatform,
} from './oci.ts';
import { PartReader } from './parts.ts';
import { formatPlatform, normalizePlatform } from './platform.ts';
import type { ContentStore } from './store/content.ts';
import { configLabels, indexLabels } from './store/labels.ts';
import type { Lease, Leases } from './store/leases.ts';
import type { Unpacker } from './store/unpack.ts';

interface VariantParts {
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly library: Library;
  readonly unpacker: Unpacker;
}

type Found = NonNullable<Awaited<ReturnType<Library['find']>>>;

/** As `get` of the port tells it, for just this platform. */
export async function variantOf(
  parts: VariantParts,
  given: string,
  found: Found,
  platform: OciPlatform,
): Promise<Image> {
  const target = targetOf(found);
  const shown = found.named?.reference ?? { domain: '', path: given };
  const part = await new PartReader(parts).single(shown, target, platform);
  const { manifest } = part;
  const config = parseConfig(await parts.content.read(manifest.config.digest, maxConfigBytes));
  const chain = chainIds(config.diffIds);
  const layerBytes = await Promise.all(
    // What nobody has unpacked takes what it came as.
    chain.map(
      async (chainId, at) =>
        (await parts.unpacker.sizeBytes(chainId)) ?? manifest.layers[at]?.size ?? 0,
    ),
  );
  const resolved = {
    id: manifest.config.digest,
    manifest,
    manifestDigest: part.digest,
    manifestBytes: part.bytes.length,
    config,
    chainIds: chain,
    layerBytes,
  };
  const image = toImage(
    found.records.map((record) => ({ record, resolved })),
    found.named,
  );
  return { ...image, target: image.manifest };
}

/**
 * Takes what is here for these platforms alone out of an index. Undefined where nothing would be
 * left of the image, which is then to be removed as a whole. Throws `not-found` for a platform that
 * it does not have, `failed-precondition` for one that a container needs.
 */
export async function removeVariants(
  parts: VariantParts,
  given: string,
  found: Found,
  platforms: readonly OciPlatform[],
  inUse: Parameters<Images['remove']>[1]['inUse'],
): Promise<readonly { deleted: string }[] | undefined> {
  const target = targetOf(found);
  const images = (await manifestsOf(parts, target)).filter(
    ({ isAvailable, kind }) => isAvailable && kind === 'image',
  );
  const wanted = new Set(platforms.map(formatPlatform));
  const nameOf = ({ platform }: { platform?: OciPlatform }) =>
    platform === undefined ? '' : formatPlatform(normalizePlatform(platform));
  const going = images.filter((image) => wanted.has(nameOf(image)));
  for (const platform of wanted) {
    if (going.some((image) => nameOf(image) === platform)) continue;
    throw new SwarmError(
      'not-found',
      `image with reference ${given} was found but does not provide the specified platform ` +
        `(${platform})`,
    );
  }
  for (const { imageId = '' } of going) {
    const user = inUse(imageId);
    if (user === undefined) continue;
    const id = imageId.replace('sha256:', '').slice(0, 12);
    const why = `image is being used by container ${user}`;
    throw new SwarmError(
      'failed-precondition',
      `conflict: unable to delete ${id} (cannot be forced) - ${why}`,
    );
  }
  const [heir] = images.filter((image) => !wanted.has(nameOf(image)));
  if (heir === undefined) return undefined;
  const gone = going.map(({ descriptor }) => descriptor.digest);
  await parts.leases.during('untag', async (lease) => {
    if (gone.includes(found.resolved.manifestDigest)) {
      await unpackManifest(parts, heir.descriptor, lease);
    }
    const none = Object.keys(indexLabels(gone)).map((label) => [label, ''] as const);
    await parts.content.setLabels(target.digest, Object.fromEntries(none));
    for (const digest of gone) await parts.content.delete(digest);
  });
  parts.library.forget(target.digest);
  return gone.map((deleted) => ({ deleted }));
}

function targetOf({ named, records }: Found): Descriptor {
  const record = named ?? records[0];
  if (record === undefined) throw new SwarmError('internal', 'an image without a record');
  return record.target;
}

async function unpackManifest(
  { content, unpacker }: VariantParts,
  { digest }: Descriptor,
  lease: Lease,
): Promise<void> {
  const manifest = parseManifest(await content.read(digest, maxManifestBytes));
  if (manifest.kind !== 'manifest') return;
  const config = parseConfig(await content.read(manifest.config.digest, maxConfigBytes));
  const chain = chainIds(config.diffIds);
  for (const [index, layer] of manifest.layers.entries()) {
    const target = { parent: chain[index - 1], chainId: chain[index] ?? '' };
    await unpacker.unpack(layer, { ...target, diffId: config.diffIds[index] ?? '' }, lease);
  }
  const labels = configLabels(unpacker.snapshotter, chain.at(-1));
  await content.setLabels(manifest.config.digest, labels);
}
