/** For tests of what nodes are told of networks: a store in memory, and nodes that keep tables. */
import { AssignmentChange_Action, Assignments_Kind } from '../../gen/dispatcher_pb.js';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type {
  AssignedEndpoint,
  AssignedTask,
  Network,
  NetworkObjectType,
  Node,
  Task,
} from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeTask } from '../store/testing.ts';
import { concernsNode, type AssignmentSet, type NodeAssignments } from './assignments.ts';
import { NetworkDesk, type NetworkSession } from './network-desk.ts';

const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };

export function makeNetwork(id: string, overrides: Partial<Network> = {}): Network {
  const number = Number(id.replace(/\D/g, '')) || 0;
  return {
    id,
    meta,
    spec: { name: id, labels: {}, driver: 'overlay' },
    vni: 4096 + number,
    subnets: [{ subnet: `10.${number}.0.0/16`, gateway: `10.${number}.0.1` }],
    ...overrides,
  };
}

export function makePeer(id: string, overrides: Partial<Node> = {}): Node {
  return makeNode(id, {
    description: {
      hostname: id,
      platform: { os: 'linux', architecture: 'x86_64' },
      resources: { nanoCpus: 1e9, memoryBytes: 1e9 },
      engine: { version: '1', labels: {}, plugins: [] },
      dataPath: { address: `192.168.0.${Number(id.replace(/\D/g, '')) + 1}` },
    },
    ...overrides,
  });
}

/** A task of service `web` that runs on the node, at the address on the network `net1`. */
export function makeRunning(id: string, nodeId: string, overrides: Partial<Task> = {}): Task {
  const number = Number(id.replace(/\D/g, ''));
  const service = { id: 'web', specVersion: 0, spec: { name: 'web', task: { forceUpdate: 0 } } };
  return makeTask(id, service as never, {
    nodeId,
    status: { state: 'running', atMs: 0, message: 'started' },
    networks: [
      {
        networkId: 'net1',
        addresses: [`10.1.${Math.floor(number / 250)}.${(number % 250) + 2}/16`],
      },
    ],
    ...overrides,
  });
}

/** A node's end of a session: takes sets when the test says so, and acknowledges them. */
class TestNode implements NetworkSession {
  readonly tables = new Map<string, unknown>();
  readonly sets: AssignmentSet[] = [];
  #assignments: NodeAssignments;
  #revision = 0n;
  readonly #acknowledged: () => void;

  constructor(assignments: NodeAssignments, acknowledged: () => void) {
    this.#assignments = assignments;
    this.#acknowledged = acknowledged;
    this.#take(assignments.complete());
  }

  get takenVersion(): number {
    return this.#assignments.takenVersion;
  }
  markTask(taskId: string): void {
    this.#assignments.mark(taskId);
  }
  markNetworkObject(type: NetworkObjectType, id: string): void {
    this.#assignments.networks.mark(type, id);
  }
  markNetworkMembers(networkId?: string): void {
    this.#assignments.networks.markMembers(networkId);
  }

  /** Takes one incremental set, as the session would send it. */
  pull(changesMax?: number): AssignmentSet {
    const set = this.#assignments.incremental(changesMax);
    if (set.changes.length > 0) this.#take(set);
    return set;
  }

  acknowledge(): void {
    this.#assignments.acknowledged(this.#revision);
    this.#acknowledged();
  }

  /** Takes all there is, and says so. */
  settle(): void {
    while (this.#assignments.dirty) this.pull();
    this.acknowledge();
  }

  task(id: string): AssignedTask | undefined {
    return this.tables.get(`task ${id}`) as AssignedTask | undefined;
  }
  endpoint(taskId: string, networkId = 'net1'): AssignedEndpoint | undefined {
    return this.tables.get(`endpoint ${networkId}/${taskId}`) as AssignedEndpoint | undefined;
  }

  #take(set: AssignmentSet): void {
    this.#revision += 1n;
    this.#assignments.sent(this.#revision);
    this.sets.push(set);
    foldInto(this.tables, set);
  }
}

/** What a node that has the tables has after the set. */
function foldInto(tables: Map<string, unknown>, set: AssignmentSet): void {
  if (set.kind === Assignments_Kind.COMPLETE) tables.clear();
  for (const { action, type, id, object } of set.changes) {
    if (action === AssignmentChange_Action.REMOVE) tables.delete(`${type} ${id}`);
    else tables.set(`${type} ${id}`, JSON.parse(Buffer.from(object!).toString()));
  }
}

/** A leader's desk, with nodes that the test connects, in virtual time. */
export class TestDesk {
  readonly clock = new VirtualClock();
  readonly sessions = new Map<string, TestNode>();
  /** Nodes of which nothing has been heard for a while. */
  readonly silent = new Set<string>();
  readonly warnings: string[] = [];
  store = new Store(new MemoryLog());
  desk!: NetworkDesk;

  static async start(...changes: Change[]): Promise<TestDesk> {
    const test = new TestDesk();
    await test.store.open();
    test.store.onChange(({ events }) => {
      if (test.desk === undefined) return;
      test.desk.changed(events);
      for (const event of events) {
        if (event.table === 'node' && event.action === 'remove') {
          test.sessions.delete(event.object.id);
        }
        if (event.table !== 'task' || test.desk.holds(event.object.id)) continue;
        const news = event.action === 'remove' || concernsNode(event.old, event.object);
        if (news) test.sessions.get(event.object.nodeId)?.markTask(event.object.id);
      }
    });
    for (const change of changes) {
      const result = await test.store.propose([change], { atMs: test.clock.nowMs() });
      if (!result.applied) throw new Error(result.conflict);
    }
    test.lead();
    return test;
  }

  /** Another manager leads, which has heard of no node yet. */
  lead(): void {
    this.sessions.clear();
    const log = { ...silentLogger, warn: (message: string) => void this.warnings.push(message) };
    const isThere = (nodeId: string) => !this.silent.has(nodeId);
    const { store, sessions, clock } = this;
    this.desk = new NetworkDesk({ store, sessions, isThere, clock, log });
  }

  connect(nodeId: string): TestNode {
    const node = new TestNode(this.desk.assignmentsOf(nodeId), () => this.desk.recheck());
    this.sessions.set(nodeId, node);
    return node;
  }

  disconnect(nodeId: string): void {
    this.sessions.delete(nodeId);
    this.silent.add(nodeId);
    this.desk.recheck();
  }

  /** Whether it was applied. */
  async propose(...changes: Change[]): Promise<boolean> {
    return (await this.store.propose(changes, { atMs: this.clock.nowMs() })).applied;
  }

  put(task: Task): Promise<boolean> {
    const base = this.store.task(task.id)?.meta.version ?? 0;
    return this.propose({ op: 'put', table: 'task', object: task, base });
  }
  desire(id: string, desiredState: Task['desiredState']): Promise<boolean> {
    return this.propose({ op: 'task-desire', id, desiredState });
  }
  status(id: string, state: Task['status']['state']): Promise<boolean> {
    const status = { state, atMs: this.clock.nowMs(), message: '' };
    return this.propose({ op: 'task-status', id, status });
  }
  node(id: string, state: Node['status']['state']): Promise<boolean> {
    const status = { state, message: '', addr: '', atMs: this.clock.nowMs() };
    return this.propose({ op: 'node-status', id, status });
  }
}
