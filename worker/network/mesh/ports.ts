/**
 * Which ports are published, who answers there, and what a change means for the maps in the kernel.
 * A port leads to its service's number, and that to the backends: a backend that comes or goes
 * costs the same whether its service has one port or hundreds. Synchronous and without I/O.
 */
import type {
  AssignedEndpoint,
  AssignedServiceEndpoint,
  PortConfig,
} from '../../../types/index.ts';
import {
  activeAddresses,
  addressFamilies,
  DiceChanges,
  familyOf,
  inPlace,
  type AddressFamily,
  type DiceChange,
  type DiceSets,
  type Lead,
} from '../balancer/index.ts';
import { addressBytes } from '../netlink/wire.ts';
import { be16, native32, protocolNumbers, type SetElement } from '../nft/index.ts';

/** By the service's number. */
export const diceSets: Readonly<Record<AddressFamily, DiceSets>> = {
  ip: { keys: 'services4', backends: 'backends4' },
  ip6: { keys: 'services6', backends: 'backends6' },
};
/** By protocol and port: the service's number, and the port of its containers. */
export const portSets = { services: 'ports', targets: 'targets' } as const;

export interface PublishedPort {
  readonly protocol: PortConfig['protocol'];
  readonly port: number;
  readonly serviceId: string;
  /** The service's name, where it is known. */
  readonly owner: string;
}

/** A port that a container is asked at. */
export type Target = Pick<PublishedPort, 'protocol' | 'port'>;

interface Opened extends PublishedPort {
  readonly serviceNumber: number;
  readonly target: number;
}

export interface PortsChange extends DiceChange {
  readonly opened: readonly Opened[];
  readonly closed: readonly Opened[];
  /** Those by which clients of IPv6 are led into the mesh from now on, or not any more. */
  readonly opened6: readonly Opened[];
  readonly closed6: readonly Opened[];
}

interface Entry {
  readonly number: number;
  readonly ports: ReadonlyMap<string, Opened>;
  readonly leads: readonly Lead[];
  /**
   * Whether clients of IPv6 are led to it: not where its tasks are all on nodes that carry the mesh
   * by IPv4 only.
   */
  readonly hasIpv6: boolean;
}

export class PublishedPorts {
  readonly #services = new Map<string, Entry>();
  #lastNumber = 0;

  /**
   * Follows the services named in `serviceIds`. `services` and `endpoints` are all of the routing
   * mesh's network.
   */
  update(
    serviceIds: ReadonlySet<string>,
    services: Iterable<AssignedServiceEndpoint>,
    endpoints: Iterable<AssignedEndpoint>,
  ): PortsChange {
    const wanted = new Map<string, AssignedServiceEndpoint>();
    for (const service of services) {
      if (serviceIds.has(service.serviceId)) wanted.set(service.serviceId, service);
    }
    const backends = activeAddresses(serviceIds, endpoints);
    const changes = new DiceChanges(diceSets);
    const opened: Opened[] = [];
    const closed: Opened[] = [];
    const opened6: Opened[] = [];
    const closed6: Opened[] = [];
    for (const id of serviceIds) {
      const old = this.#services.get(id);
      const entry = this.#entryOf(wanted.get(id), backends.get(id) ?? [], old);
      for (const at of addressFamilies.keys()) changes.turn(old?.leads[at], entry?.leads[at]);
      closed.push(...differing(old?.ports, entry?.ports));
      opened.push(...differing(entry?.ports, old?.ports));
      const [before6, after6] = [portsOfIpv6(old), portsOfIpv6(entry)];
      closed6.push(...differing(before6, after6));
      opened6.push(...differing(after6, before6));
      if (entry === undefined) this.#services.delete(id);
      else this.#services.set(id, entry);
    }
    return { ...changes.done(), opened, closed, opened6, closed6 };
  }

