/** Whether a service may begin: what it depends on is as it has to be, or it has begun before. */
import type { StoreView } from '../store/view.ts';
import {
  dependenciesOf,
  type Dependency,
  type Service,
  type ServiceSpec,
  type Task,
} from '../../types/index.ts';
import { mayRestart } from './restart.ts';
import { dirtiness, endedItself, isComplete, wanted } from './task.ts';

/** Every sentence of what is waited for begins so. */
export const waitsFor = 'waits for';

/**
 * What the service's tasks of its present spec wait for; undefined where they may be placed. Once
 * one of them has run they may be for good: a dependency that fails later is the application's own
 * affair, and must not keep a replica from being replaced.
 */
export function whyWaits(view: StoreView, service: Service): string | undefined {
  const dependencies = dependenciesOf(service.spec);
  if (dependencies.length === 0) return undefined;
  const isOld = dirtiness(view, service);
  for (const task of view.tasksOfService(service.id)) {
    if (task.runningAtMs !== undefined && !isOld(task)) return undefined;
  }
  for (const dependency of dependencies) {
    const lack = unmet(view, dependency);
    if (lack !== undefined) return `${waitsFor} ${lack}`;
  }
  return undefined;
}

/** A task of the service has run, of whichever spec. */
export function hasBegun(view: StoreView, { id }: Service): boolean {
  for (const task of view.tasksOfService(id)) if (task.runningAtMs !== undefined) return true;
  return false;
}

/** `web → db → web`, where the spec would have services wait for each other; else undefined. */
export function circleOf(view: StoreView, spec: ServiceSpec): string | undefined {
  const seen = new Set<string>();
  const find = (path: readonly string[], from: ServiceSpec): string | undefined => {
    for (const { service } of dependenciesOf(from)) {
      if (service === spec.name) return [...path, service].join(' → ');
      if (seen.has(service)) continue;
      seen.add(service);
      const next = view.serviceByName(service);
      const circle = next && find([...path, service], next.spec);
      if (circle !== undefined) return circle;
    }
    return undefined;
  };
  return find([spec.name], spec);
}

function unmet(view: StoreView, { service: name, condition }: Dependency): string | undefined {
  const service = view.serviceByName(name);
  if (service === undefined) return `the service ${name}, which does not exist`;
  const slots = slotsOf(view, service);
  const asked = askedOf(service, slots.length);
  const fits = { started: hasStarted, healthy: isHealthy, completed: hasCompleted }[condition];
  const count = slots.filter((tasks) => fits(view, tasks)).length;
  if (asked !== undefined && count >= asked) return undefined;
  const words = { started: 'to start', healthy: 'to be healthy', completed: 'to complete' };
  const lost = condition === 'completed' ? givenUp(slots) : undefined;
  if (lost !== undefined) {
    const why = lost.status.err ?? lost.status.state;
    return `${name} to complete, which has failed and is not tried again: ${why}`;
  }
  return `${name} ${words[condition]} (${count} of ${asked ?? 'its'} tasks)`;
}

/** Tasks of the present spec, and of a job's present iteration, by slot; the oldest first. */
function slotsOf(view: StoreView, service: Service): Task[][] {
  const isOld = dirtiness(view, service);
  const iteration = service.jobStatus?.iteration;
  const tasks = [...view.tasksOfService(service.id)].filter(
    (task) => !isOld(task) && task.jobIteration === iteration,
  );
  const groups = Map.groupBy(tasks, (task) => task.forNodeId ?? String(task.slot));
  return [...groups.values()].map((slot) =>
    slot.toSorted((a, b) => a.meta.createdAtMs - b.meta.createdAtMs),
  );
}

/** How many slots have to be so; undefined for a service on every node that has no task yet. */
function askedOf({ spec, cronStatus }: Service, slots: number): number | undefined {
  const { replicated, replicatedJob } = spec.mode;
  if (cronStatus !== undefined) return cronStatus.run?.totalCompletions;
  if (replicated !== undefined) return replicated.replicas ?? 1;
  if (replicatedJob !== undefined) return replicatedJob.totalCompletions ?? 1;
  return slots === 0 ? undefined : slots;
}

function hasStarted(_view: StoreView, slot: readonly Task[]): boolean {
  return slot.some((task) => task.runningAtMs !== undefined || isComplete(task));
}

function isHealthy(view: StoreView, slot: readonly Task[]): boolean {
  return slot.some(
    (task) =>
      wanted(task) &&
      task.status.state === 'running' &&
      view.node(task.nodeId)?.status.state !== 'down',
  );
}

function hasCompleted(_view: StoreView, slot: readonly Task[]): boolean {
  return slot.at(-1)?.status.state === 'complete' || slot.some(isComplete);
}

/** The first task whose failure is the end of it. */
function givenUp(slots: readonly (readonly Task[])[]): Task | undefined {
  return slots
    .map((slot) => ({ slot, last: slot.at(-1) }))
    .find(
      ({ slot, last }) =>
        last !== undefined &&
        endedItself(last) &&
        last.status.state !== 'complete' &&
        !mayRestart(last, slot),
    )?.last;
}
