import { dirname } from 'node:path';
import type { Disk, DiskFile, DiskLock } from './disk.ts';
import { LogError } from './errors.ts';
import { sectorBytes } from './record.ts';

export type DiskOperation =
  | 'open'
  | 'create'
  | 'rename'
  | 'unlink'
  | 'list'
  | 'syncFolder'
  | 'read'
  | 'write'
  | 'sync';

/** What a crash leaves of writes that were not synced. */
export type CrashMode =
  /** All of it: a process that is killed leaves the system's cache as it is. */
  | 'keep'
  | 'lose'
  /** Up to any byte, in the order of the writes. */
  | 'prefix'
  /** Any of the sectors. */
  | 'sectors';

interface Write {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** A file's content: as programs see it, and as a crash would leave it. */
class Inode {
  current: Buffer = Buffer.alloc(0);
  durable: Buffer = Buffer.alloc(0);
  /** Not synced, or given up by a sync that failed. */
  unsynced: Write[] = [];
  /** A sync failed: the system calls these writes clean, and no later sync takes them along. */
  abandoned: Write[] = [];
}

interface FolderChange {
  readonly remove: string;
  readonly set?: readonly [name: string, inode: Inode];
}

class Folder {
  readonly current = new Map<string, Inode>();
  readonly durable = new Map<string, Inode>();
  unsynced: FolderChange[] = [];
  locked = false;

  change(change: FolderChange): void {
    applyTo(this.current, change);
    this.unsynced.push(change);
  }

  /** As a crash finds it done. */
  make(change: FolderChange): void {
    applyTo(this.current, change);
    applyTo(this.durable, change);
  }

  sync(): void {
    for (const change of this.unsynced) applyTo(this.durable, change);
    this.unsynced = [];
  }
}

function applyTo(names: Map<string, Inode>, { remove, set }: FolderChange): void {
  names.delete(remove);
  if (set !== undefined) names.set(...set);
}

/** A disk in memory for tests: it loses what was not synced, tears writes, fills up and fails. */
export class MemoryDisk implements Disk {
  /** The sum of all files' sizes may not exceed this. */
  capacityBytes = Infinity;
  /** Operations that are let through before the disk is cut off, as by a crash. */
  operationsLeft = Infinity;
  readonly #folders = new Map<string, Folder>();
  readonly #failures: { operation: DiskOperation; code: string }[] = [];

  /** The next operation of that kind fails with the system's error code. */
  failNext(operation: DiskOperation, code: string): void {
    this.#failures.push({ operation, code });
  }

  /** The disk as it is found after a crash. `random` gives numbers in [0, 1). */
  crash(mode: CrashMode, random: () => number): MemoryDisk {
    const after = new MemoryDisk();
    const copies = new Map<Inode, Inode>();
    for (const [path, folder] of this.#folders) {
      const copyOf = (inode: Inode): Inode => {
        const copy = copies.get(inode) ?? survivor(inode, mode, random);
        copies.set(inode, copy);
        return copy;
      };
      const kept = new Folder();
      for (const [name, inode] of folder.durable) kept.durable.set(name, copyOf(inode));
      for (const [name, inode] of kept.durable) kept.current.set(name, inode);
      const changes = mode === 'lose' ? 0 : mode === 'keep' ? 1 : random();
      // Journaling file systems keep the order of such changes.
      for (const change of folder.unsynced.slice(0, Math.round(changes * folder.unsynced.length))) {
        const copied: FolderChange = {
          remove: change.remove,
          ...(change.set === undefined ? {} : { set: [change.set[0], copyOf(change.set[1])] }),
        };
        if (mode === 'keep') kept.change(copied);
        else kept.make(copied);
      }
      after.#folders.set(path, kept);
    }
    return after;
  }

  /** For tests that damage files: the bytes themselves. */
  bytesOf(path: string): Buffer {
    const inode = this.#folder(path).current.get(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    return inode.current;
  }

  async open(path: string): Promise<DiskFile> {
    await this.#step('open', path);
    const inode = this.#folder(path).current.get(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    return this.#file(path, inode);
  }

  async create(path: string): Promise<DiskFile> {
    await this.#step('create', path);
    const inode = new Inode();
    this.#folder(path).change({ remove: path, set: [path, inode] });
    return this.#file(path, inode);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step('rename', from);
    const folder = this.#folder(from);
    const inode = folder.current.get(from);
    if (inode === undefined) throw systemError('ENOENT', from);
    folder.change({ remove: from, set: [to, inode] });
  }

  async unlink(path: string): Promise<void> {
    await this.#step('unlink', path);
    const folder = this.#folder(path);
    if (!folder.current.has(path)) throw systemError('ENOENT', path);
    folder.change({ remove: path });
  }

  async list(folder: string): Promise<string[]> {
    await this.#step('list', folder);
    const names = this.#folders.get(folder)?.current.keys() ?? [];
    return [...names].map((path) => path.slice(folder.length + 1));
  }

