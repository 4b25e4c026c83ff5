import { strict as assert } from 'node:assert';
import type { RestartPolicy, Task, TaskState } from '../../types/index.ts';
import { makeService, makeTask } from '../store/testing.ts';
import { evidenceLimit, mayRestart } from './restart.ts';

function taskOf(policy: RestartPolicy, id: string, state: TaskState, atMs = 0, version = 1): Task {
  const service = makeService('web');
  const spec = { ...service.spec.task, restartPolicy: policy };
  const status = { state, atMs, message: '' };
  return makeTask(id, service, { spec, status, specVersion: version });
}

describe('mayRestart', () => {
  const failing: [TaskState, number][] = [
    ['failed', 1000],
    ['failed', 2000],
  ];
  const cases: {
    name: string;
    policy: RestartPolicy;
    state: TaskState;
    before?: [TaskState, number, number?][];
    expect: boolean;
  }[] = [
    { name: 'any, after success', policy: {}, state: 'complete', expect: true },
    { name: 'none', policy: { condition: 'none' }, state: 'failed', expect: false },
    {
      name: 'none, for a lost node too',
      policy: { condition: 'none' },
      state: 'running',
      expect: false,
    },
    {
      name: 'on-failure, after success',
      policy: { condition: 'on-failure' },
      state: 'complete',
      expect: false,
    },
    {
      name: 'on-failure, after a failure',
      policy: { condition: 'on-failure' },
      state: 'rejected',
      expect: true,
    },
    {
      name: 'attempts left',
      policy: { maxAttempts: 3 },
      state: 'failed',
      before: failing,
      expect: true,
    },
    {
      name: 'attempts used up',
      policy: { maxAttempts: 2 },
      state: 'failed',
      before: failing,
      expect: false,
    },
    {
      name: 'attempts of another spec do not count',
      policy: { maxAttempts: 2 },
      state: 'failed',
      before: [
        ['failed', 1000, 0],
        ['failed', 2000],
      ],
      expect: true,
    },
    {
      name: 'tasks that were told to stop do not count',
      policy: { maxAttempts: 2 },
      state: 'failed',
      before: [
        ['shutdown', 1000],
        ['failed', 2000],
      ],
      expect: true,
    },
    {
      name: 'attempts before the window do not count',
      policy: { maxAttempts: 2, windowMs: 8500 },
      state: 'failed',
      before: failing,
      expect: true,
    },
    {
      name: 'attempts within the window do',
      policy: { maxAttempts: 2, windowMs: 9500 },
      state: 'failed',
      before: failing,
      expect: false,
    },
    {
      name: 'a lost node uses up no attempts',
      policy: { maxAttempts: 2 },
      state: 'running',
      before: failing,
      expect: true,
    },
  ];
  for (const { name, policy, state, before = [], expect } of cases) {
    it(name, () => {
      const task = taskOf(policy, 'last', state, 10_000);
      const others = before.map(([was, atMs, version], n) =>
        taskOf(policy, `t${n}`, was, atMs, version),
      );
      assert.equal(mayRestart(task, [...others, task]), expect);
    });
  }

  it('is judged by no more tasks than are kept', () => {
    const { spec } = taskOf({ maxAttempts: 4 }, 't', 'failed');
    assert.equal(evidenceLimit(spec), 5);
  });
});
