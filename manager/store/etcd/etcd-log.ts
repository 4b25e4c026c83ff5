/**
 * The store on an external etcd: objects as keys. The leader writes each batch of entries together
 * with the documents that it leaves; every manager applies the batches in their order. See
 * docs/adr/0006-etcd.md.
 */
import type { Clock } from '../../../lib/clock.ts';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import { emptyConf, type ConfChange, type NodeId, type RaftStatus } from '../../../raft/index.ts';
import type { ApplyResult, DocumentMachine, StoreLog } from '../log.ts';
import { untriedError } from '../raft-errors.ts';
import type { InitialState } from '../restored.ts';
import { hidePassword, type ExternalStore } from './address.ts';
import { EtcdClient, type Operation } from './client.ts';
import { Election } from './election.ts';
import { Feed } from './feed.ts';
import { keysBelow, type Keys } from './record.ts';
import { documentBytesMax, Writer } from './writer.ts';

export interface EtcdLogOptions {
  readonly id: NodeId;
  readonly store: ExternalStore;
  /** The first manager of a new swarm: nothing may be there yet. */
  readonly bootstrap: boolean;
  readonly initial?: InitialState;
  /** The other managers are lost for good. */
  readonly forceNew?: boolean;
  /** How long a leader that is gone is waited for. 3 where absent. */
  readonly leaseSeconds?: number;
  /** Proposals that may wait. 10,000 where absent. */
  readonly maxProposals?: number;
}

interface EtcdLogParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onLeader?: () => void;
}

const eraseTimeoutMs = 5_000;
const erasePollMs = 50;
const noLeader =
  'The swarm does not have a leader, or its etcd does not answer: make sure that a manager is ' +
  'online and can reach it.';

export class EtcdLog implements StoreLog {
  readonly documentBytesMax = documentBytesMax;
  readonly #options: EtcdLogOptions;
  readonly #parts: EtcdLogParts;
  readonly #client: EtcdClient;
  readonly #keys: Keys;
  readonly #election: Election;
  readonly #listeners = new Set<(leads: boolean) => void>();
  #feed: Feed | undefined;
  #writer: Writer | undefined;
  #initial: InitialState | undefined;
  #leads = false;

