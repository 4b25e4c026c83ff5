import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { isTerminal, isWanted, type NetworkObjectType } from '../../types/index.ts';
import type { ObjectEvent } from '../store/event.ts';
import type { StoreView } from '../store/view.ts';
import { NodeAssignments } from './assignments.ts';
import { NetworkBook, type BookListener } from './network-book.ts';
import { StopGate } from './stop-gate.ts';

/** A node's session, as far as networks go. */
export interface NetworkSession {
  markTask(taskId: string): void;
  markNetworkObject(type: NetworkObjectType, id: string): void;
  markNetworkMembers(networkId?: string): void;
  /** Up to which version of the book the node has taken in what concerns it. */
  readonly takenVersion: number;
}

interface NetworkDeskParts {
  readonly store: StoreView;
  readonly sessions: ReadonlyMap<string, NetworkSession>;
  /** Whether the node is heard of, or may still be: it has not been since this manager leads. */
  readonly isThere: (nodeId: string) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Tells sessions what has changed of their networks, and when a task may be told to stop. */
export class NetworkDesk {
  readonly #parts: NetworkDeskParts;
  readonly #book: NetworkBook;
  readonly #gate: StopGate;

  constructor(parts: NetworkDeskParts) {
    this.#parts = parts;
    const { store, clock, log } = parts;
    this.#book = new NetworkBook(store);
    this.#gate = new StopGate({
      clock,
      nodesOf: (networkId) => this.#book.nodesOf(networkId),
      taken: (nodeId) => this.#taken(nodeId),
      release: (taskId) => this.#release(taskId),
      onTimeout: (taskIds, nodeIds) =>
        log.warn('tasks are stopped before all nodes know of it', {
          tasks: taskIds.length,
          firstTaskId: taskIds[0],
          nodeIds,
        }),
    });
    // Whether the leader before has told their nodes to stop them cannot be known: the nodes, where
    // it has, stay with it.
    for (const task of store.tasks()) {
      if (task.networks !== undefined) this.#holdIfServing(task.id);
    }
    this.#gate.check();
  }

  /** For a node's new session. */
  assignmentsOf(nodeId: string): NodeAssignments {
    return new NodeAssignments(
      { view: this.#parts.store, book: this.#book, gate: this.#gate },
      nodeId,
    );
  }

  /** What one log entry has changed. */
  changed(events: readonly ObjectEvent[]): void {
    this.#book.changed(events, this.#tell);
    for (const event of events) {
      if (event.table !== 'task' || event.object.networks === undefined) continue;
      const { action, object, old } = event;
      if (action === 'remove' || isTerminal(object.status.state)) this.#letGo(object.id);
      else if (old !== undefined && isWanted(old.desiredState)) this.#holdIfServing(object.id);
    }
    this.#gate.check();
  }

  /** The task's node is not to hear of it now: it will once the task may stop. */
  holds(taskId: string): boolean {
    return this.#gate.holds(taskId);
  }

  /** A node has taken something in, or its session or its life has changed. */
  recheck(): void {
    this.#gate.check();
  }

  stop(): void {
    this.#gate.stop();
  }

  /** It has ended before its node was told to stop it. The node is told all the same. */
  #letGo(taskId: string): void {
    if (!this.#gate.holds(taskId)) return;
    this.#gate.drop(taskId);
    this.#release(taskId);
  }

  /** A task that runs and is to stop may be getting requests. */
  #holdIfServing(taskId: string): void {
    const task = this.#parts.store.task(taskId);
    if (task === undefined || task.networks === undefined || task.networks.length === 0) return;
    if (task.status.state !== 'running' || isWanted(task.desiredState)) return;
    const networkIds = task.networks.map(({ networkId }) => networkId);
    this.#gate.hold(taskId, networkIds, this.#book.version);
  }

  #taken(nodeId: string): number | undefined {
    if (!this.#parts.isThere(nodeId)) return undefined;
    return this.#parts.sessions.get(nodeId)?.takenVersion ?? -1;
  }

  #release(taskId: string): void {
    const task = this.#parts.store.task(taskId);
    if (task !== undefined) this.#parts.sessions.get(task.nodeId)?.markTask(taskId);
  }

  readonly #tell: BookListener = {
    object: (type, id, networkId) => {
      for (const session of type === 'peer' ? this.#all() : this.#on(networkId)) {
        session.markNetworkObject(type, id);
      }
    },
    membership: (networkId, nodeId) => {
      this.#parts.sessions.get(nodeId)?.markNetworkMembers(networkId);
      for (const session of this.#on(networkId)) session.markNetworkMembers();
    },
    everyone: (networkId) => {
      for (const session of this.#all()) session.markNetworkMembers(networkId);
    },
  };

  #all(): Iterable<NetworkSession> {
    return this.#parts.sessions.values();
  }

  *#on(networkId: string): Iterable<NetworkSession> {
    for (const nodeId of this.#book.nodesOf(networkId)) {
      const session = this.#parts.sessions.get(nodeId);
      if (session !== undefined) yield session;
    }
  }
}
