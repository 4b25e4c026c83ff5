import { connect } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noResolveFlag, noTruncFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { gatherFilters, listTasks } from '../../service/lookup.ts';
import { printTasks } from '../../service/task-list.ts';

const all = bool('all', 'Show all tasks (default shows those that are meant to run)', {
  short: 'a',
});
const quiet = bool('quiet', 'Only display task IDs', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [all, filterFlag, formatFlag, noResolveFlag, noTruncFlag, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const client = connect(context);
    const filters = gatherFilters(flags.get(filterFlag));
    const isAll = flags.get(all) ?? filters['desired-state'] !== undefined;
    const wanted = isAll ? filters : { ...filters, 'desired-state': ['running', 'ready'] };
    await printTasks(context, client, await listTasks(client, wanted), {
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ?? false,
      noTrunc: flags.get(noTruncFlag) ?? false,
      noResolve: flags.get(noResolveFlag) ?? false,
    });
  },
};
