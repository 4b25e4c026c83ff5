/** What must hold of a task that takes the place of one that has ended by itself. */
import type { ChangeBatch, ObjectEvent } from '../../../manager/store/index.ts';
import { isWanted, type Task } from '../../../types/index.ts';
import { Violation } from '../violation.ts';
import { slotOf } from './slot.ts';

const defaultDelayMs = 5_000;

interface Ended {
  readonly task: Task;
  readonly atMs: number;
}

export class RestartRules {
  /** The task that has ended last in each slot, until it has a successor. */
  readonly #ended = new Map<string, Ended>();
  readonly #predecessors = new Map<string, Ended>();
  /** The spec version of the last task that was made in each slot. */
  readonly #specs = new Map<string, number>();
  /** How many of them have ended. */
  readonly #counts = new Map<string, number>();

  /** Throws Violation. */
  changed({ events, atMs }: ChangeBatch): void {
    for (const event of events) {
      if (event.table !== 'task' || event.object.serviceId === '') continue;
      if (event.action === 'create') this.#created(event.object);
      else if (event.action === 'remove') this.#forget(event.object);
      else this.#updated(event, atMs);
    }
    for (const event of events) {
      if (event.table !== 'task' || event.action === 'remove') continue;
      const { object, old } = event;
      const isLetGo = old === undefined || old.desiredState === 'ready';
      const runs = object.desiredState === 'running' || object.desiredState === 'complete';
      if (isLetGo && runs) this.#starts(object, atMs);
    }
  }

  #updated({ object, old }: ObjectEvent & { table: 'task' }, atMs: number): void {
    const { state } = object.status;
    const endsNow = state !== old?.status.state && isEnd(state);
    if (object.desiredState === 'remove') this.#forget(object);
    if (!endsNow || !isWanted(object.desiredState)) return;
    const slot = slotOf(object);
    this.#ended.set(slot, { task: object, atMs });
    if (this.#specs.get(slot) !== object.specVersion) return;
    this.#counts.set(slot, (this.#counts.get(slot) ?? 0) + 1);
  }

  #created(task: Task): void {
    const slot = slotOf(task);
    // Whatever comes back to an earlier spec begins anew.
    if (this.#specs.get(slot) !== task.specVersion) this.#counts.delete(slot);
    this.#specs.set(slot, task.specVersion);
    const ended = this.#ended.get(slot);
    if (ended === undefined) return;
    this.#ended.delete(slot);
    if (ended.task.specVersion !== task.specVersion) return;
    this.#predecessors.set(task.id, ended);
    const { condition = 'any', maxAttempts = 0, windowMs = 0 } = task.spec.restartPolicy ?? {};
    const { state } = ended.task.status;
    const fail = (what: string) => {
      throw new Violation('the restart policy', `${task.name} replaces one ${what}`);
    };
    if (condition === 'none') fail('though none is to be replaced');
    if (condition === 'on-failure' && state === 'complete') fail('that has not failed');
    const count = this.#counts.get(slot) ?? 0;
    if (maxAttempts > 0 && windowMs === 0 && count > maxAttempts) {
      fail(`after ${count} attempts, and not ${maxAttempts}`);
    }
  }

  #starts(task: Task, atMs: number): void {
    const before = this.#predecessors.get(task.id);
    if (before === undefined) return;
    this.#predecessors.delete(task.id);
    const delayMs = before.task.spec.restartPolicy?.delayMs ?? defaultDelayMs;
    const waitedMs = atMs - before.atMs;
    if (waitedMs >= delayMs) return;
    const what = `${task.name} starts ${waitedMs} ms after ${before.task.name} ended`;
    throw new Violation('the restart delay', `${what}, and not ${delayMs}`);
  }

  /** What was there before the slot was given up does not count for whoever gets its number. */
  #forget(task: Task): void {
    const slot = slotOf(task);
    if (this.#ended.get(slot)?.task.id === task.id) this.#ended.delete(slot);
    if (task.desiredState === 'remove') this.#counts.delete(slot);
  }
}

function isEnd(state: Task['status']['state']): boolean {
  return state === 'complete' || state === 'failed' || state === 'rejected';
}