  makeFolder(folder: string): Promise<void> {
    if (!this.#folders.has(folder)) this.#folders.set(folder, new Folder());
    return Promise.resolve();
  }

  async syncFolder(path: string): Promise<void> {
    await this.#step('syncFolder', path);
    const folder = this.#folders.get(path);
    if (folder === undefined) throw systemError('ENOENT', path);
    folder.sync();
  }

  lock(path: string): Promise<DiskLock> {
    const folder = this.#folders.get(path);
    if (folder === undefined) throw systemError('ENOENT', path);
    if (folder.locked) throw new LogError('locked', `${path} is in use`, { path });
    folder.locked = true;
    const release = () => {
      folder.locked = false;
      return Promise.resolve();
    };
    return Promise.resolve({ release });
  }

  #file(path: string, inode: Inode): DiskFile {
    return {
      size: () => Promise.resolve(inode.current.length),
      read: async (into, position) => {
        await this.#step('read', path);
        return inode.current.copy(into, 0, Math.min(position, inode.current.length));
      },
      write: (bytes, position) => this.#write(path, inode, { position, bytes: bytes.slice() }),
      sync: async () => {
        try {
          await this.#step('sync', path);
        } catch (error) {
          inode.abandoned.push(...inode.unsynced);
          inode.unsynced = [];
          throw error;
        }
        for (const write of inode.unsynced) {
          inode.durable = written(inode.durable, write);
          inode.abandoned = inode.abandoned.flatMap((old) => outside(old, write));
        }
        inode.unsynced = [];
      },
      close: () => Promise.resolve(),
    };
  }

  /** A write that fails for lack of room, or as the disk is cut off, may have been done in part. */
  async #write(path: string, inode: Inode, write: Write): Promise<void> {
    const { position, bytes } = write;
    const put = (part: Write) => {
      inode.current = written(inode.current, part);
      inode.unsynced.push(part);
    };
    try {
      await this.#step('write', path);
    } catch (error) {
      put({ position, bytes: bytes.subarray(0, bytes.length / 2) });
      throw error;
    }
    const grows = Math.max(0, position + bytes.length - inode.current.length);
    const room = this.capacityBytes - this.#usedBytes();
    if (grows > room) {
      put({ position, bytes: bytes.subarray(0, Math.max(0, bytes.length - grows + room)) });
      throw systemError('ENOSPC', path);
    }
    put(write);
  }

  #usedBytes(): number {
    let sum = 0;
    for (const folder of this.#folders.values()) {
      for (const inode of folder.current.values()) sum += inode.current.length;
    }
    return sum;
  }

  #folder(path: string): Folder {
    const folder = this.#folders.get(dirname(path));
    if (folder === undefined) throw systemError('ENOENT', path);
    return folder;
  }

  async #step(operation: DiskOperation, path: string): Promise<void> {
    await Promise.resolve();
    if (this.operationsLeft <= 0) throw systemError('EIO', path);
    this.operationsLeft -= 1;
    const failure = this.#failures.findIndex((planned) => planned.operation === operation);
    if (failure < 0) return;
    const [planned] = this.#failures.splice(failure, 1);
    throw systemError(planned?.code ?? 'EIO', path);
  }
}

/** What a crash leaves of a file. */
function survivor(inode: Inode, mode: CrashMode, random: () => number): Inode {
  const copy = new Inode();
  copy.durable = Buffer.from(inode.durable);
  if (mode === 'keep') {
    copy.current = Buffer.from(inode.current);
    copy.unsynced = [...inode.unsynced];
    copy.abandoned = [...inode.abandoned];
    return copy;
  }
  copy.current = Buffer.from(inode.durable);
  const writes = [...inode.abandoned, ...inode.unsynced];
  if (mode === 'prefix') {
    let left = Math.floor(
      random() * (writes.reduce((sum, { bytes }) => sum + bytes.length, 0) + 1),
    );
    for (const { position, bytes } of writes) {
      const kept = bytes.subarray(0, left);
      copy.current = written(copy.current, { position, bytes: kept });
      left -= kept.length;
    }
  }
  if (mode === 'sectors') {
    for (const write of writes) {
      for (const part of sectorsOf(write)) {
        if (random() < 0.5) copy.current = written(copy.current, part);
      }
    }
  }
  copy.durable = Buffer.from(copy.current);
  return copy;
}

function* sectorsOf({ position, bytes }: Write): Iterable<Write> {
  for (let at = position; at < position + bytes.length;) {
    const end = Math.min((Math.floor(at / sectorBytes) + 1) * sectorBytes, position + bytes.length);
    yield { position: at, bytes: bytes.subarray(at - position, end - position) };
    at = end;
  }
}

/** What of the old write the new one does not replace. */
function outside(old: Write, { position, bytes }: Write): Write[] {
  const before = Math.max(0, position - old.position);
  const after = Math.max(0, position + bytes.length - old.position);
  return [
    { position: old.position, bytes: old.bytes.subarray(0, before) },
    { position: old.position + after, bytes: old.bytes.subarray(after) },
  ].filter((part) => part.bytes.length > 0);
}

/** The content with the write in it; it grows with zeros where the write is behind its end. */
function written(content: Buffer, { position, bytes }: Write): Buffer {
  if (bytes.length === 0) return content;
  const end = position + bytes.length;
  const grown =
    end <= content.length ? content : Buffer.concat([content, Buffer.alloc(end - content.length)]);
  grown.set(bytes, position);
  return grown;
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
