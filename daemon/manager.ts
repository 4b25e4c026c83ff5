/**
 * Everything that makes this daemon a manager, wired together: the store on its log, the cluster
 * port with its services, and what runs only while this manager leads.
 */
import { join } from 'node:path';
import { CertificateAuthority } from '../gen/ca_pb.js';
import { Control as ControlService } from '../gen/control_pb.js';
import { Dispatcher as DispatcherService } from '../gen/dispatcher_pb.js';
import { Logs as LogsService } from '../gen/logs_pb.js';
import { Raft as RaftService } from '../gen/raft_pb.js';
import type { ManagerBackend } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { ClusterServer } from '../lib/grpc/index.ts';
import { createJoinToken, type NodeIdentity } from '../lib/identity/index.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import { CertificateAuthorityService } from '../manager/ca/index.ts';
import { Control, serveControl } from '../manager/control/index.ts';
import { Dispatcher, LogBroker } from '../manager/dispatcher/index.ts';
import { PeerTransport } from '../manager/peers/index.ts';
import { Reconciler } from '../manager/reconcile/index.ts';
import { RaftLog, Store, type Change } from '../manager/store/index.ts';
import { nodeDisk } from '../raft/index.ts';
import type { Cluster, Node } from '../types/index.ts';

export interface ManagerOptions {
  /** Below the data root: the log and its snapshots. */
  readonly folder: string;
  readonly listenAddr: string;
  readonly advertiseAddr: string;
  /** The first manager of a new swarm, with what its store begins with. */
  readonly bootstrap?: { readonly cluster: Cluster; readonly node: Node };
}

export interface ManagerParts {
  readonly identity: NodeIdentity;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** This manager cannot go on: its disk failed, or what its log holds cannot be. */
  readonly onFailure: (error: SwarmError) => void;
}

export class Manager implements AsyncDisposable {
  readonly store: Store;
  readonly ca: CertificateAuthorityService;
  readonly #options: ManagerOptions;
  readonly #parts: ManagerParts;
  readonly #server: ClusterServer;
  readonly #transport: PeerTransport;
  readonly #raftLog: RaftLog;
  readonly #control: Control;
  readonly #dispatcher: Dispatcher;
  readonly #logBroker: LogBroker;
  readonly #reconciler: Reconciler;
  readonly #running = new AsyncDisposableStack();

  constructor(options: ManagerOptions, parts: ManagerParts) {
    const { identity, clock, random, log } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#transport = new PeerTransport({
      clock,
      random,
      log: log.child({ module: 'peers' }),
      connect: (addr) => identity.connect(addr),
      ownAddr: () => options.advertiseAddr,
      addrOf: (id) => this.store.node(id)?.manager?.addr,
    });
    this.#raftLog = new RaftLog(
      {
        id: identity.nodeId,
        folder: join(options.folder, 'raft'),
        bootstrap: options.bootstrap !== undefined,
      },
      {
        disk: nodeDisk,
        transport: this.#transport,
        clock,
        random,
        log: log.child({ module: 'raft' }),
        onFailure: parts.onFailure,
      },
    );
    this.#transport.attach(this.#raftLog);
    this.store = new Store(this.#raftLog);
    const { store } = this;
    this.#control = new Control({
      store,
      clock,
      random,
      makeJoinToken: (rootPem) => createJoinToken(rootPem, random),
    });
    this.ca = new CertificateAuthorityService({
      view: store,
      proposeNode: (node) => this.#addNode(node),
      clock,
      log: log.child({ module: 'ca' }),
    });
    this.#dispatcher = new Dispatcher({ store, clock, random, log });
    this.#logBroker = new LogBroker({ store, dispatcher: this.#dispatcher, clock, random, log });
    this.#reconciler = new Reconciler({}, { store, clock, random, log });
    this.#server = new ClusterServer({
      listenAddr: options.listenAddr,
      identity,
      isRemoved: (nodeId) => store.cluster()?.removedNodes[nodeId] !== undefined,
      log: log.child({ module: 'cluster-port' }),
    });
  }

  /** Throws SwarmError where the port is taken or the log is damaged; then nothing is left open. */
  async start(): Promise<void> {
    await using starting = new AsyncDisposableStack();
    starting.use(this.#transport);
    starting.use(this.store);
    await this.store.open();
    if (this.#options.bootstrap !== undefined) await this.#writeFirst(this.#options.bootstrap);
    this.#serve();
    starting.use(this.#server);
    await this.#server.listen();
    starting.use(this.#reconciler);
    this.#reconciler.start();
    starting.defer(() => this.#dispatcher.stop());
    starting.use(
      this.store.onLeadership((leads) => {
        if (leads) this.#lead();
        else this.#dispatcher.stop();
      }),
    );
    this.#running.use(starting.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.disposeAsync();
  }

  /** What the API asks of a manager. */
  get backend(): ManagerBackend {
    return {
      control: this.#control,
      read: () => this.store.read(),
      watch: ({ signal }) => this.store.watch({ signal }),
      logs: (target, query, options) => this.#logBroker.logs(target, query, options),
    };
  }

  #serve(): void {
    this.#server.addService(CertificateAuthority, this.ca.handlers, { allow: 'anyone' });
    this.#server.addService(DispatcherService, this.#dispatcher.handlers, { allow: 'nodes' });
    this.#server.addService(LogsService, this.#logBroker.handlers, { allow: 'nodes' });
    this.#server.addService(RaftService, this.#transport.handlers, { allow: 'managers' });
    this.#server.addService(
      ControlService,
      // The port has let managers pass only.
      serveControl(this.#control, () => undefined),
      { allow: 'managers' },
    );
  }

  #lead(): void {
    this.#parts.log.info('this manager leads');
    this.#dispatcher.start();
  }

  async #writeFirst({ cluster, node }: { cluster: Cluster; node: Node }): Promise<void> {
    if (this.store.cluster() !== undefined) return;
    await this.#propose([
      { op: 'put', table: 'cluster', object: cluster, base: 0 },
      { op: 'put', table: 'node', object: node, base: 0 },
    ]);
  }

  async #addNode(node: Node): Promise<void> {
    await this.#propose([{ op: 'put', table: 'node', object: node, base: 0 }]);
  }

  async #propose(changes: readonly Change[]): Promise<void> {
    const result = await this.store.propose(changes, { atMs: this.#parts.clock.nowMs() });
    if (!result.applied) throw new SwarmError('aborted', `${result.conflict}: try again`);
  }
}
