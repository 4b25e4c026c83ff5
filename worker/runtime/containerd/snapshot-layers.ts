/** Writable layers as snapshots of their own, which no container's removal takes along. */
import { markLayer } from '../container-mark.ts';
import type { Layers } from '../layers.ts';
import type { SnapshotMount } from '../rootfs-file.ts';
import type { ImageRootfs } from '../runtime.ts';
import type { ContainerdClient } from './client.ts';
import { ignoreMissing, layerKey } from './creation.ts';

export class SnapshotLayers implements Layers {
  readonly #client: ContainerdClient;
  readonly #snapshotter: string;

  constructor(setup: { readonly client: ContainerdClient; readonly snapshotter: string }) {
    this.#client = setup.client;
    this.#snapshotter = setup.snapshotter;
  }

  async prepare(key: string, image: ImageRootfs): Promise<void> {
    const { mounts } = await this.#client.snapshots.prepare({
      snapshotter: this.#snapshotter,
      key: layerKey(key),
      parent: image.chainId,
      // No container need refer to it.
      labels: { 'containerd.io/gc.root': new Date(0).toISOString() },
    });
    await markLayer(mounts);
  }

  async mounts(key: string): Promise<readonly SnapshotMount[]> {
    const snapshotter = this.#snapshotter;
    const { mounts } = await this.#client.snapshots.mounts({ snapshotter, key: layerKey(key) });
    return mounts;
  }

  async sizeBytes(key: string): Promise<number> {
    const snapshotter = this.#snapshotter;
    const { size } = await this.#client.snapshots.usage({ snapshotter, key: layerKey(key) });
    return Number(size);
  }

  async remove(key: string): Promise<void> {
    const snapshotter = this.#snapshotter;
    await ignoreMissing(this.#client.snapshots.remove({ snapshotter, key: layerKey(key) }));
  }

  async list(): Promise<readonly string[]> {
    const prefix = layerKey('');
    const keys: string[] = [];
    for await (const { info } of this.#client.snapshots.list({ snapshotter: this.#snapshotter })) {
      for (const { name } of info) {
        if (name.startsWith(prefix)) keys.push(name.slice(prefix.length));
      }
    }
    return keys;
  }
}
