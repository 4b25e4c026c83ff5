/**
 * One reconcile pass: orchestrator, allocator and scheduler run back to back on the live tables,
 * and all that they decide becomes one list of changes. Nothing is committed here, so that the same
 * function also answers what a change would do.
 */
import { allocatePorts } from '../allocator/index.ts';
import { planRemovedService, planService, wanted } from '../orchestrator/index.ts';
import { schedule, type Placement, type Refusal } from '../scheduler/index.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import type { Service, Task, TaskStatus } from '../../types/index.ts';
import type { PlanEnv } from './plan.ts';

export interface PassKeys {
  /** Services to plan, also ones that are gone while tasks of theirs are left. */
  readonly services: Iterable<string>;
  /** Room may have become free: every task that waits for a node is tried again. */
  readonly retryUnassigned: boolean;
}

export interface PassLimits {
  /** The orchestrator's changes of tasks, and apart from them the scheduler's placements. */
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
  /** Why tasks wait, or services get none, by task or service id. */
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
  /** Ingress ports given out in this pass, and services whose ports could not be filled in. */
  readonly #ports = new Map<string, string>();
  readonly #blocked = new Map<string, string>();
  #seen = 0;

  constructor(view: StoreView, env: PlanEnv, limits: PassLimits) {
    this.#view = view;
    this.#env = env;
    this.#limits = limits;
  }

  run(keys: PassKeys): PassPlan {
    for (const id of keys.services) {
      if (this.#room > 0 && this.#seen < this.#limits.tasksSeen) this.#planService(id);
      else this.#leftover.push(id);
    }
    const { changes, placements, untried } = this.#place(this.#waiting(keys.retryUnassigned));
    return {
      changes: [...this.#services, ...changes, ...this.#changes],
      planned: this.#planned,
      leftover: this.#leftover,
      retryUnassigned: untried > 0,
      reasons: this.#reasons,
      placements,
      created: [...this.#created.values()],
    };
  }

  get #room(): number {
    return this.#limits.taskChanges - this.#changes.length - this.#created.size;
  }

  #planService(id: string): void {
    const present = this.#view.service(id);
    if (present === undefined) {
      const plan = planRemovedService(this.#view, id, this.#env, this.#room);
      this.#take(id, plan);
      return;
    }
    const { service, reason } = allocatePorts(this.#view, present, this.#ports);
    if (reason !== undefined) {
      this.#blocked.set(id, reason);
      this.#reasons.set(id, reason);
    }
    const plan = planService(this.#view, service, this.#env, this.#room);
    this.#take(id, plan);
    const next: Service = plan.service ?? service;
    if (next !== present) {
      this.#services.push({
        op: 'put',
        table: 'service',
        object: next,
        base: present.meta.version,
      });
    }
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
      if (this.#view.service(task.serviceId) !== undefined) tasks.push(task);
    }
    tasks.push(...this.#created.values());
    return tasks;
  }

  #place(tasks: readonly Task[]) {
    if (tasks.length === 0) return { changes: [], placements: [], untried: 0 };
    const blocked: Refusal[] = [];
    const free: Task[] = [];
    for (const task of tasks) {
      const reason = this.#blocked.get(task.serviceId);
      if (reason === undefined) free.push(task);
      else blocked.push({ task, reason });
    }
    const limit = this.#limits.taskChanges;
    const plan = schedule(this.#view, { tasks: free, released: this.#released, limit }, this.#env);
    const changes: Change[] = [];
    const settled = new Set<string>();
    for (const placement of plan.placements) {
      settled.add(placement.task.id);
      changes.push(this.#put(placed(placement, this.#env.nowMs)));
    }
    for (const { task, reason } of [...plan.refusals, ...blocked]) {
      settled.add(task.id);
      this.#reasons.set(task.id, reason);
      const change = this.#refuse(task, reason);
      if (change !== undefined && changes.length < 2 * limit) changes.push(change);
    }
    for (const task of this.#created.values()) {
      if (!settled.has(task.id)) changes.push(this.#put({ ...task, status: this.#pending() }));
    }
    return { changes, placements: plan.placements, untried: plan.untried };
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

function placed({ task, nodeId, genericResources }: Placement, atMs: number): Task {
  const message =
    task.forNodeId === undefined
      ? 'scheduler assigned task to node'
      : 'scheduler confirmed task can run on preassigned node';
  return {
    ...task,
    nodeId,
    status: { state: 'assigned', atMs, message },
    ...(genericResources.length === 0 ? {} : { genericResources }),
  };
}
