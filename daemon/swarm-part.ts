/**
 * What runs while this daemon is in a swarm: the agent, the renewal of the certificate, and on
 * managers the manager.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '../lib/clock.ts';
import type { SwarmError } from '../lib/errors.ts';
import {
  CertificateRenewer,
  managersCertificates,
  remoteCertificates,
  type NodeIdentity,
} from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import type { KeyStore } from '../manager/keys/index.ts';
import type { DataPath, Finding, Node, NodeDescription } from '../types/index.ts';
import { Agent, type MeasureTasks } from '../worker/agent/index.ts';
import type { TaskExecutor } from '../worker/executor/index.ts';
import { externalStoreFor } from './external-store.ts';
import { Manager, type ManagerOptions, type ManagerParts } from './manager.ts';
import { ManagerFinder } from './manager-finder.ts';
import type { Membership } from './membership.ts';
import { TrustFollower } from './trust.ts';

export interface Beginning extends Pick<ManagerOptions, 'bootstrap' | 'forceNew' | 'store'> {
  /** Somebody waits until this manager is let in, and gives up with the signal. */
  readonly joining?: AbortSignal;
}

/** The swarm's networks on this host. */
export interface SwarmNetwork {
  /** This host is a node of a swarm. */
  join(node: { readonly id: string; readonly dataPathAddr: string }): void;
  /** Takes all that belongs to the swarm's networks away. */
  leave(): Promise<void>;
  /** What other nodes need to know; undefined while this host is in no swarm. */
  dataPath(): DataPath | undefined;
  /** Called when that is something new. */
  onDataPath(listener: () => void): Disposable;
}

export function joinNetwork(network: SwarmNetwork, { nodeId, dataPathAddr }: Membership): void {
  network.join({ id: nodeId, dataPathAddr });
}

