import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { bool, listOf } from '../../command/flags.ts';
import { isConfirmed } from '../../network/confirm.ts';
import { gatherFilters, parseFilter } from '../../service/lookup.ts';

const filter = listOf('filter', 'Provide filter values (e.g. "until=<timestamp>")', parseFilter, {
  word: 'filter',
});
const force = bool('force', 'Do not prompt for confirmation', { short: 'f' });

const warning = 'WARNING! This will remove all custom networks not used by at least one container.';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filter, force],
  args: noArgs,
  async run(context, _args, flags) {
    if (!flags.get(force) && !(await isConfirmed(context, warning))) return;
    const filters = filtersQuery(gatherFilters(flags.get(filter)));
    const { NetworksDeleted: names } = await connect(context).json<{
      NetworksDeleted?: readonly string[] | null;
    }>('POST', '/networks/prune', { query: { filters } });
    if (!names?.length) return;
    context.out.line(['Deleted Networks:', ...names, ''].join('\n'));
  },
};
