import { stackLabel } from '../../../compose/index.ts';
import { SwarmError } from '../../../lib/errors.ts';
import { connect } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noResolveFlag, noTruncFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { gatherFilters, listTasks } from '../../service/lookup.ts';
import { printTasks } from '../../service/task-list.ts';
import { checkName } from '../../stack/input.ts';

const quiet = bool('quiet', 'Only display task IDs', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS] STACK',
  flags: [filterFlag, formatFlag, noResolveFlag, noTruncFlag, quiet],
  args: exactly(1),
  async run(context, [name = ''], flags) {
    checkName(name);
    const client = connect(context);
    const filters = gatherFilters(flags.get(filterFlag));
    const label = [`${stackLabel}=${name}`, ...(filters['label'] ?? [])];
    const tasks = await listTasks(client, { ...filters, label });
    if (tasks.length === 0) throw new SwarmError('not-found', `nothing found in stack: ${name}`);
    await printTasks(context, client, tasks, {
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ?? false,
      noTrunc: flags.get(noTruncFlag) ?? false,
      noResolve: flags.get(noResolveFlag) ?? false,
    });
  },
};
