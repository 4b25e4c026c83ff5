/**
 * Who has which name on each network. Follows the tables' changes one by one, so that a change
 * costs the same in a network of five endpoints and of five thousand.
 */
import type { AssignedEndpoint, AssignedServiceEndpoint } from '../../../types/index.ts';
import type { NetworkDelta, NetworkTables } from '../tables.ts';
import { addressKey, hostOf } from './addresses.ts';

/** What a name stands for on one network. */
export interface Named {
  /** Virtual addresses: of services that are reached by one. */
  readonly virtualIps: readonly string[];
  /** Endpoints that answer now. */
  readonly endpoints: readonly AssignedEndpoint[];
  /** Of services that have the name: their ports may be asked for. */
  readonly services: readonly AssignedServiceEndpoint[];
}

const tasksPrefix = 'tasks.';

/** Sets of objects by a key; a key without objects is not kept. */
class Groups<T> {
  readonly #sets = new Map<string, Set<T>>();

  get keys(): Iterable<string> {
    return this.#sets.keys();
  }

  get(key: string): ReadonlySet<T> | undefined {
    return this.#sets.get(key);
  }

  add(key: string, value: T): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  delete(key: string, value: T): void {
    const set = this.#sets.get(key);
    set?.delete(value);
    if (set?.size === 0) this.#sets.delete(key);
  }
}

class NetworkNames {
  readonly services = new Map<string, AssignedServiceEndpoint>();
  readonly endpoints = new Map<string, AssignedEndpoint>();
  readonly servicesByName = new Groups<AssignedServiceEndpoint>();
  readonly endpointsByName = new Groups<AssignedEndpoint>();
  readonly endpointsByService = new Groups<AssignedEndpoint>();
  readonly byAddress = new Groups<AssignedEndpoint | AssignedServiceEndpoint>();

  setService(id: string, object: AssignedServiceEndpoint | undefined): void {
    const old = this.services.get(id);
    if (old !== undefined) {
      for (const name of old.names) this.servicesByName.delete(name.toLowerCase(), old);
      for (const key of keysOf(old.virtualIps)) this.byAddress.delete(key, old);
      this.services.delete(id);
    }
    if (object === undefined) return;
    this.services.set(id, object);
    for (const name of object.names) this.servicesByName.add(name.toLowerCase(), object);
    for (const key of keysOf(object.virtualIps)) this.byAddress.add(key, object);
  }

  setEndpoint(id: string, object: AssignedEndpoint | undefined): void {
    const old = this.endpoints.get(id);
    if (old !== undefined) {
      for (const name of namesOf(old)) this.endpointsByName.delete(name, old);
      for (const key of keysOf(old.addresses)) this.byAddress.delete(key, old);
      this.endpointsByService.delete(old.serviceId, old);
      this.endpoints.delete(id);
    }
    if (object === undefined) return;
    this.endpoints.set(id, object);
    for (const name of namesOf(object)) this.endpointsByName.add(name, object);
    for (const key of keysOf(object.addresses)) this.byAddress.add(key, object);
    this.endpointsByService.add(object.serviceId, object);
  }

  get isEmpty(): boolean {
    return this.services.size === 0 && this.endpoints.size === 0;
  }

  find(name: string): Named | undefined {
    if (name.startsWith(tasksPrefix)) {
      const tasks = this.#tasksOf(name.slice(tasksPrefix.length));
      if (tasks !== undefined) return tasks;
    }
    const services = [...(this.servicesByName.get(name) ?? [])];
    const named = this.endpointsByName.get(name);
    if (services.length === 0 && named === undefined) return undefined;
    const endpoints = new Set<AssignedEndpoint>();
    const behindVip = new Set<string>();
    for (const service of services) {
      if (service.mode === 'vip') behindVip.add(service.serviceId);
      else this.#addEndpoints(endpoints, service);
    }
    for (const endpoint of named ?? []) {
      // Where a service answers to the alias with its virtual address, its tasks do not.
      const isBehind = endpoint.serviceId !== '' && behindVip.has(endpoint.serviceId);
      if (!isBehind || hasOwnName(endpoint, name)) endpoints.add(endpoint);
    }
    return {
      virtualIps: services.flatMap(({ virtualIps }) => virtualIps.map(hostOf)),
      endpoints: [...endpoints].filter(({ active }) => active),
      services,
    };
  }

