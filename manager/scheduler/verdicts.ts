/** What the scheduler makes of every node for one task: its filters and ranking, in full. */
import type { StoreView } from '../store/view.ts';
import type { Node, Task } from '../../types/index.ts';
import { filtersFor } from './filters.ts';
import { Homes } from './homes.ts';
import { NodeTable } from './node-table.ts';
import { penaltiesOf } from './penalties.ts';
import { ranksBefore } from './rank.ts';

export interface Verdict {
  readonly node: Node;
  /** Why the task cannot go there; none where it can. */
  readonly refusals: readonly string[];
  /** Wanted tasks of the same service there, without the task itself. */
  readonly serviceTasks: number;
  /** All wanted tasks there, without the task itself. */
  readonly tasks: number;
  /** Failures of late of the same spec, where they are many enough to count. */
  readonly failures: number;
}

/**
 * Every node, the best first and then those that are refused, as if the task were to be placed now.
 * Placement preferences come before this ranking: they are not part of it.
 */
export function verdictsOn(
  view: StoreView,
  task: Task,
  env: { readonly nowMs: number },
): readonly Verdict[] {
  const table = new NodeTable(view);
  if (task.nodeId !== '' && view.task(task.id) !== undefined && isCounted(task)) {
    table.release(task);
  }
  const count = table.serviceCounts(task.serviceId);
  const filters = filtersFor(table, task, count, new Map());
  const penalty = penaltiesOf(view, table, task, env.nowMs);
  const bound = task.forNodeId;
  const home = new Homes(view, table).of(task);
  const isAway = (number: number) => home?.isRequired === true && !home.numbers.includes(number);
  return table.nodes
    .map((node, number) => ({
      number,
      verdict: {
        node,
        refusals:
          bound === undefined || bound === node.id
            ? [
                ...filters.refusals(number),
                ...(isAway(number) ? ['does not have the volumes of its slot'] : []),
              ]
            : ['is not the node that this task was made for'],
        serviceTasks: count(number),
        tasks: table.activeTasks[number] ?? 0,
        failures: penalty(number),
      },
    }))
    .toSorted((a, b) => {
      const fits = Number(a.verdict.refusals.length > 0) - Number(b.verdict.refusals.length > 0);
      if (fits !== 0) return fits;
      return ranksBefore(table, { count, penalty }, a.number, b.number) ? -1 : 1;
    })
    .map(({ verdict }) => verdict);
}

function isCounted({ desiredState }: Task): boolean {
  return desiredState !== 'shutdown' && desiredState !== 'remove';
}
