/** A disk whose syncs take time: a crash meanwhile loses or tears what was on its way. */
import type { Disk, DiskFile } from '../../../raft/index.ts';

/** `pause` resolves after the time that a sync takes, and never in a process that was killed. */
export function slowDisk(disk: Disk, pause: () => Promise<void>): Disk {
  return {
    open: async (path) => slowFile(await disk.open(path), pause),
    create: async (path) => slowFile(await disk.create(path), pause),
    rename: (from, to) => disk.rename(from, to),
    unlink: (path) => disk.unlink(path),
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    syncFolder: async (folder) => {
      await pause();
      await disk.syncFolder(folder);
    },
    lock: (folder) => disk.lock(folder),
  };
}

function slowFile(file: DiskFile, pause: () => Promise<void>): DiskFile {
  return {
    size: () => file.size(),
    read: (into, position) => file.read(into, position),
    write: (bytes, position) => file.write(bytes, position),
    sync: async () => {
      await pause();
      await file.sync();
    },
    close: () => file.close(),
  };
}
