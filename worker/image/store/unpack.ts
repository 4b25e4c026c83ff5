/** Layers become snapshots: each applied on its parent, and named by its chain id. */
import { randomUUID } from 'node:crypto';
import { KeyedMutex } from '../../../lib/concurrency.ts';
import { SwarmError } from '../../../lib/errors.ts';
import { leaseMetadata, type ContainerdClient } from '../../runtime/containerd/client.ts';
import type { Descriptor } from '../oci.ts';
import type { Lease } from './leases.ts';

/** The largest layers take minutes on slow disks. */
const applyTimeoutMs = 60 * 60_000;

interface LayerTarget {
  /** Its parent's; absent for the bottommost. */
  readonly parent: string | undefined;
  readonly chainId: string;
  readonly diffId: string;
}

export class Unpacker {
  readonly #client: ContainerdClient;
  readonly #snapshotter: string;
  readonly #chains = new KeyedMutex();

  constructor(client: ContainerdClient, snapshotter: string) {
    this.#client = client;
    this.#snapshotter = snapshotter;
  }

  get snapshotter(): string {
    return this.#snapshotter;
  }

  async has(chainId: string): Promise<boolean> {
    return (await this.sizeBytes(chainId)) !== undefined;
  }

  /** What the layer alone takes on disk, unpacked; undefined when it is not unpacked. */
  async sizeBytes(chainId: string): Promise<number | undefined> {
    try {
      const snapshotter = this.#snapshotter;
      const { size } = await this.#client.snapshots.usage({ snapshotter, key: chainId });
      return Number(size);
    } catch (thrown) {
      if (thrown instanceof SwarmError && thrown.code === 'not-found') return undefined;
      throw thrown;
    }
  }

  /** Unpacks a layer whose parent is unpacked; answers false when it was there already. */
  unpack(
    layer: Descriptor,
    target: LayerTarget,
    lease: Lease,
    options: { signal?: AbortSignal; onStart?: () => void } = {},
  ): Promise<boolean> {
    const { signal, onStart } = options;
    return this.#chains.run(
      target.chainId,
      async () => {
        await lease.hold('snapshot', target.chainId);
        if (await this.has(target.chainId)) return false;
        onStart?.();
        const diffId = await this.apply(layer, target.parent, lease, signal, (applied) =>
          applied === target.diffId ? target.chainId : undefined,
        );
        if (diffId === target.diffId) return true;
        throw new SwarmError(
          'failed-precondition',
          `wrong diff id calculated on extraction: the layer ${layer.digest} unpacks to ${diffId} ` +
            `and not to ${target.diffId}; build and push the image again`,
        );
      },
      signal,
    );
  }

  /**
   * Applies a layer on `parent` and commits it under the name that `nameOf` gives for its diff id;
   * without a name it is thrown away. Returns the diff id.
   */
  async apply(
    layer: Descriptor,
    parent: string | undefined,
    lease: Lease,
    signal: AbortSignal | undefined,
    nameOf: (diffId: string) => string | undefined,
  ): Promise<string> {
    const snapshotter = this.#snapshotter;
    const { snapshots, diff } = this.#client;
    const key = `extract-${randomUUID()}`;
    const options = {
      metadata: leaseMetadata(lease.id),
      ...(signal === undefined ? {} : { signal }),
    };
    // What is left behind by a failure belongs to the lease, and goes with it.
    const { mounts } = await snapshots.prepare(
      { snapshotter, key, parent: parent ?? '' },
      { metadata: options.metadata },
    );
    const { applied } = await diff.apply(
      { diff: toContainerd(layer), mounts },
      { ...options, timeoutMs: applyTimeoutMs },
    );
    const diffId = applied?.digest ?? '';
    const name = nameOf(diffId);
    const committed = name !== undefined && (await this.#commit(name, key, options.metadata));
    if (!committed) await snapshots.remove({ snapshotter, key });
    return diffId;
  }

  async #commit(name: string, key: string, metadata: Record<string, string>): Promise<boolean> {
    try {
      await this.#client.snapshots.commit(
        { snapshotter: this.#snapshotter, name, key },
        { metadata },
      );
      return true;
    } catch (thrown) {
      if (thrown instanceof SwarmError && thrown.code === 'already-exists') return false;
      throw thrown;
    }
  }
}

/** containerd's form of a descriptor. */
export function toContainerd({ mediaType, digest, size }: Descriptor): {
  mediaType: string;
  digest: string;
  size: bigint;
} {
  return { mediaType, digest, size: BigInt(size) };
}
