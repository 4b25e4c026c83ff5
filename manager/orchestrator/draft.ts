/**
 * A service's tasks while they are planned: each step of the plan sees what the steps before it have
 * decided. Nothing leaves the draft but a list of changes.
 */
import { assert } from '../../lib/assert.ts';
import type { PlanEnv } from '../reconcile/plan.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import {
  isActive,
  isJobMode,
  type DesiredState,
  type Service,
  type Task,
  type TaskStatus,
} from '../../types/index.ts';
import { whyWaits } from './depends.ts';
import { deletable, dirtiness, newTask, stopping } from './task.ts';

export interface Slot {
  /** The slot's number; for a global service 0. */
  readonly number: number;
  /** Set for a global service: the node that is the slot. */
  readonly nodeId?: string;
  /** All tasks of the slot, oldest first. */
  tasks: Task[];
}

export class Draft {
  readonly view: StoreView;
  readonly env: PlanEnv;
  readonly slots: Map<string, Slot>;
  service: Service;
  readonly isDirty: (task: Task) => boolean;

  readonly #isGlobal: boolean;
  readonly #goal: DesiredState;
  readonly #limit: number;
  #spent = 0;
  #waits: { readonly why: string | undefined } | undefined;
  #serviceChanged = false;
  readonly #created = new Map<string, Task>();
  readonly #desires = new Map<string, DesiredState>();
  readonly #statuses = new Map<string, TaskStatus>();
  readonly #deleted = new Map<string, Task>();
  #wakeAtMs = Infinity;

  constructor(view: StoreView, service: Service, env: PlanEnv, limit: number) {
    this.view = view;
    this.env = env;
    this.service = service;
    this.#limit = limit;
    const { global, globalJob } = service.spec.mode;
    this.#isGlobal = (global ?? globalJob) !== undefined;
    this.#goal = isJobMode(service.spec.mode) ? 'complete' : 'running';
    this.isDirty = dirtiness(view, service);
    this.slots = this.#group(view.tasksOfService(service.id));
  }

  /** What tasks of the present spec wait for before the first of them may begin. */
  get waits(): string | undefined {
    this.#waits ??= { why: whyWaits(this.view, this.service) };
    return this.#waits.why;
  }

  /** Tasks of the view that were grouped. */
  seen = 0;

  /** No room is left for changes in this pass: what is still to be done waits for the next. */
  full = false;

  /** The plan itself makes something to be done that it has not seen to. */
  isToPlanAgain = false;

