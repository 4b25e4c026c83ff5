/** Manifests, indexes and configurations as registries and archives hold them: read and checked. */
import { createHash } from 'node:crypto';
import { SwarmError } from '../../lib/errors.ts';
import { isDigest } from './reference.ts';

export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
} as const;

const schema1Prefix = 'application/vnd.docker.distribution.manifest.v1';
const indexTypes: readonly string[] = [mediaTypes.ociIndex, mediaTypes.dockerIndex];
const manifestTypes: readonly string[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest];

/** What is asked for: the newest forms first. */
export const acceptedManifests = [
  mediaTypes.ociIndex,
  mediaTypes.dockerIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
].join(', ');

/** Longer ones are refused, as registries and containerd do. */
export const maxManifestBytes = 4 * 1024 * 1024;
/** A configuration grows with its history and labels; none that works comes near. */
export const maxConfigBytes = 8 * 1024 * 1024;
const maxLayers = 1000;
const maxIndexEntries = 1000;

export interface OciPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly platform?: OciPlatform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

interface Index {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}

/** The members of an image's configuration that this program reads; the rest is kept as it is. */
export interface ConfigFile {
  readonly created?: string;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly diffIds: readonly string[];
  readonly raw: Readonly<Record<string, unknown>>;
}

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Whether the bytes are what the digest names; of the algorithms that `isDigest` knows. */
export function matchesDigest(bytes: Uint8Array, digest: string): boolean {
  const [algorithm = '', hex] = digest.split(':');
  return createHash(algorithm).update(bytes).digest('hex') === hex;
}

/**
 * Reads a manifest or an index. The document's own media type wins over the transport's, since
 * servers are known to send "application/json". Throws `failed-precondition` for what is none.
 */
export function parseManifest(bytes: Uint8Array, transportType = ''): Manifest | Index {
  const document = parseJson(bytes, 'manifest');
  const mediaType = textOr(document['mediaType'], transportType);
  if (mediaType.startsWith(schema1Prefix) || document['schemaVersion'] === 1) {
    throw new SwarmError(
      'failed-precondition',
      'the image has the retired manifest format of schema version 1; ' +
        'push it again with a current version of Docker',
    );
  }
  if (indexTypes.includes(mediaType) || Array.isArray(document['manifests'])) {
    const manifests = descriptors(document['manifests'], 'manifests', maxIndexEntries);
    const known = indexTypes.includes(mediaType);
    return { kind: 'index', mediaType: known ? mediaType : mediaTypes.ociIndex, manifests };
  }
  if (manifestTypes.includes(mediaType) || isObject(document['config'])) {
    const known = manifestTypes.includes(mediaType);
    return {
      kind: 'manifest',
      mediaType: known ? mediaType : mediaTypes.ociManifest,
      config: descriptor(document['config'], 'config'),
      layers: descriptors(document['layers'], 'layers', maxLayers),
    };
  }
  throw malformed(`a document of media type ${JSON.stringify(mediaType)} is no image manifest`);
}

export function parseConfig(bytes: Uint8Array): ConfigFile {
  const raw = parseJson(bytes, 'configuration');
  const rootfs = isObject(raw['rootfs']) ? raw['rootfs'] : {};
  const diffIds: unknown[] = Array.isArray(rootfs['diff_ids']) ? rootfs['diff_ids'] : [];
  const wrong = diffIds.find((id) => typeof id !== 'string' || !isDigest(id));
  if (wrong !== undefined) throw malformed(`the diff id ${JSON.stringify(wrong)} is no digest`);
  return {
    ...(typeof raw['created'] === 'string' ? { created: raw['created'] } : {}),
    ...(typeof raw['variant'] === 'string' ? { variant: raw['variant'] } : {}),
    os: textOr(raw['os'], 'linux'),
    architecture: textOr(raw['architecture'], ''),
    diffIds: diffIds as string[],
    raw,
  };
}

/** The chain id of every layer, bottom first: what the snapshots of an image are named by. */
export function chainIds(diffIds: readonly string[]): readonly string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push(parent === undefined ? diffId : sha256(`${parent} ${diffId}`));
  }
  return chain;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(bytes: Uint8Array, what: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (thrown) {
    const message = `the image's ${what} is not JSON`;
    throw new SwarmError('failed-precondition', message, { cause: thrown });
  }
  if (!isObject(document)) throw malformed(`the image's ${what} is not a JSON object`);
  return document;
}

function descriptors(value: unknown, where: string, max: number): readonly Descriptor[] {
  if (!Array.isArray(value)) throw malformed(`the image's manifest has no list of ${where}`);
  if (value.length > max) throw malformed(`the image's manifest has more than ${max} ${where}`);
  return value.map((entry) => descriptor(entry, where));
}

function descriptor(value: unknown, where: string): Descriptor {
  const entry = isObject(value) ? value : {};
  const { mediaType, digest, size, platform, annotations } = entry;
  if (typeof digest !== 'string' || !isDigest(digest)) {
    throw malformed(`the image's manifest names ${JSON.stringify(digest)} as a digest in ${where}`);
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw malformed(`the image's manifest gives ${JSON.stringify(size)} as the size of ${digest}`);
  }
  return {
    mediaType: textOr(mediaType, ''),
    digest,
    size,
    ...(isObject(platform) ? { platform: readPlatform(platform) } : {}),
    ...(isObject(annotations) ? { annotations: texts(annotations) } : {}),
  };
}

function readPlatform(platform: Record<string, unknown>): OciPlatform {
  return {
    os: textOr(platform['os'], ''),
    architecture: textOr(platform['architecture'], ''),
    ...(typeof platform['variant'] === 'string' ? { variant: platform['variant'] } : {}),
  };
}

function texts(record: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise;
}

function malformed(message: string): SwarmError {
  return new SwarmError('failed-precondition', message);
}
