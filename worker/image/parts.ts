/** What is here of the image behind a name: whole manifests with all that they refer to. */
import { SwarmError } from '../../lib/errors.ts';
import type { Library, Resolved } from './library.ts';
import {
  maxConfigBytes,
  maxManifestBytes,
  parseConfig,
  parseManifest,
  type ConfigFile,
  type Descriptor,
  type Manifest,
  type OciPlatform,
} from './oci.ts';
import { chooseManifest, formatPlatform, normalizePlatform } from './platform.ts';
import { familiarString, type Reference } from './reference.ts';
import type { ContentStore } from './store/content.ts';

/** One platform's image. */
export interface Part {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly manifest: Manifest;
  readonly diffIds: readonly string[];
  readonly platform: OciPlatform;
}

function partOf(digest: string, bytes: Buffer, manifest: Manifest, config: ConfigFile): Part {
  const { mediaType } = manifest;
  const platform = normalizePlatform(config);
  return { digest, mediaType, bytes, manifest, diffIds: config.diffIds, platform };
}

export class PartReader {
  readonly #content: ContentStore;
  readonly #library: Library;

  constructor(parts: { content: ContentStore; library: Library }) {
    this.#content = parts.content;
    this.#library = parts.library;
  }

  /** The image of the platform that is asked for, or that runs here. */
  async single(
    reference: Reference,
    target: Descriptor,
    platform: OciPlatform | undefined,
  ): Promise<Part> {
    if (platform === undefined) {
      const resolved = await this.#library.resolve(target);
      if (resolved !== undefined) return this.#part(resolved);
    } else {
      const document = parseManifest(await this.#content.read(target.digest, maxManifestBytes));
      const chosen =
        document.kind === 'index' ? chooseManifest(document.manifests, [platform]) : target;
      const part = chosen === undefined ? undefined : await this.#completePart(chosen.digest);
      if (part !== undefined && formatPlatform(part.platform) === formatPlatform(platform)) {
        return part;
      }
      throw new SwarmError(
        'not-found',
        `image with reference ${familiarString(reference)} was found but does not provide the ` +
          `specified platform (${formatPlatform(platform)})`,
      );
    }
    const message = `${familiarString(reference)} has lost parts here; pull or build it again`;
    throw new SwarmError('failed-precondition', message);
  }

  /** Every image of an index, where all of them are here; undefined for anything else. */
  async wholeIndex(target: Descriptor): Promise<readonly Part[] | undefined> {
    const bytes = await this.#content.read(target.digest, maxManifestBytes);
    const document = parseManifest(bytes, target.mediaType);
    if (document.kind === 'manifest') return undefined;
    const parts: Part[] = [];
    for (const { digest } of document.manifests) {
      const part = await this.#completePart(digest);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    return parts.length === 0 ? undefined : parts;
  }

  /** Undefined where a blob of it is missing. */
  async #completePart(digest: string): Promise<Part | undefined> {
    if ((await this.#content.info(digest)) === undefined) return undefined;
    const bytes = await this.#content.read(digest, maxManifestBytes);
    const manifest = parseManifest(bytes);
    if (manifest.kind !== 'manifest') return undefined;
    for (const blob of [manifest.config, ...manifest.layers]) {
      if ((await this.#content.info(blob.digest)) === undefined) return undefined;
    }
    const config = await this.#content.read(manifest.config.digest, maxConfigBytes);
    return partOf(digest, bytes, manifest, parseConfig(config));
  }

  async #part({ manifest, manifestDigest: digest, config }: Resolved): Promise<Part> {
    const bytes = await this.#content.read(digest, maxManifestBytes);
    return partOf(digest, bytes, manifest, config);
  }
}
