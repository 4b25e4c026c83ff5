/**
 * Who leads, by a key that lives as long as its owner's lease; and who is a manager at all. A
 * leader's writes are guarded by its key's revision: one that is late harms nothing.
 */
import type { Clock, Timer } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { EtcdClient, Guard, KeyValue } from './client.ts';
import type { Keys } from './record.ts';

interface ElectionParts {
  readonly ownId: string;
  readonly client: EtcdClient;
  readonly keys: Keys;
  readonly leaseSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** This manager leads, under this term; undefined: no longer. */
  readonly onTerm: (term: number | undefined) => void;
  readonly onLeader: () => void;
}

const retryMs = 250;
/** How long the others leave the lead to the one that it was handed to. */
const heirMs = 1_000;

export class Election implements AsyncDisposable {
  readonly #parts: ElectionParts;
  readonly #group = new Map<string, KeyValue>();
  readonly #stop = new AbortController();
  #watch: AsyncDisposable | undefined;
  #lease: { readonly id: string; untilMs: number } | undefined;
  #term: number | undefined;
  #step: Timer | undefined;
  #stepping: Promise<void> | undefined;
  #again = false;
  #yieldUntilMs = 0;

  constructor(parts: ElectionParts) {
    this.#parts = parts;
  }

  /** `group`: the keys below keys.group as of the revision. */
  start(group: readonly KeyValue[], revision: number): void {
    this.#learn(group);
    this.#follow(revision);
    this.#nudge();
  }

  /** Lets go at once of what others wait for. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#step?.cancel();
    await this.#stepping;
    this.#setTerm(undefined);
    await this.#watch?.[Symbol.asyncDispose]();
    const lease = this.#lease;
    this.#lease = undefined;
    if (lease === undefined) return;
    try {
      await this.#parts.client.revokeLease(lease.id);
    } catch (error) {
      this.#parts.log.info('the lease is left to run out', { error: messageOf(error) });
    }
  }

  get term(): number | undefined {
    return this.#term;
  }

  /** Empty while nobody leads. */
  get leader(): string {
    return this.#group.get(this.#parts.keys.leader)?.value.toString() ?? '';
  }

  get managers(): readonly string[] {
    return this.#idsBelow(this.#parts.keys.managers);
  }

  isAlive(id: string): boolean {
    return this.#group.has(`${this.#parts.keys.alive}${id}`);
  }

