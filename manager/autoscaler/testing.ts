/** A service under a load, in virtual time: what the planner makes of it. */
import type { Service, Task, UpdateStatus } from '../../types/index.ts';
import { autoscaleLabel, autoscaleOf } from '../../types/index.ts';
import { makeService, makeTask } from '../store/testing.ts';
import type { QueryAnswer, Sample } from './load.ts';
import { paceOf } from './pace.ts';
import { planAutoscale, type Memory } from './plan.ts';

export interface World {
  readonly label: string;
  readonly replicas: number;
  readonly seconds: number;
  /** What all replicas together have to do, at a second: cores for `cpu`, else a number. */
  readonly load?: (second: number) => number;
  /** What a replica can do at most. */
  readonly capacity?: number;
  /** Absent: all replicas run a second after they are asked for. */
  readonly startSeconds?: (slot: number) => number;
  /** Whether nodes say nothing at that second. */
  readonly isSilent?: (second: number) => boolean;
  readonly query?: (second: number) => QueryAnswer | undefined;
  readonly update?: (second: number) => UpdateStatus | undefined;
  /** Seconds at which another manager leads from then on. */
  readonly leaders?: readonly number[];
}

interface Step {
  readonly second: number;
  readonly replicas: number;
}

interface Run {
  /** Every change of the number. */
  readonly steps: readonly Step[];
  readonly service: Service;
}

const epochMs = 1_700_000_000_000;

export function run(world: World): Run {
  const { label, seconds, leaders = [] } = world;
  let service: Service = makeService('web');
  service = {
    ...service,
    spec: {
      ...service.spec,
      labels: { [autoscaleLabel]: label },
      mode: { replicated: { replicas: world.replicas } },
    },
  };
  const settings = autoscaleOf(service.spec);
  if (settings === undefined) throw new Error(`no good label: ${label}`);
  const everySeconds = paceOf(settings).sampleMs / 1000;
  const asked = new Map<number, number>();
  const steps: Step[] = [];
  let memory: Memory | undefined;
  for (let second = 0; second <= seconds; second += everySeconds) {
    if (leaders.some((one) => one > second - everySeconds && one <= second)) memory = undefined;
    const tasks = tasksAt(service, second, asked, world);
    const updateStatus = world.update?.(second);
    const present = updateStatus === undefined ? service : { ...service, updateStatus };
    const plan = planAutoscale({
      service: present,
      tasks,
      readings: {
        sample: () =>
          world.isSilent?.(second) === true ? undefined : sampleOf(tasks, second, world),
        query: world.query?.(second),
      },
      memory,
      nowMs: epochMs + second * 1000,
    });
    memory = plan.memory;
    if (plan.service === undefined) continue;
    const before = replicasOf(service);
    service = plan.service;
    if (replicasOf(service) !== before) steps.push({ second, replicas: replicasOf(service) });
  }
  return { steps, service };
}

export function replicasOf(service: Service): number {
  return service.spec.mode.replicated?.replicas ?? 0;
}

function tasksAt(
  service: Service,
  second: number,
  asked: Map<number, number>,
  { startSeconds = () => (second === 0 ? -1000 : 1), replicas }: World,
): Task[] {
  const count = replicasOf(service);
  for (const slot of asked.keys()) if (slot > count) asked.delete(slot);
  return Array.from({ length: count }, (_, index) => {
    const slot = index + 1;
    // Those that were there before are warm.
    const since = asked.get(slot) ?? (second === 0 && slot <= replicas ? -1000 : second);
    asked.set(slot, since);
    const runningAt = since + startSeconds(slot);
    const state = runningAt <= second ? 'running' : 'starting';
    return makeTask(`t${slot}`, service, {
      slot,
      status: { state, atMs: 0, message: '' },
      ...(state === 'running' ? { runningAtMs: epochMs + runningAt * 1000 } : {}),
    });
  });
}

function sampleOf(tasks: readonly Task[], second: number, world: World): Sample {
  const { load = () => 0, capacity = Infinity } = world;
  const running = tasks.filter(({ status }) => status.state === 'running').length;
  const each = Math.min(capacity, load(second) / Math.max(1, running));
  return { cpu: each, connections: each, 'connection-rate': each, memory: each };
}
