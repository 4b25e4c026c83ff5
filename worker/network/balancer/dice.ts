/**
 * How netfilter chooses one of several backends. A key (a VIP; a published port) leads to the chain
 * for its number of backends, which throws a die and looks up what belongs to key and number. A
 * backend that goes leaves its number to the last one, so that few elements change however many
 * backends there are. Synchronous and without I/O.
 */
import type { Request } from '../netlink/wire.ts';
import {
  addChain,
  addElements,
  native32,
  removeElements,
  type Chain,
  type SetElement,
  type TableName,
} from '../nft/index.ts';

export const addressFamilies = ['ip', 'ip6'] as const;
export type AddressFamily = (typeof addressFamilies)[number];

export function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 'ip6' : 'ip';
}

export function withoutPrefix(cidr: string): string {
  const slash = cidr.indexOf('/');
  return slash < 0 ? cidr : cidr.slice(0, slash);
}

/** Names of the sets that a family's keys are in. */
export interface DiceSets {
  /** Key → the chain for its number of backends. */
  readonly keys: string;
  /** Key . number → backend. */
  readonly backends: string;
  /** Keys without any backend; absent: those are in no set. */
  readonly idle?: string;
}

/** Something that has backends. */
export interface Lead {
  readonly family: AddressFamily;
  /** As bytes, in whole registers. */
  readonly key: Buffer;
  /** Each as the data of an element, by the backend's address. */
  readonly backends: ReadonlyMap<string, Buffer>;
}

export interface Dice {
  readonly family: AddressFamily;
  readonly count: number;
}

export function diceName({ family, count }: Dice): string {
  return `${family}_of_${count}`;
}

/** Elements by the names of their sets. */
type Elements = ReadonlyMap<string, readonly SetElement[]>;

export interface DiceChange {
  readonly removed: Elements;
  readonly added: Elements;
  /** Chains that the added elements lead to. */
  readonly dice: readonly Dice[];
  /** Backends that get no new connections any more. */
  readonly lost: readonly string[];
}

/** All that is needed in an empty table. */
export type DiceContents = Pick<DiceChange, 'added' | 'dice'>;

/** Those of `wanted`, with as many as can be at the place that they have in `old`. */
export function inPlace<T>(
  old: readonly string[],
  wanted: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  const missing = new Set(wanted.keys());
  const places = old.map((one) => (missing.delete(one) ? one : undefined));
  const coming = [...missing];
  for (let at = 0; at < places.length; at++) {
    if (places[at] !== undefined) continue;
    places[at] = coming.shift() ?? lastOf(places, at);
  }
  const order = [...places.filter((place) => place !== undefined), ...coming];
  return new Map(order.map((one) => [one, wanted.get(one)!]));
}

/** Takes the last one behind `at` away, and gives it. */
function lastOf(places: (string | undefined)[], at: number): string | undefined {
  while (places.length > at + 1) {
    const last = places.pop();
    if (last !== undefined) return last;
  }
  return undefined;
}

/** Collects what changes of leads mean for the sets. */
export class DiceChanges {
  readonly #sets: Readonly<Record<AddressFamily, DiceSets>>;
  readonly #removed = new Map<string, SetElement[]>();
  readonly #added = new Map<string, SetElement[]>();
  readonly #dice = new Map<string, Dice>();
  readonly #lost = new Set<string>();

  constructor(sets: Readonly<Record<AddressFamily, DiceSets>>) {
    this.#sets = sets;
  }

  done(): DiceChange {
    return {
      removed: this.#removed,
      added: this.#added,
      dice: [...this.#dice.values()],
      lost: [...this.#lost],
    };
  }

  /** From what was to what is to be; absent: the key comes or goes. Both have the same key. */
  turn(old: Lead | undefined, next: Lead | undefined): void {
    const lead = next ?? old;
    if (lead === undefined) return;
    const { family, key } = lead;
    if (old?.backends.size !== next?.backends.size) {
      if (old !== undefined) put(this.#removed, this.#setOf(old), { key });
      if (next !== undefined) this.#lead(next);
    }
    const before = [...(old?.backends ?? [])];
    const after = [...(next?.backends ?? [])];
    const { backends } = this.#sets[family];
    for (let at = 0; at < Math.max(before.length, after.length); at++) {
      const was = before[at]?.[1];
      const is = after[at]?.[1];
      if (was !== undefined && is !== undefined && was.equals(is)) continue;
      const place = Buffer.concat([key, native32(at)]);
      if (was !== undefined) put(this.#removed, backends, { key: place });
      if (is !== undefined) put(this.#added, backends, { key: place, data: is });
    }
    for (const [address] of before) {
      if (next?.backends.has(address) !== true) this.#lost.add(address);
    }
  }

  #lead(lead: Lead): void {
    const { family, key, backends } = lead;
    const count = backends.size;
    if (count === 0) {
      put(this.#added, this.#setOf(lead), { key });
      return;
    }
    const goTo = diceName({ family, count });
    this.#dice.set(goTo, { family, count });
    put(this.#added, this.#setOf(lead), { key, goTo });
  }

  #setOf({ family, backends }: Lead): string | undefined {
    const { keys, idle } = this.#sets[family];
    return backends.size === 0 ? idle : keys;
  }
}

function put(
  elements: Map<string, SetElement[]>,
  set: string | undefined,
  element: SetElement,
): void {
  if (set === undefined) return;
  const list = elements.get(set);
  if (list === undefined) elements.set(set, [element]);
  else list.push(element);
}

/** An element that changes is removed first: the kernel does not overwrite. */
export function elementRequests(
  table: TableName,
  { removed, added }: { readonly removed?: Elements; readonly added: Elements },
): readonly Request[] {
  return [
    ...[...(removed ?? [])].flatMap(([set, list]) => removeElements(table, set, list)),
    ...[...added].flatMap(([set, list]) => addElements(table, set, list)),
  ];
}

/** So many are kept: not those of all the numbers that a service has passed through. */
const keptDice = 32;

/** The chains of a table that throw dice: encoded once for all the namespaces that have them. */
export class DiceChains {
  readonly #table: TableName;
  readonly #write: (dice: Dice) => Chain;
  readonly #requests = new Map<string, readonly Request[]>();

  constructor(table: TableName, write: (dice: Dice) => Chain) {
    this.#table = table;
    this.#write = write;
  }

  chain(dice: Dice): Chain {
    return this.#write(dice);
  }

  requests(dice: Dice): readonly Request[] {
    const name = diceName(dice);
    let requests = this.#requests.get(name);
    if (requests === undefined) {
      requests = addChain(this.#table, this.#write(dice));
      this.#requests.set(name, requests);
      const [oldest = ''] = this.#requests.keys();
      if (this.#requests.size > keptDice) this.#requests.delete(oldest);
    }
    return requests;
  }
}
