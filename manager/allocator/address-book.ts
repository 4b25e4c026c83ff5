/**
 * Free addresses of networks while one plan is made: what the view says is held, and what the plan
 * itself has given away.
 */
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { StoreView } from '../store/view.ts';
import type { Network, NetworkSubnet } from '../../types/index.ts';
import {
  contains,
  formatAddress,
  formatV4,
  parseAddress,
  parseSubnet,
  sizeOf,
  type Subnet,
} from './address.ts';

/** The part of a subnet that addresses are given out of. */
interface Pool {
  readonly range: Subnet;
  /** Of the subnet, which a range is only a part of. */
  readonly prefix: number;
  /** Addresses to choose from; the last 32 bits tell them apart also where there are more. */
  readonly count: number;
  /** Never given out: positions in the range. */
  readonly reserved: ReadonlySet<number>;
  cursor: number;
}

interface Page {
  readonly pools: readonly Pool[];
  readonly used: ReadonlyMap<string, string>;
  readonly given: Set<string>;
  /** Some of those in use may be out of the ranges: people may ask for any of the subnet. */
  readonly hasRange: boolean;
  /** So many may hold addresses at a time. */
  readonly capacity: number;
}

const maxCount = 2 ** 32;

export class AddressBook {
  readonly #view: Pick<StoreView, 'usedAddresses'>;
  readonly #random: Random;
  readonly #pages = new Map<string, Page>();

  constructor(view: Pick<StoreView, 'usedAddresses'>, random: Random) {
    this.#view = view;
    this.#random = random;
  }

  /**
   * One address for each family of the network, with prefix; nothing where one is missing. The
   * search begins anywhere in the subnet: what has just become free is not soon met again, while
   * others may still remember who had it.
   */
  take(network: Network): readonly string[] | undefined {
    const page = this.#page(network);
    if (isFull(page)) return undefined;
    const taken: string[] = [];
    for (const pool of page.pools) {
      const address = next(pool, page);
      if (address === undefined) {
        this.giveBack(network.id, taken);
        return undefined;
      }
      page.given.add(address);
      taken.push(`${address}/${pool.prefix}`);
    }
    return taken;
  }

  /**
   * As `take`, but the addresses that are asked for in the families in which any is. Throws
   * SwarmError for one that is taken or none of the network's, and `resource-exhausted` where none
   * is left.
   */
  takeAsked(network: Network, asked: readonly string[]): readonly string[] {
    const page = this.#page(network);
    const wanted = new Map(
      asked.map((text) => {
        const address = parseAddress(text);
        if (address !== undefined) return [address.family, formatAddress(address)] as const;
        throw new SwarmError('invalid-argument', `invalid address: ${text}`);
      }),
    );
    return page.pools.map((pool) => {
      const { family } = pool.range;
      const given = wanted.get(family);
      const address = given ?? next(pool, page);
      if (address === undefined) {
        throw new SwarmError('resource-exhausted', this.explain(network));
      }
      if (given !== undefined) checkAsked(network, given, page);
      page.given.add(address);
      return `${address}/${pool.prefix}`;
    });
  }

  /** What `take` returned is not used after all. */
  giveBack(networkId: string, addresses: readonly string[]): void {
    const given = this.#pages.get(networkId)?.given;
    for (const address of addresses) given?.delete(address.slice(0, address.indexOf('/')));
  }

