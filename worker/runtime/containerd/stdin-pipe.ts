/** What a process reads: our end of the pipe that its shim carries over. */
import { closeSync, constants, openSync } from 'node:fs';
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { StdinPipe } from '../io.ts';

export class FifoStdin implements StdinPipe {
  readonly #socket: Socket;
  readonly #endOfInput: (() => Promise<void>) | undefined;

  /**
   * `endOfInput` has the shim let go of the pipe, which it holds open for whoever comes next.
   * Absent: a terminal, whose input has no end but that which is typed.
   */
  constructor(path: string, endOfInput?: () => Promise<void>) {
    this.#endOfInput = endOfInput;
    // Also for reading: the shim may not have opened its end yet.
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      this.#socket = new Socket({ fd, readable: false, writable: true });
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    // What nobody reads any more is nobody's loss: the process has ended.
    this.#socket.on('error', () => this.#socket.destroy());
  }

  write(data: Uint8Array): Promise<void> {
    if (this.#socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.write(data, () => resolve());
    });
  }

  async end(): Promise<void> {
    if (this.#endOfInput === undefined) return;
    if (!this.#socket.destroyed) {
      const closed = once(this.#socket, 'close');
      this.#socket.end(() => this.#socket.destroy());
      await closed;
    }
    await this.#endOfInput();
  }

  /** The process has ended, or clients have left: the pipe stays as it is. */
  close(): void {
    this.#socket.destroy();
  }
}
