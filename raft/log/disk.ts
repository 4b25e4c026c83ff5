/** The disk as a port: real in a daemon; in tests one that loses, tears, fills up and fails. */
export interface Disk {
  /** Opens an existing file for reading and writing. */
  open(path: string): Promise<DiskFile>;
  /** Creates an empty file; whatever had the name is replaced. */
  create(path: string): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Names of the files in the folder, in no order. */
  list(folder: string): Promise<string[]>;
  /** Creates the folder and those above it, durably. */
  makeFolder(folder: string): Promise<void>;
  /** Makes creations, renames and unlinks in the folder durable. */
  syncFolder(folder: string): Promise<void>;
  /**
   * Takes the folder for this process alone. Throws LogError `locked` when it is taken. The lock
   * ends with the process, however that ends.
   */
  lock(folder: string): Promise<DiskLock>;
}

export interface DiskFile {
  size(): Promise<number>;
  /** Reads until `into` is full or the file ends. Returns the bytes read. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of it, or throws: then any part of it may have been written. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Makes all writes so far durable. After an error nothing is known of any of them. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Removes a file that could not be finished: on a full disk it holds what others need. It may never
 * have been there, or be beyond removal as the disk has failed; the error that led here tells.
 */
export async function giveBack(disk: Disk, path: string): Promise<void> {
  await Promise.allSettled([disk.unlink(path)]);
}

export interface DiskLock {
  release(): Promise<void>;
}
