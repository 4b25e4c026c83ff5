import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { bool, listOf } from '../../command/flags.ts';
import { humanSize } from '../../format/units.ts';
import { isConfirmed } from '../../network/confirm.ts';
import { gatherFilters, parseFilter } from '../../service/lookup.ts';

const filter = listOf('filter', 'Provide filter values (e.g. "until=<timestamp>")', parseFilter, {
  word: 'filter',
});
const force = bool('force', 'Do not prompt for confirmation', { short: 'f' });

const warning = 'WARNING! This will remove all stopped containers.';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filter, force],
  args: noArgs,
  async run(context, _args, flags) {
    if (!flags.get(force) && !(await isConfirmed(context, warning))) return;
    const filters = filtersQuery(gatherFilters(flags.get(filter)));
    const { ContainersDeleted: ids, SpaceReclaimed } = await connect(context).json<{
      ContainersDeleted?: readonly string[] | null;
      SpaceReclaimed: number;
    }>('POST', '/containers/prune', { query: { filters } });
    if (ids?.length) context.out.line(['Deleted Containers:', ...ids, ''].join('\n'));
    context.out.line(`Total reclaimed space: ${humanSize(SpaceReclaimed)}`);
  },
};
