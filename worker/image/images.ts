/** Images on this node: the port that the task manager and the API use. */
import type { Platform } from '../../types/index.ts';
import type { Descriptor, OciPlatform } from './oci.ts';
import type { SearchResult } from './registry/service.ts';
import type { SnapshotMount } from '../runtime/rootfs-file.ts';
import type { ImageRootfs } from '../runtime/runtime.ts';

/** The part of an image's configuration that a container inherits (OCI image-spec names). */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
  readonly stopSignal?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Volumes that the image declares. */
  readonly volumes: readonly string[];
  readonly exposedPorts: readonly string[];
  /** As in the image: durations in nanoseconds. */
  readonly healthcheck?: {
    readonly Test?: readonly string[];
    readonly Interval?: number;
    readonly Timeout?: number;
    readonly StartPeriod?: number;
    readonly StartInterval?: number;
    readonly Retries?: number;
  };
}

export interface Image {
  /** Digest of its configuration: Docker's image id. */
  readonly id: string;
  /** "10.99.0.254:5000/web:1", familiar form (no docker.io/library/). */
  readonly repoTags: readonly string[];
  /** "10.99.0.254:5000/web@sha256:…". */
  readonly repoDigests: readonly string[];
  readonly createdAt: string;
  /** Unpacked size, bytes. */
  readonly sizeBytes: number;
  /** Of each layer alone, bottom first; absent where nobody has measured them. */
  readonly layerBytes?: readonly number[];
  readonly platform: Required<Platform>;
  readonly config: ImageConfig;
  readonly rootfs: ImageRootfs;
  /** The configuration as stored (Docker's image inspect shows more of it). */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  /** What its name stands for: an index, or a manifest. */
  readonly target: Descriptor;
  /** The manifest that the rest of this tells of. */
  readonly manifest: Descriptor;
}

/** A manifest of an image, which may be for another platform, or be none that could run. */
export interface ImageManifest {
  readonly descriptor: Descriptor;
  /** Whether all that it consists of is on this node. */
  readonly isAvailable: boolean;
  readonly kind: 'image' | 'attestation' | 'unknown';
  /** What is here of it, as it came. */
  readonly contentBytes: number;
  /** Of an image: what its layers take on the disk; 0 where they are not unpacked. */
  readonly unpackedBytes?: number;
  readonly platform?: OciPlatform;
  /** Digest of its configuration, as containers name what they were made of. */
  readonly imageId?: string;
  /** Of an attestation: the manifest that it says something of. */
  readonly subject?: string | undefined;
}

export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identityToken?: string;
  readonly registryToken?: string;
  readonly serverAddress?: string;
}

export interface PullProgress {
  /** Short layer digest, or the tag for messages about the image as a whole. */
  readonly id?: string;
  /** Docker's words: "Pulling fs layer", "Downloading", "Extracting", "Pull complete" … */
  readonly status: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
  /** A result for programs, told beside the words for people. */
  readonly aux?: Readonly<Record<string, string | number>>;
}

export interface Distribution {
  readonly digest: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly platforms: readonly Required<Platform>[];
}

