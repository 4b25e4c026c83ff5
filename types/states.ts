/**
 * A task's states, in swarm's order. A state is a Lamport clock: the larger one wins, and nothing
 * goes backwards. The gaps are swarmkit's, so that states may be inserted.
 */
export const taskStates = {
  new: 0,
  pending: 64,
  assigned: 192,
  accepted: 256,
  preparing: 320,
  ready: 384,
  starting: 448,
  running: 512,
  complete: 576,
  shutdown: 640,
  failed: 704,
  rejected: 768,
  remove: 800,
  orphaned: 832,
} as const;

export type TaskState = keyof typeof taskStates;

/** What a manager may ask of a task; monotone like the state itself. */
export type DesiredState = 'ready' | 'running' | 'complete' | 'shutdown' | 'remove';

/** Negative where `a` comes before `b`, 0 where they are the same, positive where it comes after. */
export function compareStates(a: TaskState, b: TaskState): number {
  return taskStates[a] - taskStates[b];
}

/** The task has ended for good: its container does not run, and will not run again. */
export function isTerminal(state: TaskState): boolean {
  return taskStates[state] > taskStates.running;
}

/** What a task is held up to by its managers, and what has become of it. */
interface Standing {
  readonly desiredState: DesiredState;
  readonly status: { readonly state: TaskState };
}

/**
 * The task is wanted, and takes its place on its node. A job's task stays wanted to complete once it
 * has: it takes no place then.
 */
export function isActive({ desiredState, status }: Standing): boolean {
  if (!isWanted(desiredState)) return false;
  return desiredState !== 'complete' || !isTerminal(status.state);
}

/** The task is wanted to run, now (`running`, `complete`) or when its turn comes (`ready`). */
export function isWanted(desired: DesiredState): boolean {
  return taskStates[desired] <= taskStates.complete;
}
