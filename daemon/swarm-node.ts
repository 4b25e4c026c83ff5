/**
 * This daemon's part in a swarm: none, a worker's, or a manager's. Commands and restarts lead from
 * one to another, one at a time.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type {
  InitOptions,
  JoinOptions,
  ManagerBackend,
  RestoreOptions,
  SwarmBackend,
  SwarmStatus,
} from '../api/index.ts';
import { assert } from '../lib/assert.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf, SwarmError } from '../lib/errors.ts';
import { parseAddr } from '../lib/grpc/index.ts';
import type { NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { swarmLocked, type KeyStore } from '../manager/keys/index.ts';
import { isLogLost } from '../manager/store/index.ts';
import type { Finding, NodeDescription } from '../types/index.ts';
import type { SwarmFacts } from '../worker/doctor/index.ts';
import type { TaskExecutor } from '../worker/executor/index.ts';
import { AddressKeeper, type AddressNews } from './address-keeper.ts';
import { aloneOf, prepareInit, prepareJoin, type Entrance } from './entrance.ts';
import { checkedStore } from './external-store.ts';
import { hostEnds } from './host-end.ts';
import { keysFor, loadIdentityAndKeys } from './manager-keys.ts';
import { MembershipFile, type Membership } from './membership.ts';
import * as refusals from './refusals.ts';
import { prepareRestore } from './restore.ts';
import {
  SwarmPart,
  joinNetwork,
  type Beginning,
  type SwarmPartParts,
  type SwarmNetwork,
} from './swarm-part.ts';
import { located } from './whereabouts.ts';

interface SwarmNodeParts {
  readonly executor: TaskExecutor;
  readonly network: SwarmNetwork;
  readonly describe: () => Promise<NodeDescription>;
  readonly examine: () => Promise<readonly Finding[]>;
  readonly measure: SwarmPartParts['measure'];
  readonly serveTunnel: SwarmPartParts['serveTunnel'];
  /** What this host advertises from now on, whatever it did before: an address, an interface, or ''. */
  readonly advertiseAddr: string;
  readonly addressNews: AddressNews;
  readonly managerAddrs: readonly string[];
  readonly onStep: SwarmPartParts['onStep'];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A change of the role that failed is tried again after this time. */
const roleRetryMs = 2_000;

export class SwarmNode implements SwarmBackend, AsyncDisposable {
  readonly #folder: string;
  readonly #parts: SwarmNodeParts;
  readonly #file: MembershipFile;
  readonly #addresses: AddressKeeper;
  #active: SwarmPart | undefined;
  #state: SwarmStatus['state'] = 'inactive';
  #error = '';
  /** The swarm has said so: there is nothing of it here that could be lost. */
  #isRemoved = false;
  /** A manager's; also those of one that has failed. */
  #keys: KeyStore | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** What a command to leave, or the end of the daemon, does not wait for. */
  #joining = new AbortController();
  #roleRetry: Timer | undefined;

  /** `folder` keeps all that outlives a restart: identity, membership, the manager's log. */
  constructor(folder: string, parts: SwarmNodeParts) {
    this.#folder = folder;
    this.#parts = parts;
    this.#file = new MembershipFile(folder);
    this.#addresses = new AddressKeeper(this.#file, parts);
  }

