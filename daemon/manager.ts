/**
 * Everything that makes this daemon a manager, wired together: the store on its log, the cluster
 * port with its services, and what runs only while this manager leads.
 */
import { Control as ControlService } from '../gen/control_pb.js';
import { Doctor as DoctorService } from '../gen/doctor_pb.js';
import { LogReader as LogReaderService } from '../gen/logs_pb.js';
import type { ManagerBackend } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { ClusterServer } from '../lib/grpc/index.ts';
import { createJoinToken, type NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { Autoscaler } from '../manager/autoscaler/index.ts';
import { CertificateAuthorityService, RootRotator } from '../manager/ca/index.ts';
import { Control, LeadersControl, type ControlApi } from '../manager/control/index.ts';
import {
  Dispatcher,
  forwardedExaminations,
  forwardedLogs,
  LogBroker,
} from '../manager/dispatcher/index.ts';
import type { VolumeKeeper } from '../manager/csi/index.ts';
import { createUnlockKey, LockKeeper, type KeyStore } from '../manager/keys/index.ts';
import { ManagerGroup, ManagerRecords, PeerTransport, RoleKeeper } from '../manager/peers/index.ts';
import { Reconciler } from '../manager/reconcile/index.ts';
import {
  Store,
  type Change,
  type ExternalStore,
  type InitialState,
  type StoreView,
} from '../manager/store/index.ts';
import { everyone, type RaftStatus } from '../raft/index.ts';
import type { Cluster, Node } from '../types/index.ts';
import { backupOf } from './backup.ts';
import { serveCluster } from './cluster-services.ts';
import { newVolumeKeeper } from './cluster-volumes.ts';
import { Entry } from './entry.ts';
import { LeaderLink } from './leader-link.ts';
import { followSettings, newManagerLog, type ManagerLog } from './manager-log.ts';
import { firstChanges } from './new-swarm.ts';
import { followRoot } from './trust.ts';
import { Tunnels, type TunnelsParts } from './tunnels.ts';

/** What the store of a new swarm begins with: its first objects, or all that a backup holds. */
export type Bootstrap =
  | { readonly cluster: Cluster; readonly node: Node }
  | { readonly restored: InitialState };

export interface ManagerOptions {
  /** Below the data root: the log and its snapshots. */
  readonly folder: string;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  /** The first manager of a new swarm, with what its store begins with. */
  readonly bootstrap?: Bootstrap;
  /** A further manager: the one that it was told to join through. */
  readonly joinThrough?: string;
  /** The other managers are lost for good: this one goes on alone with what it has. */
  readonly forceNew?: boolean;
  /** An external store in place of a log of this manager's own. */
  readonly store?: ExternalStore;
}

export interface ManagerParts {
  readonly identity: NodeIdentity;
  /** What this manager's log and private key are encrypted with on the disk. */
  readonly keys: KeyStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Where managers are, as far as this node's agent knows; the leader first. */
  readonly knownManagers: () => readonly string[];
  /** Serves a manager that reaches for this host, itself included. */
  readonly serveTunnel: TunnelsParts['serveTunnel'];
  /** Told what each step of a reconcile pass took. */
  readonly onStep: (step: 'plan' | 'commit', tookMs: number) => void;
  /** This manager cannot go on: its disk failed, or what its log holds cannot be. */
  readonly onFailure: (error: SwarmError) => void;
}

const handOverTimeoutMs = 2_000;
const handOverPollMs = 20;

export class Manager implements AsyncDisposable {
  readonly store: Store;
  readonly ca: CertificateAuthorityService;
  readonly group: ManagerGroup;
  readonly #options: ManagerOptions;
  readonly #parts: ManagerParts;
  readonly #server: ClusterServer;
  readonly #transport: PeerTransport;
  readonly #managerLog: ManagerLog;
  readonly #records: ManagerRecords;
  readonly #log: ManagerLog['log'];
  readonly #leader: LeaderLink;
  readonly #control: Control;
  /** What the API asks for: this manager's commands while it leads, else the leader's. */
  readonly control: ControlApi;
  readonly #dispatcher: Dispatcher;
  readonly #logBroker: LogBroker;
  readonly #tunnels: Tunnels;
  readonly #reconciler: Reconciler;
  readonly #roles: RoleKeeper;
  readonly #lockKeeper: LockKeeper;
  readonly #volumes: VolumeKeeper;
  readonly #rotator: RootRotator;
  readonly #running = new AsyncDisposableStack();

  constructor(options: ManagerOptions, parts: ManagerParts) {
    const { identity, clock, random, log } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#transport = this.#newTransport();
    this.#managerLog = newManagerLog(options, parts, {
      transport: this.#transport,
      onLeader: () => this.#leader.changed(),
    });
    this.#log = this.#managerLog.log;
    this.store = new Store(this.#log);
    this.#leader = new LeaderLink({
      leader: () => this.#log.status?.leader ?? '',
      addrOf: (id) => this.#addrOf(id),
      connect: (addr) => identity.connect(addr),
      trouble: () => this.trouble,
      clock,
    });
    const { store } = this;
    this.#records = new ManagerRecords({ ownId: identity.nodeId, store, clock });
    this.group = this.#newGroup();
    this.#control = new Control({
      store,
      clock,
      random,
      makeJoinToken: (rootPem) => createJoinToken(rootPem, random),
      makeUnlockKey: createUnlockKey,
      checkDemotion: (id) => this.group.checkRemoval(id),
    });
    this.control = this.#newLeadersControl();
    this.ca = new CertificateAuthorityService({
      view: store,
      catchUp: async () => void (await store.read()),
      proposeNode: (node) => this.group.addNode(node),
      clock,
      log: log.child({ module: 'ca' }),
    });
    this.#dispatcher = new Dispatcher({
      ...parts,
      store,
      leaderId: () => this.#log.status?.leader ?? '',
      addrOf: (id) => this.#addrOf(id),
      onReleased: (...what) => this.#volumes.released(...what),
    });
    this.#logBroker = new LogBroker({ store, dispatcher: this.#dispatcher, clock, random, log });
    this.#tunnels = this.#newTunnels();
    this.#volumes = newVolumeKeeper(store, this.#tunnels, parts);
    this.#reconciler = new Reconciler({}, { store, clock, random, log, onStep: parts.onStep });
    this.#roles = new RoleKeeper({ store, group: this.group, clock, log });
    this.#lockKeeper = this.#newLockKeeper();
    this.#rotator = new RootRotator({
      store,
      propose: (changes) => this.#propose(changes),
      makeJoinToken: (rootPem) => createJoinToken(rootPem, random),
      clock,
      log: log.child({ module: 'ca' }),
    });
    this.#server = new ClusterServer({
      listenAddr: options.listenAddr,
      identity,
      isRemoved: (nodeId) => this.isRemoved(nodeId),
      log: log.child({ module: 'cluster-port' }),
    });
  }

  /** Throws SwarmError where the port is taken or the log is damaged; then nothing is left open. */
  async start(): Promise<void> {
    const { bootstrap, advertiseAddr } = this.#options;
    await using starting = new AsyncDisposableStack();
    starting.use(this.#leader);
    starting.use(this.#transport);
    starting.use(this.store);
    await this.store.open();
    if (bootstrap !== undefined && 'cluster' in bootstrap) await this.#writeFirst(bootstrap);
    this.#serve();
    starting.use(this.#server);
    await this.#server.listen();
    this.#transport.greet(this.#others);
    starting.use(followRoot(this.store, this.#parts));
    starting.use(followSettings(this.store, this.#managerLog));
    starting.use(this.#rotator);
    this.#rotator.start();
    starting.use(this.#lockKeeper);
    this.#lockKeeper.start();
    starting.use(this.#reconciler);
    this.#reconciler.start();
    starting.use(this.#roles);
    starting.use(this.#newAutoscaler()).start();
    starting.use(this.#volumes);
    starting.defer(() => this.#dispatcher.stop());
    starting.use(this.store.onLeadership((leads) => this.#leadershipChanged(leads)));
    if (this.#options.forceNew === true) await this.#records.forgetOthers(advertiseAddr);
    this.#running.use(starting.move());
  }

  /** The other members, as far as this manager's own log has come. */
  get #others(): readonly string[] {
    const { conf } = this.#log.status ?? {};
    if (conf === undefined || this.#options.store !== undefined) return [];
    return everyone(conf).filter((id) => id !== this.#parts.identity.nodeId);
  }

  /** Whether this manager is one of those that decide; a promoted one is let in a moment later. */
  get isMember(): boolean {
    const voters = this.#log.status?.conf.voters ?? [];
    return voters.includes(this.#parts.identity.nodeId);
  }

  /**
   * Whether the others have let go of this manager, by what they say of its node: there is no
   * record of a manager in it, though there was one in an older version.
   */
  isForgotten(node: Node): boolean {
    const known = this.store.node(node.id);
    return known?.manager !== undefined && known.meta.version < node.meta.version;
  }

  /** Whether the swarm has removed the node: its certificate may be valid yet. */
  isRemoved(nodeId: string): boolean {
    return this.store.cluster()?.removedNodes[nodeId] !== undefined;
  }

  /** Another manager has been found there. */
  isAt(id: string, addr: string): void {
    this.#transport.isAt(id, addr);
  }

  get knowsLeader(): boolean {
    return this.#leader.addrIfKnown() !== undefined;
  }

  /** Has the others let this manager in. Throws what keeps them from that, unless it may pass. */
  enter(options: { signal: AbortSignal }): Promise<void> {
    return this.#newEntry().enter(options);
  }

  /**
   * From now on sees to it that this manager is a member, and that the others know where it is: it
   * may have been promoted a moment ago, or have moved while it was away.
   */
  settle(): void {
    const stop = new AbortController();
    const settling = this.#newEntry()
      .settle(stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) throw error;
      });
    this.#running.defer(async () => {
      stop.abort(new SwarmError('cancelled', 'this manager stops'));
      await settling;
    });
  }

  /** A leader hands over first, so that the swarm need not wait for an election. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.group.stepDown(handOverTimeoutMs);
    } catch (error) {
      this.#parts.log.info('the lead could not be handed over', { error });
    }
    await this.#running.disposeAsync();
  }

  /** What the API asks of a manager. */
  get backend(): ManagerBackend {
    return {
      control: this.control,
      lead: (nodeId) => this.#lead(nodeId),
      read: () => this.#read(),
      history: () => this.store.history,
      reach: (nodeId, options) => this.#tunnels.reach(nodeId, options),
      watch: ({ signal }) => this.store.watch({ signal }),
      backup: async (options) => {
        const { index } = await this.#read();
        const { clusterId } = this.#parts.identity;
        const createdAtMs = this.#parts.clock.nowMs();
        return backupOf({ store: this.store, clusterId, createdAtMs, index }, options);
      },
      examine: () =>
        this.store.isLeader
          ? this.#dispatcher.examinations.all()
          : forwardedExaminations(this.#leader.client(DoctorService)),
      logs: (target, query, options) =>
        this.store.isLeader
          ? this.#logBroker.logs(target, query, options)
          : forwardedLogs(this.#leader.client(LogReaderService), target, query, options),
    };
  }

  /** The swarm ends with this manager: nothing of it is left where others could find it. */
  async erase(): Promise<void> {
    await this.#managerLog.erase();
  }

  /** Why this manager cannot do its part for now, though it is well; empty for nothing. */
  get trouble(): string {
    return this.#managerLog.trouble();
  }

  /** Where the log is; undefined until it is open. */
  get raft(): RaftStatus | undefined {
    return this.#log.status;
  }

  /** How many nodes have a session with this manager. */
  get sessions(): number {
    return this.#dispatcher.sessions;
  }

  /** How many managers there are, as far as this one knows. */
  get voters(): number {
    return this.#log.status?.conf.voters.length ?? 0;
  }

  #newTransport(): PeerTransport {
    const { identity, clock, random, log } = this.#parts;
    return new PeerTransport({
      clock,
      random,
      log: log.child({ module: 'peers' }),
      connect: (addr) => identity.connect(addr),
      ownAddr: () => this.#options.advertiseAddr,
      addrOf: (id) => this.store.node(id)?.manager?.addr,
    });
  }

  /** The store may still have this manager where it was before it moved. */
  #addrOf(id: string): string | undefined {
    if (id === this.#parts.identity.nodeId) return this.#options.advertiseAddr;
    return this.#transport.addrOf(id);
  }

  #newLeadersControl(): LeadersControl {
    return new LeadersControl({
      own: () => (this.store.isLeader ? this.#control : undefined),
      leader: async () => {
        await this.#leader.settled();
        return this.#leader.client(ControlService);
      },
      signal: () => this.#leader.signal,
      clock: this.#parts.clock,
    });
  }

  #newLockKeeper(): LockKeeper {
    const { identity, keys, clock, log } = this.#parts;
    return new LockKeeper({
      store: this.store,
      keys,
      protectIdentity: () => identity.protect(keys.protection),
      renewLogKey: () => this.#managerLog.renewStorageKey(),
      clock,
      log: log.child({ module: 'keys' }),
    });
  }

  #newAutoscaler(): Autoscaler {
    const { clock, log } = this.#parts;
    const own = { store: this.store, nodes: this.#dispatcher };
    return new Autoscaler({ ...own, clock, log: log.child({ module: 'autoscaler' }) });
  }

  #newTunnels(): Tunnels {
    const own = { store: this.store, dispatcher: this.#dispatcher, leader: this.#leader };
    return new Tunnels({ ...this.#parts, ...own });
  }

  #newGroup(): ManagerGroup {
    const { identity, clock, log } = this.#parts;
    return new ManagerGroup({
      ownId: identity.nodeId,
      log: this.#log,
      clock,
      logger: log.child({ module: 'group' }),
      connect: (addr) => identity.connect(addr),
      addrOf: (id) => this.#addrOf(id),
      leaderAddr: () => this.#leader.addr(),
      writeNode: (node) => this.#propose([{ op: 'put', table: 'node', object: node, base: 0 }]),
      records: this.#records,
      externalStore: this.#options.store,
    });
  }

  #newEntry(): Entry {
    const { identity, knownManagers, clock, log } = this.#parts;
    const { advertiseAddr, joinThrough } = this.#options;
    return new Entry({
      advertiseAddr,
      joinThrough,
      knownManagers,
      leaderAddr: () => this.#leader.addrIfKnown(),
      isMember: () => this.isMember,
      isKnown: () => this.store.node(identity.nodeId)?.manager?.addr === advertiseAddr,
      join: (...how) => this.group.join(...how),
      clock,
      log,
    });
  }

  #serve(): void {
    serveCluster(this.#server, {
      store: this.store,
      ca: this.ca,
      dispatcher: this.#dispatcher,
      tunnels: this.#tunnels,
      control: this.#control,
      logBroker: this.#logBroker,
      transport: this.#transport,
      group: this.group,
    });
  }

  #leadershipChanged(leads: boolean): void {
    const { log } = this.#parts;
    this.#roles.setLeads(leads);
    this.#volumes.setLeads(leads);
    if (!leads) {
      this.#dispatcher.stop();
      return;
    }
    log.info('this manager leads');
    this.#dispatcher.start();
    this.#records.leads().catch((error: unknown) => {
      log.warn('could not write down who leads', { error });
    });
  }

  /** Resolves once this manager's own store says so, too, unless that takes long. */
  async #lead(nodeId: string): Promise<void> {
    const { clock } = this.#parts;
    await this.group.handOverTo(nodeId);
    const deadlineMs = clock.monotonicMs() + handOverTimeoutMs;
    while (this.store.node(nodeId)?.manager?.leader !== true) {
      if (clock.monotonicMs() > deadlineMs) return;
      await clock.sleep(handOverPollMs);
    }
  }

  /** A leader that is lost meanwhile is not the reader's trouble: the next one is asked. */
  async #read(): Promise<StoreView> {
    await this.#leader.settled();
    try {
      return await this.store.read();
    } catch (error) {
      if (SwarmError.from(error).code !== 'unavailable') throw error;
      await this.#leader.settled();
      return this.store.read();
    }
  }

  async #writeFirst(first: { cluster: Cluster; node: Node }): Promise<void> {
    if (this.store.cluster() !== undefined) return;
    await this.#propose(firstChanges(first, this.#parts.random));
  }

  async #propose(changes: readonly Change[]): Promise<void> {
    const result = await this.store.propose(changes, { atMs: this.#parts.clock.nowMs() });
    if (!result.applied) throw new SwarmError('aborted', `${result.conflict}: try again`);
  }
}