export interface SwarmPartParts {
  /** Keeps all that outlives a restart. */
  readonly folder: string;
  readonly membership: Membership;
  readonly identity: NodeIdentity;
  /** A manager's; a worker has none, nor has a manager that is to go on as one. */
  readonly keys: KeyStore | undefined;
  readonly executor: TaskExecutor;
  readonly network: SwarmNetwork;
  readonly describe: () => Promise<NodeDescription>;
  readonly examine: () => Promise<readonly Finding[]>;
  readonly measure: MeasureTasks;
  /** Serves a manager that reaches for this node. */
  readonly serveTunnel: (socket: Duplex) => void;
  /** Where managers may be, should none be found where it was known. */
  readonly managerAddrs: readonly string[];
  /** Told what each step of a manager's reconcile passes took. */
  readonly onStep: ManagerParts['onStep'];
  /** What began here is outdated. */
  readonly onRole: () => void;
  /** The swarm has removed this node. */
  readonly onRemoved: (reason: SwarmError) => void;
  /** The manager cannot go on. */
  readonly onFailure: (error: SwarmError) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class SwarmPart implements AsyncDisposable {
  readonly membership: Membership;
  readonly identity: NodeIdentity;
  readonly agent: Agent;
  readonly manager: Manager | undefined;
  readonly #parts: SwarmPartParts;
  readonly #renewer: CertificateRenewer;
  readonly #trust: TrustFollower;
  readonly #running = new AsyncDisposableStack();
  /** This node, as the managers have told of it since this began. */
  #told: Node | undefined;
  #isLetGo = false;

  private constructor(parts: SwarmPartParts, beginning: Beginning) {
    const { identity, membership, keys, log } = parts;
    this.#parts = parts;
    this.identity = identity;
    this.membership = membership;
    this.agent = this.#newAgent();
    this.manager = keys && this.#newManager(keys, beginning);
    this.#renewer = this.#newRenewer();
    this.#trust = new TrustFollower({ identity, renewer: this.#renewer, log });
  }

  /** Throws where this node cannot begin, or is not let in; then nothing of it runs. */
  static async start(parts: SwarmPartParts, beginning: Beginning): Promise<SwarmPart> {
    const { folder, membership, identity } = parts;
    const store = await externalStoreFor(folder, membership, identity, beginning.store);
    const part = new SwarmPart(parts, { ...beginning, ...store });
    await part.#start(beginning.joining);
    return part;
  }

  /** Whether this is a manager for the others, but cannot be one. */
  get standsIn(): boolean {
    return this.membership.isManager && this.manager === undefined;
  }

  /** Whether this node is to be something else than what began here. */
  get isOutdated(): boolean {
    return (this.identity.role === 'manager') !== this.membership.isManager || this.#isLetGo;
  }

  /** Containers run on. A leader hands over first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.disposeAsync();
  }

  async #start(joining: AbortSignal | undefined): Promise<void> {
    const { agent, identity, manager, membership } = this;
    joinNetwork(this.#parts.network, membership);
    await using starting = new AsyncDisposableStack();
    const isFurther = membership.joinedThrough !== undefined;
    if (manager !== undefined) {
      starting.use(manager);
      if (!isFurther) await manager.start();
    }
    starting.use(agent);
    starting.use(this.#renewer);
    starting.use(identity.onChange(() => this.#identityChanged()));
    starting.use(this.#parts.network.onDataPath(() => agent.redescribe()));
    this.#renewer.start();
    await agent.start();
    // Until this manager is let in and has caught up, the others hear of the node and its tasks.
    if (isFurther) await manager?.start();
    // It may have heard of itself before it knew what its own log says.
    this.#checkRecord();
    await starting.use(new ManagerFinder({ ...this.#parts, agent, manager })).start();
    if (joining !== undefined) await manager?.enter({ signal: joining });
    manager?.settle();
    this.#running.use(starting.move());
  }

  #identityChanged(): void {
    if (this.isOutdated) this.#parts.onRole();
    this.agent.redescribe();
    this.#trust.renewed();
  }

  #newAgent(): Agent {
    const { membership, identity, folder, executor, network, describe } = this.#parts;
    const { examine, measure, serveTunnel, clock, random, log, onRemoved } = this.#parts;
    const { advertiseAddr, joinedThrough = '' } = membership;
    return new Agent({
      identity,
      folder,
      managers: [...(this.#parts.keys === undefined ? [] : [advertiseAddr]), joinedThrough],
      executor,
      describe: async () => {
        const dataPath = network.dataPath();
        return {
          ...(await describe()),
          tls: identity.tls,
          ...(this.standsIn ? { standsIn: true } : {}),
          ...(dataPath === undefined ? {} : { dataPath }),
        };
      },
      examine,
      measure,
      serveTunnel,
      onNews: (news) => {
        const { node } = news;
        if (node !== undefined && node.role !== identity.role) this.#renewer.renewNow();
        this.#told = node;
        this.#checkRecord();
        this.#trust.learn(news);
      },
      onRemoved,
      clock,
      random,
      log,
    });
  }

  /**
   * A manager may be demoted and promoted again while it is away, or before it could get a worker's
   * certificate. The record of a manager goes after it has left the group, and comes before it
   * enters: where there is none any more, the others have let go of this one, and it begins anew.
   */
  #checkRecord(): void {
    const node = this.#told;
    if (node?.role !== 'manager' || node.manager !== undefined) return;
    this.#isLetGo ||= this.standsIn || (this.manager?.isForgotten(node) ?? false);
    if (this.#isLetGo) this.#parts.onRole();
  }

  #newManager(keys: KeyStore, { bootstrap, forceNew, store }: Beginning): Manager {
    const { membership, identity, folder, clock, random, log } = this.#parts;
    const { serveTunnel, onStep, onFailure } = this.#parts;
    const { listenAddr, advertiseAddr, joinedThrough } = membership;
    return new Manager(
      {
        folder,
        listenAddr,
        advertiseAddr,
        ...(bootstrap === undefined ? {} : { bootstrap }),
        ...(forceNew === undefined ? {} : { forceNew }),
        ...(store === undefined ? {} : { store }),
        ...(joinedThrough === undefined ? {} : { joinThrough: joinedThrough }),
      },
      {
        identity,
        keys,
        clock,
        random,
        log,
        knownManagers: () => {
          const managers = this.agent.managers.toSorted(byLead);
          return managers.map(({ addr }) => addr);
        },
        serveTunnel,
        onStep,
        onFailure,
      },
    );
  }

  #newRenewer(): CertificateRenewer {
    const { identity, agent, manager } = this;
    const { clock, random, log } = this.#parts;
    const remote = remoteCertificates(identity, () => agent.managers.map(({ addr }) => addr));
    const logger = log.child({ module: 'certificate' });
    const own = manager && {
      source: manager.ca.ownCertificates(identity.nodeId),
      leads: () => manager.store.isLeader,
    };
    const source = own ? managersCertificates(own, { remote, log: logger }) : remote;
    return new CertificateRenewer({ identity, source, clock, random, log: logger });
  }
}

function byLead(a: { readonly leader: boolean }, b: { readonly leader: boolean }): number {
  return Number(b.leader) - Number(a.leader);
}
