/** The networks of this node alone: which there are, who is on them, and what they are made of. */
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Clock } from '../../../lib/clock.ts';
import { Lock } from '../../../lib/lock.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Random } from '../../../lib/random.ts';
import type {
  AssignedNetwork,
  NetworkAssignments,
  NetworkSpec,
  NetworkSubnet,
} from '../../../types/index.ts';
import { interfaceName, macOfPlace, positionOf } from '../container-interfaces.ts';
import { inNamespace } from '../namespace.ts';
import { Netlink } from '../netlink.ts';
import type { NetlinkSockets } from '../netlink-sockets.ts';
import { difference, NetfilterSocket } from '../nft/index.ts';
import type { AttachedContainer, AttachedNetwork, NetworkPart, Repair } from '../part.ts';
import { NetworkTables, type NetworkDelta } from '../tables.ts';
import { AddressUse, type AddressWish } from './address-use.ts';
import {
  bridgeRulesOf,
  deviceOf,
  leavesBy,
  mtuDefault,
  ownsParent,
  refuseTakenLinks,
} from './describe.ts';
import type { Device, Plug } from './device.ts';
import { Configurations, withConfiguration } from './configurations.ts';
import { assigned, endpoint } from './named.ts';
import { NetworkFiles, type KeptNetwork } from './network-files.ts';
import { driverOf, mtuOf, planNetwork, type LocalNetwork } from './plan.ts';
import { dropTable, localTable, replaceTable } from './ruleset.ts';

export interface LocalNetworksOptions {
  /** Kept over restarts of the host. */
  readonly dataRoot: string;
  /** Of links, where a network says nothing. */
  readonly mtu?: number;
  /** Bridges of others on this host that these networks are to be apart from. */
  readonly otherBridges?: readonly string[];
  /** The network namespace that stands for the host; absent: the daemon's own. */
  readonly netnsPath?: string;
}

export interface LocalNetworksDeps {
  readonly sockets: NetlinkSockets;
  /** What follows names: told of every change before its cause is done with. */
  readonly names?: { changed(delta: NetworkDelta): Promise<void> };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Network {
  readonly kept: KeptNetwork;
  readonly device: Device;
  readonly plugs: Map<string, Plug>;
  readonly addresses: AddressUse;
}

export class LocalNetworks implements NetworkPart {
  /** The same objects as the swarm's, for what answers names. */
  readonly tables = new NetworkTables();
  readonly #options: LocalNetworksOptions;
  readonly #deps: LocalNetworksDeps;
  readonly #log: Logger;
  readonly #files: NetworkFiles;
  readonly #networks = new Map<string, Network>();
  /** Those that are nothing but configurations. */
  readonly #configurations: Configurations;
  /** Networks of the swarm that each node makes for itself, as the managers tell of them now. */
  readonly #ofSwarm = new Map<string, NetworkSpec>();
  #host: Netlink | undefined;
  #netfilter: NetfilterSocket | undefined;
  /** Commands that change which networks there are come one after the other. */
  readonly #turns = new Lock();
  /** The last audit could not put right all that it looked at. */
  #isFaulty = false;

  constructor(options: LocalNetworksOptions, deps: LocalNetworksDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#log = deps.log.child({ module: 'local-networks' });
    this.#files = new NetworkFiles(`${options.dataRoot}/networks`);
    this.#configurations = new Configurations(this.#files);
  }

