/**
 * Which ports are published, who answers there, and what a change means for the maps in the kernel.
 * Synchronous and without I/O.
 */
import type {
  AssignedEndpoint,
  AssignedServiceEndpoint,
  PortConfig,
} from '../../../types/index.ts';
import {
  activeAddresses,
  DiceChanges,
  familyOf,
  inPlace,
  type DiceChange,
  type DiceSets,
  type Lead,
} from '../balancer/index.ts';
import { addressBytes } from '../netlink/wire.ts';
import { be16, protocolNumbers } from '../nft/index.ts';

export const portSets: Readonly<Record<'ip' | 'ip6', DiceSets>> = {
  ip: { keys: 'ports4', backends: 'backends4' },
  ip6: { keys: 'ports6', backends: 'backends6' },
};

export interface PublishedPort {
  readonly protocol: PortConfig['protocol'];
  readonly port: number;
  readonly serviceId: string;
  /** The service's name, where it is known. */
  readonly owner: string;
}

export interface PortsChange extends DiceChange {
  readonly opened: readonly PublishedPort[];
  readonly closed: readonly PublishedPort[];
}

interface Entry extends PublishedPort {
  readonly leads: readonly Lead[];
}

const noChange: ReadonlyMap<string, Entry> = new Map();

export class PublishedPorts {
  /** By service, then by protocol and port. */
  readonly #services = new Map<string, ReadonlyMap<string, Entry>>();

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
    const changes = new DiceChanges(portSets);
    const opened: PublishedPort[] = [];
    const closed: PublishedPort[] = [];
    for (const id of serviceIds) {
      const old = this.#services.get(id) ?? noChange;
      const entries = entriesOf(wanted.get(id), backends.get(id) ?? [], old);
      for (const [key, entry] of old) {
        if (entries.has(key)) continue;
        closed.push(entry);
        for (const lead of entry.leads) changes.turn(lead, undefined);
      }
      for (const [key, entry] of entries) {
        const before = old.get(key);
        if (before === undefined) opened.push(entry);
        for (const lead of entry.leads) {
          changes.turn(
            before?.leads.find(({ family }) => family === lead.family),
            lead,
          );
        }
      }
      if (entries.size === 0) this.#services.delete(id);
      else this.#services.set(id, entries);
    }
    return { ...changes.done(), opened, closed };
  }

  /** All elements, as for a namespace that has none. */
  all(): DiceChange {
    const changes = new DiceChanges(portSets);
    for (const entries of this.#services.values()) {
      for (const { leads } of entries.values()) {
        for (const lead of leads) changes.turn(undefined, lead);
      }
    }
    return changes.done();
  }

  *published(): Iterable<PublishedPort> {
    for (const entries of this.#services.values()) yield* entries.values();
  }

  owner(protocol: PortConfig['protocol'], port: number): string | undefined {
    const name = nameOf({ protocol, port });
    for (const entries of this.#services.values()) {
      const entry = entries.get(name);
      if (entry !== undefined) return entry.owner;
    }
    return undefined;
  }

  get serviceIds(): ReadonlySet<string> {
    return new Set(this.#services.keys());
  }
}

/** Protocol and port as a key of sets: each in a register of its own. */
export function portKey({ protocol, port }: Pick<PublishedPort, 'protocol' | 'port'>): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt8(protocolNumbers[protocol], 0);
  key.writeUInt16BE(port, 4);
  return key;
}

function entriesOf(
  service: AssignedServiceEndpoint | undefined,
  addresses: readonly string[],
  old: ReadonlyMap<string, Entry>,
): ReadonlyMap<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const { protocol, publishedPort, targetPort } of service?.ports ?? []) {
    if (service === undefined || publishedPort === undefined || publishedPort === 0) continue;
    const { serviceId } = service;
    const name = nameOf({ protocol, port: publishedPort });
    const leads = (['ip', 'ip6'] as const).map((family): Lead => {
      const same = addresses.filter((address) => familyOf(address) === family);
      const wanted = new Map(same.map((address) => [address, target(address, targetPort)]));
      const before = old
        .get(name)
        ?.leads.find((lead) => lead.family === family)
        ?.backends.keys();
      const key = portKey({ protocol, port: publishedPort });
      return { family, key, backends: inPlace([...(before ?? [])], wanted) };
    });
    const owner = service.names[0] ?? serviceId;
    entries.set(name, { protocol, port: publishedPort, serviceId, owner, leads });
  }
  return entries;
}

function nameOf({ protocol, port }: Pick<PublishedPort, 'protocol' | 'port'>): string {
  return `${port}/${protocol}`;
}

function target(address: string, port: number): Buffer {
  return Buffer.concat([addressBytes(address), be16(port), Buffer.alloc(2)]);
}
