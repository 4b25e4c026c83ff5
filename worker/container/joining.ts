/** Finds the networks that a container is to be on, and gets its addresses there. */
import { SwarmError } from '../../lib/errors.ts';
import type { NetworkSubnet, TaskNetwork } from '../../types/index.ts';
import { macOfAddresses } from '../network/container-interfaces.ts';
import type { LocalNetworks } from '../network/local/index.ts';
import type { Attachment } from '../network/network.ts';
import { parseLink } from './link-words.ts';
import type { ConnectedNetwork, ContainerRecord, WantedNetwork } from './view.ts';

const shortIdLength = 12;
export const bridgeId = 'bridge';
const linkLocalPrefix = '/16';

/** The networks of this node that people have made. */
export interface OwnNetworks extends Pick<LocalNetworks, 'get' | 'reserve' | 'release'> {
  /**
   * Makes the network of the swarm that each node makes for itself, once the managers have told of
   * it. Throws `unavailable` where they do not, `failed-precondition` where it cannot be had here.
   */
  provide(networkId: string): Promise<readonly NetworkSubnet[]>;
}

export interface JoinRequest {
  /** Its name or its id. */
  readonly network: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly aliases: readonly string[];
  /** Addresses that are asked for, without prefixes. */
  readonly addresses: readonly string[];
  /** Absent: any. */
  readonly macAddress?: string;
}

/** What the managers gave. */
export interface SwarmPlace {
  readonly taskId: string;
  readonly networkId: string;
  readonly name: string;
  readonly driver: string;
  /** None where the node gives them itself. */
  readonly addresses: readonly string[];
  readonly subnets: readonly NetworkSubnet[];
}

/** What the managers are told of a place whose addresses this node has given. */
export type GivenAddresses = Pick<TaskNetwork, 'networkId' | 'addresses'>;

/** The networks of the swarm that containers of no service may join. */
export interface SwarmNetworks {
  /**
   * A place on the network, held until it is let go. Undefined where this node is in no swarm, or
   * the swarm has no such network; throws in Docker's words for one that is not attachable.
   */
  join(request: JoinRequest): Promise<SwarmPlace | undefined>;
  /** The container is on its networks as it should be, and may be found there. */
  joined(taskId: string, given?: GivenAddresses): void;
  /** One that is not held is not an error. */
  letGo(taskId: string): void;
}

/** Of a node that is in no swarm. */
export const noSwarmNetworks: SwarmNetworks = {
  join: () => Promise.resolve(undefined),
  joined: () => undefined,
  letGo: () => undefined,
};

/** Who is to be on a network: a container, or what is to be reached as one. */
type Joiner = Pick<ContainerRecord, 'id' | 'name'>;

/** A place on a network, before the container is there. */
export type Place = Omit<ConnectedNetwork, 'macAddress'>;

export class Joining {
  readonly #own: OwnNetworks;
  readonly #swarm: SwarmNetworks;

  constructor(own: OwnNetworks, swarm: SwarmNetworks) {
    this.#own = own;
    this.#swarm = swarm;
  }

  /** A place on each of the networks, or on none: then it throws. */
  async takeAll(record: Joiner, networks: readonly WantedNetwork[]): Promise<readonly Place[]> {
    const places: Place[] = [];
    try {
      for (const wanted of networks) {
        const { driverOpts, gwPriority, linkLocalIps, links, macAddress } = wanted;
        const place = await this.#take(record, wanted);
        places.push({
          ...place,
          ...(driverOpts === undefined ? {} : { driverOpts }),
          ...(gwPriority === undefined ? {} : { gwPriority }),
          ...(macAddress === undefined ? {} : { chosenMac: macAddress }),
          ...(linkLocalIps === undefined
            ? {}
            : { linkLocal: linkLocalIps.map((ip) => `${ip}${linkLocalPrefix}`) }),
          ...(links === undefined ? {} : { links: namesByAlias(links) }),
        });
      }
    } catch (error) {
      this.giveBack(record.id, places);
      throw error;
    }
    return places;
  }

  /** The container never came to its places, or has left them. */
  giveBack(containerId: string, places: readonly Place[]): void {
    for (const { networkId, taskId } of places) {
      if (taskId !== undefined) this.#swarm.letGo(taskId);
      if (networkId !== bridgeId) this.#own.release(networkId, containerId);
    }
  }

  arrived(places: readonly Place[]): void {
    for (const { taskId, driver, networkId, addresses } of places) {
      if (taskId === undefined) continue;
      this.#swarm.joined(taskId, driver === 'overlay' ? undefined : { networkId, addresses });
    }
  }

