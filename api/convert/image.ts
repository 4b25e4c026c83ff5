/** Images, as the Docker Engine API writes them. */
import type { Distribution, Image, ImageManifest } from '../../worker/image/images.ts';
import type { Descriptor, OciPlatform } from '../../worker/image/oci.ts';
import type { ImageUsage } from './image-usage.ts';
import type { Json, JsonObject } from './json.ts';
import { zeroTime } from './time.ts';

/** Of the API, 1.N: what was taken from images' documents with it, and what came. */
const firstWithoutVirtualSize = 44;
const firstWithDescriptor = 48;
const firstWithImageConfigAlone = 50;

interface ImageDocumentOptions {
  /** Of the API's version 1.N that the client speaks. */
  readonly minor: number;
  /** Told where they were asked for. */
  readonly manifests?: readonly ImageManifest[];
  /** Ids of the containers that were made of an image, by its id. */
  readonly containersOf?: (imageId: string) => readonly string[];
  /** Told where it is asked for. */
  readonly usage?: Partial<ImageUsage>;
}

/** A line of `docker images`. `createdAtMs`: the image's time of creation. */
export function imageSummaryJson(
  image: Image,
  createdAtMs: number,
  options: ImageDocumentOptions,
): JsonObject {
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Created: Math.floor(createdAtMs / 1000),
    Size: image.sizeBytes,
    ...virtualSizeJson(image, options),
    SharedSize: options.usage?.sharedBytes ?? -1,
    Labels: Object.keys(image.config.labels).length === 0 ? null : image.config.labels,
    Containers: options.usage?.containers ?? -1,
    ...manifestsJson(options),
    ...targetJson(image, options),
  };
}

function virtualSizeJson({ sizeBytes }: Image, { minor }: ImageDocumentOptions): JsonObject {
  return minor < firstWithoutVirtualSize ? { VirtualSize: sizeBytes } : {};
}

function targetJson({ target }: Image, { minor }: ImageDocumentOptions): JsonObject {
  return minor < firstWithDescriptor ? {} : { Descriptor: descriptorJson(target) };
}

/** As the OCI's specification writes it. */
export function descriptorJson(descriptor: Descriptor): JsonObject {
  const { mediaType, digest, size, platform, annotations } = descriptor;
  return {
    mediaType,
    digest,
    size,
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform: platformJson(platform) }),
  };
}

function platformJson({ architecture, os, variant }: OciPlatform): JsonObject {
  return { architecture, os, ...(variant === undefined ? {} : { variant }) };
}

function manifestsJson({ manifests, containersOf }: ImageDocumentOptions): JsonObject {
  if (manifests === undefined) return {};
  return {
    Manifests: manifests.map(({ descriptor, isAvailable, kind, ...more }) => ({
      ID: descriptor.digest,
      Descriptor: descriptorJson(descriptor),
      Available: isAvailable,
      Size: { Content: more.contentBytes, Total: more.contentBytes + (more.unpackedBytes ?? 0) },
      Kind: kind,
      ...(kind !== 'image' || more.platform === undefined
        ? {}
        : {
            ImageData: {
              Platform: platformJson(more.platform),
              Containers: containersOf?.(more.imageId ?? '') ?? [],
              Size: { Unpacked: more.unpackedBytes ?? 0 },
            },
          }),
      ...(kind === 'attestation' ? { AttestationData: { For: more.subject } } : {}),
    })),
  };
}

/** What Docker writes for all that an image's configuration leaves open. */
const noConfig: JsonObject = {
  User: '',
  Env: null,
  Cmd: null,
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** Fields of containers alone, which older versions of the API showed for images as well. */
const noContainerConfig: JsonObject = {
  Hostname: '',
  Domainname: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: '',
};

/** Of what an image says of itself, what is no part of its configuration: builders leave traces. */
const containerKeys = new Set([
  ...Object.keys(noContainerConfig),
  'NetworkDisabled',
  'MacAddress',
  'StopTimeout',
]);

function imageConfigJson(config: JsonObject = {}, { minor }: ImageDocumentOptions): JsonObject {
  if (minor < firstWithImageConfigAlone) return { ...noContainerConfig, ...noConfig, ...config };
  const own = Object.entries(config).filter(([key]) => !containerKeys.has(key));
  return { ...noConfig, ...Object.fromEntries(own) };
}

export function imageInspectJson(image: Image, options: ImageDocumentOptions): JsonObject {
  const raw = image.rawConfig as { readonly [key: string]: Json | undefined };
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: '',
    Comment: lastComment(raw),
    Created: image.createdAt,
    DockerVersion: '',
    Author: raw['author'] ?? '',
    Config: imageConfigJson(raw['config'] as JsonObject | undefined, options),
    Architecture: image.platform.architecture,
    Variant: raw['variant'],
    Os: image.platform.os,
    Size: image.sizeBytes,
    ...virtualSizeJson(image, options),
    GraphDriver: { Data: null, Name: 'overlayfs' },
    RootFS: { Type: 'layers', Layers: (raw['rootfs'] as JsonObject | undefined)?.['diff_ids'] },
    Metadata: { LastTagTime: zeroTime },
    ...targetJson(image, options),
    ...manifestsJson(options),
  };
}

/** Newest first, as `docker history` shows it. `seconds` reads a time of the configuration. */
export function imageHistoryJson(image: Image, seconds: (time: string) => number): JsonObject[] {
  const sizes = [...(image.layerBytes ?? [])];
  const steps = historyOf(image.rawConfig as JsonObject)
    .map((step) => ({ step, bytes: step['empty_layer'] === true ? 0 : (sizes.shift() ?? 0) }))
    .toReversed();
  return steps.map(({ step, bytes }, index) => ({
    Id: index === 0 ? image.id : '<missing>',
    Created: typeof step['created'] === 'string' ? seconds(step['created']) : 0,
    CreatedBy: step['created_by'] ?? '',
    Tags: index === 0 && image.repoTags.length > 0 ? image.repoTags : null,
    Size: bytes,
    Comment: step['comment'] ?? '',
  }));
}

export function distributionJson(distribution: Distribution): JsonObject {
  return {
    Descriptor: {
      mediaType: distribution.mediaType,
      digest: distribution.digest,
      size: distribution.sizeBytes,
    },
    Platforms: distribution.platforms.map(({ architecture, os }) => ({ architecture, os })),
  };
}

function historyOf(raw: JsonObject): readonly JsonObject[] {
  return Array.isArray(raw['history']) ? (raw['history'] as JsonObject[]) : [];
}

function lastComment(raw: JsonObject): Json {
  return historyOf(raw).at(-1)?.['comment'] ?? '';
}
