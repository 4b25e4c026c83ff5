import { isDeepStrictEqual } from 'node:util';
import type {
  Dispatcher as DispatcherDesc,
  Hello,
  Measurements,
  NodeMessage,
} from '../../gen/dispatcher_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { SwarmError, messageOf } from '../../lib/errors.ts';
import {
  parseAddr,
  removed,
  type CallContext,
  type HandlersOf,
  type MessageStream,
} from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { Node, NodeStatus } from '../../types/index.ts';
import type { ChangeBatch, ChangeListener, ObjectEvent } from '../store/event.ts';
import type { StoreView } from '../store/view.ts';
import { concernsNode } from './assignments.ts';
import { endsFileUse } from './file-feed.ts';
import { Examinations } from './examinations.ts';
import { LivenessTracker, type Transition } from './liveness.ts';
import { NetworkDesk } from './network-desk.ts';
import { managersFor, newsFor, type ManagersKnown } from './news.ts';
import { heartbeatPeriodMs, ownHeartbeatPeriodMs } from './period.ts';
import { newsworthy, orphanedTasks } from './reports.ts';
import {
  Session,
  type MeasureRequest,
  type Outgoing,
  type SessionHost,
  type Subscription,
} from './session.ts';
import { StatusWriter, type Propose } from './status-writer.ts';
import { readDescription } from './wire.ts';

/** What the dispatcher needs of the store. */
export interface DispatcherStore extends StoreView {
  propose: Propose;
  onChange(listener: ChangeListener): Disposable;
}