  async #take(record: Joiner, wanted: WantedNetwork): Promise<Place> {
    const { network, aliases, ipv4, ipv6 } = wanted;
    if (network === bridgeId) return { ...onBridge, aliases };
    const own = this.#own.get(network);
    if (own !== undefined) {
      const { id: networkId, spec, subnets } = own;
      if (spec.configOnly === true) {
        throw new SwarmError(
          'permission-denied',
          `cannot attach container ${record.id} to the configuration network ${spec.name}`,
        );
      }
      const { name, driver } = { driver: spec.driver || 'bridge', name: spec.name };
      refuseMacOfIpvlan(driver, wanted);
      const addresses = this.#own.reserve(networkId, record.id, { ipv4, ipv6 });
      return { networkId, name, driver, aliases, addresses, gateways: gatewaysOf(subnets) };
    }
    return this.#takeOfSwarm(record, wanted);
  }

  async #takeOfSwarm(record: Joiner, wanted: WantedNetwork): Promise<Place> {
    const { network, aliases, ipv4, ipv6, macAddress } = wanted;
    const place = await this.#swarm.join({
      network,
      containerId: record.id,
      containerName: record.name,
      aliases: namesOf(record, aliases).slice(1),
      addresses: [ipv4, ipv6].filter((address) => address !== undefined),
      ...(macAddress === undefined ? {} : { macAddress }),
    });
    if (place === undefined) throw new SwarmError('not-found', `network ${network} not found`);
    const { networkId, taskId, subnets, ...rest } = place;
    const driver = place.driver || 'overlay';
    const taken = { ...rest, networkId, taskId, driver, aliases };
    try {
      if (driver === 'overlay') {
        refuseLinkLocal(wanted);
        return { ...taken, gateways: gatewaysOf(subnets) };
      }
      refuseMacOfIpvlan(driver, wanted);
      const own = await this.#own.provide(networkId);
      const addresses = this.#own.reserve(networkId, record.id, { ipv4, ipv6 });
      return { ...taken, addresses, gateways: gatewaysOf(own) };
    } catch (error) {
      this.#swarm.letGo(taskId);
      throw error;
    }
  }
}

/** In Docker's words. */
function refuseMacOfIpvlan(driver: string, { macAddress }: WantedNetwork): void {
  if (driver !== 'ipvlan' || macAddress === undefined) return;
  throw new SwarmError(
    'unimplemented',
    'ipvlan interfaces do not support custom mac address assignment',
  );
}

function refuseLinkLocal({ linkLocalIps }: WantedNetwork): void {
  if (linkLocalIps === undefined) return;
  throw new SwarmError(
    'unimplemented',
    'link-local addresses are for networks of one node: on an overlay packets reach only the ' +
      'addresses that the swarm has given',
  );
}

const onBridge = {
  networkId: bridgeId,
  name: bridgeId,
  driver: 'bridge',
  addresses: [],
  gateways: [],
} as const;

/** As the driver takes it. */
export function taskNetworkOf(
  record: Joiner,
  { networkId, addresses, aliases, driverOpts, gwPriority, linkLocal, links, chosenMac }: Place,
): TaskNetwork {
  return {
    networkId,
    addresses,
    aliases: namesOf(record, aliases),
    ...(driverOpts === undefined ? {} : { driverOpts }),
    ...(gwPriority === undefined ? {} : { gwPriority }),
    ...(chosenMac === undefined ? {} : { macAddress: chosenMac }),
    ...(linkLocal === undefined ? {} : { linkLocal }),
    ...(links === undefined ? {} : { links }),
  };
}

/** As the resolver has names: in lower case. */
function namesByAlias(links: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    links.map((link) => {
      const { name, alias } = parseLink(link.toLowerCase());
      return [alias, name];
    }),
  );
}

export function connectedNetwork(place: Place, attachment: Attachment): ConnectedNetwork {
  const { bridgeAddress, gateway } = attachment;
  const isBridge = place.networkId === bridgeId;
  const addresses =
    isBridge && bridgeAddress !== undefined ? [bridgeAddress] : [...place.addresses];
  const gateways = isBridge && gateway !== undefined ? [gateway] : place.gateways;
  // Of ipvlan it is that of the link which all share.
  const hasNone = addresses.length === 0 || place.driver === 'ipvlan';
  const ofAddress = () => (hasNone ? '' : macOfAddresses(addresses));
  return { ...place, addresses, gateways, macAddress: place.chosenMac ?? ofAddress() };
}

/** What the container is called on a network of its own choice. */
function namesOf({ name, id }: Joiner, aliases: readonly string[]): readonly string[] {
  return [name, id.slice(0, shortIdLength), ...aliases];
}

function gatewaysOf(subnets: readonly NetworkSubnet[]): readonly string[] {
  return subnets.map(({ gateway }) => gateway).filter((gateway) => gateway !== '');
}
