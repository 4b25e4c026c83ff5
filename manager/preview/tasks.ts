/** A service's wanted tasks before and after, place by place. */
import type { StoreView } from '../store/view.ts';
import { isTerminal, type Task, type TaskChange } from '../../types/index.ts';

/** What differs, in the order of places; a task that has no node afterwards always does. */
export function taskChanges(
  view: StoreView,
  before: readonly Task[],
  after: readonly Task[],
): readonly TaskChange[] {
  const old = Map.groupBy(before, placeOf);
  const next = Map.groupBy(after, placeOf);
  const places = [...new Set([...old.keys(), ...next.keys()])];
  const samples = new Map([...before, ...after].map((task) => [placeOf(task), task]));
  return places
    .toSorted((a, b) => compare(samples.get(a), samples.get(b)))
    .flatMap((place) => {
      const [was] = old.get(place) ?? [];
      const now = next.get(place)?.at(-1);
      const change = changeOf(view, was, now);
      const sample = samples.get(place);
      if (change === undefined || sample === undefined) return [];
      return [{ name: nameOf(view, sample), ...change }];
    });
}

function changeOf(
  view: StoreView,
  was: Task | undefined,
  now: Task | undefined,
): Omit<TaskChange, 'name'> | undefined {
  const from = was === undefined ? '' : hostOf(view, was.nodeId);
  if (now === undefined) {
    const runs = was !== undefined && !isTerminal(was.status.state);
    return runs ? { change: 'stop', from, to: '' } : undefined;
  }
  const to = hostOf(view, now.nodeId);
  if (now.nodeId === '') {
    const reason = now.status.err ?? 'no node was found for it';
    return { change: 'wait', from, to, reason };
  }
  if (was === undefined) return { change: 'create', from, to };
  if (was.id !== now.id) return { change: 'replace', from, to };
  return was.nodeId === '' ? { change: 'create', from, to } : undefined;
}

export function placeOf(task: Task): string {
  return task.forNodeId ?? String(task.slot);
}

function nameOf(view: StoreView, task: Task): string {
  const { forNodeId, slot } = task;
  return `${task.serviceName}.${forNodeId === undefined ? slot : hostOf(view, forNodeId)}`;
}

function hostOf(view: StoreView, nodeId: string): string {
  return view.node(nodeId)?.description?.hostname ?? nodeId;
}

function compare(a: Task | undefined, b: Task | undefined): number {
  if (a === undefined || b === undefined) return 0;
  return a.slot - b.slot || (placeOf(a) < placeOf(b) ? -1 : 1);
}
