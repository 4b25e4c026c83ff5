import type { Random } from '../../lib/random.ts';

export interface KnownManager {
  /** Empty for an address that was given by hand. */
  readonly nodeId: string;
  readonly addr: string;
  readonly leader: boolean;
}

/** Each failure puts an address back as if it had been tried so many attempts later. */
const failurePenalty = 2;
const failuresMax = 2;
const seedsMax = 32;

/** Where managers may be found: what the swarm said last, and the addresses given at the start. */
export class ManagerList {
  #seeds: readonly string[];
  readonly #failures = new Map<string, number>();
  /** When each was last tried, counted in attempts. */
  readonly #tried = new Map<string, number>();
  #attempts = 0;
  #named: readonly KnownManager[] = [];

  constructor(seeds: readonly string[]) {
    this.#seeds = seeds.filter((addr) => addr !== '');
  }

  /** What the swarm says; an empty list is no news. */
  learn(managers: readonly KnownManager[]): void {
    if (managers.length > 0) this.#named = managers;
  }

  /** Addresses to try where no other answers, besides those given at the start. */
  suggest(addrs: readonly string[]): void {
    this.#seeds = [...new Set([...this.#seeds, ...addrs])].slice(-seedsMax);
  }

  /** A manager has been found there. False where that is known, and did not fail. */
  found(nodeId: string, addr: string): boolean {
    const known = this.#named.find((manager) => manager.nodeId === nodeId);
    if (known?.addr === addr && !this.#failures.has(addr)) return false;
    this.#failures.delete(addr);
    this.#tried.delete(addr);
    const others = this.#named.filter((manager) => manager !== known);
    this.#named = [...others, { nodeId, addr, leader: false }];
    return true;
  }

  all(): readonly KnownManager[] {
    if (this.#named.length > 0) return this.#named;
    return this.#seeds.map((addr) => ({ nodeId: '', addr, leader: false }));
  }

  /** One that fails to answer may lead no more. */
  failed(addr: string): void {
    this.#named = this.#named.map((manager) =>
      manager.addr === addr ? { ...manager, leader: false } : manager,
    );
    this.#failures.set(addr, Math.min(failuresMax, (this.#failures.get(addr) ?? 0) + 1));
  }

  succeeded(addr: string): void {
    this.#failures.delete(addr);
  }

  /**
   * One to try next: the leader, unless it has failed; then whoever was tried longest ago, so that
   * all are asked in turn. Where the swarm does not name an address that was given once, it is the
   * last resort: asked when every other one has failed.
   */
  pick(random: Random): string | undefined {
    const addr = this.#next(random);
    if (addr === undefined) return undefined;
    this.#attempts += 1;
    this.#tried.set(addr, this.#attempts);
    return addr;
  }

  #next(random: Random): string | undefined {
    const named = this.#named.map(({ addr }) => addr);
    const leader = this.#named.find(({ leader: leads }) => leads)?.addr;
    if (leader !== undefined && !this.#failures.has(leader)) return leader;
    const isHopeless = named.every((addr) => this.#failures.has(addr));
    const candidates = new Set(isHopeless ? [...named, ...this.#seeds] : named);
    const ranked = [...candidates]
      .map((addr) => ({ addr, rank: this.#rank(addr), lot: random.float() }))
      .toSorted((a, b) => a.rank - b.rank || a.lot - b.lot);
    return ranked[0]?.addr;
  }

  #rank(addr: string): number {
    return (this.#tried.get(addr) ?? 0) + (this.#failures.get(addr) ?? 0) * failurePenalty;
  }
}
