/**
 * Which frames of one network go to which node: what the managers say of its endpoints, and what
 * the kernel has been told so far. Pure; work is in proportion to what has changed.
 */

/** Somebody who is reached by a MAC, on some node. */
export interface Claim {
  readonly mac: string;
  readonly nodeId: string;
  /** Without prefix; a neighbour entry each. */
  readonly addresses: readonly string[];
}

export interface Remote {
  /** The data-path address of the node. */
  readonly destination: string;
  readonly addresses: readonly string[];
}

/** What the kernel is to be told: in this order. */
export interface ForwardingChanges {
  readonly gone: readonly { readonly mac: string; readonly addresses: readonly string[] }[];
  readonly set: readonly {
    readonly mac: string;
    readonly destination: string;
    readonly addresses: readonly string[];
    /** Addresses that led to this MAC and no longer do. */
    readonly former: readonly string[];
  }[];
}

export class ForwardingTable {
  /** Where a node is reached; undefined for this node itself, and for those not known. */
  readonly #destinationOf: (nodeId: string) => string | undefined;
  readonly #claims = new Map<string, Claim>();
  /** MAC → owners; an address may pass from one to another within a set, in any order. */
  readonly #owners = new Map<string, Set<string>>();
  /** Node → MACs. */
  readonly #macsOf = new Map<string, Set<string>>();
  readonly #applied = new Map<string, Remote>();
  readonly #dirty = new Set<string>();

  constructor(destinationOf: (nodeId: string) => string | undefined) {
    this.#destinationOf = destinationOf;
  }

  /** `claim` absent: the owner is gone. */
  put(owner: string, claim?: Claim): void {
    const old = this.#claims.get(owner);
    // Most news of an endpoint is about its health, which is nothing to the interfaces.
    if (old !== undefined && claim !== undefined && sameClaim(old, claim)) return;
    if (old !== undefined) {
      this.#claims.delete(owner);
      this.#dirty.add(old.mac);
      remove(this.#owners, old.mac, owner);
      if (!this.#ownersOn(old.mac, old.nodeId)) remove(this.#macsOf, old.nodeId, old.mac);
    }
    if (claim === undefined) return;
    this.#claims.set(owner, claim);
    this.#dirty.add(claim.mac);
    add(this.#owners, claim.mac, owner);
    add(this.#macsOf, claim.nodeId, claim.mac);
  }

  /** The node is reached another way than before, or not any more. */
  peerChanged(nodeId: string): void {
    for (const mac of this.#macsOf.get(nodeId) ?? []) this.#dirty.add(mac);
  }

  /** What has changed since the last call; the caller tells the kernel. */
  flush(): ForwardingChanges {
    const gone: ForwardingChanges['gone'][number][] = [];
    const set: ForwardingChanges['set'][number][] = [];
    for (const mac of this.#dirty) {
      const old = this.#applied.get(mac);
      const now = this.#wanted(mac);
      if (now === undefined) {
        if (old !== undefined) gone.push({ mac, addresses: old.addresses });
        this.#applied.delete(mac);
        continue;
      }
      if (old !== undefined && same(old, now)) continue;
      const former = (old?.addresses ?? []).filter((address) => !now.addresses.includes(address));
      set.push({ mac, ...now, former });
      this.#applied.set(mac, now);
    }
    this.#dirty.clear();
    return { gone, set };
  }

  /** What the kernel should have of what it was told: for those who compare. */
  get applied(): ReadonlyMap<string, Remote> {
    return this.#applied;
  }

  /** The kernel has lost everything. */
  forget(): void {
    for (const mac of this.#applied.keys()) this.#dirty.add(mac);
    this.#applied.clear();
  }

  #wanted(mac: string): Remote | undefined {
    // The latest claim holds: what came before it is about to go.
    const owner = [...(this.#owners.get(mac) ?? [])].at(-1);
    const claim = owner === undefined ? undefined : this.#claims.get(owner);
    const destination = claim && this.#destinationOf(claim.nodeId);
    return destination === undefined ? undefined : { destination, addresses: claim!.addresses };
  }

  #ownersOn(mac: string, nodeId: string): boolean {
    for (const owner of this.#owners.get(mac) ?? []) {
      if (this.#claims.get(owner)?.nodeId === nodeId) return true;
    }
    return false;
  }
}

function same(a: Remote, b: Remote): boolean {
  return a.destination === b.destination && sameList(a.addresses, b.addresses);
}

function sameClaim(a: Claim, b: Claim): boolean {
  return a.mac === b.mac && a.nodeId === b.nodeId && sameList(a.addresses, b.addresses);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

function add(map: Map<string, Set<string>>, key: string, value: string): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, new Set([value]));
  else values.add(value);
}

function remove(map: Map<string, Set<string>>, key: string, value: string): void {
  const values = map.get(key);
  values?.delete(value);
  if (values?.size === 0) map.delete(key);
}