  /** Holds as long as this manager leads. */
  guard(term: number): Guard {
    return { key: this.#parts.keys.leader, createRevision: term };
  }

  /** The store has refused a write of this term: another one leads. */
  deposed(term: number): void {
    if (term === this.#term) this.#setTerm(undefined);
    this.#nudge();
  }

  /** Leaves the lead to whoever takes it. */
  async resign(term: number): Promise<void> {
    const { client, keys } = this.#parts;
    await client.txn([this.guard(term)], [{ delete: keys.leader }]);
    this.deposed(term);
  }

  async handOver(to: string): Promise<void> {
    const { client, keys } = this.#parts;
    const term = this.#term;
    if (term === undefined) return;
    this.#yieldUntilMs = this.#parts.clock.monotonicMs() + heirMs;
    await client.txn([this.guard(term)], [{ put: keys.heir, value: to }, { delete: keys.leader }]);
    this.deposed(term);
  }

  #idsBelow(prefix: string): string[] {
    return [...this.#group.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .toSorted();
  }

  #learn(group: readonly KeyValue[]): void {
    const before = this.leader;
    this.#group.clear();
    for (const kv of group) this.#group.set(kv.key, kv);
    if (before !== this.leader) this.#parts.onLeader();
  }

  #follow(revision: number): void {
    const { client, keys, log } = this.#parts;
    this.#watch = client.watch(keys.group, revision, {
      changed: (changes) => {
        const before = this.leader;
        for (const change of changes) {
          if (change.value === undefined) this.#group.delete(change.key);
          else this.#group.set(change.key, change);
        }
        if (before === this.leader) return;
        this.#parts.onLeader();
        this.#nudge();
      },
      connected: () => this.#nudge(),
      broken: (error) => {
        log.info('the watch of the managers broke', { error: messageOf(error) });
        this.#watch = undefined;
        this.#nudge();
      },
    });
  }

  /** Soon, and one at a time. */
  #nudge(): void {
    if (this.#stop.signal.aborted) return;
    if (this.#stepping !== undefined) {
      this.#again = true;
      return;
    }
    this.#step?.cancel();
    this.#stepping = this.#work().finally(() => {
      this.#stepping = undefined;
      if (this.#stop.signal.aborted) return;
      const again = this.#again;
      this.#again = false;
      const waitMs = again ? 0 : this.#renewEveryMs();
      this.#step = this.#parts.clock.after(waitMs, () => this.#nudge());
    });
  }

  #renewEveryMs(): number {
    const everyMs = (this.#parts.leaseSeconds * 1000) / 4;
    return this.#lease === undefined || this.#term === undefined
      ? Math.min(everyMs, retryMs * 2)
      : everyMs;
  }

  async #work(): Promise<void> {
    const { clock, log } = this.#parts;
    try {
      await this.#renew();
      await this.refresh();
      await this.#campaign();
    } catch (error) {
      log.debug('the store of the managers does not answer', { error: messageOf(error) });
    }
    const lease = this.#lease;
    if (lease === undefined || clock.monotonicMs() < lease.untilMs) return;
    log.warn('the lease has run out, as the store did not answer');
    this.#lease = undefined;
    this.#setTerm(undefined);
  }

  /** The lease counts from before the call that renewed it. */
  async #renew(): Promise<void> {
    const { client, clock, keys, leaseSeconds, log, ownId } = this.#parts;
    const ttlMs = leaseSeconds * 1000;
    const startMs = clock.monotonicMs();
    const lease = this.#lease;
    if (lease === undefined) {
      const id = await client.grantLease(leaseSeconds);
      this.#lease = { id, untilMs: startMs + ttlMs };
      await client.txn([], [{ put: `${keys.alive}${ownId}`, value: '', lease: id }]);
      return;
    }
    if (await client.keepAlive(lease.id, { timeoutMs: ttlMs / 4 })) {
      lease.untilMs = startMs + ttlMs;
      return;
    }
    log.warn('the lease has run out');
    this.#lease = undefined;
    this.#setTerm(undefined);
    await this.#renew();
  }

  /** The watch tells sooner; this tells also where the watch has missed something. */
  async refresh(): Promise<void> {
    const { client, keys } = this.#parts;
    const { kvs, revision } = await client.list(keys.group);
    this.#learn(kvs);
    if (this.#watch === undefined) this.#follow(revision);
    const leader = this.#group.get(keys.leader);
    if (this.#term !== undefined && leader?.createRevision !== this.#term) {
      this.#setTerm(undefined);
    }
  }

  async #campaign(): Promise<void> {
    const { client, clock, keys, ownId } = this.#parts;
    const lease = this.#lease;
    if (lease === undefined || this.#term !== undefined) return;
    if (this.leader === ownId) await this.#clear();
    if (this.leader !== '' || !this.managers.includes(ownId)) {
      this.#yieldUntilMs = 0;
      return;
    }
    const heir = this.#group.get(keys.heir)?.value.toString();
    if (heir !== undefined && heir !== ownId && this.isAlive(heir)) {
      if (this.#yieldUntilMs === 0) this.#yieldUntilMs = clock.monotonicMs() + heirMs;
      if (clock.monotonicMs() < this.#yieldUntilMs) return;
    }
    const { succeeded, revision } = await client.txn(
      [{ key: keys.leader, createRevision: 0 }],
      [{ put: keys.leader, value: ownId, lease: lease.id }, { delete: keys.heir }],
    );
    this.#yieldUntilMs = 0;
    if (succeeded && this.#lease === lease) this.#setTerm(revision);
  }

  /** The key of an earlier process of this manager, or of an attempt whose answer was lost. */
  async #clear(): Promise<void> {
    const { client, keys } = this.#parts;
    const held = this.#group.get(keys.leader);
    if (held === undefined) return;
    await client.txn([this.guard(held.createRevision)], [{ delete: keys.leader }]);
    await this.refresh();
  }

  #setTerm(term: number | undefined): void {
    if (term === this.#term) return;
    this.#term = term;
    this.#parts.onTerm(term);
  }
}
