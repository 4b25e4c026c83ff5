/**
 * Free addresses of networks while one plan is made: what the view says is held, and what the plan
 * itself has given away.
 */
import type { Random } from '../../lib/random.ts';
import type { StoreView } from '../store/view.ts';
import type { Network, NetworkSubnet } from '../../types/index.ts';
import {
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
        capacity: Math.min(...pools.map(({ count, reserved }) => count - reserved.size)),
      };
      this.#pages.set(network.id, page);
    }
    return page;
  }

  #pool({ subnet, ipRange, gateway, reserved = [] }: NetworkSubnet): Pool | undefined {
    const whole = parseSubnet(subnet);
    const range = ipRange === undefined ? whole : parseSubnet(ipRange);
    if (whole === undefined || range === undefined) return undefined;
    const size = sizeOf(range);
    const count = size > BigInt(maxCount) ? maxCount : Number(size);
    const aside = [
      gateway,
      ...reserved,
      formatAddress({ family: whole.family, value: whole.base }),
    ];
    if (whole.family === 4) {
      const broadcast = whole.base + sizeOf(whole) - 1n;
      aside.push(formatAddress({ family: 4, value: broadcast }));
    }
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

/** Every holder has one address of each pool, so that counting them is enough. */
function isFull({ pools, used, given, capacity }: Page): boolean {
  return pools.length > 0 && used.size + given.size >= capacity * pools.length;
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
