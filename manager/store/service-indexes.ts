/** Services by name, and by the ingress ports that they hold. */
import type { Service } from '../../types/index.ts';
import { portKey } from './view.ts';

/** The one service that holds a key. Apply refuses a second holder, so there is never one. */
export class ServiceKeys {
  readonly #name: string;
  readonly #keysOf: (service: Service) => Iterable<string>;
  readonly #owners = new Map<string, string>();

  constructor(name: string, keysOf: (service: Service) => Iterable<string>) {
    this.#name = name;
    this.#keysOf = keysOf;
  }

  /** The id of the holder. */
  owner(key: string): string | undefined {
    return this.#owners.get(key);
  }

  changed(old: Service | undefined, next: Service | undefined): void {
    if (old !== undefined) {
      for (const key of this.#keysOf(old)) {
        // In one entry another service may have taken over the key already.
        if (this.#owners.get(key) === old.id) this.#owners.delete(key);
      }
    }
    if (next !== undefined) {
      for (const key of this.#keysOf(next)) this.#owners.set(key, next.id);
    }
  }

  clear(): void {
    this.#owners.clear();
  }

  audit(services: Iterable<Service>): string[] {
    const wrong: string[] = [];
    const expected = new Map<string, string>();
    for (const service of services) {
      for (const key of this.#keysOf(service)) {
        const other = expected.get(key);
        if (other !== undefined && other !== service.id) {
          wrong.push(`${this.#name} ${key} is held by ${other} and by ${service.id}`);
        }
        expected.set(key, service.id);
      }
    }
    for (const key of new Set([...expected.keys(), ...this.#owners.keys()])) {
      const want = expected.get(key);
      const present = this.#owners.get(key);
      if (want !== present) wrong.push(`${this.#name} ${key} leads to ${present}, not ${want}`);
    }
    return wrong;
  }
}

export function namesOf(service: Service): string[] {
  return [service.spec.name];
}

/** Ports asked for count as held before they are allocated: no second service may ask for them. */
export function ingressPortsOf(service: Service): Set<string> {
  const keys = new Set<string>();
  for (const ports of [service.ports, service.spec.endpoint?.ports]) {
    for (const port of ports ?? []) {
      if (port.publishMode === 'ingress' && (port.publishedPort ?? 0) > 0) keys.add(portKey(port));
    }
  }
  return keys;
}
