/**
 * What a client says of its files, before anything of it is believed: names that stay below their
 * folder, each once and after its parent, and no more than there is room for. Pure.
 */
import { SwarmError } from '../../../lib/errors.ts';
import type { Stat } from '../../../gen/buildkit/fsutil_pb.js';

export type FileEntry = {
  readonly path: string;
  /** As chmod takes them. */
  readonly permissions: number;
  /** Whole seconds since the epoch. */
  readonly modTimeSec: number;
} & (
  | { readonly kind: 'folder' | 'file' | 'other' }
  | { readonly kind: 'symlink' | 'hard-link'; readonly target: string }
);

export interface FileLimits {
  readonly maxEntries: number;
  /** Of all files together. */
  readonly maxBytes: number;
}

/** Go's os.FileMode. */
const goModes = {
  folder: 0x8000_0000,
  symlink: 0x0800_0000,
  setuid: 0x0080_0000,
  setgid: 0x0040_0000,
  sticky: 0x0010_0000,
  /** Whatever is no plain file. */
  types: 0x8f28_0000,
} as const;

const maxPathBytes = 4096;
const maxNameBytes = 255;

export class FileEntries {
  readonly #limits: FileLimits;
  readonly #folders = new Set(['']);
  readonly #files = new Set<string>();
  readonly #all = new Set<string>();
  #bytes = 0n;

  constructor(limits: FileLimits) {
    this.#limits = limits;
  }

  /** Reads the next one. Throws `invalid-argument` for what no honest client sends. */
  add(stat: Stat): FileEntry {
    const { path, linkname } = stat;
    this.#checkPath(path);
    const mode = stat.mode >>> 0;
    const common = {
      path,
      permissions: permissionsOf(mode),
      // Layers have whole seconds, and buildah would round them up as well as down.
      modTimeSec: Number(stat.modTime / 1_000_000_000n),
    };
    if (has(mode, goModes.folder)) {
      this.#folders.add(path);
      return { ...common, kind: 'folder' };
    }
    if (has(mode, goModes.symlink)) {
      if (linkname === '' || isTooLong(linkname) || linkname.includes('\0')) {
        throw refused(path, 'points nowhere that a link can point to');
      }
      return { ...common, kind: 'symlink', target: linkname };
    }
    if (has(mode, goModes.types)) return { ...common, kind: 'other' };
    if (linkname !== '') {
      if (!this.#files.has(linkname)) throw refused(path, 'is linked to a file that was not sent');
      return { ...common, kind: 'hard-link', target: linkname };
    }
    this.#bytes += stat.size < 0n ? 0n : stat.size;
    if (this.#bytes > BigInt(this.#limits.maxBytes)) throw tooLarge(this.#limits);
    this.#files.add(path);
    return { ...common, kind: 'file' };
  }

  #checkPath(path: string): void {
    const names = path.split('/');
    const isBad = (name: string) =>
      name === '' || name === '.' || name === '..' || Buffer.byteLength(name) > maxNameBytes;
    if (path.includes('\0') || isTooLong(path) || names.some(isBad)) {
      throw refused(path, 'is no path within a folder');
    }
    if (this.#all.has(path)) throw refused(path, 'was sent twice');
    // A parent that is a link would lead out of the folder.
    const parent = names.slice(0, -1).join('/');
    if (!this.#folders.has(parent)) throw refused(path, 'is in no folder that was sent');
    if (this.#all.size >= this.#limits.maxEntries) throw tooLarge(this.#limits);
    this.#all.add(path);
  }
}

/** What all files together have more than was said of them, or than there may be. */
export function tooLarge({ maxEntries, maxBytes }: FileLimits): SwarmError {
  return new SwarmError(
    'invalid-argument',
    `the build context is larger than ${maxBytes} bytes in ${maxEntries} files: ` +
      'leave what the build does not need to .dockerignore',
  );
}

function permissionsOf(mode: number): number {
  const { setuid, setgid, sticky } = goModes;
  return (
    (mode & 0o777) |
    (has(mode, setuid) ? 0o4000 : 0) |
    (has(mode, setgid) ? 0o2000 : 0) |
    (has(mode, sticky) ? 0o1000 : 0)
  );
}

function has(mode: number, bits: number): boolean {
  return (mode & bits) !== 0;
}

function isTooLong(path: string): boolean {
  return Buffer.byteLength(path) > maxPathBytes;
}

function refused(path: string, why: string): SwarmError {
  const name = JSON.stringify(path.slice(0, maxNameBytes));
  return new SwarmError(
    'invalid-argument',
    `the client of the build sent a file ${name} that ${why}`,
  );
}
