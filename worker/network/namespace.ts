/**
 * Network namespaces, pinned by a bind mount under the run root so that they outlive the daemon.
 * The thread enters one only for synchronous work: there is no await between going in and out.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  errno,
  mount,
  mountFlags,
  setNetworkNamespace,
  SyscallError,
  unmount,
  unshareNetwork,
} from './syscalls.ts';

/** NSFS_MAGIC: what statfs calls the file system of a pinned namespace. */
const namespaceFsType = 0x6e736673;
const threadNamespace = '/proc/thread-self/ns/net';

export class Namespaces {
  readonly #folder: string;

  /** `folder` is where namespaces are pinned, a file each. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Makes the folder a shared mount, so that a containerd in a mount namespace of its own sees pins
   * that are made after it started.
   */
  prepare(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o711 });
    if (isMountPoint(this.#folder)) return;
    mount(this.#folder, this.#folder, mountFlags.bind);
    mount('none', this.#folder, mountFlags.shared);
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  names(): readonly string[] {
    return existsSync(this.#folder) ? readdirSync(this.#folder) : [];
  }

  /** Makes a namespace unless it is there; `setUp` runs inside a new one before anybody sees it. */
  create(name: string, setUp: () => void): string {
    const path = this.path(name);
    if (this.isAlive(name)) return path;
    writeFileSync(path, '');
    try {
      onReturn(() => {
        unshareNetwork();
        setUp();
        mount(threadNamespace, path, mountFlags.bind);
      });
    } catch (error) {
      this.remove(name);
      throw error;
    }
    return path;
  }

  /** A pin whose namespace is mounted; a plain file is what a crash leaves behind. */
  isAlive(name: string): boolean {
    const path = this.path(name);
    return existsSync(path) && statfsSync(path).type === namespaceFsType;
  }

  /** The kernel takes the namespace apart once its last process is gone. */
  remove(name: string): void {
    const path = this.path(name);
    try {
      unmount(path);
    } catch (error) {
      const isGone =
        error instanceof SyscallError &&
        (error.errno === errno.invalid || error.errno === errno.notFound);
      if (!isGone) throw error;
    }
    rmSync(path, { force: true });
  }

  /** Unpins everything and takes the folder's own mount away. */
  clear(): void {
    for (const name of this.names()) this.remove(name);
    if (isMountPoint(this.#folder)) unmount(this.#folder);
  }
}

/** Runs `work` inside the namespace at `path` and comes back. `work` must be synchronous. */
export function inNamespace<T>(path: string, work: () => T): T {
  const target = openSync(path, 'r');
  try {
    return onReturn(() => {
      setNetworkNamespace(target);
      return work();
    });
  } finally {
    closeSync(target);
  }
}

/**
 * Comes back to the present namespace after `work`. A thread that cannot come back would do
 * everything that follows in the wrong place, so the process ends there.
 */
function onReturn<T>(work: () => T): T {
  const home = openSync(threadNamespace, 'r');
  try {
    return work();
  } finally {
    try {
      setNetworkNamespace(home);
    } catch (error) {
      console.error('cannot return to the home network namespace', error);
      process.abort();
    }
    closeSync(home);
  }
}

function isMountPoint(path: string): boolean {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.some((line) => unescapeOctal(line.split(' ')[4] ?? '') === path);
}

/** mountinfo writes spaces and the like as three octal digits behind a backslash. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
