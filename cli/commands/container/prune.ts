import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { pruneFilterFlag } from '../../command/common-flags.ts';
import { forceFlag, isConfirmed } from '../../command/confirm.ts';
import { humanSize } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';

const filter = pruneFilterFlag('"until=<timestamp>"');

const warning = 'WARNING! This will remove all stopped containers.';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filter, forceFlag],
  args: noArgs,
  async run(context, _args, flags) {
    if (!flags.get(forceFlag) && !(await isConfirmed(context, warning))) return;
    const filters = filtersQuery(gatherFilters(flags.get(filter)));
    const { ContainersDeleted: ids, SpaceReclaimed } = await connect(context).json<{
      ContainersDeleted?: readonly string[] | null;
      SpaceReclaimed: number;
    }>('POST', '/containers/prune', { query: { filters } });
    if (ids?.length) context.out.line(['Deleted Containers:', ...ids, ''].join('\n'));
    context.out.line(`Total reclaimed space: ${humanSize(SpaceReclaimed)}`);
  },
};