  constructor(options: EtcdLogOptions, parts: EtcdLogParts) {
    this.#options = options;
    this.#parts = parts;
    this.#client = new EtcdClient(options.store, parts.clock);
    this.#keys = keysBelow(this.#client.prefix);
    this.#election = new Election({
      ownId: options.id,
      client: this.#client,
      keys: this.#keys,
      leaseSeconds: options.leaseSeconds ?? 3,
      clock: parts.clock,
      log: parts.log,
      onTerm: (term) => this.#termChanged(term),
      onLeader: () => parts.onLeader?.(),
    });
  }

  /** Throws SwarmError `unavailable` where etcd does not answer, `already-exists` for a taken one. */
  async open(machine: DocumentMachine): Promise<void> {
    const { clock, log } = this.#parts;
    if (this.#options.bootstrap) await this.#prepare();
    else if (this.#options.forceNew === true) await this.#dropOthers();
    const feed = new Feed({ client: this.#client, keys: this.#keys, machine, clock, log });
    const loaded = await feed.open();
    if (this.#options.bootstrap) this.#initial = this.#options.initial;
    this.#feed = feed;
    this.#writer = new Writer({
      client: this.#client,
      keys: this.#keys,
      machine,
      feed,
      clock,
      maxProposals: this.#options.maxProposals ?? 10_000,
      guard: (term) => this.#election.guard(term),
      onDeposed: (term) => this.#election.deposed(term),
    });
    const group = loaded.kvs.filter(({ key }) => key.startsWith(this.#keys.group));
    this.#election.start(group, loaded.revision);
    log.info('store is open', { url: hidePassword(this.#options.store.url), index: feed.index });
    const { managers } = this.#election;
    if (managers.length === 1 && managers[0] === this.#options.id) await this.#leadAlone();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#writer?.close(new SwarmError('unavailable', 'this manager is stopping'));
    await this.#election[Symbol.asyncDispose]();
    this.#announce(false);
    await this.#feed?.[Symbol.asyncDispose]();
    this.#feed = undefined;
    await this.#client[Symbol.asyncDispose]();
  }

  propose(entry: Uint8Array): Promise<ApplyResult> {
    const term = this.#election.term;
    if (!this.#leads || term === undefined || this.#writer === undefined) {
      return Promise.reject(untriedError(noLeader));
    }
    return this.#writer.propose(entry, term);
  }

  /** Needs no leader: whatever was acknowledged is in etcd. */
  async barrier(): Promise<void> {
    if (this.#feed === undefined) throw new SwarmError('unavailable', 'the store is not open');
    await this.#feed.catchUp();
  }

  get isLeader(): boolean {
    return this.#leads;
  }

  onLeadership(listener: (leads: boolean) => void): Disposable {
    this.#listeners.add(listener);
    listener(this.#leads);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /** In the words of Raft, as the managers' group asks for it. */
  get status(): RaftStatus | undefined {
    if (this.#feed === undefined) return undefined;
    const { index } = this.#feed;
    return {
      term: this.#election.term ?? 0,
      role: this.#leads ? 'leader' : 'follower',
      leader: this.#election.leader,
      conf: emptyConf(this.#election.managers),
      transferTarget: '',
      committed: index,
      firstIndex: index,
      lastIndex: index,
      appliedIndex: index,
      isDiskFull: false,
    };
  }

  /** etcd votes, and not the managers: any number of them may be gone. */
  readonly needsQuorum = false;

  progressOf(id: NodeId) {
    return { match: this.#feed?.index ?? 0, active: this.#election.isAlive(id) };
  }

  /** Learners need not catch up with anything. */
  async changeMembership({ steps }: ConfChange): Promise<void> {
    const term = this.#election.term;
    if (term === undefined) throw new SwarmError('unavailable', noLeader);
    const operations = steps.flatMap(({ op, node }): Operation[] => {
      if (op === 'add-learner') return [];
      const key = `${this.#keys.managers}${node}`;
      return op === 'add-voter' ? [{ put: key, value: '' }] : [{ delete: key }];
    });
    if (operations.length === 0) return;
    const { succeeded } = await this.#client.txn([this.#election.guard(term)], operations);
    if (!succeeded) {
      this.#election.deposed(term);
      throw new SwarmError('unavailable', noLeader);
    }
    await this.#election.refresh();
  }

  async transferLeadership(to: NodeId): Promise<void> {
    await this.#election.handOver(to);
  }

  /** Removes everything; for the last manager, when the swarm ends. */
  async erase(): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.monotonicMs() + eraseTimeoutMs;
    for (;;) {
      const term = this.#election.term;
      if (term !== undefined) {
        const everything = { deletePrefix: `${this.#client.prefix}/` };
        const { succeeded } = await this.#client.txn([this.#election.guard(term)], [everything]);
        if (succeeded) return;
        this.#election.deposed(term);
      }
      if (clock.monotonicMs() > untilMs) throw new SwarmError('unavailable', noLeader);
      await clock.sleep(erasePollMs);
    }
  }

  /** Whatever lies there without a batch is of a beginning that did not come to its end. */
  async #prepare(): Promise<void> {
    const present = await this.#client.get(this.#keys.batch);
    if (present !== undefined) {
      throw new SwarmError(
        'already-exists',
        `${hidePassword(this.#options.store.url)} holds a swarm already: join that one, or put ` +
          'another prefix behind the address',
      );
    }
    await this.#client.txn(
      [{ key: this.#keys.batch, createRevision: 0 }],
      [{ deletePrefix: `${this.#client.prefix}/` }],
    );
    await this.#client.txn([], [{ put: `${this.#keys.managers}${this.#options.id}`, value: '' }]);
  }

  async #dropOthers(): Promise<void> {
    await this.#client.txn([], [{ deletePrefix: this.#keys.group }]);
    await this.#client.txn([], [{ put: `${this.#keys.managers}${this.#options.id}`, value: '' }]);
  }

  async #leadAlone(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    using _ = this.onLeadership((leads) => {
      if (leads) resolve();
    });
    await promise;
  }

  /** Takes the lead once this manager has applied everything, and all of it is in its place. */
  #termChanged(term: number | undefined): void {
    if (term === undefined) {
      this.#announce(false);
      this.#writer?.stop(new SwarmError('unavailable', noLeader));
      return;
    }
    this.#takeLead(term).catch((error: unknown) => {
      this.#parts.log.info('the lead was won, and could not be taken', { error: messageOf(error) });
      this.#election.resign(term).catch((failure: unknown) => {
        this.#parts.log.debug('the lead runs out', { error: messageOf(failure) });
      });
    });
  }

  async #takeLead(term: number): Promise<void> {
    await this.#feed?.catchUp();
    await this.#writer?.begin(term, this.#initial);
    this.#initial = undefined;
    if (this.#election.term === term) this.#announce(true);
  }

  #announce(leads: boolean): void {
    if (leads === this.#leads) return;
    this.#leads = leads;
    for (const listener of this.#listeners) listener(leads);
  }
}