  isFull(network: Network): boolean {
    return isFull(this.#page(network));
  }

  /** Addresses as `take` may return them: one in each pool, and none that is set aside. */
  fits(network: Network, addresses: readonly string[]): boolean {
    const { pools } = this.#page(network);
    return (
      addresses.length === pools.length &&
      pools.every((pool, number) => {
        const [text = '', prefix] = (addresses[number] ?? '').split('/');
        const position = positionOf(pool.range, text);
        if (position === undefined || Number(prefix) !== pool.prefix) return false;
        return position < pool.count && !pool.reserved.has(position);
      })
    );
  }

  /** For people: why `take` returned nothing. */
  explain(network: Network): string {
    const { capacity } = this.#page(network);
    const subnets = network.subnets.map(({ subnet, ipRange }) => ipRange ?? subnet).join(', ');
    const all = capacity === 1 ? 'its only address is' : `all ${capacity} addresses are`;
    return `no free address on network ${network.spec.name} (${subnets}): ${all} in use`;
  }

  #page(network: Network): Page {
    let page = this.#pages.get(network.id);
    if (page === undefined) {
      const pools = network.subnets.flatMap((subnet) => this.#pool(subnet) ?? []);
      page = {
        pools,
        used: this.#view.usedAddresses(network.id),
        given: new Set(),
        hasRange: network.subnets.some(({ ipRange }) => ipRange !== undefined),
        capacity: Math.min(...pools.map(({ count, reserved }) => count - reserved.size)),
      };
      this.#pages.set(network.id, page);
    }
    return page;
  }

  #pool(given: NetworkSubnet): Pool | undefined {
    const { subnet, ipRange } = given;
    const whole = parseSubnet(subnet);
    const range = ipRange === undefined ? whole : parseSubnet(ipRange);
    if (whole === undefined || range === undefined) return undefined;
    const size = sizeOf(range);
    const count = size > BigInt(maxCount) ? maxCount : Number(size);
    const aside = setAside(given);
    const positions = aside.flatMap((text) => positionOf(range, text) ?? []);
    return {
      range,
      prefix: whole.prefix,
      count,
      reserved: new Set(positions.filter((position) => position < count)),
      cursor: this.#random.integer(count),
    };
  }
}

/** It may be out of the range that addresses are given out of, but not out of the subnet. */
function checkAsked(network: Network, text: string, { used, given }: Page): void {
  const address = parseAddress(text);
  const found = network.subnets.find(({ subnet }) => {
    const parsed = parseSubnet(subnet);
    return parsed !== undefined && address !== undefined && contains(parsed, address);
  });
  if (found === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `invalid address ${text}: it belongs to none of the subnets of network ${network.spec.name}`,
    );
  }
  if (!used.has(text) && !given.has(text) && !setAside(found).includes(text)) return;
  throw new SwarmError('already-exists', `the address ${text} is already in use`);
}

/** Addresses of the subnet that nobody is given. */
function setAside({ subnet, gateway, reserved = [] }: NetworkSubnet): readonly string[] {
  const whole = parseSubnet(subnet);
  if (whole === undefined) return [];
  const { family, base } = whole;
  const aside = [gateway, ...reserved, formatAddress({ family, value: base })];
  if (family === 4) aside.push(formatAddress({ family, value: base + sizeOf(whole) - 1n }));
  return aside;
}

/** Every holder has one address of each pool, so that counting them is enough. */
function isFull({ pools, used, given, capacity, hasRange }: Page): boolean {
  if (pools.length === 0 || used.size + given.size < capacity * pools.length) return false;
  if (!hasRange) return true;
  const all = [...used.keys(), ...given];
  return pools.some(({ range, count, reserved }) => {
    const held = all.filter((address) => positionOf(range, address) !== undefined);
    return held.length >= count - reserved.size;
  });
}

function next(pool: Pool, { used, given }: Page): string | undefined {
  const { range, count, reserved } = pool;
  for (let step = 0; step < count; step++) {
    const position = pool.cursor;
    pool.cursor = position + 1 === count ? 0 : position + 1;
    if (reserved.has(position)) continue;
    const address = addressAt(range, position);
    if (!used.has(address) && !given.has(address)) return address;
  }
  return undefined;
}

function addressAt({ family, base }: Subnet, position: number): string {
  if (family === 4) return formatV4(Number(base) + position);
  return formatAddress({ family, value: base + BigInt(position) });
}

function positionOf(range: Subnet, text: string): number | undefined {
  const address = parseAddress(text);
  if (address?.family !== range.family) return undefined;
  const position = address.value - range.base;
  return position < 0n || position >= sizeOf(range) ? undefined : Number(position);
}
