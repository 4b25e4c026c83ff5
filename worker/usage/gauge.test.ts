import { strict as assert } from 'node:assert';
import type { MeasureRequest } from '../../gen/dispatcher_pb.js';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import type { TaskStatus } from '../../types/index.ts';
import type { Usage } from '../runtime/controls.ts';
import { taskGauge } from './gauge.ts';

const usage = (containerId: string): Usage => ({
  cpu: {
    totalNs: 5e9,
    kernelNs: 0,
    userNs: 0,
    periods: 0,
    throttledPeriods: 0,
    throttledNs: 0,
  },
  memory: {
    usageBytes: 1000,
    limitBytes: 2000,
    stats: containerId === 'v1' ? { total_inactive_file: 300 } : { inactive_file: 400 },
  },
  pids: { current: 1 },
  block: { bytes: [], operations: [] },
  networks: [],
});

function gauge() {
  const running = (containerId: string, pid = process.pid): TaskStatus => {
    return { state: 'running', atMs: 0, message: '', container: { containerId, pid } };
  };
  const statuses = new Map<string, TaskStatus>([
    ['v1', running('v1')],
    ['v2', running('v2')],
    ['gone', running('gone', 2 ** 22 + 1)],
    ['new', { state: 'starting', atMs: 0, message: '' }],
  ]);
  return taskGauge({
    executor: { statuses: () => statuses },
    runtime: {
      controls: {
        usage: async (id) => {
          if (id === 'gone') throw new SwarmError('not-found', 'no such container');
          return usage(id);
        },
      },
    },
    clock: new VirtualClock(0),
    log: silentLogger,
  });
}

const measured = async (request: Partial<Omit<MeasureRequest, '$typeName'>>) => {
  const { tasks = [] } = await gauge()({
    $typeName: 'tsswarm.dispatcher.MeasureRequest',
    usageOf: [],
    connectionsOf: [],
    requestsOf: [],
    ...request,
  });
  return tasks.toSorted((a, b) => ((a.taskId ?? '') < (b.taskId ?? '') ? -1 : 1));
};

describe('a node that is asked to measure tasks', () => {
  it('tells what those that run use, without idle pages', async () => {
    assert.deepEqual(await measured({ usageOf: ['new', 'v1', 'v2', 'gone', 'other'] }), [
      { taskId: 'v1', atMs: 0, cpuNs: 5e9, memoryBytes: 700 },
      { taskId: 'v2', atMs: 0, cpuNs: 5e9, memoryBytes: 600 },
    ]);
  });

  it('tells nothing of connections in its own namespace, nor of what is gone', async () => {
    assert.deepEqual(await measured({ connectionsOf: ['v1', 'gone'] }), [
      { taskId: 'v1', atMs: 0 },
    ]);
  });

  it('tells why requests are not known, beside what is', async () => {
    const counter = (taskId: string) => {
      const $typeName = 'tsswarm.dispatcher.RequestCounter' as const;
      return { $typeName, taskId, port: 8080, path: '/', counter: 'served' };
    };
    const requestsOf = ['v1', 'gone', 'new'].map(counter);
    const [gone, v1, ...others] = await measured({ usageOf: ['v1'], requestsOf });
    const problem = "it is on the host's network, where ports are not its own";
    const used = { taskId: 'v1', atMs: 0, cpuNs: 5e9, memoryBytes: 700 };
    assert.deepEqual(v1, { ...used, requestsProblem: problem });
    assert.match(gone?.requestsProblem ?? '', /^ENOENT: no such file or directory/);
    assert.deepEqual(others, [], 'what does not run is left out');
  });
});
