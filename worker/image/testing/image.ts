/** Small images made by hand, and pushed to a registry. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { mediaTypes, sha256 } from '../oci.ts';
import { pushBlob, pushManifest } from './registry.ts';

type Compression = 'gzip' | 'zstd' | 'none';

interface MadeLayer {
  readonly mediaType: string;
  readonly blob: Buffer<ArrayBuffer>;
  readonly digest: string;
  readonly diffId: string;
}

export interface MadeImage {
  readonly config: Buffer<ArrayBuffer>;
  readonly layers: readonly MadeLayer[];
  readonly manifest: { readonly mediaType: string } & Record<string, unknown>;
}

export async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer<ArrayBuffer>> {
  const archive = pack();
  for (const [name, content] of Object.entries(files))
    archive.entry({ name, mode: 0o755, mtime: new Date(0) }, content);
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

export async function makeLayer(
  files: Readonly<Record<string, string>>,
  compression: Compression = 'gzip',
): Promise<MadeLayer> {
  const tar = await tarOf(files);
  const blob =
    compression === 'gzip'
      ? Buffer.from(gzipSync(tar))
      : compression === 'zstd'
        ? Buffer.from(zstdCompressSync(tar))
        : tar;
  const suffix = compression === 'none' ? '' : `+${compression}`;
  return {
    mediaType: mediaTypes.ociLayer + suffix,
    blob,
    digest: sha256(blob),
    diffId: sha256(tar),
  };
}

export function makeImage(
  layers: readonly MadeLayer[],
  options: { config?: Record<string, unknown>; architecture?: string } = {},
): MadeImage {
  const config = Buffer.from(
    JSON.stringify({
      created: '2026-01-02T03:04:05Z',
      architecture: options.architecture ?? 'amd64',
      os: 'linux',
      config: options.config ?? {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: sha256(config), size: config.length },
    layers: layers.map(({ mediaType, digest, blob }) => ({ mediaType, digest, size: blob.length })),
  };
  return { config, layers, manifest };
}

/** Pushes the image under a tag; returns the manifest's digest. */
export async function pushImage(
  registry: { origin: string },
  name: string,
  tag: string,
  image: MadeImage,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  for (const layer of image.layers) await pushBlob(registry, name, layer.blob, headers);
  await pushBlob(registry, name, image.config, headers);
  return pushManifest(registry, name, tag, image.manifest, headers);
}
