/**
 * The changes of late, each with what was before it. They are taken from the log's entries as these
 * are applied, also when the log is replayed at the start: nothing is written for them.
 */
import type { ChangeBatch, ObjectEvent } from '../store/event.ts';
import type { Cluster, ClusterVolume, Node, Service, Task } from '../../types/index.ts';

/** A service as far as it is told of. Its spec is the store's own document. */
export type PastService = Pick<
  Service,
  'id' | 'spec' | 'specVersion' | 'updateStatus' | 'autoscale'
>;

export interface PastTask {
  readonly id: string;
  readonly serviceId: string;
  readonly serviceName: string;
  readonly slot: number;
  readonly forNodeId?: string;
  readonly nodeId: string;
  readonly state: Task['status']['state'];
  readonly desiredState: Task['desiredState'];
  readonly err?: string;
}

export interface PastNode {
  readonly id: string;
  readonly hostname: string;
  readonly state: Node['status']['state'];
  readonly availability: Node['spec']['availability'];
  readonly role: Node['role'];
}

type PastVolume = Pick<ClusterVolume, 'id' | 'spec'> & {
  readonly isRemoved: boolean;
  readonly isForced: boolean;
};

/** The swarm's own settings. Tokens and keys are only compared, and never told. */
export interface PastSwarm {
  readonly id: string;
  readonly spec: Cluster['spec'];
  readonly workerToken: string;
  readonly managerToken: string;
  readonly lockVersion: number;
  readonly networkKeyRotation: number;
  readonly rootCertPem: string;
}

/** One object before and after; absent before it was made, and after it was removed. */
export type Record = {
  readonly atMs: number;
  readonly index: number;
  /** Whose command it was. */
  readonly user?: string;
} & (
  | { readonly kind: 'service'; readonly before?: PastService; readonly after?: PastService }
  | { readonly kind: 'task'; readonly before?: PastTask; readonly after?: PastTask }
  | { readonly kind: 'node'; readonly before?: PastNode; readonly after?: PastNode }
  | { readonly kind: 'volume'; readonly before?: PastVolume; readonly after?: PastVolume }
  | { readonly kind: 'swarm'; readonly before?: PastSwarm; readonly after?: PastSwarm }
);

export interface HistoryOptions {
  /** What is kept: a record counts one, and one more for each 400 characters of a spec's JSON. */
  readonly maxCost: number;
  readonly maxAgeMs: number;
}

/** Some 4 MB at most: a record takes about 400 bytes. */
const defaults: HistoryOptions = { maxCost: 10_000, maxAgeMs: 7 * 24 * 3_600_000 };
const charactersPerCost = 400;
/** Records that are gone leave the list this many at a time. */
const slack = 1024;

export class History {
  readonly #options: HistoryOptions;
  #records: { readonly record: Record; readonly cost: number }[] = [];
  /** Where in the list the first record that counts is. */
  #first = 0;
  #cost = 0;
  #sinceMs: number | undefined;

  constructor(options: Partial<HistoryOptions> = {}) {
    this.#options = { ...defaults, ...options };
  }

  /** The oldest first. */
  get records(): readonly Record[] {
    return this.#records.slice(this.#first).map(({ record }) => record);
  }

