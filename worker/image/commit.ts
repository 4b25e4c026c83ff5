/** `docker commit`: a container's writable layer becomes the topmost layer of a new image. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { leaseMetadata, type ContainerdClient } from '../runtime/containerd/client.ts';
import { applyChanges, type RuntimeConfig } from './archive/changes.ts';
import { writeJson, writeManifest } from './archive/import.ts';
import type { Images } from './images.ts';
import type { Library, Resolved } from './library.ts';
import { chainIds, isObject, mediaTypes, type Descriptor } from './oci.ts';
import { canonicalString, parseReference, withDefaultTag } from './reference.ts';
import type { ContentStore } from './store/content.ts';
import { configLabels } from './store/labels.ts';
import type { Lease, Leases } from './store/leases.ts';
import type { Records } from './store/records.ts';
import type { Unpacker } from './store/unpack.ts';

interface CommitParts {
  readonly containerd: ContainerdClient;
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly records: Records;
  readonly library: Library;
  readonly unpacker: Unpacker;
  readonly clock: Clock;
}

export type CommitRequest = Parameters<Images['commit']>[0];

/** The longest diff is that of a large layer on a slow disk. */
const diffTimeoutMs = 60 * 60_000;
const layerType = `${mediaTypes.ociLayer}+gzip`;
/** Where containerd notes what a compressed layer is unpacked. */
const diffIdLabel = 'containerd.io/uncompressed';

/** Returns the image's id and, where one was given, its canonical name. */
export async function commitImage(
  parts: CommitParts,
  request: CommitRequest,
): Promise<{ id: string; name: string | undefined }> {
  const name = request.reference === undefined ? undefined : commitName(request.reference);
  const runtimeConfig = applyChanges(request.config, request.changes);
  const base = await parts.library.find(request.imageId);
  if (base === undefined) {
    throw new SwarmError(
      'not-found',
      `the image that the container was made of is gone: ${request.imageId}`,
    );
  }
  return parts.leases.during('commit', async (lease) => {
    const { content, records, unpacker } = parts;
    const { layer, diffId } = await diffOf(parts, base.resolved, request, lease);
    const diffIds = [...base.resolved.config.diffIds, diffId];
    const config = configOf(base.resolved, request, runtimeConfig, diffIds, parts.clock);
    const chain = chainIds(diffIds);
    const chainId = chain.at(-1) ?? '';
    await unpacker.unpack(layer, { parent: chain.at(-2), chainId, diffId }, lease);
    const labels = configLabels(unpacker.snapshotter, chainId);
    const stored = await writeJson(content, lease, mediaTypes.ociConfig, config, labels);
    const layers = [...base.resolved.manifest.layers.map(asOci), layer];
    const target = await writeManifest(content, lease, stored, layers);
    if (name === undefined) await records.putNameless(target);
    else await records.assign(name, target);
    return { id: stored.digest, name };
  });
}

async function diffOf(
  { containerd, content, unpacker }: CommitParts,
  base: Resolved,
  { mounts }: CommitRequest,
  lease: Lease,
): Promise<{ layer: Descriptor; diffId: string }> {
  const { snapshotter } = unpacker;
  const metadata = leaseMetadata(lease.id);
  const key = `commit-${randomUUID()}`;
  const parent = base.chainIds.at(-1) ?? '';
  const view = await containerd.snapshots.view({ snapshotter, key, parent }, { metadata });
  try {
    const right = mounts.map((mount) => ({ ...mount, options: [...mount.options] }));
    const { diff } = await containerd.diff.diff(
      { left: view.mounts, right, mediaType: layerType, ref: key },
      { metadata, timeoutMs: diffTimeoutMs },
    );
    const digest = diff?.digest ?? '';
    const info = await content.info(digest);
    const diffId = info?.labels[diffIdLabel];
    if (info === undefined || diffId === undefined) {
      throw new SwarmError('internal', 'containerd does not say what the new layer holds');
    }
    return { layer: { mediaType: layerType, digest, size: info.size }, diffId };
  } finally {
    await containerd.snapshots.remove({ snapshotter, key });
  }
}

function configOf(
  base: Resolved,
  { author, comment, createdBy }: CommitRequest,
  config: RuntimeConfig,
  diffIds: readonly string[],
  clock: Clock,
): Record<string, unknown> {
  const created = new Date(clock.nowMs()).toISOString();
  const { architecture, os, variant, raw } = base.config;
  const history: unknown[] = Array.isArray(raw['history']) ? raw['history'] : [];
  const by = author === '' ? {} : { author };
  const said = comment === '' ? {} : { comment };
  return {
    created,
    ...by,
    ...said,
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: [...history.filter(isObject), { created, ...by, created_by: createdBy, ...said }],
  };
}

/** The manifest is an OCI one, and names its layers so. */
function asOci(layer: Descriptor): Descriptor {
  const { digest, mediaType, size } = layer;
  const suffix = mediaType.startsWith(mediaTypes.dockerLayer)
    ? mediaType.slice(mediaTypes.dockerLayer.length).replace('.', '+')
    : undefined;
  return {
    digest,
    size,
    mediaType: suffix === undefined ? mediaType : mediaTypes.ociLayer + suffix,
  };
}

function commitName(text: string): string {
  const reference = parseReference(text);
  if (reference.digest === undefined) return canonicalString(withDefaultTag(reference));
  throw new SwarmError(
    'invalid-argument',
    'refusing to create a tag with a digest reference; give a name and a tag',
  );
}
