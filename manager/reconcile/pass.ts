/**
 * One reconcile pass: orchestrator, allocator and scheduler run back to back on the live tables,
 * and all that they decide becomes one list of changes. Nothing is committed here, so that the same
 * function also answers what a change would do.
 */
import {
  AddressBook,
  allocateNodeAddresses,
  allocatePorts,
  allocateVips,
  asksNothing,
  attachTask,
  whyUnattachable,
} from '../allocator/index.ts';
import {
  hasBegun,
  planRemovedService,
  planService,
  wanted,
  whyWaits,
} from '../orchestrator/index.ts';
import { schedule, type Placement, type Refusal } from '../scheduler/index.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import {
  fileKinds,
  isTerminal,
  type Service,
  type Task,
  type TaskStatus,
} from '../../types/index.ts';
import type { PlanEnv } from './plan.ts';

export interface PassKeys {
  /** Services to plan, also ones that are gone while tasks of theirs are left. */
  readonly services: Iterable<string>;
  /** Nodes whose addresses on the routing mesh's network are to be looked at. */
  readonly nodes?: Iterable<string>;
  /** Tasks of no service, which go when they have ended. */
  readonly attachments?: Iterable<string>;
  /** Room may have become free: every task that waits for a node is tried again. */
  readonly retryUnassigned: boolean;
}

export interface PassLimits {
  /** The orchestrator's changes, and apart from them the scheduler's placements. */
  readonly taskChanges: number;
  /** Tasks looked at, so that a pass stays short also when there is nothing to change. */
  readonly tasksSeen: number;
}

/** A pass of this size takes some 50 ms at most. */
export const defaultLimits: PassLimits = { taskChanges: 2000, tasksSeen: 50_000 };

export interface PassPlan {
  /** One proposal. */
  readonly changes: readonly Change[];
  /** Services that were planned, and when they want to be planned again if nothing happens. */
  readonly planned: ReadonlyMap<string, number | undefined>;
  /** Services that are to be planned (again) in the next pass. */
  readonly leftover: readonly string[];
  /** Waiting tasks were left untried: the next pass is to retry them. */
  readonly retryUnassigned: boolean;
  /** Nodes that are to be looked at in the next pass. */
  readonly leftoverNodes: readonly string[];
  /** Tasks of no service that are to be looked at in the next pass. */
  readonly leftoverAttachments: readonly string[];
  /** Nodes that got no address: to be looked at once one is free. */
  readonly unaddressed: readonly string[];
  /** A service or a task waits for a port or an address. */
  readonly isShort: boolean;
  /** Why tasks wait, or services or nodes get nothing, by their ids. */
  readonly reasons: ReadonlyMap<string, string>;
  readonly placements: readonly Placement[];
  readonly created: readonly Task[];
}

export function planPass(
  view: StoreView,
  keys: PassKeys,
  env: PlanEnv,
  limits: PassLimits = defaultLimits,
): PassPlan {
  return new Pass(view, env, limits).run(keys);
}

/** Contents of secrets and configs that nobody uses any more, nor may go back to. */
function unusedRevisions(view: StoreView): Change[] {
  return fileKinds.flatMap((table) =>
    [...view.supersededFiles(table)]
      .filter(({ id }) => !view.isFileUsed(id))
      .map(({ id, meta }): Change => ({ op: 'delete', table, id, base: meta.version })),
  );
}

class Pass {
  readonly #view: StoreView;
  readonly #env: PlanEnv;
  readonly #limits: PassLimits;
  readonly #planned = new Map<string, number | undefined>();
  readonly #leftover: string[] = [];
  readonly #reasons = new Map<string, string>();
  readonly #services: Change[] = [];
  readonly #changes: Change[] = [];
  readonly #created = new Map<string, Task>();
  readonly #released: Task[] = [];
  readonly #book: AddressBook;
  /** Ingress ports given out in this pass. */
  readonly #ports = new Map<string, string>();
  /** Services that ask for something as the allocator leaves them, and why that is not all. */
  readonly #allocated = new Map<string, Service>();
  readonly #blocked = new Map<string, string>();
  readonly #waits = new Map<
    string,
    { readonly why: string | undefined; readonly hasBegun: boolean }
  >();
  readonly #leftoverNodes: string[] = [];
  readonly #leftoverAttachments: string[] = [];
  readonly #unaddressed: string[] = [];
  #isShort = false;
  #seen = 0;

