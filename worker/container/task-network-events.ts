/** The networks that tasks' containers come to and leave, told as of any other container. */
import type { NetworkAssignments } from '../../types/index.ts';
import type { AttachRequest, NetworkDriver } from '../network/network.ts';
import { taskContainerHexId } from '../runtime/hex-id.ts';
import type { NetworkEvents } from './events.ts';
import { bridgeId } from './joining.ts';
import type { TaskContainer } from './tasks.ts';

interface TaskNetworkEventsDeps {
  readonly events: NetworkEvents;
  readonly tasks: () => Iterable<TaskContainer>;
}

interface NamedNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
}

interface Place {
  /** Found when it came to them: the managers may have removed them when it leaves. */
  readonly networks: readonly NamedNetwork[];
  /** `ready`: connected, and nobody was told; `gone`: told, and the container is still there. */
  state: 'ready' | 'told' | 'gone';
}

/** Where a container is that is on no network of the swarm. */
const alone = {
  bridge: { id: bridgeId, name: bridgeId, driver: 'bridge' },
  host: { id: 'host', name: 'host', driver: 'host' },
  none: { id: 'none', name: 'none', driver: 'null' },
} as const;

type Whereabouts = Pick<AttachRequest, 'networks'> & { readonly mode: keyof typeof alone };

type Told = Pick<NetworkDriver, 'assign' | 'attach' | 'detach'>;

export class TaskNetworkEvents implements Told {
  readonly #network: Told;
  readonly #deps: TaskNetworkEventsDeps;
  /** What the managers call the networks of this node. */
  readonly #names = new Map<string, NamedNetwork>();
  /** By the container's id, until it was removed. */
  readonly #places = new Map<string, Place>();

  constructor(network: Told, deps: TaskNetworkEventsDeps) {
    this.#network = network;
    this.#deps = deps;
  }

  async assign(networks: NetworkAssignments): Promise<void> {
    if (networks.complete) this.#names.clear();
    for (const { type, object } of networks.update) {
      if (type === 'network') this.#names.set(object.id, object);
    }
    for (const { type, id } of networks.remove) {
      if (type === 'network') this.#names.delete(id);
    }
    await this.#network.assign(networks);
  }

  async attach(...[request, options]: Parameters<Told['attach']>) {
    const attachment = await this.#network.attach(request, options);
    this.#places.set(request.containerId, { networks: this.#named(request), state: 'ready' });
    return attachment;
  }

  /** Told of when it starts, as in Docker. */
  started(containerId: string): void {
    // The host's network is nothing that it has to be attached to.
    const place = this.#places.get(containerId) ?? this.#of(containerId, 'ready');
    if (place?.state !== 'ready') return;
    this.#places.set(containerId, place);
    place.state = 'told';
    this.#tell('connect', containerId, place);
  }

  async detach(containerId: string): Promise<void> {
    await this.#network.detach(containerId);
    const wasGone = this.#places.get(containerId)?.state === 'gone';
    this.gone(containerId);
    // It is let go of when it ends, and once more after it was removed.
    if (wasGone) this.#places.delete(containerId);
  }

  /** It runs no more. */
  gone(containerId: string): void {
    const place = this.#places.get(containerId) ?? this.#of(containerId, 'told');
    if (place === undefined) return;
    if (place.state === 'told') this.#tell('disconnect', containerId, place);
    place.state = 'gone';
    this.#places.set(containerId, place);
  }

  /** Of a task that has been attached by an earlier daemon, or is not to be. */
  #of(containerId: string, state: 'ready' | 'told'): Place | undefined {
    for (const { containerId: id, prepared, status, task } of this.#deps.tasks()) {
      if (id !== containerId || prepared === undefined) continue;
      const { networkMode: mode } = prepared;
      const was = state === 'told' ? status.state === 'running' : mode === 'host';
      const { networks = [] } = task;
      return was ? { networks: this.#named({ mode, networks }), state } : undefined;
    }
    return undefined;
  }

  #tell(action: 'connect' | 'disconnect', containerId: string, { networks }: Place): void {
    const container = taskContainerHexId(containerId);
    for (const network of networks) this.#deps.events.tell(action, network, { container });
  }

  #named({ mode, networks = [] }: Whereabouts): readonly NamedNetwork[] {
    if (networks.length === 0) return [alone[mode]];
    return networks.flatMap(({ networkId }) => this.#names.get(networkId) ?? []);
  }
}
