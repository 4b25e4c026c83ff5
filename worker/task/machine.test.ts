import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { compareStates, isTerminal, taskStates, type TaskState } from '../../types/index.ts';
import { decide, type Decision, type TaskView } from './machine.ts';

const base: TaskView = {
  desired: 'running',
  state: 'assigned',
  prepared: false,
  container: 'none',
  health: 'unchecked',
};
const running: Partial<TaskView> = { state: 'running', prepared: true, container: 'running' };
const exited = (exitCode: number, oomKilled = false): Partial<TaskView> => ({
  state: 'running',
  container: 'exited',
  exit: { exitCode, oomKilled },
});

const table: { name: string; given: Partial<TaskView>; expect: Decision }[] = [
  {
    name: 'takes the task on',
    given: {},
    expect: { status: { state: 'accepted', message: 'accepted' } },
  },
  {
    name: 'says so before it prepares',
    given: { state: 'accepted' },
    expect: { status: { state: 'preparing', message: 'preparing' } },
  },
  { name: 'prepares', given: { state: 'preparing' }, expect: { action: 'prepare' } },
  {
    name: 'is ready once prepared',
    given: { state: 'preparing', prepared: true },
    expect: { status: { state: 'ready', message: 'prepared' } },
  },
  {
    name: 'holds at ready while no more is wanted',
    given: { state: 'ready', prepared: true, desired: 'ready' },
    expect: {},
  },
  {
    name: 'prepares again what a restart forgot',
    given: { state: 'ready' },
    expect: { action: 'prepare' },
  },
  {
    name: 'starts when its turn comes',
    given: { state: 'ready', prepared: true },
    expect: { status: { state: 'starting', message: 'starting' } },
  },
  { name: 'starts', given: { state: 'starting', prepared: true }, expect: { action: 'start' } },
  {
    name: 'starts anew one that a crash left created',
    given: { state: 'starting', prepared: true, container: 'created' },
    expect: { action: 'start' },
  },
  {
    name: 'runs',
    given: { ...running, state: 'starting' },
    expect: { status: { state: 'running', message: 'started' } },
  },
  {
    name: 'is not running before it is healthy',
    given: { ...running, state: 'starting', health: 'starting' },
    expect: {},
  },
  {
    name: 'runs when healthy',
    given: { ...running, state: 'starting', health: 'healthy' },
    expect: { status: { state: 'running', message: 'started' } },
  },
  { name: 'runs on', given: running, expect: {} },
  {
    name: 'stops what has become unhealthy',
    given: { ...running, health: 'unhealthy' },
    expect: { action: 'stop' },
  },
  {
    name: 'fails after that, saying why',
    given: { ...exited(143), health: 'unhealthy' },
    expect: { status: { state: 'failed', err: 'task: non-zero exit (143): unhealthy container' } },
  },
  {
    name: 'fails even if it then ended well',
    given: { ...exited(0), health: 'unhealthy' },
    expect: { status: { state: 'failed', err: 'unhealthy container' } },
  },
  {
    name: 'fails a start that never became healthy',
    given: { ...exited(137), state: 'starting', health: 'unhealthy' },
    expect: { status: { state: 'failed', err: 'unhealthy container' } },
  },
  {
    name: 'completes',
    given: exited(0),
    expect: { status: { state: 'complete', message: 'finished' } },
  },
  {
    name: 'fails on another exit code, in words that tools look for',
    given: exited(3),
    expect: { status: { state: 'failed', err: 'task: non-zero exit (3)' } },
  },
  {
    name: 'says that memory ran out',
    given: exited(137, true),
    expect: {
      status: {
        state: 'failed',
        err: 'task: non-zero exit (137): out of memory (OOM killed)',
      },
    },
  },
  {
    name: 'rejects before starting',
    given: { state: 'preparing', failure: 'no such image' },
    expect: { status: { state: 'rejected', err: 'no such image' } },
  },
  {
    name: 'fails from starting on',
    given: { state: 'starting', prepared: true, failure: 'port taken' },
    expect: { status: { state: 'failed', err: 'port taken' } },
  },
  {
    name: 'clears away what a failed start left',
    given: { state: 'failed', container: 'created', failure: 'exec failed' },
    expect: { action: 'stop' },
  },
  {
    name: 'fails when the container is gone',
    given: { state: 'running' },
    expect: { status: { state: 'failed', err: 'the container of the task is gone' } },
  },
  {
    name: 'stops when told to',
    given: { ...running, desired: 'shutdown' },
    expect: { action: 'stop' },
  },
  {
    name: 'is shut down once stopped, whatever the exit code',
    given: { ...exited(143), desired: 'shutdown' },
    expect: { status: { state: 'shutdown', message: 'shutdown' } },
  },
  {
    name: 'is shut down at once if it never started',
    given: { state: 'preparing', desired: 'remove' },
    expect: { status: { state: 'shutdown', message: 'shutdown' } },
  },
  { name: 'stays ended', given: { ...exited(0), state: 'complete' }, expect: {} },
  {
    name: 'runs a job as it runs a service',
    given: { desired: 'complete', state: 'starting', prepared: true },
    expect: { action: 'start' },
  },
];

describe('task machine', () => {
  for (const { name, given, expect } of table) {
    it(name, () => assert.deepEqual(decide({ ...base, ...given }), expect));
  }

  it('never goes backwards, and always says something when there is something to do', () => {
    const states = Object.keys(taskStates) as TaskState[];
    fc.assert(
      fc.property(
        fc.record({
          desired: fc.constantFrom(...(['ready', 'running', 'complete', 'shutdown'] as const)),
          state: fc.constantFrom(...states.filter((state) => !isTerminal(state))),
          prepared: fc.boolean(),
          container: fc.constantFrom(...(['none', 'created', 'running', 'exited'] as const)),
          health: fc.constantFrom(...(['unchecked', 'starting', 'healthy', 'unhealthy'] as const)),
        }),
        (view) => {
          const { status } = decide(view);
          if (status !== undefined) assert.ok(compareStates(status.state, view.state) > 0);
        },
      ),
    );
  });
});
