/**
 * Everything that makes this daemon a manager, wired together: the store on its log, the cluster
 * port with its services, and what runs only while this manager leads.
 */
import { CertificateAuthority } from '../gen/ca_pb.js';
import { Control as ControlService } from '../gen/control_pb.js';
import { Dispatcher as DispatcherService } from '../gen/dispatcher_pb.js';
import { LogReader as LogReaderService, Logs as LogsService } from '../gen/logs_pb.js';
import { Group as GroupService, Raft as RaftService } from '../gen/raft_pb.js';
import type { ManagerBackend } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { ClusterServer } from '../lib/grpc/index.ts';
import { createJoinToken, type NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { newIngressNetwork } from '../manager/allocator/index.ts';
import { CertificateAuthorityService, RootRotator } from '../manager/ca/index.ts';
import {
  Control,
  ForwardingControl,
  serveControl,
  type ControlApi,
} from '../manager/control/index.ts';
import {
  Dispatcher,
  forwardedLogs,
  LogBroker,
  serveLogReader,
} from '../manager/dispatcher/index.ts';
import { createUnlockKey, LockKeeper, type KeyStore } from '../manager/keys/index.ts';
import { ManagerGroup, PeerTransport, RoleKeeper } from '../manager/peers/index.ts';
import { Reconciler } from '../manager/reconcile/index.ts';
import {
  encodeBackup,
  Store,
  type Change,
  type ExternalStore,
  type InitialState,
} from '../manager/store/index.ts';
import type { Cluster, Node } from '../types/index.ts';
import { LeaderLink } from './leader-link.ts';
import { newManagerLog, type ManagerLog } from './manager-log.ts';
import { followRoot } from './trust.ts';

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
  /** A further manager: the one that lets it in. Absent when it is in already. */
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
  /** This manager cannot go on: its disk failed, or what its log holds cannot be. */
  readonly onFailure: (error: SwarmError) => void;
}

const handOverTimeoutMs = 2_000;
const handOverPollMs = 20;
const changeAttempts = 10;
const announceEveryMs = 500;

