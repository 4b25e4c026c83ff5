/** Which of the nodes that fit is the best: ranking, and the two ways to find the first. */
import type { NodeTable } from './node-table.ts';

export const noNode = -1;

export interface Ranking {
  /** Active tasks of the group's service on a node. */
  readonly count: (number: number) => number;
  /** Failures of late of the same service and spec, where they are many; else 0. */
  readonly penalty: (number: number) => number;
}

/** Fewer failures, then fewer tasks of the service, then fewer tasks; the earlier node at a tie. */
export function ranksBefore(table: NodeTable, ranking: Ranking, a: number, b: number): boolean {
  const failures = ranking.penalty(a) - ranking.penalty(b);
  if (failures !== 0) return failures < 0;
  const own = ranking.count(a) - ranking.count(b);
  if (own !== 0) return own < 0;
  const all = table.activeTasks[a]! - table.activeTasks[b]!;
  return all !== 0 ? all < 0 : a < b;
}

/** Nodes of one group, the best on top. Only the top's rank may change between calls. */
export class NodeHeap {
  readonly #numbers: number[];
  readonly #before: (a: number, b: number) => boolean;

  constructor(numbers: number[], before: (a: number, b: number) => boolean) {
    this.#numbers = numbers;
    this.#before = before;
    for (let at = (numbers.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  get top(): number {
    return this.#numbers[0] ?? noNode;
  }

  /** The top has been given a task: it finds its new place. */
  settleTop(): void {
    this.#sink(0);
  }

  removeTop(): void {
    const last = this.#numbers.pop();
    if (last === undefined || this.#numbers.length === 0) return;
    this.#numbers[0] = last;
    this.#sink(0);
  }

  #sink(start: number): void {
    const numbers = this.#numbers;
    const moving = numbers[start];
    if (moving === undefined) return;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= numbers.length) break;
      if (child + 1 < numbers.length && this.#before(numbers[child + 1]!, numbers[child]!)) child++;
      if (!this.#before(numbers[child]!, moving)) break;
      numbers[at] = numbers[child]!;
      at = child;
    }
    numbers[at] = moving;
  }
}

/** Finds the best node for one task after another of a group. */
export interface Picker {
  /** The best node that fits now, or -1. */
  pick(): number;
  /** The picked node has been given the task. */
  placed(number: number): void;
}

/**
 * Without preferences. At first it walks the nodes by load: a node without a task of the service is
 * the best as soon as it is met, which for small groups is after a few steps, however many nodes
 * there are. Once the walks have taken as many steps as there are nodes, the group is worth a heap.
 */
export function plainPicker(
  table: NodeTable,
  ranking: Ranking,
  refusal: (number: number) => number,
): Picker {
  const before = (a: number, b: number) => ranksBefore(table, ranking, a, b);
  let steps = 0;
  let heap: NodeHeap | undefined;
  const walk = () => {
    let best = noNode;
    for (let load = 0; load <= table.highestLoad; load++) {
      for (let n = table.firstWithLoad(load); n !== noNode; n = table.after(n)) {
        steps++;
        if (refusal(n) >= 0) continue;
        if (ranking.count(n) === 0 && ranking.penalty(n) === 0) return n;
        if (best === noNode || before(n, best)) best = n;
      }
    }
    return best;
  };
  return {
    pick() {
      if (heap === undefined && steps <= table.size) return walk();
      heap ??= new NodeHeap(fitting(table, refusal), before);
      return heap.top;
    },
    placed(number) {
      if (heap === undefined) return;
      if (refusal(number) >= 0) heap.removeTop();
      else heap.settleTop();
    },
  };
}

function fitting(table: NodeTable, refusal: (number: number) => number): number[] {
  const numbers: number[] = [];
  for (let number = 0; number < table.size; number++) {
    if (refusal(number) < 0) numbers.push(number);
  }
  return numbers;
}
