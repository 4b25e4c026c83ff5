/** One scheduling run: tasks in, a node or a reason for each out. */
import type { StoreView } from '../store/view.ts';
import {
  clusterMountsOf,
  stayingVolumesOf,
  whyForbidden,
  type GenericResource,
  type Task,
  type VolumeAttachment,
} from '../../types/index.ts';
import { claimOn, filtersFor, requirementKey, type Filters, type FixedAnswers } from './filters.ts';
import { Homes, type Home } from './homes.ts';
import { NodeTable } from './node-table.ts';
import { penaltiesOf } from './penalties.ts';
import { noNode, plainPicker, type Ranking } from './rank.ts';
import { preferencesOf, spreadPicker } from './spread.ts';

export interface ScheduleRequest {
  /** Wanted tasks without a node, in the order in which they are to be tried. */
  readonly tasks: Iterable<Task>;
  /** Tasks of the view that the same plan ends or deletes: what they took is free. */
  readonly released: Iterable<Task>;
  /** At most this many placements. */
  readonly limit: number;
}

export interface Placement {
  readonly task: Task;
  readonly nodeId: string;
  readonly genericResources: readonly GenericResource[];
  readonly volumes: readonly VolumeAttachment[];
}

export interface Refusal {
  readonly task: Task;
  /** In Docker's words: "no suitable node (…)". */
  readonly reason: string;
}

export interface Schedule {
  readonly placements: readonly Placement[];
  readonly refusals: readonly Refusal[];
  /** Tasks that were not tried because the limit was reached. */
  readonly untried: number;
}

export function schedule(
  view: StoreView,
  request: ScheduleRequest,
  env: { readonly nowMs: number },
): Schedule {
  return new Run(view, env.nowMs, request).result();
}

class Run {
  readonly #view: StoreView;
  readonly #nowMs: number;
  readonly #limit: number;
  readonly #table: NodeTable;
  readonly #homes: Homes;
  readonly #fixed: FixedAnswers = new Map();
  /** Refusals by what was asked: within a run room only shrinks, so they stay true. */
  readonly #refused = new Map<string, string>();
  readonly #placements: Placement[] = [];
  readonly #refusals: Refusal[] = [];
  #untried = 0;

  constructor(view: StoreView, nowMs: number, request: ScheduleRequest) {
    this.#view = view;
    this.#nowMs = nowMs;
    this.#limit = request.limit;
    this.#table = new NodeTable(view);
    this.#homes = new Homes(view, this.#table);
    for (const task of request.released) this.#table.release(task);
    const { bound, free } = grouped(request.tasks);
    for (const tasks of bound) this.#confirm(tasks);
    for (const tasks of free) this.#placeGroup(tasks);
  }

  result(): Schedule {
    return {
      placements: this.#placements,
      refusals: this.#refusals,
      untried: this.#untried,
    };
  }

  /** Tasks of global services: each may only go to the node that it was made for. */
  #confirm(tasks: readonly Task[]): void {
    const sample = tasks[0]!;
    if (this.#isForbidden(tasks)) return;
    const counts = this.#table.serviceCounts(sample.serviceId);
    const filters = filtersFor(this.#table, sample, counts, this.#fixed);
    for (const task of tasks) {
      if (this.#full) {
        this.#untried += 1;
        continue;
      }
      const number = this.#table.numberOf(task.forNodeId ?? '');
      if (number !== undefined && filters.refusal(number) < 0) this.#give(task, number);
      else this.#refusals.push({ task, reason: filters.explainNode(number) });
    }
  }

  /** A setting that is taken back ends nothing that runs, and nothing new begins. */
  #isForbidden(tasks: readonly Task[]): boolean {
    const swarm = this.#view.cluster()?.spec.labels;
    const why = whyForbidden(tasks[0]?.spec.container, swarm);
    if (why !== undefined) this.#refuse(tasks, why);
    return why !== undefined;
  }

