/** Named pipes between shim and daemon. Node has no call that makes one, or sets its capacity. */
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import koffi from 'koffi';
import { SwarmError } from '../../../lib/errors.ts';

const libc = koffi.load('libc.so.6');
const mkfifo = libc.func('int mkfifo(const char *path, unsigned int mode)');
const fcntl = libc.func('int fcntl(int fd, int command, int value)');

const setPipeSize = 1031;
const eexist = koffi.os.errno['EEXIST'];

/**
 * What a container can write while no daemon reads, before its writes block. The kernel takes the
 * memory only for what is in the pipe.
 */
const capacityBytes = 1024 * 1024;

/** Makes a pipe at the path; one that is there is kept, with what is in it. */
export function makeFifo(path: string): void {
  const result = mkfifo(path, 0o600) as number;
  if (result !== 0 && koffi.errno() !== eexist) {
    throw new SwarmError('internal', `cannot make the pipe ${path}: errno ${koffi.errno()}`);
  }
}

/**
 * Opens a pipe for reading without waiting for a writer. Through a socket, because a read stream of
 * fs would block a thread of the pool for each pipe. Each chunk is read into `buffer`, which may be
 * shared by all pipes: `onData` must be done with it when it returns; false pauses the reading.
 */
export function readFifo(
  path: string,
  buffer: Uint8Array,
  onData: (bytes: Uint8Array) => boolean,
): Socket {
  // Also for writing: with a writer of its own the pipe never ends while it is being watched.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    fcntl(fd, setPipeSize, capacityBytes);
    const options = {
      fd,
      readable: true,
      writable: false,
      onread: {
        buffer,
        callback: (length: number, into: Uint8Array) => onData(into.subarray(0, length)),
      },
    };
    return new Socket(options);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