export interface Images {
  /**
   * Makes the image present and unpacked. Calls for the same reference share one pull. A reference
   * with a digest that is present is not asked for again; a tag always is, and when the registry
   * cannot be reached (but not when it says no), a present image of that name is used.
   * Throws SwarmError: `not-found`, `unauthenticated`, `permission-denied`, `unavailable`, with the
   * registry's own words in the message.
   */
  pull(
    reference: string,
    options?: {
      /** In place of the host's own, such as "linux/arm64". */
      platform?: string;
      auth?: RegistryAuth;
      onProgress?: (progress: PullProgress) => void;
      signal?: AbortSignal;
    },
  ): Promise<Image>;
  /**
   * Pushes the image of a name with a tag; without one, all tags of the repository. Throws
   * `not-found` for a tag that does not exist, and what the registry says.
   */
  push(
    name: string,
    options?: {
      /** Of an index, just this platform's image. */
      platform?: string;
      auth?: RegistryAuth;
      onProgress?: (progress: PullProgress) => void;
      signal?: AbortSignal;
    },
  ): Promise<void>;
  /**
   * By name, id, or unambiguous start of an id. With a platform, the image of just that platform,
   * unpacked or not; throws `not-found` where the image is here, but not for it.
   */
  get(nameOrId: string, options?: { platform?: string }): Promise<Image | undefined>;
  /** What the image consists of, beside what `get` tells. */
  manifests(image: Image): Promise<readonly ImageManifest[]>;
  list(): Promise<readonly Image[]>;
  tag(nameOrId: string, newReference: string): Promise<void>;
  /**
   * Docker's rules: untags; deletes when the last tag goes. `inUse` names containers that need it.
   * With platforms, names stay, and what is here for those platforms alone goes.
   */
  remove(
    nameOrId: string,
    options: {
      force: boolean;
      platforms?: readonly string[];
      inUse: (imageId: string) => string | undefined;
    },
  ): Promise<readonly ({ untagged: string } | { deleted: string })[]>;
  /**
   * The images of these names or ids as one archive, which is in both forms that `load` reads. A
   * name without a tag stands for all tags of its repository. Throws `not-found` before the first
   * byte.
   */
  save(
    names: readonly string[],
    options?: {
      /** Just this platform's images; all that is here where it is absent. */
      platform?: string;
      signal?: AbortSignal;
      /** Nobody is told: it was for ourselves. */
      quietly?: boolean;
    },
  ): Promise<AsyncIterable<Uint8Array>>;
  /** An image of the layers of another and of a container's own; returns its id. */
  commit(request: {
    /** What the container was made of. */
    imageId: string;
    /** The container's file system, as its snapshotter describes it. */
    mounts: readonly SnapshotMount[];
    /** Docker's names: Cmd, Env … */
    config: Readonly<Record<string, unknown>>;
    /** Dockerfile instructions, on top. */
    changes: readonly string[];
    author: string;
    comment: string;
    /** The container's command, for the image's history. */
    createdBy: string;
    reference?: string;
  }): Promise<string>;
  /** Removes the images that are wanted away and that no container needs. */
  prune(options: {
    wanted: (image: Image) => boolean;
    inUse: (imageId: string) => string | undefined;
  }): Promise<{
    readonly removed: readonly ({ untagged: string } | { deleted: string })[];
    /** Of layers that no other image has. */
    readonly reclaimedBytes: number;
  }>;
  /** Throws `unauthenticated` where the registry at `domain` does not let the credentials in. */
  login(domain: string, auth: RegistryAuth, options?: { signal?: AbortSignal }): Promise<void>;
  /** Throws `not-found` for a registry that cannot be searched. */
  search(
    domain: string,
    query: { readonly term: string; readonly limit: number },
    options?: { auth?: RegistryAuth; signal?: AbortSignal },
  ): Promise<readonly SearchResult[]>;
  /**
   * A `docker save` or OCI archive (also gzipped). Returns what was loaded. With a platform, names
   * stand for the image of just that platform; throws `not-found` where the archive has none. What
   * was `built` here is told as having been named, not loaded.
   */
  load(
    archive: AsyncIterable<Uint8Array>,
    options?: { platform?: string; built?: boolean },
  ): Promise<readonly string[]>;
  /** A file-system tarball becomes an image of one layer; `changes` are Dockerfile instructions. */
  import(
    tarball: AsyncIterable<Uint8Array>,
    options: {
      reference?: string;
      message?: string;
      /** What it is said to be for; this host's where it is absent. */
      platform?: string;
      changes: readonly string[];
    },
  ): Promise<string>;
  /** The tags of a repository, as its registry lists them. */
  tags(
    name: string,
    options?: { auth?: RegistryAuth; signal?: AbortSignal },
  ): Promise<readonly string[]>;
  /** Asks the registry, and pulls nothing. */
  distribution(reference: string, options?: { auth?: RegistryAuth }): Promise<Distribution>;
}
