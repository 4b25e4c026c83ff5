/** Keys that one object of a table holds at a time: names, published ports, VNIs. */
import type { FileObject, Network, Service } from '../../types/index.ts';
import { portKey } from './view.ts';

interface Identified {
  readonly id: string;
}

/** The one object that holds a key. Apply refuses a second holder, so there is never one. */
export class UniqueKeys<T extends Identified> {
  readonly #table: string;
  readonly #name: string;
  readonly #keysOf: (object: T) => Iterable<string>;
  readonly #owners = new Map<string, string>();

  /** Both are for sentences: "name web is in use by service s1". */
  constructor(table: string, name: string, keysOf: (object: T) => Iterable<string>) {
    this.#table = table;
    this.#name = name;
    this.#keysOf = keysOf;
  }

  /** The id of the holder. */
  owner(key: string): string | undefined {
    return this.#owners.get(key);
  }

  changed(old: T | undefined, next: T | undefined): void {
    if (old !== undefined) {
      for (const key of this.#keysOf(old)) {
        // In one entry another object may have taken over the key already.
        if (this.#owners.get(key) === old.id) this.#owners.delete(key);
      }
    }
    if (next !== undefined) {
      for (const key of this.#keysOf(next)) this.#owners.set(key, next.id);
    }
  }

  /**
   * Why the objects, which are to be put all at once, cannot hold their keys: by their ids, in all
   * the forms that they are put in; none where one is only deleted.
   */
  clash(touched: ReadonlyMap<string, readonly T[]>): string | undefined {
    const claims = new Map<string, string>();
    for (const object of [...touched.values()].flat()) {
      for (const key of this.#keysOf(object)) {
        // An owner that is touched holds only what its new forms claim in this loop.
        const owner = this.#owners.get(key);
        const holder =
          claims.get(key) ?? (owner === undefined || touched.has(owner) ? object.id : owner);
        if (holder !== object.id) {
          return `${this.#name} ${key} is in use by ${this.#table} ${holder}`;
        }
        claims.set(key, object.id);
      }
    }
    return undefined;
  }

  clear(): void {
    this.#owners.clear();
  }

  audit(objects: Iterable<T>): string[] {
    const wrong: string[] = [];
    const expected = new Map<string, string>();
    for (const object of objects) {
      for (const key of this.#keysOf(object)) {
        const other = expected.get(key);
        if (other !== undefined && other !== object.id) {
          wrong.push(`${this.#name} ${key} is held by ${other} and by ${object.id}`);
        }
        expected.set(key, object.id);
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

export function nameOf({ spec }: { readonly spec: { readonly name: string } }): string[] {
  return [spec.name];
}

/** "tls-key 2": the revisions of one name are different ones. */
export function revisionOf({ spec, revision }: FileObject): string[] {
  return [`${spec.name} ${revision}`];
}

export function vniOf({ vni }: Network): string[] {
  return vni === undefined ? [] : [String(vni)];
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
