/**
 * Spreads a service's tasks anew over nodes that came or came back. A move is a second task in the
 * slot, on the node that the scheduler likes best; once it runs, the first one is told to stop. How
 * far it has come is read from the tasks, like the progress of an update.
 */
import { preferencesOf, schedule } from '../scheduler/index.ts';
import { labelOf } from '../scheduler/constraint.ts';
import type { StoreView } from '../store/view.ts';
import {
  isTerminal,
  rebalanceLabel,
  type Mount,
  type Node,
  type Service,
  type Task,
} from '../../types/index.ts';
import type { Draft, Slot } from './draft.ts';
import { isLive, isPaused } from './slots.ts';
import { endedItself, newTask, wanted } from './task.ts';
import { isUpdating } from './update.ts';

/** A node that has just come may be about to go again: it gets no tasks of others before that. */
const settlingMs = 10_000;
/** After a failure the policy moves nothing for so long: a node that breaks tasks gets no more. */
const afterFailureMs = 5 * 60_000;

export function rebalance(draft: Draft): void {
  for (const slot of draft.slots.values()) if (slot.tasks.length > 1) endMove(draft, slot);
  const { service } = draft;
  const isAsked = service.rebalance?.state === 'moving';
  if (!isAsked && !isPolicy(draft.view)) return;
  if (isUpdating(service.updateStatus) || isPaused(service)) return;
  const held = whyUnmovable(service);
  if (held !== undefined) {
    if (isAsked) stop(draft, held);
    return;
  }
  const failed = lastFailure(draft, isAsked);
  if (failed !== undefined) {
    if (isAsked) stop(draft, `task ${failed.id} failed: ${failed.status.err ?? ''}`);
    else draft.wakeAt(failed.status.atMs + afterFailureMs + 1);
    return;
  }
  const live = [...draft.slots.values()].filter(isLive);
  const { parallelism = 1 } = service.spec.updateConfig ?? {};
  const busy = live.filter((slot) => !isSteady(slot)).length;
  // However many may move at once, there are no more than there are slots.
  const atOnce = parallelism === 0 ? live.length : Math.min(parallelism, live.length);
  const free = atOnce - busy;
  const moves = free <= 0 ? [] : movesOf(draft, live, free);
  for (const { slot, wakeAtMs } of moves) {
    if (wakeAtMs !== undefined && !isAsked) {
      draft.wakeAt(wakeAtMs);
      return;
    }
    if (!draft.room(2)) return;
    draft.create(slot, { waitForOthers: false });
  }
  if (isAsked && moves.length === 0 && busy === 0) done(draft);
}

/** A sentence where the service's tasks stay where they are, whoever asks. */
export function whyUnmovable({ spec }: Service): string | undefined {
  if (spec.mode.replicated === undefined) {
    return `${spec.name} is not replicated: only replicated services can be rebalanced`;
  }
  const held = spec.task.container?.mounts?.find(keepsData);
  if (held === undefined) return undefined;
  return (
    `${spec.name} keeps data in the volume ${held.source} of its nodes: moving its tasks would ` +
    'leave the data behind'
  );
}

function keepsData({ type, source = '', volumeOptions }: Mount): boolean {
  if (type === 'cluster') return true;
  const driver = volumeOptions?.driverConfig?.name ?? '';
  return type === 'volume' && source !== '' && (driver === '' || driver === 'local');
}

function isPolicy(view: StoreView): boolean {
  return view.cluster()?.spec.labels[rebalanceLabel] === 'on-join';
}

/** In the slot one task is wanted, and runs. */
function isSteady(slot: Slot): boolean {
  const tasks = slot.tasks.filter(wanted);
  return tasks.length === 1 && tasks[0]?.status.state === 'running';
}

/** Of two tasks of a slot and spec the older goes once the newer runs, or else the newer. */
function endMove(draft: Draft, slot: Slot): void {
  const tasks = slot.tasks.filter((task) => wanted(task) && !draft.isDirty(task));
  const newest = tasks.at(-1);
  if (tasks.length < 2 || newest === undefined) return;
  if (newest.status.state === 'running') {
    for (const task of tasks.slice(0, -1)) if (draft.room(1)) draft.desire(task, 'shutdown');
  } else if (newest.nodeId === '' && newest.status.err !== undefined && draft.room(1)) {
    draft.retire(newest);
  }
}

/** Since it was asked for; or, where nobody has, of late. */
function lastFailure(draft: Draft, isAsked: boolean): Task | undefined {
  const sinceMs = isAsked
    ? (draft.service.rebalance?.startedAtMs ?? 0)
    : draft.env.nowMs - afterFailureMs;
  const failed = [...draft.slots.values()]
    .flatMap(({ tasks }) => tasks)
    .filter(
      (task) =>
        endedItself(task) &&
        (isAsked ? task.meta.createdAtMs >= sinceMs : task.status.atMs >= sinceMs),
    );
  return failed.toSorted((a, b) => b.status.atMs - a.status.atMs)[0];
}

interface Move {
  readonly slot: Slot;
  /** Set where the node that it would go to has come too lately: it may go there from then on. */
  readonly wakeAtMs?: number;
}

