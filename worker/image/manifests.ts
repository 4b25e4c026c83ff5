/** What an image consists of: the manifests of its index, and how much of each is here. */
import type { ImageManifest } from './images.ts';
import {
  chainIds,
  maxConfigBytes,
  maxManifestBytes,
  parseConfig,
  parseManifest,
  type ConfigFile,
  type Descriptor,
  type Manifest,
} from './oci.ts';
import { normalizePlatform } from './platform.ts';
import type { ContentStore } from './store/content.ts';
import type { Unpacker } from './store/unpack.ts';

/** How builders mark what they say of an image beside it, and which image they say it of. */
const kindAnnotation = 'vnd.docker.reference.type';
const subjectAnnotation = 'vnd.docker.reference.digest';

interface Parts {
  readonly content: ContentStore;
  readonly unpacker: Unpacker;
}

/** In the order of the index; of an image without one, its only manifest. */
export async function manifestsOf(
  parts: Parts,
  target: Descriptor,
): Promise<readonly ImageManifest[]> {
  const bytes = await parts.content.read(target.digest, maxManifestBytes);
  const document = parseManifest(bytes, target.mediaType);
  const entries = document.kind === 'index' ? document.manifests : [target];
  return Promise.all(entries.map((entry) => summaryOf(parts, entry)));
}

async function summaryOf(parts: Parts, descriptor: Descriptor): Promise<ImageManifest> {
  const { content } = parts;
  const { annotations = {} } = descriptor;
  const manifest = await readManifest(content, descriptor);
  const present: number[] = manifest === undefined ? [] : [descriptor.size];
  let isAvailable = manifest !== undefined;
  for (const { digest } of manifest === undefined ? [] : [manifest.config, ...manifest.layers]) {
    const info = await content.info(digest);
    if (info === undefined) isAvailable = false;
    else present.push(info.size);
  }
  const common = {
    descriptor,
    isAvailable,
    contentBytes: present.reduce((sum, bytes) => sum + bytes, 0),
  };
  if (annotations[kindAnnotation] === 'attestation-manifest') {
    const subject = annotations[subjectAnnotation];
    return { ...common, kind: subject === undefined ? 'unknown' : 'attestation', subject };
  }
  const config = await readConfig(content, manifest);
  const platform = descriptor.platform ?? (config && normalizePlatform(config));
  if (platform === undefined) return { ...common, kind: 'unknown' };
  return {
    ...common,
    kind: 'image',
    platform,
    unpackedBytes: await unpackedBytes(parts, config),
    ...(manifest === undefined ? {} : { imageId: manifest.config.digest }),
  };
}

/** Undefined where it is not here. */
async function readManifest(
  content: ContentStore,
  { digest, mediaType }: Descriptor,
): Promise<Manifest | undefined> {
  if ((await content.info(digest)) === undefined) return undefined;
  const document = parseManifest(await content.read(digest, maxManifestBytes), mediaType);
  return document.kind === 'manifest' ? document : undefined;
}

async function readConfig(
  content: ContentStore,
  manifest: Manifest | undefined,
): Promise<ConfigFile | undefined> {
  if (manifest === undefined || (await content.info(manifest.config.digest)) === undefined) {
    return undefined;
  }
  return parseConfig(await content.read(manifest.config.digest, maxConfigBytes));
}

/** What its layers take unpacked; 0 where they are not. */
async function unpackedBytes({ unpacker }: Parts, config: ConfigFile | undefined): Promise<number> {
  let sum = 0;
  for (const chainId of chainIds(config?.diffIds ?? [])) {
    const bytes = await unpacker.sizeBytes(chainId);
    if (bytes === undefined) return 0;
    sum += bytes;
  }
  return sum;
}
