/**
 * Lets a copy of the tables come to rest after a change: the real planners plan, and workers on
 * which everything starts and runs carry it out, in a time of its own.
 */
import { assert } from '../../lib/assert.ts';
import type { Random } from '../../lib/random.ts';
import { stopping, wanted } from '../orchestrator/index.ts';
import { planPass } from '../reconcile/pass.ts';
import type { Change } from '../store/change.ts';
import type { Fork } from '../store/fork.ts';
import { isTerminal, type Service, type Task, type TaskState } from '../../types/index.ts';

/** A rollout that takes more steps than these is told as far as they came. */
const maxSteps = 2000;
/** Nothing that takes longer is waited for: an update with a delay of days between its tasks. */
const horizonMs = 30 * 24 * 3_600_000;

interface RehearsalEnv {
  readonly nowMs: number;
  readonly random: Random;
}

export class Rehearsal {
  readonly #fork: Fork;
  readonly #services: ReadonlySet<string>;
  readonly #random: Random;
  readonly #endMs: number;
  /** Tasks that have not yet done what is wanted of them. */
  readonly #moving = new Set<string>();
  #nowMs: number;
  #steps = 0;

  constructor(fork: Fork, services: ReadonlySet<string>, env: RehearsalEnv) {
    this.#fork = fork;
    this.#services = services;
    this.#random = env.random;
    this.#nowMs = env.nowMs;
    this.#endMs = env.nowMs + horizonMs;
    for (const id of services) {
      for (const task of fork.view.tasksOfService(id)) this.#moving.add(task.id);
    }
  }

  /** It ended before everything had come to rest. */
  get isCutShort(): boolean {
    return this.#steps >= maxSteps || this.#nowMs > this.#endMs;
  }

  /** A pass of the planners, and what the workers do next. Returns whether there is more to do. */
  step(): boolean {
    this.#steps += 1;
    if (this.isCutShort) return false;
    const env = { nowMs: this.#nowMs, random: this.#random };
    const keys = { services: this.#services, retryUnassigned: true };
    const plan = planPass(this.#fork.view, keys, env);
    this.#apply(plan.changes);
    const isWhole = plan.leftover.length === 0 && !plan.retryUnassigned;
    const statuses = this.#work();
    this.#nowMs += 1;
    this.#apply(statuses);
    if (plan.changes.length > 0 || statuses.length > 0 || !isWhole) return true;
    if (this.#isAtRest()) return false;
    const wakes = [...plan.planned.values()].filter((atMs) => atMs !== undefined);
    const nextMs = Math.min(...wakes);
    if (nextMs === Infinity) return false;
    this.#nowMs = Math.max(this.#nowMs, nextMs);
    return true;
  }

  #apply(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const conflict = this.#fork.apply(changes, { atMs: this.#nowMs });
    assert(conflict === undefined, `a rehearsal that nobody disturbs conflicts: ${conflict}`);
    for (const change of changes) {
      if (change.op === 'task-desire') this.#moving.add(change.id);
      if (change.op === 'put' && change.table === 'task') this.#moving.add(change.object.id);
    }
  }

  #work(): Change[] {
    const changes: Change[] = [];
    for (const id of this.#moving) {
      const task = this.#fork.view.task(id);
      const state = task && this.#nextState(task);
      if (state === undefined) this.#moving.delete(id);
      else
        changes.push({ op: 'task-status', id, status: { state, atMs: this.#nowMs, message: '' } });
    }
    return changes;
  }

  /** What a worker on which all goes well reports next; nothing where there is no more to do. */
  #nextState(task: Task): TaskState | undefined {
    const { view } = this.#fork;
    const { state } = task.status;
    if (isTerminal(state) || task.nodeId === '') return undefined;
    if (!wanted(task)) return stopping(view, task) ? 'shutdown' : undefined;
    const node = view.node(task.nodeId);
    if (node === undefined || node.status.state === 'down') return undefined;
    if (task.desiredState === 'ready') return state === 'ready' ? undefined : 'ready';
    if (state !== 'running') return 'running';
    return task.desiredState === 'complete' ? 'complete' : undefined;
  }

  #isAtRest(): boolean {
    return [...this.#services].every((id) => {
      const service = this.#fork.view.service(id);
      if (service !== undefined && isOnTheWay(service)) return false;
      const tasks = [...this.#fork.view.tasksOfService(id)];
      return tasks.every((task) => task.desiredState !== 'ready' || isTerminal(task.status.state));
    });
  }
}

function isOnTheWay({ updateStatus, rebalance }: Service): boolean {
  if (rebalance?.state === 'moving') return true;
  return updateStatus?.state === 'updating' || updateStatus?.state === 'rollback_started';
}
