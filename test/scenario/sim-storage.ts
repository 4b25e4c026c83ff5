/** The cluster volumes of a simulated cluster: their driver's array, which every node can reach. */
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { CsiInfo, CsiReply, CsiRequest, VolumeSpec } from '../../types/index.ts';
import { wrong } from './spec.ts';

export const simDriver = 'array';

/** What a node that has the driver tells of it. */
export function csiOf(nodeId: string): CsiInfo {
  return { driver: simDriver, nodeId: `csi-${nodeId}`, maxVolumes: 0, isController: true };
}

/** `single none`, `multi all`, …: on how many nodes, and how it is shared there. */
export function volumeSpec(name: string, [scope, sharing]: readonly string[]): VolumeSpec {
  if (scope !== 'single' && scope !== 'multi') throw wrong(`"${scope}" is no scope of a volume`);
  const cluster: VolumeSpec['cluster'] = {
    accessMode: { scope, sharing: (sharing ?? 'none') as 'none', mountVolume: {} },
    availability: 'active',
  };
  return { name, labels: {}, driver: { name: simDriver }, cluster };
}

export class SimArray {
  readonly #clock: Clock;
  readonly #random: Random;
  /** Nodes that can use it, by volume: no other gets at it, whatever it has mounted. */
  readonly #published = new Map<string, Set<string>>();
  /** What it was asked for and must never be: the first is a failure of the run. */
  readonly faults: string[] = [];
  /** A part of what is asked fails. */
  failing = 0;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Nodes by their own ids, of a volume by its id. */
  nodesOf(volumeId: string): readonly string[] {
    return [...(this.#published.get(volumeId) ?? [])];
  }

  get volumes(): readonly string[] {
    return [...this.#published.keys()];
  }

  readonly ask = async (
    _nodeId: string,
    request: CsiRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<CsiReply> => {
    await this.#clock.sleep(this.#random.integer(1_500), { signal });
    const isLost = this.#random.float() < this.failing;
    if (isLost && this.#random.float() < 0.5) throw new SwarmError('unavailable', 'it is busy');
    const reply = this.#do(request);
    // What was done and never answered is asked for again.
    if (isLost) throw new SwarmError('deadline-exceeded', 'no answer');
    return reply;
  };

  #do(request: CsiRequest): CsiReply {
    if (request.method === 'create') {
      // Whoever asks twice means the same volume.
      const volumeId = `on-array-${request.name}`;
      if (!this.#published.has(volumeId)) this.#published.set(volumeId, new Set());
      return { info: { volumeId, capacityBytes: 0 } };
    }
    if (request.method === 'delete') {
      this.#published.delete(request.volumeId);
      return {};
    }
    if (request.method !== 'publish' && request.method !== 'unpublish') return {};
    const nodes = this.#published.get(request.volumeId) ?? new Set();
    const node = request.csiNodeId.replace(/^csi-/, '');
    if (request.method === 'unpublish') {
      nodes.delete(node);
      return {};
    }
    const others = [...nodes].filter((other) => other !== node);
    if (request.accessMode.scope === 'single' && others.length > 0) {
      this.faults.push(`${request.volumeId} is published to ${node} besides ${others.join(', ')}`);
    }
    nodes.add(node);
    return {};
  }
}
