import type { Random } from '../../lib/random.ts';

export interface KnownManager {
  /** Empty for an address that was given by hand. */
  readonly nodeId: string;
  readonly addr: string;
  readonly leader: boolean;
}

/** A leader that answers is asked before all others. */
const leaderBonus = 100;
/** Where the swarm does not name an address that was given once, it is the last resort. */
const unnamedMalus = 0.1;
const failuresMax = 6;

/** Where managers may be found: what the swarm said last, and the addresses given at the start. */
export class ManagerList {
  readonly #seeds: readonly string[];
  readonly #failures = new Map<string, number>();
  #named: readonly KnownManager[] = [];

  constructor(seeds: readonly string[]) {
    this.#seeds = seeds.filter((addr) => addr !== '');
  }

  /** What the swarm says; an empty list is no news. */
  learn(managers: readonly KnownManager[]): void {
    if (managers.length > 0) this.#named = managers;
  }

  all(): readonly KnownManager[] {
    if (this.#named.length > 0) return this.#named;
    return this.#seeds.map((addr) => ({ nodeId: '', addr, leader: false }));
  }

  get hasLeader(): boolean {
    return this.#named.some(({ leader }) => leader);
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

  /** One to try next: at random, the leader and those that did not fail of late more often. */
  pick(random: Random): string | undefined {
    const weights = new Map<string, number>();
    for (const addr of this.#seeds) weights.set(addr, this.#weight(addr) * unnamedMalus);
    for (const { addr, leader } of this.#named) {
      weights.set(addr, this.#weight(addr) * (leader ? leaderBonus : 1));
    }
    const total = weights.values().reduce((sum, weight) => sum + weight, 0);
    let left = random.float() * total;
    for (const [addr, weight] of weights) {
      left -= weight;
      if (left < 0) return addr;
    }
    return [...weights.keys()].at(-1);
  }

  #weight(addr: string): number {
    return 4 ** -(this.#failures.get(addr) ?? 0);
  }
}
