/**
 * Which backends each VIP of one network has, in which order, and what a change of them means for
 * the maps in the kernel. Synchronous and without I/O. A backend that goes leaves its number to the
 * last one, so that few elements change however many backends there are.
 */
import type { AssignedEndpoint, AssignedServiceEndpoint } from '../../../types/index.ts';
import { addressBytes } from '../netlink/wire.ts';
import { native32, type SetElement } from '../nft/index.ts';
import { diceName, setsOf, type AddressFamily } from './ruleset.ts';

/** Elements by the names of their sets. */
export type Elements = ReadonlyMap<string, readonly SetElement[]>;

export interface BalanceChange {
  readonly removed: Elements;
  readonly added: Elements;
  /** Chains that the added elements lead to. */
  readonly dice: readonly Dice[];
  /** Backends that get no new connections any more. */
  readonly lost: readonly string[];
}

export interface Dice {
  readonly family: AddressFamily;
  readonly count: number;
}

interface Vip {
  readonly family: AddressFamily;
  readonly address: string;
  readonly backends: readonly string[];
}

export class NetworkBalance {
  /** By service, then by address. */
  readonly #services = new Map<string, ReadonlyMap<string, Vip>>();

  /**
   * Follows the services named in `serviceIds`. `services` and `endpoints` are all of the network.
   */
  update(
    serviceIds: ReadonlySet<string>,
    services: Iterable<AssignedServiceEndpoint>,
    endpoints: Iterable<AssignedEndpoint>,
  ): BalanceChange {
    const wanted = new Map<string, AssignedServiceEndpoint>();
    for (const service of services) {
      if (serviceIds.has(service.serviceId)) wanted.set(service.serviceId, service);
    }
    const backends = backendsOf(serviceIds, endpoints);
    const change = new Collector();
    for (const id of serviceIds) {
      const old = this.#services.get(id) ?? new Map<string, Vip>();
      const vips = vipsOf(wanted.get(id), backends.get(id) ?? [], old);
      for (const vip of old.values()) {
        if (!vips.has(vip.address)) change.turn(vip, undefined);
      }
      for (const vip of vips.values()) change.turn(old.get(vip.address), vip);
      if (vips.size === 0) this.#services.delete(id);
      else this.#services.set(id, vips);
    }
    return change.done();
  }

  /** All elements, as for a namespace that has none. */
  all(): BalanceChange {
    const change = new Collector();
    for (const vips of this.#services.values()) {
      for (const vip of vips.values()) change.turn(undefined, vip);
    }
    return change.done();
  }
}

function backendsOf(
  serviceIds: ReadonlySet<string>,
  endpoints: Iterable<AssignedEndpoint>,
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { serviceId, active, addresses } of endpoints) {
    if (!active || !serviceIds.has(serviceId)) continue;
    const list = found.get(serviceId) ?? [];
    list.push(...addresses.map(withoutPrefix));
    found.set(serviceId, list);
  }
  return found;
}

function vipsOf(
  service: AssignedServiceEndpoint | undefined,
  backends: readonly string[],
  old: ReadonlyMap<string, Vip>,
): ReadonlyMap<string, Vip> {
  if (service === undefined || service.mode !== 'vip') return new Map();
  return new Map(
    service.virtualIps.map(withoutPrefix).map((address) => {
      const family = familyOf(address);
      const same = backends.filter((backend) => familyOf(backend) === family);
      const ordered = inPlace(old.get(address)?.backends ?? [], same);
      return [address, { family, address, backends: ordered }];
    }),
  );
}

/** Those of `wanted`, with as many as can be at the place that they have in `old`. */
export function inPlace(old: readonly string[], wanted: readonly string[]): readonly string[] {
  const missing = new Set(wanted);
  const places: (string | undefined)[] = old.map((backend) =>
    missing.delete(backend) ? backend : undefined,
  );
  const coming = [...missing];
  for (let at = 0; at < places.length; at++) {
    if (places[at] !== undefined) continue;
    const next = coming.shift();
    if (next !== undefined) places[at] = next;
    else {
      while (places.length > at && places.at(-1) === undefined) places.pop();
      if (at < places.length) places[at] = places.pop();
    }
  }
  return [...places.filter((place) => place !== undefined), ...coming];
}

export function withoutPrefix(cidr: string): string {
  const slash = cidr.indexOf('/');
  return slash < 0 ? cidr : cidr.slice(0, slash);
}

function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 'ip6' : 'ip';
}

class Collector {
  readonly #removed = new Map<string, SetElement[]>();
  readonly #added = new Map<string, SetElement[]>();
  readonly #dice = new Map<string, Dice>();
  readonly #lost = new Set<string>();

  done(): BalanceChange {
    return {
      removed: this.#removed,
      added: this.#added,
      dice: [...this.#dice.values()],
      lost: [...this.#lost],
    };
  }

  /** From what was to what is to be; absent: the VIP comes or goes. */
  turn(old: Vip | undefined, next: Vip | undefined): void {
    const vip = next ?? old;
    if (vip === undefined) return;
    const key = addressBytes(vip.address);
    if (old?.backends.length !== next?.backends.length) {
      if (old !== undefined) put(this.#removed, leadOf(old), { key });
      if (next !== undefined) this.#lead(next, key);
    }
    const before = old?.backends ?? [];
    const after = next?.backends ?? [];
    const { backends } = setsOf[vip.family];
    for (let at = 0; at < Math.max(before.length, after.length); at++) {
      const was = before[at];
      const is = after[at];
      if (was === is) continue;
      const place = Buffer.concat([key, native32(at)]);
      if (was !== undefined) put(this.#removed, backends, { key: place });
      if (is !== undefined) put(this.#added, backends, { key: place, data: addressBytes(is) });
    }
    const present = new Set(after);
    for (const backend of before) {
      if (!present.has(backend)) this.#lost.add(backend);
    }
  }

  #lead(vip: Vip, key: Buffer): void {
    const { family, backends } = vip;
    const count = backends.length;
    if (count === 0) {
      put(this.#added, leadOf(vip), { key });
      return;
    }
    const goTo = diceName(family, count);
    this.#dice.set(goTo, { family, count });
    put(this.#added, leadOf(vip), { key, goTo });
  }
}

/** The set that a VIP is in. */
function leadOf({ family, backends }: Vip): string {
  return backends.length === 0 ? setsOf[family].idle : setsOf[family].vips;
}

function put(elements: Map<string, SetElement[]>, set: string, element: SetElement): void {
  const list = elements.get(set);
  if (list === undefined) elements.set(set, [element]);
  else list.push(element);
}
