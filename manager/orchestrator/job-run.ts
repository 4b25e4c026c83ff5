/** How far an iteration of a job has come, read from its tasks. */
import { cronOf, type Task } from '../../types/index.ts';
import type { Draft, Slot } from './draft.ts';
import { mayRestart } from './restart.ts';
import { isComplete, wanted } from './task.ts';

/** What an iteration has in one slot. */
type Standing =
  /** A task has completed there. */
  | 'done'
  /** A task is under way, or about to be. */
  | 'open'
  /** The last task has failed, and the restart policy gives it no successor. */
  | 'given-up'
  | 'free';

interface Progress {
  /** Slots of each standing. */
  readonly done: number;
  readonly open: number;
  readonly givenUp: number;
  /** What the iteration was asked for; 0 where it has no number of its own. */
  readonly maxConcurrent: number;
  readonly totalCompletions: number;
}

export function tasksOfRun(slot: Slot, iteration: number | undefined): Task[] {
  return slot.tasks.filter((task) => task.jobIteration === iteration);
}

/** `tasks`: all of one iteration in one slot, oldest first. */
export function standingOf(tasks: readonly Task[]): Standing {
  if (tasks.some(isComplete)) return 'done';
  if (tasks.some(wanted)) return 'open';
  const last = tasks.at(-1);
  const isGivenUp = last?.desiredState === 'shutdown' && !mayRestart(last, tasks);
  return isGivenUp ? 'given-up' : 'free';
}

/** Of the present iteration. */
export function progressOf({ service, slots }: Draft): Progress {
  let done = 0;
  let open = 0;
  let givenUp = 0;
  for (const slot of slots.values()) {
    const standing = standingOf(tasksOfRun(slot, service.jobStatus?.iteration));
    if (standing === 'done') done++;
    else if (standing === 'open') open++;
    else if (standing === 'given-up') givenUp++;
  }
  const asked =
    cronOf(service.spec) === undefined ? service.spec.mode.replicatedJob : service.cronStatus?.run;
  const maxConcurrent = asked?.maxConcurrent ?? 0;
  return {
    done,
    open,
    givenUp,
    maxConcurrent,
    totalCompletions: asked?.totalCompletions ?? maxConcurrent,
  };
}

/** Nothing of the present iteration is under way, or still to be begun. */
export function isOver(draft: Draft): boolean {
  const { done, open, givenUp, totalCompletions } = progressOf(draft);
  return open === 0 && done + givenUp >= totalCompletions;
}