export interface DispatcherParts {
  readonly store: DispatcherStore;
  /** Who leads as far as this manager knows; empty while nobody does. */
  readonly leaderId: () => string;
  /** Where a manager is, if that is known better than the store does. */
  readonly addrOf?: (nodeId: string) => string | undefined;
  /** A node has let go of a cluster volume, as it was told. */
  readonly onReleased?: SessionHost['released'];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** What there is only while this manager leads. */
interface Run {
  readonly writer: StatusWriter;
  readonly stop: AbortController;
  readonly watch: Disposable;
  networks: NetworkDesk;
}

/** How often nodes are judged that may soon be silent for too long; of others, hardly ever. */
const checkEveryMs = 100;
const checkEveryMaxMs = 1_000;
/** Long enough before that to tell a standstill of this process from the silence of nodes. */
const watchedMs = 500;
/** A timer that is later than this tells of a standstill of this process. */
const standstillMs = 150;
const orphansEveryMs = 60_000;
const helloTimeoutMs = 10_000;

/**
 * Between the store and the nodes: tells each node its tasks, writes down what nodes report, and
 * says which nodes are there. Runs on the manager that leads.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #sessions = new Map<string, Session>();
  readonly #nodes = new LivenessTracker();
  readonly #sessionListeners = new Set<(nodeId: string, connected: boolean) => void>();
  readonly #measureListeners = new Set<(nodeId: string, measured: Measurements) => void>();
  #run: Run | undefined;

  /** What nodes find that look at themselves. */
  readonly examinations: Examinations;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.examinations = new Examinations({ ...parts, nodes: this });
  }

  /** To be registered with `allow: 'nodes'`. */
  readonly handlers: HandlersOf<typeof DispatcherDesc, CallContext> = {
    session: (stream, context) => this.#serve(stream, context),
  };

  /** This manager leads from now on. Nodes are given a grace to be heard of. */
  start(): void {
    if (this.#run !== undefined) return;
    const { store, clock, log } = this.#parts;
    const writer = new StatusWriter({ propose: (...args) => store.propose(...args), clock, log });
    const watch = store.onChange((batch) => this.#onChange(batch));
    const stop = new AbortController();
    const nowMs = clock.monotonicMs();
    this.#nodes.clear();
    for (const { id, status } of store.nodes()) {
      if (status.state === 'down') this.#nodes.expectDown(id, nowMs, this.#periodMs());
      else this.#nodes.expect(id, nowMs, this.#periodMs());
    }
    this.#run = { writer, watch, stop, networks: this.#newDesk() };
    for (const node of store.nodes()) {
      const { state } = node.status;
      if (state === 'ready' || state === 'disconnected') {
        this.#writeState(node.id, 'unknown', 'not heard of since this manager leads');
      }
    }
    this.#checkLater(stop.signal);
    this.#every(orphansEveryMs, () => this.#orphan(), stop.signal);
  }

  /** This manager leads no more: nodes are to find the one that does. */
  stop(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    run.stop.abort();
    run.watch[Symbol.dispose]();
    run.writer.stop();
    run.networks.stop();
    for (const session of this.#sessions.values()) session.end(this.#leadsNoMore());
  }

  /** How many nodes have a session. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Sends the request to the node; false where it has no session, or too many requests wait. */
  subscribeLogs(nodeId: string, subscription: Subscription): boolean {
    return this.#sessions.get(nodeId)?.subscribe(subscription) ?? false;
  }

  /** Asks the node to look at itself; false where it has no session, or too many requests wait. */
  examine(nodeId: string, id: string): boolean {
    return this.#sessions.get(nodeId)?.examine(id) ?? false;
  }

  /** Asks the node to open a tunnel; false where it has no session, or too many requests wait. */
  openTunnel(nodeId: string, id: string): boolean {
    return this.#sessions.get(nodeId)?.openTunnel(id) ?? false;
  }

  /** Asks the node what tasks of its own use; nothing where it has no session. */
  measure(nodeId: string, request: MeasureRequest): void {
    this.#sessions.get(nodeId)?.measure(request);
  }

  /** Called when a node has answered what it was asked to measure. */
  onMeasured(listener: (nodeId: string, measured: Measurements) => void): Disposable {
    this.#measureListeners.add(listener);
    return { [Symbol.dispose]: () => this.#measureListeners.delete(listener) };
  }

  /** Called when a node's session begins, and when it ends with no other in its place. */
  onSession(listener: (nodeId: string, connected: boolean) => void): Disposable {
    this.#sessionListeners.add(listener);
    return { [Symbol.dispose]: () => this.#sessionListeners.delete(listener) };
  }

  async #serve(
    stream: MessageStream<NodeMessage, Outgoing>,
    { peer, remoteIp }: CallContext,
  ): Promise<void> {
    if (this.#run === undefined) throw this.#leadsNoMore();
    if (peer === undefined) throw new SwarmError('unauthenticated', 'a node must say who it is');
    const { nodeId } = peer;
    const iterator = stream.incoming[Symbol.asyncIterator]();
    const hello = await this.#hello(iterator);
    const description = readDescription(hello.description);
    if (this.#run === undefined) throw this.#leadsNoMore();
    const node = this.#parts.store.node(nodeId);
    if (node === undefined) throw removed(nodeId);

    const session = new Session(
      { id: this.#parts.random.id(), nodeId, notAfterMs: peer.notAfterMs },
      stream,
      this.#run.networks.assignmentsOf(nodeId),
      this.#host,
    );
    this.#begin(session, node, addrOf(node, remoteIp));
    if (!isDeepStrictEqual(description, node.description)) this.#host.describe(nodeId, description);
    try {
      await session.run({ [Symbol.asyncIterator]: () => iterator });
    } finally {
      this.#ended(session);
    }
  }

  async #hello(iterator: AsyncIterator<NodeMessage>): Promise<Hello> {
    const late = Promise.withResolvers<never>();
    const timer = this.#parts.clock.after(helloTimeoutMs, () =>
      late.reject(new SwarmError('deadline-exceeded', 'the node did not say Hello in time')),
    );
    try {
      const { value, done } = await Promise.race([iterator.next(), late.promise]);
      if (done === true || value.message.case !== 'hello') {
        throw new SwarmError('invalid-argument', 'a session must begin with Hello');
      }
      return value.message.value;
    } finally {
      timer.cancel();
    }
  }

  #begin(session: Session, node: Node, addr: string): void {
    const { nodeId } = session;
    this.#sessions
      .get(nodeId)
      ?.end(
        new SwarmError('aborted', `a newer session of node ${nodeId} has taken this one's place`),
      );
    this.#sessions.set(nodeId, session);
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#nodes.life(node.id) === undefined) {
      this.#nodes.expect(nodeId, nowMs, this.#periodMs());
    }
    this.#nodes.heard(nodeId, nowMs);
    // Written in any case: an earlier word of this node's may still be on its way to the log.
    this.#writeState(nodeId, 'ready', '', addr);
    this.#parts.log.info('session begins', { nodeId, sessionId: session.id, addr });
    this.#tellSession(nodeId, true);
  }

  #ended(session: Session): void {
    const { nodeId } = session;
    if (this.#sessions.get(nodeId) !== session) return;
    this.#sessions.delete(nodeId);
    this.#parts.log.info('session ends', { nodeId, sessionId: session.id });
    if (this.#run !== undefined) {
      this.#apply(this.#nodes.lost(nodeId, this.#parts.clock.monotonicMs()));
    }
    this.#tellSession(nodeId, false);
  }

  #newDesk(): NetworkDesk {
    const { store, clock, log } = this.#parts;
    const isThere = (nodeId: string) => {
      const life = this.#nodes.life(nodeId);
      return life === 'ready' || life === 'unknown';
    };
    return new NetworkDesk({ store, clock, log, isThere, sessions: this.#sessions });
  }

  /** What sessions may ask for. Only the node's present session speaks for it. */
  readonly #host: SessionHost = {
    after: (delayMs, callback) => this.#parts.clock.after(delayMs, callback),
    nowMs: () => this.#parts.clock.nowMs(),
    heard: (session) => {
      if (this.#sessions.get(session.nodeId) !== session) return;
      // The node has renewed its certificate long since, and is to show the new one.
      if (this.#parts.clock.nowMs() > session.notAfterMs) session.end(certificateExpired());
      this.#apply(this.#nodes.heard(session.nodeId, this.#parts.clock.monotonicMs()));
    },
    left: (session) => {
      if (this.#sessions.get(session.nodeId) !== session) return;
      this.#apply(this.#nodes.left(session.nodeId, 'the node has left'));
    },
    away: (session, hostEnds) => {
      const { nodeId } = session;
      if (this.#sessions.get(nodeId) !== session) return;
      if (hostEnds) this.#apply(this.#nodes.left(nodeId, 'the host is shutting down'));
      else this.#nodes.away(nodeId, this.#parts.clock.monotonicMs());
    },
    tellPeriodMs: (session) => {
      const isOwn = session.nodeId === this.#parts.leaderId();
      const periodMs = isOwn ? ownHeartbeatPeriodMs(this.#periodMs()) : this.#periodMs();
      this.#nodes.told(session.nodeId, periodMs);
      return periodMs;
    },
    describe: (nodeId, description) =>
      this.#write((writer) => writer.node(nodeId, { description })),
    report: async (nodeId, statuses) => {
      if (this.#run === undefined) throw this.#leadsNoMore();
      await this.#run.writer.tasks(newsworthy(this.#parts.store, nodeId, statuses));
    },
    news: (nodeId) => newsFor(this.#parts.store, nodeId, this.#known()),
    released: (...what) => this.#parts.onReleased?.(...what),
    findings: (...found) => this.examinations.answered(...found),
    measured: (session, measurements) => {
      if (this.#sessions.get(session.nodeId) !== session) return;
      for (const listener of this.#measureListeners) listener(session.nodeId, measurements);
    },
    taken: () => this.#run?.networks.recheck(),
  };

  /** Tells the node where else to ask, so that it need not try every manager. */
  #leadsNoMore(): SwarmError {
    const { store } = this.#parts;
    return new SwarmError('unavailable', 'this manager does not lead; ask another one', {
      details: { reason: 'not-leader', managers: managersFor(store, this.#known()) },
    });
  }

  #known(): ManagersKnown {
    const { leaderId, addrOf } = this.#parts;
    return { leaderId: leaderId(), ...(addrOf === undefined ? {} : { addrOf }) };
  }

  #onChange({ events, restored }: ChangeBatch): void {
    if (this.#run === undefined) return;
    if (restored) {
      this.#run.networks.stop();
      this.#run.networks = this.#newDesk();
      for (const session of this.#sessions.values()) session.end(this.#leadsNoMore());
      return;
    }
    this.#run.networks.changed(events);
    for (const event of events) this.#onEvent(event);
  }

  #onEvent(event: ObjectEvent): void {
    switch (event.table) {
      case 'task': {
        const session = this.#sessions.get(event.object.nodeId);
        if (session === undefined || this.#run?.networks.holds(event.object.id) === true) return;
        const { action, object, old } = event;
        const concerns = concernsNode(old, object) || endsFileUse(old, object);
        if (action === 'remove' || concerns) session.markTask(object.id);
        return;
      }
      case 'volume': {
        const { object, old } = event;
        const statuses = [...object.publishStatus, ...(old?.publishStatus ?? [])];
        for (const nodeId of new Set(statuses.map((status) => status.nodeId))) {
          this.#sessions.get(nodeId)?.markVolume(object.id);
        }
        return;
      }
      case 'node':
        this.#onNode(event);
        return;
      case 'cluster':
        if (!isDeepStrictEqual(event.old?.rootCa, event.object.rootCa)) this.#tellNews();
        return;
      default:
    }
  }

  #onNode({ action, object, old }: ObjectEvent & { table: 'node' }): void {
    const { id } = object;
    if (action === 'remove') {
      this.#nodes.forget(id);
      this.#sessions.get(id)?.end(removed(id));
    } else if (this.#nodes.life(id) === undefined) {
      this.#nodes.expect(id, this.#parts.clock.monotonicMs(), this.#periodMs());
    }
    if (action === 'remove' || !isDeepStrictEqual(object.manager, old?.manager)) {
      if (object.manager !== undefined || old?.manager !== undefined) this.#tellNews();
    }
    if (old === undefined || isNewsOfItself(old, object)) this.#sessions.get(id)?.markNews();
  }

  #tellNews(): void {
    for (const session of this.#sessions.values()) session.markNews();
  }

  /**
   * A late call means that this process stood still: what nodes said meanwhile waits in the
   * sockets, and is read before they are judged.
   */
  #check(lateMs: number): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (lateMs > standstillMs) this.#nodes.stoodStill(nowMs);
    for (const transition of this.#nodes.check(nowMs)) this.#apply(transition);
  }

  #orphan(): void {
    const { store, clock } = this.#parts;
    const statuses = orphanedTasks(store, clock.nowMs());
    if (statuses.size > 0) this.#write((writer) => writer.tasks(statuses));
  }

  #apply(transition: Transition | undefined): void {
    if (transition === undefined) return;
    const { nodeId, to, reason } = transition;
    this.#parts.log.info('node state', { nodeId, state: to, reason });
    this.#writeState(nodeId, to, reason);
    this.#run?.networks.recheck();
    if (to !== 'down') return;
    const session = this.#sessions.get(nodeId);
    session?.end(
      new SwarmError('deadline-exceeded', `node ${nodeId} was not heard of, and is taken for down`),
    );
  }

  #writeState(nodeId: string, state: NodeStatus['state'], message: string, addr?: string): void {
    const node = this.#parts.store.node(nodeId);
    if (node === undefined) return;
    const atMs = this.#parts.clock.nowMs();
    const status = { state, message, addr: addr ?? node.status.addr, atMs };
    this.#write((writer) => writer.node(nodeId, { status }));
  }

  /** What nobody waits for is retried by the writer, and lost only with the lead. */
  #write(action: (writer: StatusWriter) => Promise<void>): void {
    if (this.#run === undefined) return;
    action(this.#run.writer).catch((error: unknown) =>
      this.#parts.log.debug('not written', { error: messageOf(error) }),
    );
  }

  #checkLater(signal: AbortSignal): void {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const restMs = this.#nodes.dueMs - watchedMs - nowMs;
    const delayMs = Math.min(checkEveryMaxMs, Math.max(checkEveryMs, restMs));
    clock.after(delayMs, () => {
      if (signal.aborted) return;
      this.#check(clock.monotonicMs() - nowMs - delayMs);
      this.#checkLater(signal);
    });
  }

  /** Runs at every period, while this manager leads. */
  #every(periodMs: number, run: () => void, signal: AbortSignal): void {
    this.#parts.clock.after(periodMs, () => {
      if (signal.aborted) return;
      run();
      this.#every(periodMs, run, signal);
    });
  }

  #tellSession(nodeId: string, connected: boolean): void {
    for (const listener of this.#sessionListeners) listener(nodeId, connected);
  }

  #periodMs(): number {
    const spec = this.#parts.store.cluster()?.spec.dispatcher.heartbeatPeriodMs;
    return heartbeatPeriodMs(this.#nodes.size, spec);
  }
}

/** A manager's node is known by its own address: its agent may have come over loopback. */
function addrOf(node: Node, remoteIp: string): string {
  return node.manager === undefined ? remoteIp : parseAddr(node.manager.addr).host;
}

function certificateExpired(): SwarmError {
  return new SwarmError('unauthenticated', "the session's certificate has expired; connect anew");
}

/** Does a node want to know this of itself? It enters a swarm until it is known and ready there. */
function isNewsOfItself(old: Node, node: Node): boolean {
  return (
    old.spec !== node.spec ||
    old.role !== node.role ||
    old.status.state !== node.status.state ||
    (old.description === undefined && node.description !== undefined)
  );
}
