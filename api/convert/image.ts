/** Images, as the Docker Engine API writes them. */
import type { Distribution, Image } from '../../worker/image/images.ts';
import type { Json, JsonObject } from './json.ts';
import { zeroTime } from './time.ts';

/** A line of `docker images`. `createdAtMs`: the image's time of creation. */
export function imageSummaryJson(image: Image, createdAtMs: number): JsonObject {
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Created: Math.floor(createdAtMs / 1000),
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    SharedSize: -1,
    Labels: Object.keys(image.config.labels).length === 0 ? null : image.config.labels,
    Containers: -1,
  };
}

/** What Docker writes for all that an image's configuration leaves open. */
const noConfig: JsonObject = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

export function imageInspectJson(image: Image): JsonObject {
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
    Config: { ...noConfig, ...(raw['config'] as JsonObject | undefined) },
    Architecture: image.platform.architecture,
    Variant: raw['variant'],
    Os: image.platform.os,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    GraphDriver: { Data: null, Name: 'overlayfs' },
    RootFS: { Type: 'layers', Layers: (raw['rootfs'] as JsonObject | undefined)?.['diff_ids'] },
    Metadata: { LastTagTime: zeroTime },
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
