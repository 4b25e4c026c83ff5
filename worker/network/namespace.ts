/**
 * Network namespaces, pinned by a bind mount under the run root so that they outlive the daemon.
 * The thread enters one only for synchronous work: there is no await between going in and out.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isMounted } from '../../lib/mount-table.ts';
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

/** Names of containers begin with a letter or a digit. */
const sparePrefix = '.spare-';

/** A descriptor, and what it leads to. */
interface Held {
  readonly fd: number;
  readonly dev: number;
  readonly ino: number;
}

export class Namespaces implements Disposable {
  readonly #folder: string;
  readonly #setUp: () => void;
  /** Made in advance: the kernel takes long for one, and everybody else waits meanwhile. */
  readonly #spares: string[] = [];
  #sparesMade = 0;
  /** Descriptors of those in use: a namespace lives on when somebody takes its pin away. */
  readonly #held = new Map<string, Held>();

  /**
   * `folder` is where namespaces are pinned, a file each. `setUp` runs inside each new one before
   * anybody sees it.
   */
  constructor(folder: string, setUp: () => void) {
    this.#folder = folder;
    this.#setUp = setUp;
  }

  /**
   * Makes the folder a shared mount, so that a containerd in a mount namespace of its own sees pins
   * that are made after it started.
   */
  prepare(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o711 });
    if (!isMounted(this.#folder)) {
      mount(this.#folder, this.#folder, mountFlags.bind);
      mount('none', this.#folder, mountFlags.shared);
    }
    // A daemon that was killed leaves its spares, which nobody could tell from used ones in time.
    for (const name of readdirSync(this.#folder)) {
      if (name.startsWith(sparePrefix)) this.remove(name);
    }
  }

  get spares(): number {
    return this.#spares.length;
  }

  addSpare(): void {
    const name = `${sparePrefix}${this.#sparesMade++}`;
    this.#make(name);
    this.#spares.push(name);
  }

  dropSpares(): void {
    for (const name of this.#spares.splice(0)) this.remove(name);
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  names(): readonly string[] {
    if (!existsSync(this.#folder)) return [];
    return readdirSync(this.#folder).filter((name) => !name.startsWith(sparePrefix));
  }

  /** Makes a namespace unless it is there, and holds it. */
  create(name: string): string {
    const path = this.path(name);
    if (!this.isAlive(name)) {
      this.#letGo(name);
      const spare = this.#spares.pop();
      if (spare === undefined) this.#make(name);
      else this.#rename(spare, name);
    }
    this.fd(name);
    return path;
  }

  /** A descriptor of a namespace that is alive; open until it is removed. */
  fd(name: string): number {
    let held = this.#held.get(name);
    if (held === undefined) {
      const fd = openSync(this.path(name), 'r');
      const { dev, ino } = fstatSync(fd);
      this.#held.set(name, (held = { fd, dev, ino }));
    }
    return held.fd;
  }

  /** Whether the pin of a held namespace leads to it. */
  isPinned(name: string): boolean {
    const held = this.#held.get(name);
    const pinned = statSync(this.path(name), { throwIfNoEntry: false });
    return held !== undefined && pinned?.ino === held.ino && pinned.dev === held.dev;
  }

  /** Pins a held namespace again whose pin is gone, or is another's. Whether that was needed. */
  repin(name: string): boolean {
    const held = this.#held.get(name);
    if (held === undefined || this.isPinned(name)) return false;
    this.#unpin(name);
    this.#pin(name, (path) => mount(`/proc/self/fd/${held.fd}`, path, mountFlags.bind));
    return true;
  }

  #make(name: string): void {
    this.#pin(name, (path) =>
      onReturn(() => {
        unshareNetwork();
        this.#setUp();
        mount(threadNamespace, path, mountFlags.bind);
      }),
    );
  }

  #rename(from: string, to: string): void {
    this.#pin(to, (path) => mount(this.path(from), path, mountFlags.bind));
    this.remove(from);
  }

  #pin(name: string, bind: (path: string) => void): void {
    const path = this.path(name);
    writeFileSync(path, '');
    try {
      bind(path);
    } catch (error) {
      this.#unpin(name);
      throw error;
    }
  }

  /** A pin whose namespace is mounted; a plain file is what a crash leaves behind. */
  isAlive(name: string): boolean {
    const path = this.path(name);
    return existsSync(path) && statfsSync(path).type === namespaceFsType;
  }

  /** The kernel takes the namespace apart once its last process is gone. */
  remove(name: string): void {
    this.#letGo(name);
    this.#unpin(name);
  }

  /** Pins stay; only the descriptors are closed. */
  [Symbol.dispose](): void {
    this.dropSpares();
    for (const name of this.#held.keys()) this.#letGo(name);
  }

  #letGo(name: string): void {
    const held = this.#held.get(name);
    if (held === undefined) return;
    this.#held.delete(name);
    closeSync(held.fd);
  }

  #unpin(name: string): void {
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
    this.dropSpares();
    for (const name of this.names()) this.remove(name);
    if (isMounted(this.#folder)) unmount(this.#folder);
  }
}

/** Runs `work` inside the namespace at `path` and comes back. `work` must be synchronous. */
export function inNamespace<T>(path: string, work: () => T): T {
  const target = openSync(path, 'r');
  try {
    return inNamespaceOf(target, work);
  } finally {
    closeSync(target);
  }
}

/** The same with a descriptor of the namespace. */
export function inNamespaceOf<T>(fd: number, work: () => T): T {
  return onReturn(() => {
    setNetworkNamespace(fd);
    return work();
  });
}

/** Runs `work` inside a namespace that ends with it. `work` must be synchronous. */
export function inScratchNamespace<T>(work: () => T): T {
  return onReturn(() => {
    unshareNetwork();
    return work();
  });
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