  /** Makes the networks that are kept, or takes up what is there of them. */
  async start(): Promise<void> {
    this.#inHome(() => {
      this.#host = new Netlink();
      this.#netfilter = new NetfilterSocket();
    });
    for (const kept of this.#files.load()) {
      if (kept.spec.configOnly === true) {
        this.#configurations.found(kept);
        continue;
      }
      const network = this.#add(kept);
      try {
        this.#inHome(() => network.device.open());
      } catch (error) {
        // A parent may come back; whoever joins meanwhile is told.
        this.#log.warn('a network of this node cannot be made', {
          network: kept.spec.name,
          error: messageOf(error),
        });
      }
    }
    if (this.#networks.size > 0) this.#writeRules();
    await this.#tell({
      complete: true,
      update: this.#made.map(assigned),
      remove: [],
    });
  }

  /** Everything stays in the kernel. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.idle();
    this.#host?.[Symbol.dispose]();
    this.#netfilter?.[Symbol.dispose]();
    this.#host = undefined;
    this.#netfilter = undefined;
  }

  /**
   * Throws `already-exists` for a name that another network of this node has, `invalid-argument`,
   * and `permission-denied` for a subnet that overlaps another network's.
   */
  create(spec: NetworkSpec): Promise<{ id: string; warning: string }> {
    return this.#turns.run(async () => {
      const { clock, random } = this.#deps;
      if (this.list().some((other) => other.spec.name === spec.name)) {
        throw new SwarmError('already-exists', `network with name ${spec.name} already exists`);
      }
      const id = random.id();
      const createdAtMs = clock.nowMs();
      if (spec.configOnly === true) return this.#configurations.create({ id, createdAtMs, spec });
      const kept = this.#make({ id, createdAtMs, spec });
      await this.#tell({ complete: false, update: [assigned(kept)], remove: [] });
      return { id: kept.id, warning: '' };
    });
  }

  #make(given: { id: string; createdAtMs: number; spec: NetworkSpec; isSwarms?: true }) {
    const named = (name: string) => this.#configurations.specOf(name);
    const whole = { ...given, spec: withConfiguration(given.spec, named) };
    const routes = this.#link.routeTable('all').map(({ destination }) => destination);
    const networks = this.#all;
    const planned: KeptNetwork = planNetwork(whole, { networks, routes });
    refuseTakenLinks(planned, networks, this.#link);
    const kept = { ...planned, ownsParent: ownsParent(planned, this.#link) };
    const network = this.#add(kept);
    try {
      this.#inHome(() => network.device.open());
      this.#writeRules();
      this.#files.save(kept);
    } catch (error) {
      this.#networks.delete(kept.id);
      this.#undo(network);
      throw error;
    }
    return kept;
  }

  /**
   * Makes the network of the swarm, if it is one that each node makes for itself, and is not there.
   * Resolves to its subnets, none for those of other kinds. Throws `failed-precondition` with the
   * reason why it cannot be had here.
   */
  provide(networkId: string): Promise<readonly NetworkSubnet[]> {
    return this.#turns.run(async () => {
      const spec = this.#ofSwarm.get(networkId);
      const present = this.#networks.get(networkId)?.kept.subnets;
      if (spec === undefined || present !== undefined) return present ?? [];
      try {
        const createdAtMs = this.#deps.clock.nowMs();
        // Labels are the swarm's: those of a configuration may come beside them.
        const whole = { ...spec, labels: {} };
        return this.#make({ id: networkId, createdAtMs, isSwarms: true, spec: whole }).subnets;
      } catch (error) {
        throw new SwarmError(
          'failed-precondition',
          `network ${spec.name} cannot be had on this node: ${messageOf(error)}`,
          { cause: error },
        );
      }
    });
  }

  /** Those that the managers tell of no more, and that nobody is on. */
  removeLeftovers(): Promise<void> {
    return this.#turns.run(async () => {
      for (const [id, network] of this.#networks) {
        const isWanted = network.kept.isSwarms !== true || this.#ofSwarm.has(id);
        if (!isWanted && network.addresses.all.size === 0) this.#drop(network);
      }
    });
  }

  /** Without those of the swarm, which are the managers' to tell of. */
  list(): readonly LocalNetwork[] {
    return [...this.#made, ...this.#configurations.all()];
  }

  /** Without those that are nothing but configurations. */
  get #made(): readonly KeptNetwork[] {
    return this.#all.filter(({ isSwarms }) => isSwarms !== true);
  }

  get #all(): readonly KeptNetwork[] {
    return [...this.#networks.values()].map(({ kept }) => kept);
  }

  /** By its id, its name, or the beginning of its id. */
  get(reference: string): LocalNetwork | undefined {
    const all = this.list();
    return (
      all.find(({ id }) => id === reference) ??
      all.find(({ spec }) => spec.name === reference) ??
      only(all.filter(({ id }) => reference !== '' && id.startsWith(reference)))
    );
  }

  has(networkId: string): boolean {
    return this.#networks.has(networkId);
  }

  /** Containers on it, with their addresses. */
  users(networkId: string): ReadonlyMap<string, readonly string[]> {
    return this.#networks.get(networkId)?.addresses.all ?? new Map<string, readonly string[]>();
  }

  /** Throws `not-found`, and `failed-precondition` while a container is on it. */
  remove(networkId: string): Promise<void> {
    return this.#turns.run(async () => {
      const configuration = this.#configurations.get(networkId);
      if (configuration !== undefined) {
        return this.#configurations.remove(configuration, this.#all);
      }
      const network = this.#network(networkId);
      if (network.addresses.all.size > 0) {
        throw new SwarmError(
          'failed-precondition',
          `error while removing network: network ${network.kept.spec.name} id ${networkId} has ` +
            'active endpoints',
        );
      }
      this.#drop(network);
      const remove = [{ type: 'network' as const, id: networkId }];
      await this.#tell({ complete: false, update: [], remove });
    });
  }

  /**
   * Addresses for a container, one for each family, with their prefixes; the same ones when it asks
   * again. Held until it is detached. Throws `not-found`, `invalid-argument`, `already-exists` for
   * an address that another container has, `resource-exhausted`.
   */
  reserve(networkId: string, containerId: string, wish: AddressWish = {}): readonly string[] {
    return this.#network(networkId).addresses.reserve(containerId, wish);
  }

  /** Where the default route of a container leads that has no other way out; of IPv4. */
  gatewayOf(
    networks: Parameters<LocalNetworks['wayOf']>[0],
    family: 'ipv4' | 'ipv6' = 'ipv4',
  ): string | undefined {
    const gateways = this.wayOf(networks, family)?.subnets.map(({ gateway }) => gateway) ?? [];
    return gateways.find((address) => address.includes(':') === (family === 'ipv6'));
  }

  /** The network that a container leaves by that has no other way out. */
  wayOf(
    networks: readonly Pick<AttachedNetwork, 'networkId' | 'gwPriority'>[],
    family: 'ipv4' | 'ipv6' = 'ipv4',
  ): LocalNetwork | undefined {
    return leavesBy(
      networks.flatMap(({ networkId, gwPriority }) => {
        const network = this.#networks.get(networkId)?.kept;
        return network === undefined ? [] : [{ network, gwPriority }];
      }),
      family,
    );
  }

  /** What `reserve` gave, for a container that was never attached. */
  release(networkId: string, containerId: string): void {
    this.#networks.get(networkId)?.addresses.release(containerId);
  }

  /** Its networks that are of this node; the others are passed over. */
  async attached(container: AttachedContainer): Promise<void> {
    const own = container.networks.flatMap((place) => {
      const { networkId, addresses, aliases = [] } = place;
      const network = this.#networks.get(networkId);
      const position = positionOf(container.networks, networkId);
      return network === undefined ? [] : [{ network, place, addresses, aliases, position }];
    });
    const wayOf = (family: 'ipv4' | 'ipv6') =>
      container.leavesByBridge ? undefined : this.wayOf(container.networks, family);
    const [way, way6] = [wayOf('ipv4'), wayOf('ipv6')];
    for (const { network, place, addresses, position } of own) {
      network.addresses.adopt(container.id, addresses);
      const plug = this.#plugOf(container, {
        network,
        place,
        position,
        isWay: network.kept === way,
        isWay6: network.kept === way6,
      });
      this.#inHome(() => network.device.open());
      network.device.connect(plug);
      network.plugs.set(container.id, plug);
    }
    // Names on networks of the swarm are the managers' to tell.
    const named = own.filter(({ network }) => network.kept.isSwarms !== true);
    if (named.length === 0) return;
    await this.#tell({
      complete: false,
      update: named.map(({ network, addresses, aliases }) =>
        endpoint(network.kept.id, container.id, addresses, aliases),
      ),
      remove: [],
    });
  }

  left(containerId: string, networkId: string): Promise<void> {
    return this.detached(containerId, networkId);
  }

  /** From one network, or from all; its links go with its namespace or before. */
  async detached(containerId: string, networkId?: string): Promise<void> {
    const left: string[] = [];
    for (const [id, network] of this.#networks) {
      if (networkId !== undefined && networkId !== id) continue;
      const plug = network.plugs.get(containerId);
      network.addresses.release(containerId);
      if (plug === undefined) continue;
      network.plugs.delete(containerId);
      if (networkId !== undefined) network.device.disconnect(plug);
      left.push(id);
    }
    if (left.length === 0) return;
    await this.removeLeftovers();
    const remove = left.map((id) => ({ type: 'endpoint' as const, id: `${id}/${containerId}` }));
    await this.#tell({ complete: false, update: [], remove });
  }

  /** They are made when somebody comes to them. */
  async changed(delta: NetworkDelta): Promise<void> {
    for (const { type, id, object } of delta.changes) {
      if (type !== 'network') continue;
      const spec = (object as AssignedNetwork | undefined)?.local;
      if (spec === undefined) this.#ofSwarm.delete(id);
      else this.#ofSwarm.set(id, spec);
    }
    await this.removeLeftovers();
  }

  audit(isQuiet = false): Promise<readonly Repair[]> {
    const repairs = isQuiet && !this.#isFaulty ? [] : this.#auditDevices();
    const table = this.#table();
    const what = this.#networks.size === 0 ? undefined : difference(this.#nft, table, new Map());
    if (what !== undefined) {
      this.#writeRules();
      repairs.push({ kind: 'nft', what: `${what} (networks of this node)` });
    }
    return Promise.resolve(repairs);
  }

  #auditDevices(): Repair[] {
    const repairs: Repair[] = [];
    this.#isFaulty = false;
    for (const { kept, device, plugs } of this.#networks.values()) {
      try {
        const found = [
          ...this.#inHome(() => device.open()),
          ...[...plugs.values()].flatMap((plug) => device.audit(plug)),
        ];
        repairs.push(
          ...found.map(({ kind, what }) => ({ kind, what: `${what} (network ${kept.spec.name})` })),
        );
      } catch (error) {
        this.#isFaulty = true;
        this.#log.warn('a network of this node cannot be put right', {
          network: kept.spec.name,
          error: messageOf(error),
        });
      }
    }
    return repairs;
  }

  /** Takes every network away that no container is on. For a host that is given up. */
  async clear(): Promise<void> {
    for (const { id } of this.list()) await this.remove(id);
  }

  #plugOf(
    container: AttachedContainer,
    given: {
      readonly network: Network;
      readonly place: AttachedNetwork;
      readonly position: number;
      readonly isWay: boolean;
      readonly isWay6: boolean;
    },
  ): Plug {
    const { network, position, isWay, isWay6 } = given;
    const { addresses, linkLocal = [] } = given.place;
    const { id, spec } = network.kept;
    const gateway = isWay ? this.gatewayOf([{ networkId: id }]) : undefined;
    const gateway6 = isWay6 ? this.gatewayOf([{ networkId: id }], 'ipv6') : undefined;
    return {
      containerId: container.id,
      inside: {
        netnsPath: container.netnsPath,
        netlink: this.#deps.sockets.of(container.netnsPath),
      },
      link: {
        name: interfaceName(position),
        mac: macOfPlace(given.place),
        mtu: mtuOf(spec) ?? this.#options.mtu ?? mtuDefault,
        addresses: [...addresses, ...linkLocal],
        ...(gateway === undefined ? {} : { gateway }),
      },
      ...(gateway6 === undefined ? {} : { gateway6 }),
    };
  }

  #add(kept: KeptNetwork): Network {
    const device = deviceOf(kept, this.#link, this.#options.mtu ?? mtuDefault);
    const addresses = new AddressUse(kept.spec.name, kept.subnets);
    const network = { kept, device, plugs: new Map<string, Plug>(), addresses };
    this.#networks.set(kept.id, network);
    return network;
  }

  #drop(network: Network): void {
    const { id } = network.kept;
    this.#networks.delete(id);
    this.#undo(network);
    this.#files.delete(id);
  }

  /** It is no longer among the networks. */
  #undo({ device, kept }: Network): void {
    if (driverOf(kept.spec) === 'bridge') this.#writeRules();
    this.#inHome(() => device.remove());
  }

  #table() {
    const bridges = this.#all.flatMap((network) => bridgeRulesOf(network));
    return localTable(bridges, this.#options.otherBridges ?? []);
  }

  #writeRules(): void {
    this.#nft.commit(this.#networks.size === 0 ? dropTable() : replaceTable(this.#table()));
  }

  async #tell(set: NetworkAssignments): Promise<void> {
    await this.#deps.names?.changed(this.tables.apply(set));
  }

  #network(id: string): Network {
    const network = this.#networks.get(id);
    if (network === undefined) throw new SwarmError('not-found', `network ${id} not found`);
    return network;
  }

  #inHome<T>(work: () => T): T {
    const { netnsPath } = this.#options;
    return netnsPath === undefined ? work() : inNamespace(netnsPath, work);
  }

  get #link(): Netlink {
    if (this.#host === undefined) throw new SwarmError('unavailable', 'the networks are closed');
    return this.#host;
  }

  get #nft(): NetfilterSocket {
    if (this.#netfilter === undefined) {
      throw new SwarmError('unavailable', 'the networks are closed');
    }
    return this.#netfilter;
  }
}

function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}
