/**
 * Which backends each VIP of one network has, and what a change of them means for the maps in the
 * kernel. Synchronous and without I/O.
 */
import type { AssignedEndpoint, AssignedServiceEndpoint } from '../../../types/index.ts';
import { addressBytes } from '../netlink/wire.ts';
import {
  DiceChanges,
  familyOf,
  inPlace,
  withoutPrefix,
  type DiceChange,
  type Lead,
} from './dice.ts';
import { setsOf } from './ruleset.ts';

export class NetworkBalance {
  /** By service, then by VIP. */
  readonly #services = new Map<string, ReadonlyMap<string, Lead>>();

  /**
   * Follows the services named in `serviceIds`. `services` and `endpoints` are all of the network.
   */
  update(
    serviceIds: ReadonlySet<string>,
    services: Iterable<AssignedServiceEndpoint>,
    endpoints: Iterable<AssignedEndpoint>,
  ): DiceChange {
    const wanted = new Map<string, AssignedServiceEndpoint>();
    for (const service of services) {
      if (serviceIds.has(service.serviceId)) wanted.set(service.serviceId, service);
    }
    const backends = activeAddresses(serviceIds, endpoints);
    const changes = new DiceChanges(setsOf);
    for (const id of serviceIds) {
      const old = this.#services.get(id) ?? new Map<string, Lead>();
      const vips = vipsOf(wanted.get(id), backends.get(id) ?? [], old);
      for (const [address, vip] of old) {
        if (!vips.has(address)) changes.turn(vip, undefined);
      }
      for (const [address, vip] of vips) changes.turn(old.get(address), vip);
      if (vips.size === 0) this.#services.delete(id);
      else this.#services.set(id, vips);
    }
    return changes.done();
  }

  /** All elements, as for a namespace that has none. */
  all(): DiceChange {
    const changes = new DiceChanges(setsOf);
    for (const vips of this.#services.values()) {
      for (const vip of vips.values()) changes.turn(undefined, vip);
    }
    return changes.done();
  }
}

/** Addresses of the services' active endpoints, by service. */
export function activeAddresses(
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
  addresses: readonly string[],
  old: ReadonlyMap<string, Lead>,
): ReadonlyMap<string, Lead> {
  if (service === undefined || service.mode !== 'vip') return new Map();
  return new Map(
    service.virtualIps.map(withoutPrefix).map((vip) => {
      const family = familyOf(vip);
      const same = addresses.filter((address) => familyOf(address) === family);
      const wanted = new Map(same.map((address) => [address, addressBytes(address)]));
      const before = [...(old.get(vip)?.backends.keys() ?? [])];
      return [vip, { family, key: addressBytes(vip), backends: inPlace(before, wanted) }];
    }),
  );
}