  /** Whether `changes` more fit; where they do not, the plan is marked as unfinished. */
  room(changes: number): boolean {
    if (this.#spent + changes <= this.#limit) return true;
    this.full = true;
    return false;
  }

  desire(task: Task, desiredState: DesiredState): void {
    const created = this.#created.get(task.id);
    const next = { ...task, desiredState };
    this.#replace(task, next);
    if (created === undefined) this.#desires.set(task.id, desiredState);
    else this.#created.set(task.id, next);
    this.#spent += 1;
  }

  mark(task: Task, status: TaskStatus): void {
    this.#statuses.set(task.id, status);
    this.#replace(task, { ...task, status });
    this.#spent += 1;
  }

  delete(task: Task): void {
    const slot = this.#slotOf(task);
    slot.tasks = slot.tasks.filter((other) => other.id !== task.id);
    if (this.#created.delete(task.id)) return;
    this.#deleted.set(task.id, task);
    this.#desires.delete(task.id);
    this.#statuses.delete(task.id);
    this.#spent += 1;
  }

  /** Takes a task away: at once if nothing of it is left, else once it has been stopped. */
  retire(task: Task): void {
    if (deletable(this.view, task)) this.delete(task);
    else if (task.desiredState !== 'remove') this.desire(task, 'remove');
  }

  /**
   * A new task in the slot. It is held at READY until `startAtMs`, and until its predecessors have
   * stopped, unless there is nothing to wait for.
   */
  create(
    slot: Slot,
    options: {
      startAtMs?: number;
      like?: Task | undefined;
      /** Of a job's task that is tried again; the present one where left out. */
      jobIteration?: number | undefined;
      waitForOthers: boolean;
    },
  ): Task {
    const { startAtMs = this.env.nowMs, like, jobIteration, waitForOthers } = options;
    const held =
      startAtMs > this.env.nowMs ||
      (waitForOthers && slot.tasks.some((task) => stopping(this.view, task)));
    const task = newTask(
      {
        service: this.service,
        slot: slot.number,
        forNodeId: slot.nodeId,
        desiredState: held ? 'ready' : this.#goal,
        startAtMs: held ? startAtMs : undefined,
        like,
        jobIteration: jobIteration ?? this.service.jobStatus?.iteration,
      },
      this.env,
    );
    slot.tasks = [...slot.tasks, task];
    this.#created.set(task.id, task);
    this.#spent += 1;
    return task;
  }

  /** Lets a held task go on to what its service's tasks are for. */
  letGo(task: Task): void {
    this.desire(task, this.#goal);
  }

  slotOf(number: number, nodeId?: string): Slot {
    const key = nodeId ?? String(number);
    let slot = this.slots.get(key);
    if (slot === undefined) {
      slot = { number, tasks: [], ...(nodeId === undefined ? {} : { nodeId }) };
      this.slots.set(key, slot);
    }
    return slot;
  }

  changeService(service: Service): void {
    this.service = service;
    this.#serviceChanged = true;
  }

  wakeAt(atMs: number): void {
    assert(atMs > this.env.nowMs, 'a plan that asks to be made again at once would spin');
    this.#wakeAtMs = Math.min(this.#wakeAtMs, atMs);
  }

  get wakeAtMs(): number | undefined {
    return this.#wakeAtMs === Infinity ? undefined : this.#wakeAtMs;
  }

  get created(): readonly Task[] {
    return [...this.#created.values()];
  }

  get changedService(): Service | undefined {
    return this.#serviceChanged ? this.service : undefined;
  }

  /** Tasks of the view that are wanted there, and no longer are here. */
  get released(): readonly Task[] {
    const ids = [...this.#desires].filter(([, to]) => to === 'shutdown' || to === 'remove');
    const stopped = ids.flatMap(([id]) => this.view.task(id) ?? []);
    return [...stopped, ...this.#deleted.values()].filter((task) => {
      const present = this.view.task(task.id);
      return present !== undefined && isActive(present);
    });
  }

  /** All but the created tasks and the service. */
  get changes(): readonly Change[] {
    return [
      ...[...this.#deleted.values()].map((task): Change => {
        const base = this.view.task(task.id)?.meta.version ?? task.meta.version;
        return { op: 'delete', table: 'task', id: task.id, base };
      }),
      ...[...this.#statuses].map(([id, status]): Change => ({ op: 'task-status', id, status })),
      ...[...this.#desires].map(([id, desiredState]): Change => ({
        op: 'task-desire',
        id,
        desiredState,
      })),
    ];
  }

  #group(tasks: Iterable<Task>): Map<string, Slot> {
    const slots = new Map<string, Slot>();
    for (const task of tasks) {
      this.seen += 1;
      const nodeId = this.#nodeKeyOf(task);
      const key = nodeId ?? String(task.slot);
      const slot = slots.get(key);
      if (slot !== undefined) slot.tasks.push(task);
      else {
        slots.set(key, {
          number: task.slot,
          tasks: [task],
          ...(nodeId === undefined ? {} : { nodeId }),
        });
      }
    }
    for (const slot of slots.values()) if (slot.tasks.length > 1) slot.tasks.sort(byAge);
    return slots;
  }

  #nodeKeyOf(task: Task): string | undefined {
    if (!this.#isGlobal) return undefined;
    return task.nodeId === '' ? task.forNodeId : task.nodeId;
  }

  #slotOf(task: Task): Slot {
    return this.slotOf(task.slot, this.#nodeKeyOf(task));
  }

  #replace(task: Task, next: Task): void {
    const slot = this.#slotOf(task);
    slot.tasks = slot.tasks.map((other) => (other.id === task.id ? next : other));
  }
}

/** Oldest first; tasks of the same moment in the order of their specs, then of their ids. */
function byAge(a: Task, b: Task): number {
  return (
    a.meta.createdAtMs - b.meta.createdAtMs ||
    a.specVersion - b.specVersion ||
    (a.id < b.id ? -1 : 1)
  );
}