export class Manager implements AsyncDisposable {
  readonly store: Store;
  readonly ca: CertificateAuthorityService;
  readonly group: ManagerGroup;
  readonly #options: ManagerOptions;
  readonly #parts: ManagerParts;
  readonly #server: ClusterServer;
  readonly #transport: PeerTransport;
  readonly #managerLog: ManagerLog;
  readonly #log: ManagerLog['log'];
  readonly #leader: LeaderLink;
  readonly #control: Control;
  readonly #forwarding: ForwardingControl;
  readonly #dispatcher: Dispatcher;
  readonly #logBroker: LogBroker;
  readonly #reconciler: Reconciler;
  readonly #roles: RoleKeeper;
  readonly #lockKeeper: LockKeeper;
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
      addrOf: (id) => this.#transport.addrOf(id),
      connect: (addr) => identity.connect(addr),
      clock,
    });
    this.group = this.#newGroup();
    const { store } = this;
    this.#control = new Control({
      store,
      clock,
      random,
      makeJoinToken: (rootPem) => createJoinToken(rootPem, random),
      makeUnlockKey: createUnlockKey,
      checkDemotion: (id) => this.group.checkRemoval(id),
    });
    this.#forwarding = new ForwardingControl(
      () => this.#leader.client(ControlService),
      () => this.#leader.signal,
    );
    this.ca = new CertificateAuthorityService({
      view: store,
      catchUp: async () => void (await store.read()),
      proposeNode: (node) => this.group.addNode(node),
      clock,
      log: log.child({ module: 'ca' }),
    });
    this.#dispatcher = new Dispatcher({
      store,
      leaderId: () => this.#log.status?.leader ?? '',
      clock,
      random,
      log,
    });
    this.#logBroker = new LogBroker({ store, dispatcher: this.#dispatcher, clock, random, log });
    this.#reconciler = new Reconciler({}, { store, clock, random, log });
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
      isRemoved: (nodeId) => store.cluster()?.removedNodes[nodeId] !== undefined,
      log: log.child({ module: 'cluster-port' }),
    });
  }

  /** Throws SwarmError where the port is taken or the log is damaged; then nothing is left open. */
  async start(): Promise<void> {
    const { bootstrap, joinThrough, advertiseAddr } = this.#options;
    await using starting = new AsyncDisposableStack();
    starting.use(this.#leader);
    starting.use(this.#transport);
    starting.use(this.store);
    await this.store.open();
    if (bootstrap !== undefined && 'cluster' in bootstrap) await this.#writeFirst(bootstrap);
    this.#serve();
    starting.use(this.#server);
    await this.#server.listen();
    starting.use(followRoot(this.store, this.#parts));
    starting.use(this.#rotator);
    this.#rotator.start();
    starting.use(this.#lockKeeper);
    this.#lockKeeper.start();
    starting.use(this.#reconciler);
    this.#reconciler.start();
    starting.use(this.#roles);
    starting.defer(() => this.#dispatcher.stop());
    starting.use(this.store.onLeadership((leads) => this.#leadershipChanged(leads)));
    if (this.#options.forceNew === true) await this.#forgetOthers();
    if (joinThrough !== undefined && !this.#isVoter) {
      await this.group.join(joinThrough, advertiseAddr);
    }
    const stop = new AbortController();
    const announcing = this.#announce(stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
    starting.defer(async () => {
      stop.abort();
      await announcing;
    });
    this.#running.use(starting.move());
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
      read: () => this.store.read(),
      watch: ({ signal }) => this.store.watch({ signal }),
      backup: (options) => this.#backup(options),
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

  /** How many managers there are, as far as this one knows. */
  get voters(): number {
    return this.#log.status?.conf.voters.length ?? 0;
  }

  get #isVoter(): boolean {
    const voters = this.#log.status?.conf.voters ?? [];
    return voters.includes(this.#parts.identity.nodeId);
  }

  get control(): ControlApi {
    return this.store.isLeader ? this.#control : this.#forwarding;
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

  #newGroup(): ManagerGroup {
    const { identity, clock, log } = this.#parts;
    return new ManagerGroup({
      ownId: identity.nodeId,
      log: this.#log,
      clock,
      logger: log.child({ module: 'group' }),
      connect: (addr) => identity.connect(addr),
      addrOf: (id) => this.#transport.addrOf(id),
      leaderAddr: () => this.#leader.addr(),
      writeNode: (node) => this.#propose([{ op: 'put', table: 'node', object: node, base: 0 }]),
      recordManager: (id, addr) => this.#recordManager(id, addr),
      forgetManager: (id) => this.#forgetManager(id),
      externalStore: this.#options.store,
    });
  }

  #serve(): void {
    this.#server.addService(CertificateAuthority, this.ca.handlers, { allow: 'anyone' });
    this.#server.addService(DispatcherService, this.#dispatcher.handlers, { allow: 'nodes' });
    this.#server.addService(LogsService, this.#logBroker.handlers, { allow: 'nodes' });
    this.#server.addService(LogReaderService, serveLogReader(this.#logBroker, this.store), {
      allow: 'managers',
    });
    this.#server.addService(RaftService, this.#transport.handlers, { allow: 'managers' });
    this.#server.addService(GroupService, this.group.handlers, { allow: 'managers' });
    this.#server.addService(
      ControlService,
      // The port has let managers pass only.
      serveControl(this.#control, () => undefined),
      { allow: 'managers' },
    );
  }

  #leadershipChanged(leads: boolean): void {
    const { log } = this.#parts;
    this.#roles.setLeads(leads);
    if (!leads) {
      this.#dispatcher.stop();
      return;
    }
    log.info('this manager leads');
    this.#dispatcher.start();
    this.#recordLeader().catch((error: unknown) => {
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

  /** What `node ls` shows, and where agents turn to. */
  async #recordLeader(): Promise<void> {
    const ownId = this.#parts.identity.nodeId;
    await this.#change(() =>
      [...this.store.nodes()].flatMap((node): Change[] => {
        const { manager } = node;
        const leader = node.id === ownId;
        if (manager === undefined || manager.leader === leader) return [];
        const object = { ...node, manager: { ...manager, leader } };
        return [{ op: 'put', table: 'node', object, base: node.meta.version }];
      }),
    );
  }

  async #recordManager(id: string, addr: string): Promise<void> {
    await this.#change(() => {
      const node = this.store.node(id);
      if (node === undefined) {
        throw new SwarmError('not-found', `node ${id} is not in the swarm: join it with a token`);
      }
      if (node.manager?.addr === addr) return [];
      const object: Node = { ...node, manager: { addr, leader: node.manager?.leader ?? false } };
      return [{ op: 'put', table: 'node', object, base: node.meta.version }];
    });
  }

  async #forgetManager(id: string): Promise<void> {
    await this.#change(() => {
      const node = this.store.node(id);
      if (node?.manager === undefined) return [];
      const { manager: _gone, ...rest } = node;
      const object: Node = { ...rest, role: 'worker', spec: { ...node.spec, role: 'worker' } };
      return [{ op: 'put', table: 'node', object, base: node.meta.version }];
    });
  }

  /** Nodes report meanwhile: what was planned on an older version of one is planned again. */
  async #change(plan: () => readonly Change[]): Promise<void> {
    for (let attempt = 1; attempt < changeAttempts; attempt++) {
      const changes = plan();
      if (changes.length === 0) return;
      const { applied } = await this.store.propose(changes, { atMs: this.#parts.clock.nowMs() });
      if (applied) return;
    }
    await this.#propose(plan());
  }

  /** Until the others know where this manager is: it may have moved while it was away. */
  async #announce(signal: AbortSignal): Promise<void> {
    const { clock, identity, log } = this.#parts;
    const { advertiseAddr } = this.#options;
    while (this.store.node(identity.nodeId)?.manager?.addr !== advertiseAddr) {
      try {
        await this.group.join(this.#leader.addr(), advertiseAddr);
      } catch (error) {
        log.debug('the leader does not know yet where this manager is', { error });
      }
      await clock.sleep(announceEveryMs, { signal });
    }
  }

  /** The managers that were lost are workers, should they come back. */
  async #forgetOthers(): Promise<void> {
    const { identity } = this.#parts;
    // What is awaited below changes the table that `nodes` walks.
    const ids = Array.from(this.store.nodes(), ({ id }) => id);
    for (const id of ids) {
      if (id === identity.nodeId) await this.#recordManager(id, this.#options.advertiseAddr);
      else await this.#forgetManager(id);
    }
  }

  /** A swarm that locks its keys does not give them away in the clear. */
  async #backup({ passphrase: given }: { passphrase?: string }) {
    const { index } = await this.store.read();
    const unlockKey = this.store.cluster()?.managerLock?.unlockKey;
    const passphrase = given ?? (unlockKey === '' ? undefined : unlockKey);
    const snapshot = this.store.snapshotParts();
    const { clusterId } = this.#parts.identity;
    const info = { clusterId, createdAtMs: this.#parts.clock.nowMs(), index };
    return {
      encrypted: passphrase !== undefined,
      parts: encodeBackup(info, snapshot, passphrase),
    };
  }

  async #writeFirst({ cluster, node }: { cluster: Cluster; node: Node }): Promise<void> {
    if (this.store.cluster() !== undefined) return;
    await this.#propose([
      { op: 'put', table: 'cluster', object: cluster, base: 0 },
      { op: 'put', table: 'node', object: node, base: 0 },
      {
        op: 'put',
        table: 'network',
        object: newIngressNetwork(cluster, this.#parts.random),
        base: 0,
      },
    ]);
  }

  async #propose(changes: readonly Change[]): Promise<void> {
    const result = await this.store.propose(changes, { atMs: this.#parts.clock.nowMs() });
    if (!result.applied) throw new SwarmError('aborted', `${result.conflict}: try again`);
  }
}