  #tasksOf(name: string): Named | undefined {
    const services = this.servicesByName.get(name);
    if (services === undefined) return undefined;
    const endpoints = new Set<AssignedEndpoint>();
    for (const service of services) this.#addEndpoints(endpoints, service);
    return {
      virtualIps: [],
      endpoints: [...endpoints].filter(({ active }) => active),
      services: [...services],
    };
  }

  #addEndpoints(to: Set<AssignedEndpoint>, { serviceId }: AssignedServiceEndpoint): void {
    for (const endpoint of this.endpointsByService.get(serviceId) ?? []) to.add(endpoint);
  }
}

export class NameIndex {
  readonly #networks = new Map<string, NetworkNames>();

  /** An index of what the tables hold now. */
  static of(...all: readonly NetworkTables[]): NameIndex {
    const index = new NameIndex();
    for (const tables of all) for (const { id } of tables.networks()) index.#take(tables, id);
    return index;
  }

  #take(tables: NetworkTables, id: string): void {
    const names = this.#namesOf(id);
    for (const service of tables.servicesOf(id)) names.setService(service.id, service);
    for (const endpoint of tables.endpointsOf(id)) names.setEndpoint(endpoint.id, endpoint);
    if (names.isEmpty) this.#networks.delete(id);
  }

  apply(changes: NetworkDelta['changes']): void {
    for (const { type, id, old, object } of changes) {
      if (type !== 'endpoint' && type !== 'service-endpoint') continue;
      const networkId = networkIdOf(object ?? old);
      const names = this.#namesOf(networkId);
      if (type === 'endpoint') names.setEndpoint(id, object as AssignedEndpoint | undefined);
      else names.setService(id, object as AssignedServiceEndpoint | undefined);
      if (names.isEmpty) this.#networks.delete(networkId);
    }
  }

  /** `name` in lower case, without a dot at its end. Undefined: nobody has this name here. */
  find(networkId: string, name: string): Named | undefined {
    return this.#networks.get(networkId)?.find(name);
  }

  /** The name that the holder of an address is known by. */
  nameOf(networkId: string, key: string): string | undefined {
    const holders = this.#networks.get(networkId)?.byAddress.get(key) ?? [];
    for (const holder of holders) {
      if (!('active' in holder) || holder.active) return holder.names[0];
    }
    return undefined;
  }

  /** Everything the index says, in an order of its own: equal for equal tables. */
  describe(): string {
    const lines = [...this.#networks].flatMap(([networkId, names]) => {
      const objects = [...names.services.values(), ...names.endpoints.values()];
      const keys = [
        ...names.servicesByName.keys,
        ...names.endpointsByName.keys,
        ...names.endpointsByService.keys,
        ...names.byAddress.keys,
      ];
      return [...objects.map((object) => JSON.stringify(object)), ...keys].map(
        (line) => `${networkId} ${line}`,
      );
    });
    return lines.sort().join('\n');
  }

  #namesOf(networkId: string): NetworkNames {
    let names = this.#networks.get(networkId);
    if (names === undefined) this.#networks.set(networkId, (names = new NetworkNames()));
    return names;
  }
}

function namesOf(endpoint: AssignedEndpoint): readonly string[] {
  return [...endpoint.names, ...endpoint.aliases].map((name) => name.toLowerCase());
}

function hasOwnName(endpoint: AssignedEndpoint, name: string): boolean {
  return endpoint.names.some((own) => own.toLowerCase() === name);
}

function keysOf(addresses: readonly string[]): readonly string[] {
  return addresses.flatMap((address) => addressKey(hostOf(address)) ?? []);
}

function networkIdOf(object: object | undefined): string {
  return object !== undefined && 'networkId' in object ? String(object.networkId) : '';
}
