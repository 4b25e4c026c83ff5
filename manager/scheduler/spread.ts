/**
 * Placement preferences: tasks of a service are spread evenly over the values of a label, and
 * within each value over those of the next preference.
 */
import type { Node, Placement } from '../../types/index.ts';
import { labelOf } from './constraint.ts';
import type { NodeTable } from './node-table.ts';
import { NodeHeap, noNode, ranksBefore, type Picker, type Ranking } from './rank.ts';

interface Branch {
  readonly label: string;
  /** Active tasks of the service on the branch's nodes, fitting or not. */
  own: number;
  /** All active tasks on them: the tie-break, so that many small services spread too. */
  load: number;
  nodes: number;
  readonly children: Map<string, Branch>;
  readonly numbers: number[];
  heap: NodeHeap | undefined;
}

/** The labels to spread over; what names no label is passed over, as Docker does. */
export function preferencesOf(placement: Placement | undefined): readonly string[] {
  return (placement?.preferences ?? [])
    .map((preference) => preference.spread?.descriptor ?? '')
    .filter((descriptor) => /^(?:node|engine)\.labels\../i.test(descriptor));
}

export function spreadPicker(
  table: NodeTable,
  labels: readonly string[],
  ranking: Ranking,
  refusal: (number: number) => number,
): Picker {
  const before = (a: number, b: number) => ranksBefore(table, ranking, a, b);
  const root = newBranch('');
  for (let number = 0; number < table.size; number++) {
    const leaf = enter(root, table.nodes[number]!, labels, (branch) => {
      branch.own += ranking.count(number);
      branch.load += table.activeTasks[number]!;
      branch.nodes += 1;
    });
    if (refusal(number) < 0) leaf.numbers.push(number);
  }
  return {
    pick: () => best(root, before),
    placed(number) {
      const leaf = enter(root, table.nodes[number]!, labels, (branch) => {
        branch.own += 1;
        branch.load += 1;
      });
      if (refusal(number) >= 0) leaf.heap?.removeTop();
      else leaf.heap?.settleTop();
    },
  };
}

/** Goes down to the node's leaf, visiting each branch on the way. */
function enter(
  root: Branch,
  node: Node,
  labels: readonly string[],
  visit: (branch: Branch) => void,
): Branch {
  let branch = root;
  for (const label of labels) {
    const value = labelOf(node, label) ?? '';
    let child = branch.children.get(value);
    if (child === undefined) branch.children.set(value, (child = newBranch(value)));
    visit(child);
    branch = child;
  }
  return branch;
}

/** The best node of the emptiest branch that still has one; branches that are full are dropped. */
function best(branch: Branch, before: (a: number, b: number) => boolean): number {
  if (branch.children.size === 0) {
    branch.heap ??= new NodeHeap(branch.numbers, before);
    return branch.heap.top;
  }
  while (branch.children.size > 0) {
    let emptiest: Branch | undefined;
    for (const child of branch.children.values()) {
      if (emptiest === undefined || emptier(child, emptiest)) emptiest = child;
    }
    if (emptiest === undefined) break;
    const number = best(emptiest, before);
    if (number !== noNode) return number;
    branch.children.delete(emptiest.label);
  }
  return noNode;
}

function emptier(a: Branch, b: Branch): boolean {
  if (a.own !== b.own) return a.own < b.own;
  const load = a.load * b.nodes - b.load * a.nodes;
  return load !== 0 ? load < 0 : a.label < b.label;
}

function newBranch(label: string): Branch {
  return {
    label,
    own: 0,
    load: 0,
    nodes: 0,
    children: new Map(),
    numbers: [],
    heap: undefined,
  };
}