  /** Before tasks are taken up again: their networks need to know which node this is. */
  joinNetworks(): void {
    const membership = this.#addresses.present();
    if (membership !== undefined) joinNetwork(this.#parts.network, membership);
  }

  /** What runs of a swarm here; undefined while nothing does. */
  get part(): SwarmPart | undefined {
    return this.#active;
  }

  /** Takes up what this host was before the daemon stopped. */
  async resume(): Promise<void> {
    this.#addresses.watch(
      () => this.#active?.membership,
      () => this.#later(() => this.#move()),
    );
    await this.#inTurn(async () => {
      const membership = this.#addresses.present();
      if (membership === undefined) return;
      try {
        await this.#takeUp(membership);
      } catch (error) {
        // The daemon stays up, so that a person can see the reason, and unlock it or leave.
        this.#fail(error);
      }
    });
  }

  /** Begins again with the new address; tasks run on. */
  async #move(): Promise<void> {
    const active = this.#active;
    const membership = this.#addresses.present();
    if (active === undefined || membership === undefined) return;
    if (membership.advertiseAddr === active.membership.advertiseAddr) return;
    await this.#deactivate();
    try {
      await this.#activate(membership, active.identity);
    } catch (error) {
      this.#fail(error);
    }
  }

  unlock({ unlockKey }: { unlockKey: string }): Promise<void> {
    return this.#inTurn(async () => {
      const membership = this.#addresses.present();
      if (membership === undefined) throw new SwarmError('unavailable', refusals.notInSwarm);
      if (this.#state !== 'locked') throw new SwarmError('already-exists', 'swarm is not locked');
      try {
        await this.#takeUp(membership, unlockKey);
      } catch (error) {
        if (SwarmError.from(error).code !== 'unauthenticated') this.#fail(error);
        throw error;
      }
    });
  }

  async #takeUp(membership: Membership, unlockKey?: string): Promise<void> {
    const identity = await this.#load(unlockKey);
    if (identity === undefined) {
      throw new SwarmError(
        'failed-precondition',
        `the certificate in ${this.#identityFolder} is gone: leave the swarm with --force and ` +
          'join again',
      );
    }
    await this.#activate(membership, identity);
    // The daemon may have ended in the middle of a change.
    this.#roleChanged();
  }

  /** The identity, and with it a manager's keys. */
  async #load(unlockKey = this.#keys?.unlockKey): Promise<NodeIdentity | undefined> {
    const loaded = await loadIdentityAndKeys(this.#identityFolder, this.#parts, unlockKey);
    this.#keys = loaded.keys;
    return loaded.identity;
  }

  /** What `describe` says has changed: the managers are told now. */
  redescribe(): void {
    this.#active?.agent.redescribe();
  }

  /** Containers run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#joining.abort(new SwarmError('cancelled', 'the daemon is shutting down'));
    this.#addresses[Symbol.dispose]();
    await this.#inTurn(async () => {
      const agent = this.#active?.agent;
      await agent?.away({ hostEnds: await hostEnds(this.#parts.log) });
      await this.#deactivate();
    });
  }

  status(): SwarmStatus {
    const active = this.#active;
    const managers = active?.agent.managers ?? [];
    return {
      state: this.#state,
      error: this.#error || (active?.manager?.trouble ?? ''),
      nodeId: active?.membership.nodeId ?? '',
      nodeAddr: active?.membership.advertiseAddr.replace(/:\d+$/, '') ?? '',
      isManager: active?.manager?.isMember ?? false,
      remoteManagers: managers,
    };
  }

  /** How this node stands, for whoever examines it. */
  facts(): SwarmFacts {
    const { state, error, nodeId } = this.status();
    const agent = this.#active?.agent;
    const { connectedTo, clocks, lastError } = agent ?? {};
    const { isManager = false, listenAddr = '' } = this.#active?.membership ?? {};
    return {
      state,
      error: error || (lastError?.message ?? ''),
      nodeId,
      ...(connectedTo === undefined ? {} : { manager: connectedTo }),
      ...(isManager ? { listensOn: parseAddr(listenAddr).port } : {}),
      ...(clocks === undefined ? {} : { clock: clocks }),
    };
  }

  /** What people call a node, as far as a manager knows; else its id. */
  nameOf(nodeId: string): string {
    return this.#active?.manager?.store.node(nodeId)?.description?.hostname ?? nodeId;
  }

  manager(): ManagerBackend {
    const active = this.#active;
    if (active?.manager?.isMember === true) return active.manager.backend;
    if (this.#state === 'locked') throw new SwarmError('unavailable', swarmLocked);
    if (this.#state === 'error') {
      throw new SwarmError('unavailable', `this node's swarm component failed: ${this.#error}`);
    }
    if (active?.standsIn === true) throw new SwarmError('unavailable', this.#error);
    throw new SwarmError(
      'unavailable',
      active === undefined ? refusals.notInSwarm : refusals.isWorker,
    );
  }

  init(options: InitOptions): Promise<string> {
    return this.#inTurn(async () => {
      if (options.forceNewCluster) return this.#forceNew(options);
      this.#refuseIfMember();
      const entrance = await prepareInit(options, this.#entering);
      await this.#enter(entrance);
      return entrance.identity.nodeId;
    });
  }

  restore(options: RestoreOptions): Promise<string> {
    return this.#inTurn(async () => {
      this.#refuseIfMember();
      const { membership, bootstrap, identity } = await prepareRestore(options, {
        ...this.#entering,
        folder: this.#folder,
      });
      this.#parts.log.info('restoring a swarm from a backup', { ...membership });
      const beginning = { bootstrap, ...checkedStore(options) };
      await this.#enter({ membership, identity, beginning });
      return identity.nodeId;
    });
  }

  join(options: JoinOptions): Promise<void> {
    return this.#inTurn(async () => {
      this.#refuseIfMember();
      this.#joining = new AbortController();
      await this.#enter(await prepareJoin(options, this.#entering, this.#joining.signal));
    });
  }

  leave({ force }: { force: boolean }): Promise<void> {
    if (force) this.#joining.abort(new SwarmError('cancelled', 'the node leaves by force'));
    return this.#inTurn(async () => {
      const membership = this.#file.read();
      if (membership === undefined) {
        throw new SwarmError('unavailable', 'This node is not part of a swarm');
      }
      if (this.#state === 'locked' && !force)
        throw new SwarmError('unavailable', refusals.lockedLeaves);
      if (membership.isManager && !this.#isRemoved && !force) {
        const { manager, standsIn = false } = this.#active ?? {};
        const others = standsIn || (manager?.voters ?? 1) > 1;
        throw new SwarmError('unavailable', others ? refusals.managerLeaves : refusals.lastManager);
      }
      await this.#letGo();
      await this.#active?.agent.leave();
      await this.#deactivate();
      this.#file.remove();
      await this.#parts.executor.clear();
      await this.#parts.network.leave();
      await rm(this.#folder, { recursive: true, force: true });
      this.#parts.log.info('left the swarm', { nodeId: membership.nodeId });
    });
  }

  /** A swarm whose managers are lost for good goes on with this one, its services and tasks. */
  async #forceNew(options: InitOptions): Promise<string> {
    const membership = this.#file.read();
    const identity = await this.#load();
    if (membership === undefined || identity === undefined || !membership.isManager) {
      throw new SwarmError(
        'failed-precondition',
        'this node is no manager of a swarm that could be recovered: use init without ' +
          '--force-new-cluster, or run it on a manager',
      );
    }
    const alone = located(aloneOf(membership, options));
    await this.#deactivate();
    try {
      await this.#activate(alone, identity, { forceNew: true });
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#file.write(alone);
    return identity.nodeId;
  }

  /** Asks the other managers to go on without this one; a forced leave does not depend on them. */
  async #letGo(): Promise<void> {
    const manager = this.#active?.manager;
    if (manager === undefined || (!manager.isMember && !manager.knowsLeader)) return;
    try {
      if (manager.isMember && manager.voters < 2) await manager.erase();
      else await manager.group.leave();
    } catch (error) {
      this.#parts.log.warn('left without the other managers', { error: messageOf(error) });
    }
  }

  /**
   * The managers have made this node a manager, or a worker. What cannot be done is tried again;
   * until then the node goes on as a worker, or it would hear nothing more of what it is to be.
   */
  async #changeRole(): Promise<void> {
    this.#roleRetry?.cancel();
    const active = this.#active;
    if (active?.isOutdated !== true) return;
    const { membership, identity, agent } = active;
    const isManager = identity.role === 'manager';
    const managers = agent.managers;
    const through = managers.find(({ leader }) => leader) ?? managers[0];
    const { joinedThrough: _old, ...rest } = membership;
    const changed: Membership = {
      ...rest,
      isManager,
      ...(through === undefined ? {} : { joinedThrough: through.addr }),
    };
    this.#parts.log.info('the role of this node changes', { role: identity.role });
    await this.#deactivate();
    // What a manager knew is of no use to a worker, and of harm to one that is promoted again.
    await rm(join(this.#folder, 'raft'), { recursive: true, force: true });
    try {
      await this.#activate(changed, identity);
      this.#file.write(changed);
    } catch (error) {
      this.#fail(error);
      await this.#goOn({ ...(isManager ? membership : changed), isManager: false }, identity);
      this.#roleRetry = this.#parts.clock.after(roleRetryMs, () => this.#roleChanged());
    }
  }

  /** As a worker, though it may be meant to be a manager. */
  async #goOn(membership: Membership, identity: NodeIdentity): Promise<void> {
    const reason = this.#error;
    try {
      await this.#activate(membership, identity);
      this.#file.write(membership);
      if (identity.role === 'manager') this.#error = `this node is no manager yet: ${reason}`;
    } catch (error) {
      this.#fail(error);
    }
  }

  #roleChanged(): void {
    this.#later(() => this.#changeRole());
  }

  /** Begins a membership; one that cannot begin leaves nothing behind. */
  async #enter({ membership: entered, identity, beginning }: Entrance): Promise<void> {
    const membership = located(entered);
    // Those of an earlier swarm are gone with it.
    this.#keys = undefined;
    try {
      await this.#activate(membership, identity, beginning);
      this.#file.write(membership);
      await this.#active?.agent.settled();
    } catch (error) {
      await this.#deactivate();
      await rm(this.#folder, { recursive: true, force: true });
      throw error;
    }
  }

  async #activate(
    membership: Membership,
    identity: NodeIdentity,
    beginning: Beginning = {},
  ): Promise<void> {
    this.#state = 'pending';
    this.#keys = await keysFor(membership.isManager, identity, this.#keys, this.#parts);
    try {
      await this.#begin(membership, identity, this.#keys, beginning);
    } catch (thrown) {
      const error = SwarmError.from(thrown);
      if (!isLogLost(error) || beginning.forceNew === true) throw error;
      await this.#standIn(membership, identity, error);
    }
  }

  async #begin(
    membership: Membership,
    identity: NodeIdentity,
    keys: KeyStore | undefined,
    beginning: Beginning,
  ): Promise<void> {
    this.#active = await SwarmPart.start(
      {
        ...this.#parts,
        folder: this.#folder,
        membership,
        identity,
        keys,
        onRole: () => this.#roleChanged(),
        onRemoved: (reason) => this.#later(() => this.#removed(reason)),
        onFailure: (error) => {
          this.#later(async () => {
            await this.#deactivate();
            if (isLogLost(error)) await this.#standIn(membership, identity, error);
            else this.#fail(error);
          });
        },
      },
      beginning,
    );
    this.#state = 'active';
    this.#error = '';
    this.#parts.log.info('in a swarm', { nodeId: identity.nodeId, role: identity.role });
  }

  /**
   * A manager whose log is lost must not decide anything, nor begin with an empty one: what it
   * lacks was acknowledged. Until the others have let go of it, it is led like any worker.
   */
  async #standIn(membership: Membership, identity: NodeIdentity, why: SwarmError): Promise<void> {
    await this.#begin(membership, identity, undefined, {});
    this.#error = why.message;
    this.#parts.log.error('this manager goes on as a worker', { error: why });
  }

  /** The swarm has removed this node: its tasks are not wanted any more. */
  async #removed(reason: SwarmError): Promise<void> {
    await this.#deactivate();
    await this.#parts.executor.clear();
    await this.#parts.network.leave();
    this.#fail(reason);
  }

  async #deactivate(): Promise<void> {
    this.#roleRetry?.cancel();
    const active = this.#active;
    this.#active = undefined;
    this.#state = 'inactive';
    this.#error = '';
    this.#isRemoved = false;
    await active?.[Symbol.asyncDispose]();
  }

  #fail(error: unknown): void {
    const { reason } = SwarmError.from(error).details;
    this.#state = reason === 'locked' ? 'locked' : 'error';
    this.#isRemoved = reason === 'node-removed';
    this.#error = messageOf(error);
    this.#parts.log.error('the swarm component has failed', { error });
  }

  #refuseIfMember(): void {
    if (this.#state !== 'inactive') throw new SwarmError('unavailable', refusals.alreadyInSwarm);
    assert(this.#active === undefined, 'an inactive node runs nothing of a swarm');
  }

  get #entering() {
    const { clock, random, log } = this.#parts;
    return { identityFolder: this.#identityFolder, clock, random, log };
  }

  get #identityFolder(): string {
    return join(this.#folder, 'certificates');
  }

  /** What nobody waits for: its failure is told by this node's state, and is not the daemon's end. */
  #later(work: () => Promise<void>): void {
    this.#inTurn(work).catch((error: unknown) => this.#fail(error));
  }

  /** One change at a time: a leave waits for a join to end. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    // The next one only waits for the end; a failure is its own caller's.
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}
