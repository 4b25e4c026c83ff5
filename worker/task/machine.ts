/**
 * One task's state machine: what is seen and wanted → the next status and the next thing to do.
 * The states and their order are swarm's; an error before STARTING rejects the task, one from
 * STARTING on fails it.
 */
import {
  compareStates,
  isTerminal,
  isWanted,
  type DesiredState,
  type TaskState,
} from '../../types/index.ts';

/** What the driver knows of a task now. */
export interface TaskView {
  readonly desired: DesiredState;
  readonly state: TaskState;
  /** The image is here and the container's configuration resolved. */
  readonly prepared: boolean;
  readonly container: 'none' | 'created' | 'running' | 'exited';
  /** Present once the container has exited. */
  readonly exit?: { readonly exitCode: number; readonly oomKilled: boolean };
  readonly health: Health;
  /** Why the last action failed. A stop is not among them: the driver tries it again. */
  readonly failure?: string;
}

/** `unchecked`: the container has no health check. */
export type Health = 'unchecked' | 'starting' | 'healthy' | 'unhealthy';

/**
 * prepare: pull the image, resolve the configuration. start: network, container, process.
 * stop: signal, grace, force; of a container that was never started, only its removal.
 */
export type Action = 'prepare' | 'start' | 'stop';

export interface Decision {
  /** The next status; an absent message or error stays as it was. */
  readonly status?: {
    readonly state: TaskState;
    readonly message?: string;
    readonly err?: string;
  };
  /** Done after the status is taken; then the machine is asked again. Neither: wait for news. */
  readonly action?: Action;
}

const unhealthy = 'unhealthy container';

export function decide(view: TaskView): Decision {
  const { state } = view;
  const live = view.container === 'created' || view.container === 'running';
  if (isTerminal(state)) return live ? { action: 'stop' } : {};
  if (!isWanted(view.desired)) {
    return live ? { action: 'stop' } : { status: { state: 'shutdown', message: 'shutdown' } };
  }
  if (view.failure !== undefined) return failed(state, view.failure);
  switch (state) {
    case 'new':
    case 'pending':
    case 'assigned':
      return { status: { state: 'accepted', message: 'accepted' } };
    case 'accepted':
      return { status: { state: 'preparing', message: 'preparing' } };
    case 'preparing':
      if (!view.prepared) return { action: 'prepare' };
      return { status: { state: 'ready', message: 'prepared' } };
    case 'ready':
      if (view.desired === 'ready') return {};
      // A restart of the daemon forgets what was prepared.
      if (!view.prepared) return { action: 'prepare' };
      return { status: { state: 'starting', message: 'starting' } };
    default:
      return started(view);
  }
}

/** From STARTING on the container decides. */
function started(view: TaskView): Decision {
  if (view.container === 'exited') return ended(view);
  if (view.container === 'running') {
    if (view.health === 'unhealthy') return { action: 'stop' };
    if (view.state === 'running' || view.health === 'starting') return {};
    return { status: { state: 'running', message: 'started' } };
  }
  if (view.state === 'running') return failed(view.state, 'the container of the task is gone');
  return { action: view.prepared ? 'start' : 'prepare' };
}

function ended({ state, exit, health }: TaskView): Decision {
  const { exitCode, oomKilled } = exit ?? { exitCode: 255, oomKilled: false };
  if (health === 'unhealthy') {
    // Docker fails a start that never became healthy without the code of the stop that followed.
    if (state === 'starting' || exitCode === 0) return failed(state, unhealthy);
    return failed(state, exitError(exitCode, unhealthy));
  }
  if (exitCode === 0) return { status: { state: 'complete', message: 'finished' } };
  return failed(state, exitError(exitCode, oomKilled ? 'out of memory (OOM killed)' : undefined));
}

/** Docker's words, which tools look for. */
function exitError(exitCode: number, cause: string | undefined): string {
  return `task: non-zero exit (${exitCode})${cause === undefined ? '' : `: ${cause}`}`;
}

function failed(state: TaskState, err: string): Decision {
  return { status: { state: compareStates(state, 'starting') < 0 ? 'rejected' : 'failed', err } };
}
