/** One container's log on disk: appended to by the pump, rotated, followed by readers. */
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { errnoOf } from '../../../lib/errors.ts';
import { withAbort } from '../../../lib/abort.ts';

export interface RotationLimits {
  readonly maxSizeBytes: number;
  /** The one being written included; at least 1. */
  readonly maxFiles: number;
}

export class LogFile {
  readonly path: string;
  readonly #limits: RotationLimits;
  #handle: FileHandle | undefined;
  #sizeBytes = 0;
  #tail: Promise<void> = Promise.resolve();
  #version = 0;
  #rotations = 0;
  #rotating = false;
  #ended = false;
  #change = Promise.withResolvers<void>();

  constructor(path: string, limits: RotationLimits) {
    this.path = path;
    this.#limits = limits;
  }

  /** Raised by every append, rotation, and by the end. */
  get version(): number {
    return this.#version;
  }

  /**
   * How often the files have got other names. Whoever looks at several of them, or opens one by its
   * name, has seen what belongs together only where this has not changed meanwhile.
   */
  get rotations(): number {
    return this.#rotations;
  }

  /** Resolves once no file is being renamed. Rejects with the signal's reason. */
  async rested(signal?: AbortSignal): Promise<void> {
    while (this.#rotating) await this.changedSince(this.#version, signal);
  }

  /** Nothing more will be written. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves once `version` is beyond this one. Rejects with the signal's reason. */
  async changedSince(version: number, signal?: AbortSignal): Promise<void> {
    if (this.#version === version) await withAbort(this.#change.promise, signal);
  }

  /** Newest first: "x", "x.1", "x.2" … */
  paths(): readonly string[] {
    return Array.from({ length: Math.max(1, this.#limits.maxFiles) }, (_, index) =>
      index === 0 ? this.path : `${this.path}.${index}`,
    );
  }

  /** Resolves when the text is with the operating system. Calls are served in order. */
  append(text: string): Promise<void> {
    const done = this.#tail.then(() => this.#append(text));
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** Closes the file; followers see the end. */
  async end(): Promise<void> {
    await this.#tail;
    await this.#handle?.close();
    this.#handle = undefined;
    this.#ended = true;
    this.#announce();
  }

  async #append(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    if (this.#handle === undefined) await this.#open();
    if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#limits.maxSizeBytes) {
      await this.#rotate();
    }
    let written = 0;
    while (written < bytes.length) {
      const result = await this.#handle!.write(bytes, written);
      written += result.bytesWritten;
    }
    this.#sizeBytes += bytes.length;
    this.#announce();
  }

  async #open(): Promise<void> {
    this.#handle = await open(this.path, 'a', 0o640);
    this.#sizeBytes = (await this.#handle.stat()).size;
  }

  async #rotate(): Promise<void> {
    this.#rotations++;
    this.#rotating = true;
    try {
      await this.#rename();
    } finally {
      this.#rotating = false;
      this.#announce();
    }
  }

  async #rename(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
    const paths = this.paths();
    for (let index = paths.length - 1; index > 0; index--) {
      try {
        await rename(paths[index - 1] ?? '', paths[index] ?? '');
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
      }
    }
    if (paths.length === 1) await rm(this.path, { force: true });
    await this.#open();
  }

  #announce(): void {
    this.#version++;
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers<void>();
    resolve();
  }
}