  /** All that an empty table needs: of the dice, and of the ports. */
  all(): Pick<DiceChange, 'added' | 'dice'> {
    const changes = new DiceChanges(diceSets);
    for (const { leads } of this.#services.values()) {
      for (const lead of leads) changes.turn(undefined, lead);
    }
    const { added, dice } = changes.done();
    return { dice, added: new Map([...added, ...portElements([...this.#ports()])]) };
  }

  *published(): Iterable<PublishedPort> {
    yield* this.#ports();
  }

  /** Those by which clients of IPv6 are led into the mesh. */
  *published6(): Iterable<PublishedPort> {
    for (const entry of this.#services.values()) yield* portsOfIpv6(entry)?.values() ?? [];
  }

  /** The ports at which the service's containers are asked. */
  targetsOf(serviceId: string): readonly Target[] {
    const ports = [...(this.#services.get(serviceId)?.ports.values() ?? [])];
    return ports.map(({ protocol, target }) => ({ protocol, port: target }));
  }

  owner(protocol: PortConfig['protocol'], port: number): string | undefined {
    const name = nameOf({ protocol, port });
    for (const { ports } of this.#services.values()) {
      const found = ports.get(name);
      if (found !== undefined) return found.owner;
    }
    return undefined;
  }

  get serviceIds(): ReadonlySet<string> {
    return new Set(this.#services.keys());
  }

  *#ports(): Iterable<Opened> {
    for (const { ports } of this.#services.values()) yield* ports.values();
  }

  /** Undefined for a service that publishes nothing. */
  #entryOf(
    service: AssignedServiceEndpoint | undefined,
    addresses: readonly string[],
    old: Entry | undefined,
  ): Entry | undefined {
    if (service === undefined || service.ports.length === 0) return undefined;
    const number = old?.number ?? ++this.#lastNumber;
    const leads = addressFamilies.map((family, index): Lead => {
      const same = addresses.filter((address) => familyOf(address) === family);
      const wanted = new Map(same.map((address) => [address, addressBytes(address)]));
      const before = [...(old?.leads[index]?.backends.keys() ?? [])];
      return { family, key: native32(number), backends: inPlace(before, wanted) };
    });
    const [ip, ip6] = leads.map(({ backends }) => backends.size);
    const hasIpv6 = ip6 !== 0 || ip === 0;
    return { number, leads, ports: portsOf(service, number), hasIpv6 };
  }
}

function portsOfIpv6(entry: Entry | undefined): ReadonlyMap<string, Opened> | undefined {
  return entry?.hasIpv6 === true ? entry.ports : undefined;
}

function portsOf(
  { serviceId, names, ports }: AssignedServiceEndpoint,
  serviceNumber: number,
): ReadonlyMap<string, Opened> {
  const owner = names[0] ?? serviceId;
  return new Map(
    ports.flatMap(({ protocol, publishedPort: port = 0, targetPort: target }) => {
      if (port === 0) return [];
      const opened = { protocol, port, serviceId, owner, serviceNumber, target };
      return [[nameOf(opened), opened]];
    }),
  );
}

/** Those of `ports` that `others` do not have, or not so. */
function differing(
  ports: ReadonlyMap<string, Opened> | undefined,
  others: ReadonlyMap<string, Opened> | undefined,
): readonly Opened[] {
  return [...(ports ?? [])].flatMap(([name, port]) =>
    others?.get(name)?.target === port.target ? [] : [port],
  );
}

/** Elements of the sets of ports, by the names of the sets. */
export function portElements(ports: readonly Opened[]): ReadonlyMap<string, readonly SetElement[]> {
  return new Map([
    [
      portSets.services,
      ports.map((port) => ({ key: portKey(port), data: native32(port.serviceNumber) })),
    ],
    [portSets.targets, ports.map((port) => ({ key: portKey(port), data: be16(port.target) }))],
  ]);
}

/** Protocol and port as a key of sets: each in a register of its own. */
export function portKey({ protocol, port }: Pick<PublishedPort, 'protocol' | 'port'>): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt8(protocolNumbers[protocol], 0);
  key.writeUInt16BE(port, 4);
  return key;
}

function nameOf({ protocol, port }: Pick<PublishedPort, 'protocol' | 'port'>): string {
  return `${port}/${protocol}`;
}
