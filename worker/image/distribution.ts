/** What a registry says of an image, without pulling it. */
import type { Distribution } from './images.ts';
import { maxConfigBytes, parseConfig, parseManifest, type OciPlatform } from './oci.ts';
import type { Repository } from './registry/index.ts';

export async function describeDistribution(
  repository: Repository,
  signal?: AbortSignal,
): Promise<Distribution> {
  const { descriptor, bytes } = await repository.manifest(undefined, signal);
  const document = parseManifest(bytes, descriptor.mediaType);
  const { digest } = descriptor;
  const common = { digest, mediaType: document.mediaType, sizeBytes: bytes.length };
  if (document.kind === 'index') {
    const platforms = document.manifests
      .map(({ platform }) => platform)
      // Signatures and build records are listed as images of an unknown platform.
      .filter((platform) => platform !== undefined && platform.os !== 'unknown');
    return { ...common, platforms: platforms.map((platform) => plain(platform as OciPlatform)) };
  }
  const parts: Buffer[] = [];
  if (document.config.size <= maxConfigBytes) {
    const options = signal === undefined ? {} : { signal };
    for await (const chunk of repository.blob(document.config, options)) parts.push(chunk);
  }
  return {
    ...common,
    platforms: parts.length === 0 ? [] : [plain(parseConfig(Buffer.concat(parts)))],
  };
}

function plain({ os, architecture }: OciPlatform): { os: string; architecture: string } {
  return { os, architecture };
}
