/** The durable table of images: canonical name → descriptor, in containerd's own image service. */
import type { Image as StoredImage } from '../../../gen/containerd/images_pb.js';
import { Semaphore } from '../../../lib/concurrency.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { ContainerdClient } from '../../runtime/containerd/client.ts';
import { canonicalName, tryParseReference, type Reference } from '../reference.ts';
import { toContainerd } from './unpack.ts';
import type { Descriptor } from '../oci.ts';

export interface ImageRecord {
  /** "docker.io/library/web:1", "docker.io/library/web@sha256:…", or a nameless image's. */
  readonly name: string;
  readonly target: Descriptor;
  /** Absent for an image that has no name. */
  readonly reference: Reference | undefined;
}

/** Keeps an image that no name is left for. Not a name that a user could give. */
const namelessPrefix = 'nameless@';

export class Records {
  readonly #client: ContainerdClient;
  readonly #oneAtATime = new Semaphore(1);

  constructor(client: ContainerdClient) {
    this.#client = client;
  }

  async get(name: string): Promise<ImageRecord | undefined> {
    try {
      const { image } = await this.#client.images.get({ name });
      return image === undefined ? undefined : toRecord(image);
    } catch (thrown) {
      if (thrown instanceof SwarmError && thrown.code === 'not-found') return undefined;
      throw thrown;
    }
  }

  /** In order of their names. */
  async list(): Promise<readonly ImageRecord[]> {
    const { images } = await this.#client.images.list({});
    const records = images.map(toRecord).filter((record) => record !== undefined);
    return records.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /**
   * Makes the name stand for the target. An image that loses its only name by it stays, without
   * one; an image that gains its first name by it is nameless no more.
   */
  assign(name: string, target: Descriptor): Promise<void> {
    // What is decided from the list must still hold when it is written.
    return this.#oneAtATime.run(() => this.#assign(name, target));
  }

  async #assign(name: string, target: Descriptor): Promise<void> {
    const records = await this.list();
    const old = records.find((record) => record.name === name);
    if (old?.target.digest === target.digest) return;
    const othersNameOld = records.some(
      (record) => record.name !== name && record.target.digest === old?.target.digest,
    );
    if (old !== undefined && !othersNameOld) await this.putNameless(old.target);
    await this.#put(name, target);
    const nameless = namelessPrefix + target.digest;
    if (records.some((record) => record.name === nameless)) {
      await this.delete(nameless, { collect: false });
    }
  }

  /** Keeps an image without a name. */
  async putNameless(target: Descriptor): Promise<void> {
    await this.#put(namelessPrefix + target.digest, target);
  }

  async #put(name: string, target: Descriptor): Promise<void> {
    const image = { name, target: toContainerd(target) };
    try {
      await this.#client.images.create({ image });
    } catch (thrown) {
      if (!(thrown instanceof SwarmError && thrown.code === 'already-exists')) throw thrown;
      await this.#client.images.update({ image, updateMask: { paths: ['target'] } });
    }
  }

  /** With `collect`, waits until what only this name kept is gone. */
  async delete(name: string, options: { collect: boolean }): Promise<void> {
    await this.#client.images.delete({ name, sync: options.collect });
  }
}

/** Whether the record is a name in the repository of the reference. */
export function sameRepository(record: ImageRecord, reference: Reference): boolean {
  return (
    record.reference !== undefined && canonicalName(record.reference) === canonicalName(reference)
  );
}

function toRecord(image: StoredImage): ImageRecord | undefined {
  const { name, target } = image;
  if (target === undefined) return undefined;
  const { mediaType, digest, size } = target;
  const nameless = name.startsWith(namelessPrefix);
  return {
    name,
    target: { mediaType, digest, size: Number(size) },
    reference: nameless ? undefined : tryParseReference(name),
  };
}