  #placeGroup(group: readonly Task[]): void {
    if (this.#isForbidden(group)) return;
    const tasks = this.#bringHome(group);
    const sample = tasks[0];
    if (sample === undefined) return;
    const known = this.#refused.size === 0 ? undefined : this.#refused.get(requirementKey(sample));
    if (known !== undefined) {
      this.#refuse(tasks, known);
      return;
    }
    const counts = this.#table.serviceCounts(sample.serviceId);
    const filters = filtersFor(this.#table, sample, counts, this.#fixed);
    // A cluster volume that one node is given may be lost to all others: none is remembered.
    const isAnew = clusterMountsOf(sample.spec.container).length > 0;
    let picker = this.#pickerFor(sample, filters, counts);
    for (const [index, task] of tasks.entries()) {
      if (isAnew && index > 0) picker = this.#pickerFor(sample, filters, counts);
      if (this.#full) {
        this.#untried += tasks.length - index;
        return;
      }
      const number = picker.pick();
      if (number === noNode) {
        const reason = filters.explain();
        this.#refused.set(requirementKey(sample), reason);
        this.#refuse(tasks.slice(index), reason);
        return;
      }
      this.#give(task, number);
      picker.placed(number);
    }
  }

  /** Places tasks where the volumes of their slots are. Returns those that may go anywhere. */
  #bringHome(tasks: readonly Task[]): readonly Task[] {
    const sample = tasks[0]!;
    if (stayingVolumesOf(sample.spec.container).length === 0) return tasks;
    const counts = this.#table.serviceCounts(sample.serviceId);
    const filters = filtersFor(this.#table, sample, counts, this.#fixed);
    let penalty: ((number: number) => number) | undefined;
    return tasks.filter((task) => {
      const home = this.#homes.of(task);
      if (home === undefined) return true;
      if (this.#full) {
        this.#untried += 1;
        return false;
      }
      penalty ??= penaltiesOf(this.#view, this.#table, sample, this.#nowMs);
      // A node where it fails again and again is no home, unless there is no other way.
      const fits = (number: number) => home.isRequired || penalty?.(number) === 0;
      const number = home.numbers.find((one) => filters.refusal(one) < 0 && fits(one));
      if (number !== undefined) this.#give(task, number);
      else if (home.isRequired) this.#waitFor(home, task, filters);
      return number === undefined && !home.isRequired;
    });
  }

  #waitFor({ numbers, volumes }: Home, task: Task, filters: Filters): void {
    const [number = noNode] = numbers;
    const { id, description } = this.#table.nodes[number]!;
    const name = description?.hostname ?? id;
    const reason =
      `${filters.explainNode(number)}: slot ${task.slot} waits for ${name}, which has its ` +
      `${volumes.length === 1 ? 'volume' : 'volumes'} ${volumes.join(', ')}`;
    this.#refusals.push({ task, reason });
  }

  #pickerFor(sample: Task, filters: Filters, count: (number: number) => number) {
    const ranking: Ranking = {
      count,
      penalty: penaltiesOf(this.#view, this.#table, sample, this.#nowMs),
    };
    const labels = preferencesOf(sample.spec.placement);
    return labels.length === 0
      ? plainPicker(this.#table, ranking, filters.refusal)
      : spreadPicker(this.#table, labels, ranking, filters.refusal);
  }

  #give(task: Task, number: number): void {
    const genericResources = claimOn(this.#table, number, task);
    const node = this.#table.nodes[number]!;
    const volumes = this.#table.volumes.choose(task, node);
    if (typeof volumes === 'string') {
      this.#refusals.push({ task, reason: volumes });
      return;
    }
    this.#table.take(number, task, genericResources, volumes);
    this.#placements.push({ task, nodeId: node.id, genericResources, volumes });
  }

  #refuse(tasks: readonly Task[], reason: string): void {
    for (const task of tasks) this.#refusals.push({ task, reason });
  }

  get #full(): boolean {
    return this.#placements.length >= this.#limit;
  }
}

/** Tasks that are alike, by service and spec version; those bound to a node apart. */
function grouped(tasks: Iterable<Task>): {
  readonly bound: readonly Task[][];
  readonly free: readonly Task[][];
} {
  const bound: Task[][] = [];
  const free: Task[][] = [];
  const byService = new Map<string, Task[][]>();
  for (const task of tasks) {
    let groups = byService.get(task.serviceId);
    if (groups === undefined) byService.set(task.serviceId, (groups = []));
    const group = groups.find(([sample]) => sample !== undefined && alike(sample, task));
    if (group !== undefined) {
      group.push(task);
      continue;
    }
    const started = [task];
    groups.push(started);
    (task.forNodeId === undefined ? free : bound).push(started);
  }
  return { bound, free };
}

function alike(a: Task, b: Task): boolean {
  return (
    a.specVersion === b.specVersion && (a.forNodeId === undefined) === (b.forNodeId === undefined)
  );
}