  /** The earliest moment that can be told of; undefined while nothing has happened. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  note(batch: ChangeBatch): void {
    // Between what was and a snapshot anything may have happened.
    if (batch.restored) this.#clear();
    for (const event of batch.events) {
      const record = recordOf(event);
      if (record === undefined) continue;
      this.#sinceMs ??= record.atMs;
      const cost = costOf(record);
      this.#records.push({ record, cost });
      this.#cost += cost;
    }
    this.#trim(batch.atMs);
  }

  #clear(): void {
    this.#records = [];
    this.#first = 0;
    this.#cost = 0;
    this.#sinceMs = undefined;
  }

  #trim(nowMs: number): void {
    const { maxCost, maxAgeMs } = this.#options;
    for (;;) {
      const oldest = this.#records[this.#first];
      if (oldest === undefined) break;
      if (this.#cost <= maxCost && oldest.record.atMs >= nowMs - maxAgeMs) break;
      this.#cost -= oldest.cost;
      this.#first += 1;
      this.#sinceMs = this.#records[this.#first]?.record.atMs ?? nowMs;
    }
    if (this.#first < slack) return;
    this.#records = this.#records.slice(this.#first);
    this.#first = 0;
  }
}

/** A spec that was replaced, or went with its service, is held by nobody else any more. */
function costOf(record: Record): number {
  if (record.kind !== 'service' && record.kind !== 'swarm') return 1;
  const { before, after } = record;
  if (before === undefined || before.spec === after?.spec) return 1;
  return 1 + Math.ceil(JSON.stringify(before.spec).length / charactersPerCost);
}

/** Nothing for a change that says nothing which is told. */
function recordOf(event: ObjectEvent): Record | undefined {
  const { atMs, index, action, user } = event;
  const at = { atMs, index, ...(user === undefined ? {} : { user }) };
  const made = <T extends object>(of: (object: never) => T) => {
    const before = event.old === undefined ? undefined : of(event.old as never);
    const after = action === 'remove' ? undefined : of(event.object as never);
    if (before && after && isSame(before, after)) return undefined;
    return {
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    };
  };
  if (event.table === 'service') {
    const change = made(pastService);
    return change && { ...at, kind: 'service', ...change };
  }
  if (event.table === 'task') {
    const change = made(pastTask);
    return change && { ...at, kind: 'task', ...change };
  }
  if (event.table === 'volume') {
    const change = made(pastVolume);
    return change && { ...at, kind: 'volume', ...change };
  }
  if (event.table === 'cluster') {
    const change = made(pastSwarm);
    return change && { ...at, kind: 'swarm', ...change };
  }
  if (event.table !== 'node') return undefined;
  const change = made(pastNode);
  return change && { ...at, kind: 'node', ...change };
}

export function pastService(service: Service): PastService {
  const { id, spec, specVersion, updateStatus, autoscale } = service;
  return {
    id,
    spec,
    specVersion,
    ...(updateStatus === undefined ? {} : { updateStatus }),
    ...(autoscale === undefined ? {} : { autoscale }),
  };
}

/** On its way to running a task passes through states that are of no interest later. */
export function pastTask(task: Task): PastTask {
  const { state, err } = task.status;
  const isOnItsWay = ['new', 'accepted', 'preparing', 'ready', 'starting'].includes(state);
  return {
    id: task.id,
    serviceId: task.serviceId,
    serviceName: task.serviceName,
    slot: task.slot,
    ...(task.forNodeId === undefined ? {} : { forNodeId: task.forNodeId }),
    nodeId: task.nodeId,
    state: isOnItsWay ? (task.nodeId === '' ? 'pending' : 'assigned') : state,
    desiredState: task.desiredState,
    ...(err === undefined ? {} : { err }),
  };
}

export function pastNode(node: Node): PastNode {
  return {
    id: node.id,
    hostname: node.description?.hostname ?? node.id,
    state: node.status.state,
    availability: node.spec.availability,
    role: node.role,
  };
}

function pastVolume({ id, spec, isRemoved, isForced }: ClusterVolume): PastVolume {
  return { id, spec, isRemoved: isRemoved === true, isForced: isForced === true };
}

function pastSwarm(cluster: Cluster): PastSwarm {
  const { id, spec, rootCa, managerLock, networkKeyRotation = 0 } = cluster;
  const { worker: workerToken, manager: managerToken } = rootCa.joinTokens;
  const tokens = { workerToken, managerToken, rootCertPem: rootCa.certPem };
  return { id, spec, ...tokens, lockVersion: managerLock?.version ?? 0, networkKeyRotation };
}

/** Documents of the store are replaced, never changed: the same ones say the same. */
function isSame(a: object, b: object): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key as never] === b[key as never]);
}