/** Moves that make the spread evener, each of them; none where it is as even as can be. */
function movesOf(draft: Draft, live: readonly Slot[], max: number): Move[] {
  const { view, service, env } = draft;
  const counts = new Spread(view, service, live);
  if (counts.isEven) return [];
  const tasks = Array.from({ length: max }, () =>
    newTask({ service, slot: 0, desiredState: 'running' }, env),
  );
  const request = { tasks, released: draft.released, limit: max };
  const { placements } = schedule(view, request, env);
  const moves: Move[] = [];
  for (const { nodeId } of placements) {
    const slot = counts.takeFor(nodeId);
    if (slot === undefined) break;
    const status = view.node(nodeId)?.status;
    const readyAtMs = (status?.atMs ?? 0) + settlingMs;
    moves.push(readyAtMs > env.nowMs ? { slot, wakeAtMs: readyAtMs } : { slot });
  }
  return moves;
}

/** How many of the service's tasks each node has, and each branch of its preferences. */
class Spread {
  readonly #view: StoreView;
  readonly #labels: readonly string[];
  /** By the names of branches, "east/", "east/r1/", and below them the nodes. */
  readonly #counts = new Map<string, number>();
  readonly #movable = new Map<string, Slot[]>();

  constructor(view: StoreView, service: Service, live: readonly Slot[]) {
    this.#view = view;
    this.#labels = preferencesOf(service.spec.task.placement);
    for (const slot of live) {
      for (const task of slot.tasks.filter(wanted)) {
        if (task.nodeId === '') continue;
        for (const key of this.#keys(task.nodeId)) this.#add(key, 1);
      }
      const [only] = slot.tasks.filter(wanted);
      if (!isSteady(slot) || only === undefined || isTerminal(only.status.state)) continue;
      const there = this.#movable.get(only.nodeId);
      if (there === undefined) this.#movable.set(only.nodeId, [slot]);
      else there.push(slot);
    }
    for (const slots of this.#movable.values()) slots.sort((a, b) => a.number - b.number);
  }

  /** Seen without a look at what fits where: no node, and no branch, has two more than another. */
  get isEven(): boolean {
    const nodes = [...this.#view.nodes()].filter(isAvailable).map(({ id }) => this.#keys(id));
    const levels = this.#labels.length + 1;
    return Array.from({ length: levels }, (_, level) => level).every((level) => {
      const counts = nodes.map((keys) => this.#counts.get(keys[level] ?? '') ?? 0);
      const all = [...this.#counts].filter(([key]) => depthOf(key) === level + 1);
      const most = Math.max(0, ...all.map(([, count]) => count));
      return counts.length === 0 || most - Math.min(...counts) < 2;
    });
  }

  /** The slot whose task had better be on the node, taken into account; none if none had. */
  takeFor(nodeId: string): Slot | undefined {
    const to = this.#keys(nodeId);
    const [best] = [...this.#movable]
      .filter(([id, slots]) => slots.length > 0 && this.#gain(this.#keys(id), to) !== undefined)
      .toSorted(([a], [b]) => this.#compareGains(a, b, to));
    const slot = best?.[1].pop();
    if (best === undefined || slot === undefined) return undefined;
    for (const key of this.#keys(best[0])) this.#add(key, -1);
    for (const key of to) this.#add(key, 1);
    return slot;
  }

  /**
   * By how many tasks each level differs, 0 where both are in one branch; undefined where the move
   * makes a level less even, or none evener. A difference of one is the same the other way round.
   */
  #gain(from: readonly string[], to: readonly string[]): readonly number[] | undefined {
    const differences: number[] = [];
    let isGain = false;
    for (const [level, key] of from.entries()) {
      const other = to[level] ?? '';
      const isSame = key === other;
      const difference = (this.#counts.get(key) ?? 0) - (this.#counts.get(other) ?? 0);
      differences.push(isSame ? 0 : difference);
      if (isSame || isGain) continue;
      if (difference < 1) return undefined;
      isGain = difference > 1;
    }
    return isGain ? differences : undefined;
  }

  /** The largest difference first, at the level that differs first; then by name. */
  #compareGains(a: string, b: string, to: readonly string[]): number {
    const [left, right] = [a, b].map((id) => this.#gain(this.#keys(id), to) ?? []);
    for (const [level, difference] of (left ?? []).entries()) {
      const other = right?.[level] ?? 0;
      if (difference !== other) return other - difference;
    }
    return a < b ? -1 : 1;
  }

  /** "east/", "east/r1/", "east/r1/<node>/". */
  #keys(nodeId: string): readonly string[] {
    const node = this.#view.node(nodeId);
    const names = this.#labels.map((label) => (node && labelOf(node, label)) ?? '');
    let path = '';
    return [...names, nodeId].map((name) => (path += `${name.replaceAll('/', ' ')}/`));
  }

  #add(key: string, count: number): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }
}

function depthOf(key: string): number {
  return key.split('/').length - 1;
}

function isAvailable({ status, spec }: Node): boolean {
  return status.state === 'ready' && spec.availability === 'active';
}

function stop(draft: Draft, message: string): void {
  const startedAtMs = draft.service.rebalance?.startedAtMs ?? 0;
  draft.changeService({ ...draft.service, rebalance: { state: 'stopped', startedAtMs, message } });
}

function done(draft: Draft): void {
  const { rebalance: _done, ...rest } = draft.service;
  draft.changeService(rest);
}
