/** Leases: what keeps blobs and snapshots from containerd's collector until an image names them. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../lib/clock.ts';
import { SwarmError, type ErrorCode } from '../../../lib/errors.ts';
import type { ContainerdClient } from '../../runtime/containerd/client.ts';

/** A lease of a daemon that died is collected after this long. */
const leaseLifeMs = 24 * 60 * 60_000;
/** What a pull that broke off has got already waits this long for the next try. */
const resumeLifeMs = 60 * 60_000;

const passing: readonly ErrorCode[] = ['unavailable', 'cancelled', 'deadline-exceeded'];

export interface Lease {
  readonly id: string;
  /** Holds what exists already, before looking whether it does: then it cannot vanish between. */
  hold(type: 'content' | 'snapshot', id: string): Promise<void>;
}

export class Leases {
  readonly #client: ContainerdClient;
  readonly #clock: Clock;
  readonly #snapshotter: string;

  constructor(client: ContainerdClient, clock: Clock, snapshotter: string) {
    this.#client = client;
    this.#clock = clock;
    this.#snapshotter = snapshotter;
  }

  /**
   * Runs `work` under a lease. When it fails for a reason that passes (the network, a caller who
   * gave up), what it has brought in stays for a while, so that the next try goes on from there.
   */
  async during<T>(purpose: string, work: (lease: Lease) => Promise<T>): Promise<T> {
    const id = await this.#create(purpose, leaseLifeMs);
    let result: T;
    try {
      result = await work(this.#lease(id));
    } catch (thrown) {
      if (passing.includes(SwarmError.from(thrown).code)) await this.#keep(id);
      // Waits for the collector, so that a half-made image takes no space from here on.
      await this.#client.leases.delete({ id, sync: true });
      throw thrown;
    }
    await this.#client.leases.delete({ id });
    return result;
  }

  #lease(id: string): Lease {
    const types = { content: 'content', snapshot: `snapshots/${this.#snapshotter}` };
    return {
      id,
      hold: async (type, resource) => {
        await this.#client.leases.addResource({
          id,
          resource: { id: resource, type: types[type] },
        });
      },
    };
  }

  async #create(purpose: string, lifeMs: number): Promise<string> {
    const id = `${prefixOf(purpose)}${randomUUID()}`;
    const expiry = new Date(this.#clock.nowMs() + lifeMs).toISOString();
    await this.#client.leases.create({ id, labels: { 'containerd.io/gc.expire': expiry } });
    return id;
  }

  async #keep(id: string): Promise<void> {
    const { resources } = await this.#client.leases.listResources({ id });
    const wanted = resources.filter(({ type }) => type === 'content' || type === 'ingests');
    if (wanted.length === 0) return;
    const earlier = await this.#resumable();
    const resumeId = await this.#create('resume', resumeLifeMs);
    for (const resource of wanted) {
      await this.#client.leases.addResource({ id: resumeId, resource });
    }
    // Tasks that come and go may give up a pull again and again: one lease of its parts will do.
    const held = new Set(wanted.map(nameOf));
    for (const lease of earlier) await this.#dropCovered(lease, held);
  }

  /** Another pull that was given up may have done so in the same moment. */
  async #dropCovered(id: string, held: ReadonlySet<string>): Promise<void> {
    try {
      const { resources } = await this.#client.leases.listResources({ id });
      const isCovered = resources.every((part) => held.has(nameOf(part)));
      if (isCovered) await this.#client.leases.delete({ id });
    } catch (thrown) {
      if (!(thrown instanceof SwarmError && thrown.code === 'not-found')) throw thrown;
    }
  }

  async #resumable(): Promise<readonly string[]> {
    const { leases } = await this.#client.leases.list({ filters: [] });
    return leases.map(({ id }) => id).filter((id) => id.startsWith(prefixOf('resume')));
  }
}

function prefixOf(purpose: string): string {
  return `ts-swarm-${purpose}-`;
}

function nameOf({ type, id }: { readonly type: string; readonly id: string }): string {
  return `${type} ${id}`;
}
