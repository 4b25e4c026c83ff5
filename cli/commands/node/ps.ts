import { SwarmError } from '../../../lib/errors.ts';
import { connect } from '../../client/index.ts';
import type { WireTask } from '../../client/wire.ts';
import { atLeast, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noResolveFlag, noTruncFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { findNode } from '../../node/change.ts';
import { gatherFilters, listTasks } from '../../service/lookup.ts';
import { printTasks } from '../../service/task-list.ts';

const quiet = bool('quiet', 'Only display task IDs', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS] [NODE...]',
  flags: [filterFlag, formatFlag, noResolveFlag, noTruncFlag, quiet],
  args: atLeast(0),
  async run(context, operands, flags) {
    const client = connect(context);
    const references = operands.length === 0 ? ['self'] : operands;
    const tasks: WireTask[] = [];
    const errors: string[] = [];
    for (const reference of references) {
      try {
        const node = await findNode(client, reference);
        const filters = gatherFilters(flags.get(filterFlag));
        tasks.push(...(await listTasks(client, { ...filters, node: [node.ID] })));
      } catch (error) {
        errors.push(SwarmError.from(error).message);
      }
    }
    if (errors.length < references.length) {
      await printTasks(context, client, tasks, {
        format: flags.get(formatFlag),
        quiet: flags.get(quiet) ?? false,
        noTrunc: flags.get(noTruncFlag) ?? false,
        noResolve: flags.get(noResolveFlag) ?? false,
      });
    }
    if (errors.length > 0) throw new SwarmError('not-found', errors.join('\n'));
  },
};
