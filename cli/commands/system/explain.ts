import {
  explanation,
  type NodeVerdict,
  type Reason,
  type TaskExplanation,
} from '../../../types/index.ts';
import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { oneOf } from '../../command/flags.ts';
import { alignColumns } from '../../format/table.ts';

const format = oneOf('format', 'Format output: text, json', ['text', 'json'] as const, {
  short: 'f',
});
/** More nodes than these are counted by what they say. */
const maxNodes = 20;

export const command: Command = {
  usage: '[OPTIONS] TASK|SERVICE',
  flags: [format],
  args: exactly(1),
  long:
    'Asks the planners themselves: why a task waits, and what each node says to it; why it was ' +
    'restarted or stopped, and what its stop waits for; why it is where it is; how far an update ' +
    'is, and why it is paused. A task is named by its id or its place, such as web.3.',
  async run(context, [reference = ''], flags) {
    const path = `/explain/${encodeURIComponent(reference)}`;
    const answer = await connect(context).get<unknown>(path);
    if (flags.get(format) === 'json') {
      context.out.line(JSON.stringify(answer));
      return;
    }
    const { service, task } = explanation.decode(answer, 'Explanation');
    if (task !== undefined) for (const line of taskLines(task)) context.out.line(line);
    if (service === undefined) return;
    context.out.line(`service ${service.name} (${service.id})`);
    for (const line of reasonLines(service.reasons)) context.out.line(line);
    for (const one of service.tasks) {
      context.out.line('');
      for (const line of taskLines(one)) context.out.line(line);
    }
    if (service.moreTasks === 0) return;
    context.out.line('');
    context.out.line(`and ${service.moreTasks} more tasks that are not as they are meant to be`);
  },
};

function taskLines(task: TaskExplanation): string[] {
  const { name, id, state, desiredState } = task;
  return [
    `task ${name} (${id}): ${state}, should be ${desiredState}`,
    ...reasonLines(task.reasons),
    ...nodeLines(task),
  ];
}

function reasonLines(reasons: readonly Reason[]): string[] {
  return alignColumns(
    reasons.map((one) => `  ${one.about}\t${one.text}`),
    { minWidth: 0, padding: 2 },
  );
}

/** Where a task has its node already, the others matter only as far as they would be better. */
function nodeLines({ nodeId, nodes }: TaskExplanation): string[] {
  if (nodes.length > maxNodes) return groupedLines(nodes);
  return alignColumns(
    nodes.map((node) => {
      const own = node.id === nodeId ? '*' : ' ';
      return `  ${own} ${node.hostname}\t${verdictOf(node)}`;
    }),
    { minWidth: 0, padding: 2 },
  );
}

function verdictOf({ refusals, serviceTasks, tasks, failures }: NodeVerdict): string {
  if (refusals.length > 0) return `refuses: ${refusals.join('; ')}`;
  const failed = failures > 0 ? `, ${failures} failures of late` : '';
  return `fits: ${serviceTasks} other tasks of the service, ${tasks} in all${failed}`;
}

function groupedLines(nodes: readonly NodeVerdict[]): string[] {
  const groups = Map.groupBy(nodes, ({ refusals }) =>
    refusals.length === 0 ? 'fit' : `refuse: ${refusals.join('; ')}`,
  );
  return [...groups]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .slice(0, maxNodes)
    .map(([what, list]) => `    ${list.length} nodes ${what} (${list[0]?.hostname}, …)`);
}
