/** Bugs that are put in from the outside, to show that the checkers find them. */
import type { Clock } from '../../../lib/clock.ts';
import type { MessageStream } from '../../../lib/grpc/index.ts';
import type { NodeMessage } from '../../../gen/dispatcher_pb.js';
import { AssignmentChange_Action } from '../../../gen/dispatcher_pb.js';
import type { Outgoing } from '../../../manager/dispatcher/session.ts';
import type { ReconcileStore } from '../../../manager/reconcile/reconciler.ts';
import type { Disk } from '../../../raft/index.ts';
import { isWanted, type Node, type Service, type Task } from '../../../types/index.ts';

export interface Planted {
  /** An entry as the manager applies it. */
  entry(managerId: string, entry: Uint8Array, clock: Clock): Uint8Array;
  /** The store as the reconciler sees it. */
  view(store: ReconcileStore): ReconcileStore;
  disk(disk: Disk): Disk;
  /** A manager's end of a node's session. */
  session(stream: MessageStream<NodeMessage, Outgoing>): MessageStream<NodeMessage, Outgoing>;
}

/** Changes nothing. */
export const honest: Planted = {
  entry: (_managerId, entry) => entry,
  view: (store) => store,
  disk: (disk) => disk,
  session: (stream) => stream,
};

export const planted = {
  /** What is applied depends on each manager's own clock. */
  'apply looks at the clock': {
    ...honest,
    entry: (_managerId, entry, clock) => {
      const decoded = JSON.parse(Buffer.from(entry).toString()) as { atMs: number };
      return Buffer.from(JSON.stringify({ ...decoded, atMs: clock.nowMs() }));
    },
  },
  /** Syncs say that they are done, and are not. */
  'the log is not synced': {
    ...honest,
    disk: (disk) => ({
      ...disk,
      create: async (path) => ({ ...(await disk.create(path)), sync: () => Promise.resolve() }),
      open: async (path) => ({ ...(await disk.open(path)), sync: () => Promise.resolve() }),
    }),
  },
  /** A node that is down counts as ready: its tasks are not replaced. */
  'the reconciler ignores down nodes': {
    ...honest,
    view: (store) =>
      overlaid(store, {
        node: (id: string) => asReady(store.node(id)),
        nodes: () => [...store.nodes()].flatMap((node) => asReady(node) ?? []),
      }),
  },
  /** A task that was told to stop counts as stopped. */
  'the reconciler does not wait for the end': {
    ...honest,
    view: (store) =>
      overlaid(store, {
        tasksOfService: (id: string) => [...store.tasksOfService(id)].map(asEnded),
      }),
  },
  /** Ticks of the last ten seconds count as not dealt with. */
  'the reconciler forgets ticks': {
    ...honest,
    view: (store) =>
      overlaid(store, {
        service: (id: string) => asBefore(store.service(id)),
        services: () => [...store.services()].flatMap((service) => asBefore(service) ?? []),
      }),
  },
  /** Nodes are not told to stop what they run. */
  'the dispatcher forgets removals': {
    ...honest,
    session: (stream) => ({
      incoming: stream.incoming,
      signal: stream.signal,
      send: (message) => stream.send(withoutStops(message)),
    }),
  },
  /** Nodes are told of other addresses than their tasks have. */
  'the dispatcher mixes up addresses': {
    ...honest,
    session: (stream) => ({
      incoming: stream.incoming,
      signal: stream.signal,
      send: (message) => stream.send(withOneAddress(message)),
    }),
  },
} satisfies Record<string, Planted>;

function overlaid(store: ReconcileStore, changed: object): ReconcileStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name in changed) return changed[name as keyof typeof changed];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

function asReady(node: Node | undefined): Node | undefined {
  if (node?.status.state !== 'down') return node;
  return { ...node, status: { ...node.status, state: 'ready' } };
}

function asEnded(task: Task): Task {
  if (isWanted(task.desiredState)) return task;
  return { ...task, status: { ...task.status, state: 'shutdown' } };
}

function asBefore(service: Service | undefined): Service | undefined {
  if (service?.cronStatus === undefined) return service;
  const { settledMs, ...rest } = service.cronStatus;
  return { ...service, cronStatus: { ...rest, settledMs: settledMs - 10_000 } };
}

/** Everybody's on a network is the same. */
function withOneAddress(outgoing: Outgoing): Outgoing {
  const { message } = outgoing;
  if (message?.case !== 'assignments') return outgoing;
  const changes = (message.value.changes ?? []).map((change) => {
    if (change.type !== 'task' || (change.object ?? []).length === 0) return change;
    const task = JSON.parse(Buffer.from(change.object ?? []).toString()) as Task;
    const networks = task.networks?.map((one) => ({ ...one, addresses: ['10.9.0.9/24'] }));
    return { ...change, object: Buffer.from(JSON.stringify({ ...task, networks })) };
  });
  return { message: { case: 'assignments', value: Object.assign(message.value, { changes }) } };
}

function withoutStops(outgoing: Outgoing): Outgoing {
  const { message } = outgoing;
  if (message?.case !== 'assignments') return outgoing;
  const changes = (message.value.changes ?? []).filter(({ type, action, object }) => {
    if (type !== 'task') return true;
    if (action === AssignmentChange_Action.REMOVE) return false;
    const { desiredState } = JSON.parse(Buffer.from(object ?? []).toString()) as Task;
    return isWanted(desiredState);
  });
  return { message: { case: 'assignments', value: Object.assign(message.value, { changes }) } };
}
