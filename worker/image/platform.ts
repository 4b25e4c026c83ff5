/** Which of an index's images runs on this host. */
import { SwarmError } from '../../lib/errors.ts';
import { own } from '../../lib/own.ts';
import type { Descriptor, OciPlatform } from './oci.ts';

const architectures: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  x64: 'amd64',
  ia32: '386',
  i386: '386',
  i686: '386',
  aarch64: 'arm64',
  armhf: 'arm',
  ppc64: 'ppc64le',
};

/** Go's names for what Node, uname and users call an architecture; variants in one spelling. */
export function normalizePlatform(platform: OciPlatform): OciPlatform {
  const name = platform.architecture.toLowerCase();
  const architecture = own(architectures, name) ?? name;
  const os = platform.os === '' ? 'linux' : platform.os.toLowerCase();
  const variant = platform.variant?.toLowerCase().replace(/^(\d)/, 'v$1') ?? '';
  const implied = own(impliedVariants, architecture);
  const kept = variant === '' ? (architecture === 'arm' ? 'v7' : '') : variant;
  return { os, architecture, ...(kept === '' || kept === implied ? {} : { variant: kept }) };
}

/** Variants that go without saying. */
const impliedVariants: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8' };

/**
 * What the host runs, the best first: its own variant, then older ones, then the 32-bit forms
 * that such processors run too.
 */
export function runnablePlatforms(host: OciPlatform): readonly OciPlatform[] {
  const { os, architecture, variant } = normalizePlatform(host);
  const older = (arch: string, from: string, least: number) => {
    const level = Number(from.slice(1));
    if (!Number.isInteger(level) || level < least) return [{ os, architecture: arch }];
    return Array.from({ length: level - least + 1 }, (_, index) =>
      normalizePlatform({ os, architecture: arch, variant: `v${level - index}` }),
    );
  };
  if (architecture === 'amd64') {
    return [...older('amd64', variant ?? 'v1', 1), { os, architecture: '386' }];
  }
  if (architecture === 'arm64') {
    return [...older('arm64', variant ?? 'v8', 8), ...older('arm', 'v8', 5)];
  }
  if (architecture === 'arm') return older('arm', variant ?? 'v7', 5);
  return [{ os, architecture, ...(variant === undefined ? {} : { variant }) }];
}

/** The entry for the best platform of `runnable`; of several for the same, the first. */
export function chooseManifest(
  manifests: readonly Descriptor[],
  runnable: readonly OciPlatform[],
): Descriptor | undefined {
  for (const wanted of runnable) {
    const found = manifests.find(
      ({ platform }) =>
        platform !== undefined &&
        formatPlatform(normalizePlatform(platform)) === formatPlatform(wanted),
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Reads "linux/arm64/v8", "arm64" or "linux" as users write it. Throws `invalid-argument`. */
export function parsePlatform(text: string, host: OciPlatform): OciPlatform {
  const parts = text.toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) {
    throw new SwarmError(
      'invalid-argument',
      `invalid platform ${JSON.stringify(text)}: give OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, ` +
        'such as linux/arm64',
    );
  }
  const [first = '', architecture, variant] = parts;
  if (architecture !== undefined) {
    return normalizePlatform({
      os: first,
      architecture,
      ...(variant === undefined ? {} : { variant }),
    });
  }
  const isOs = ['linux', 'windows', 'darwin', 'freebsd'].includes(first);
  return normalizePlatform(isOs ? { ...host, os: first } : { os: host.os, architecture: first });
}

/** "linux/arm/v7". */
export function formatPlatform({ os, architecture, variant }: OciPlatform): string {
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`;
}
