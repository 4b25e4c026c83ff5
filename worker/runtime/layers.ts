/** Writable layers on images: a part of the Runtime port. */
import type { SnapshotMount } from './rootfs-file.ts';
import type { ImageRootfs } from './runtime.ts';

export interface Layers {
  /** Makes an empty one on the image. Throws `already-exists`. */
  prepare(key: string, image: ImageRootfs): Promise<void>;
  /** What to mount for the file system of image and layer together. Throws `not-found`. */
  mounts(key: string): Promise<readonly SnapshotMount[]>;
  /** What the layer itself takes on the disk. */
  sizeBytes(key: string): Promise<number>;
  /** One that does not exist is not an error. */
  remove(key: string): Promise<void>;
  /** All that there are. */
  list(): Promise<readonly string[]>;
}
