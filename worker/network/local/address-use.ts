/** Who has which address of a network. */
import { SwarmError } from '../../../lib/errors.ts';
import type { NetworkSubnet } from '../../../types/index.ts';
import { hostOf } from '../resolver/addresses.ts';
import { freeHost, holds, hostText, parseHost, parseRange, withPrefix } from './ranges.ts';

/** Addresses that a container asks for by itself. */
export interface AddressWish {
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
}

export class AddressUse {
  readonly #name: string;
  readonly #subnets: readonly NetworkSubnet[];
  readonly #held = new Map<string, readonly string[]>();
  readonly #taken = new Set<string>();
  /** Of each subnet: the address that was given out last. */
  readonly #last = new Map<string, string>();

  constructor(name: string, subnets: readonly NetworkSubnet[]) {
    this.#name = name;
    this.#subnets = subnets;
  }

  get all(): ReadonlyMap<string, readonly string[]> {
    return this.#held;
  }

  reserve(containerId: string, wish: AddressWish): readonly string[] {
    const before = this.#held.get(containerId);
    if (before !== undefined) return before;
    const { ipv4 = '', ipv6 = '' } = wish;
    const addresses = [this.#one(4, ipv4), this.#one(6, ipv6)].filter((one) => one !== undefined);
    this.adopt(containerId, addresses);
    return addresses;
  }

  /** What it has, whoever gave it. */
  adopt(containerId: string, addresses: readonly string[]): void {
    this.release(containerId);
    this.#held.set(containerId, addresses);
    for (const address of addresses) this.#taken.add(hostOf(address));
  }

  release(containerId: string): void {
    for (const address of this.#held.get(containerId) ?? []) this.#taken.delete(hostOf(address));
    this.#held.delete(containerId);
  }

  /** Undefined where the network does not have the family. */
  #one(family: 4 | 6, wanted: string): string | undefined {
    const subnets = this.#subnets.filter(({ subnet }) => subnet.includes(':') === (family === 6));
    if (wanted !== '') return this.#wanted(wanted, subnets);
    if (subnets.length === 0) return undefined;
    for (const subnet of subnets) {
      const address = freeHost(subnet, this.#taken, this.#last.get(subnet.subnet));
      if (address === undefined) continue;
      this.#last.set(subnet.subnet, address);
      return withPrefix(address, subnet.subnet);
    }
    throw new SwarmError(
      'resource-exhausted',
      `no available IPv${family} addresses on the network ${this.#name}: remove containers from ` +
        'it, or make a network with a larger subnet',
    );
  }

  #wanted(text: string, subnets: readonly NetworkSubnet[]): string {
    const host = parseHost(text);
    if (host === undefined) throw new SwarmError('invalid-argument', `invalid address: ${text}`);
    const subnet = subnets.find((one) => {
      const range = parseRange(one.subnet);
      return range !== undefined && holds(range, host);
    });
    if (subnet === undefined) {
      throw new SwarmError(
        'invalid-argument',
        `invalid address ${text}: It does not belong to any of this network's subnets`,
      );
    }
    const address = hostText(host);
    const { gateway, reserved = [] } = subnet;
    if (this.#taken.has(address) || [gateway, ...reserved].includes(address)) {
      throw new SwarmError('already-exists', `the address ${text} is already in use`);
    }
    return withPrefix(address, subnet.subnet);
  }
}