  constructor(view: StoreView, env: PlanEnv, limits: PassLimits) {
    this.#view = view;
    this.#env = env;
    this.#limits = limits;
    this.#book = new AddressBook(view, env.random);
  }

  run(keys: PassKeys): PassPlan {
    for (const id of keys.nodes ?? []) this.#planNode(id);
    for (const id of keys.attachments ?? []) this.#planAttachment(id);
    for (const id of keys.services) {
      if (this.#room > 0 && this.#seen < this.#limits.tasksSeen) this.#planService(id);
      else this.#leftover.push(id);
    }
    const waiting = this.#waiting(keys.retryUnassigned);
    const { changes, placements, isToRetry } = this.#place(waiting);
    return {
      changes: [...this.#services, ...changes, ...this.#changes, ...unusedRevisions(this.#view)],
      planned: this.#planned,
      leftover: this.#leftover,
      leftoverNodes: this.#leftoverNodes,
      leftoverAttachments: this.#leftoverAttachments,
      unaddressed: this.#unaddressed,
      isShort: this.#isShort || this.#blocked.size > 0,
      retryUnassigned: isToRetry,
      reasons: this.#reasons,
      placements,
      created: [...this.#created.values()],
    };
  }

  get #room(): number {
    const planned = this.#changes.length + this.#services.length + this.#created.size;
    return this.#limits.taskChanges - planned;
  }

  #planService(id: string): void {
    const present = this.#view.service(id);
    if (present === undefined) {
      const plan = planRemovedService(this.#view, id, this.#env, this.#room);
      this.#take(id, plan);
      return;
    }
    const service = this.#allocate(present);
    const plan = planService(this.#view, service, this.#env, this.#room);
    this.#take(id, plan);
    this.#putService(present, plan.service ?? service);
  }

  #planNode(id: string): void {
    if (this.#room <= 0) {
      this.#leftoverNodes.push(id);
      return;
    }
    const node = this.#view.node(id);
    if (node === undefined) return;
    const { addresses, reason } = allocateNodeAddresses(this.#view, node, this.#book);
    if (reason !== undefined) {
      this.#unaddressed.push(id);
      this.#reasons.set(id, reason);
    }
    if (addresses === undefined) return;
    this.#changes.push({ op: 'node-addresses', id, ingressAddresses: addresses });
  }

  /** Nobody has a use for it once its container has left the network, or its node the swarm. */
  #planAttachment(id: string): void {
    const task = this.#view.task(id);
    if (task === undefined || task.serviceId !== '') return;
    const isOver = isTerminal(task.status.state) || this.#view.node(task.nodeId) === undefined;
    if (!isOver) return;
    if (this.#room > 0) {
      this.#changes.push({ op: 'delete', table: 'task', id, base: task.meta.version });
    } else {
      this.#leftoverAttachments.push(id);
    }
  }

  /** The service with ports and virtual addresses; its tasks wait where some cannot be had. */
  #allocate(present: Service): Service {
    if (asksNothing(present)) return present;
    const { service: withPorts, reason } = allocatePorts(this.#view, present, this.#ports);
    const { service, reason: why = reason } = allocateVips(this.#view, withPorts, this.#book);
    if (why !== undefined) {
      this.#blocked.set(present.id, why);
      this.#reasons.set(present.id, why);
    }
    this.#allocated.set(present.id, service);
    return service;
  }

  #putService(present: Service, object: Service): void {
    if (object === present) return;
    this.#services.push({ op: 'put', table: 'service', object, base: present.meta.version });
  }

  #take(id: string, plan: ReturnType<typeof planService>): void {
    this.#planned.set(id, plan.wakeAtMs);
    this.#seen += plan.seen;
    if (plan.unfinished) this.#leftover.push(id);
    this.#changes.push(...plan.changes);
    this.#released.push(...plan.released);
    for (const task of plan.created) this.#created.set(task.id, task);
    for (const [key, reason] of plan.reasons ?? []) this.#reasons.set(key, reason);
  }

  /** Tasks that want a node: new ones, and those of the view that may find one now. */
  #waiting(retry: boolean): Task[] {
    const ended = new Set(this.#released.map((task) => task.id));
    const tasks: Task[] = [];
    for (const task of this.#view.unassignedTasks()) {
      if (!wanted(task) || ended.has(task.id)) continue;
      if (!retry && !this.#planned.has(task.serviceId)) continue;
      const service = this.#view.service(task.serviceId);
      if (service === undefined) continue;
      if (!asksNothing(service) && !this.#allocated.has(service.id)) {
        this.#putService(service, this.#allocate(service));
      }
      tasks.push(task);
    }
    tasks.push(...this.#created.values());
    return tasks;
  }

  #place(tasks: readonly Task[]) {
    if (tasks.length === 0) return { changes: [], placements: [], isToRetry: false };
    const { free, blocked } = this.#sorted(tasks);
    const limit = this.#limits.taskChanges;
    const plan = schedule(this.#view, { tasks: free, released: this.#released, limit }, this.#env);
    const changes: Change[] = [];
    const settled = new Set<string>();
    const placements: Placement[] = [];
    const unattached: Refusal[] = [];
    for (const placement of plan.placements) {
      const { task } = placement;
      const attached = this.#attach(task);
      if (typeof attached === 'string') {
        unattached.push({ task, reason: attached });
        continue;
      }
      settled.add(task.id);
      placements.push(placement);
      changes.push(this.#put(placed(attached, placement, this.#env.nowMs)));
    }
    this.#isShort ||= unattached.length > 0;
    for (const { task, reason } of [...plan.refusals, ...blocked, ...unattached]) {
      settled.add(task.id);
      this.#reasons.set(task.id, reason);
      const change = this.#refuse(task, reason);
      if (change !== undefined && changes.length < 2 * limit) changes.push(change);
    }
    for (const task of this.#created.values()) {
      if (!settled.has(task.id)) changes.push(this.#put({ ...task, status: this.#pending() }));
    }
    // What was placed in vain took room that others may have wanted. The network is full by now, so
    // that it does not come to that again.
    const isInVain = unattached.length > 0 && plan.refusals.length > 0;
    return { changes, placements, isToRetry: plan.untried > 0 || isInVain };
  }

  /** Tasks that may be placed, and those that would lack a port or an address wherever they go. */
  #sorted(tasks: readonly Task[]): { free: Task[]; blocked: Refusal[] } {
    const blocked: Refusal[] = [];
    const free: Task[] = [];
    for (const task of tasks) {
      let reason = this.#blocked.get(task.serviceId) ?? this.#whyWaits(task);
      if (reason === undefined) {
        const service = this.#allocated.get(task.serviceId);
        reason = service && whyUnattachable(this.#view, task, service, this.#book);
        this.#isShort ||= reason !== undefined;
      }
      if (reason === undefined) free.push(task);
      else blocked.push({ task, reason });
    }
    return { free, blocked };
  }

  /**
   * What a task waits for before the first one of its service's present spec has run. One of an
   * older spec comes back as it was, but only if the service had begun before.
   */
  #whyWaits(task: Task): string | undefined {
    const service = this.#view.service(task.serviceId);
    if (service === undefined) return undefined;
    let known = this.#waits.get(service.id);
    if (known === undefined) {
      const why = whyWaits(this.#view, service);
      known = { why, hasBegun: why !== undefined && hasBegun(this.#view, service) };
      this.#waits.set(service.id, known);
    }
    return known.hasBegun && task.specVersion !== service.specVersion ? undefined : known.why;
  }

  /** Addresses are given to tasks that have a node: those that wait for one hold none. */
  #attach(task: Task): Task | string {
    const service = this.#allocated.get(task.serviceId);
    return service === undefined ? task : attachTask(this.#view, task, service, this.#book);
  }

  #put(task: Task): Change {
    const base = this.#created.has(task.id) ? 0 : task.meta.version;
    return { op: 'put', table: 'task', object: task, base };
  }

  /** A reason that is known already is not written again. */
  #refuse(task: Task, reason: string): Change | undefined {
    const status = this.#pending(reason);
    if (this.#created.has(task.id)) return this.#put({ ...task, status });
    const { state, err } = task.status;
    if (state === 'pending' && err === reason) return undefined;
    return { op: 'task-status', id: task.id, status };
  }

  #pending(err?: string): TaskStatus {
    return {
      state: 'pending',
      atMs: this.#env.nowMs,
      message: 'pending task scheduling',
      ...(err === undefined ? {} : { err }),
    };
  }
}

function placed(
  task: Task,
  { nodeId, genericResources, volumes }: Omit<Placement, 'task'>,
  atMs: number,
): Task {
  const message =
    task.forNodeId === undefined
      ? 'scheduler assigned task to node'
      : 'scheduler confirmed task can run on preassigned node';
  return {
    ...task,
    nodeId,
    status: { state: 'assigned', atMs, message },
    ...(genericResources.length === 0 ? {} : { genericResources }),
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}
