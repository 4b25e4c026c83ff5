import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Disk, DiskFile, DiskLock } from './disk.ts';
import { LogError } from './errors.ts';

/** SQLITE_BUSY. */
const busy = 5;

/** The real disk. Callbacks, as they cost less than fs.promises on the path of every append. */
export const nodeDisk: Disk = {
  open: (path) => openFile(path, 'r+'),
  create: (path) => openFile(path, 'w+'),
  rename: (from, to) => call((done) => fs.rename(from, to, done)),
  unlink: (path) => call((done) => fs.unlink(path, done)),
  list: (folder) => ask<string[]>((done) => fs.readdir(folder, done)),

  async makeFolder(folder) {
    const made = await ask<string | undefined>((done) =>
      fs.mkdir(folder, { recursive: true, mode: 0o700 }, done),
    );
    if (made === undefined) return;
    // Each new folder is an entry in the one above it.
    for (let path = folder; ; path = dirname(path)) {
      await nodeDisk.syncFolder(dirname(path));
      if (path === made) return;
    }
  },

  async syncFolder(folder) {
    const fd = await ask<number>((done) => fs.open(folder, 'r', done));
    try {
      await call((done) => fs.fsync(fd, done));
    } finally {
      await call((done) => fs.close(fd, done));
    }
  },

  /**
   * The lock is the one that SQLite takes on a database file: the kernel holds it, for the file
   * and not for its name, so it also works between containers and network namespaces that share a
   * folder, and it goes with the process. Node offers no file locks of its own.
   */
  lock(folder) {
    const path = join(folder, 'lock');
    const database = new DatabaseSync(path, { timeout: 0 });
    try {
      database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE');
      database.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      database.close();
      if (!(error instanceof Error) || !('errcode' in error) || error.errcode !== busy) throw error;
      const message = `${folder} is in use by another process; end that one, or use another folder`;
      throw new LogError('locked', message, { path, cause: error });
    }
    const release = () => Promise.resolve(database.close());
    return Promise.resolve({ release } satisfies DiskLock);
  },
};

async function openFile(path: string, flags: 'r+' | 'w+'): Promise<DiskFile> {
  const fd = await ask<number>((done) => fs.open(path, flags, 0o600, done));
  return {
    async size() {
      return (await ask<fs.Stats>((done) => fs.fstat(fd, done))).size;
    },
    async read(into, position) {
      let count = 0;
      while (count < into.length) {
        const at = count;
        const got = await ask<number>((done) =>
          fs.read(fd, into, at, into.length - at, position + at, (error, n) => done(error, n)),
        );
        if (got === 0) break;
        count += got;
      }
      return count;
    },
    async write(bytes, position) {
      let count = 0;
      while (count < bytes.length) {
        const at = count;
        count += await ask<number>((done) =>
          fs.write(fd, bytes, at, bytes.length - at, position + at, (error, n) => done(error, n)),
        );
      }
    },
    sync: () => call((done) => fs.fdatasync(fd, done)),
    close: () => call((done) => fs.close(fd, done)),
  };
}

function call(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function ask<T>(start: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      if (error === null) resolve(result as T);
      else reject(error);
    });
  });
}
