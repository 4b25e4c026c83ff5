import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { pruneFilterFlag } from '../../command/common-flags.ts';
import { forceFlag, isConfirmed } from '../../command/confirm.ts';
import { gatherFilters } from '../../service/lookup.ts';

const filter = pruneFilterFlag('"until=<timestamp>"');

const warning = 'WARNING! This will remove all custom networks not used by at least one container.';

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filter, forceFlag],
  args: noArgs,
  async run(context, _args, flags) {
    if (!flags.get(forceFlag) && !(await isConfirmed(context, warning))) return;
    const filters = filtersQuery(gatherFilters(flags.get(filter)));
    const { NetworksDeleted: names } = await connect(context).json<{
      NetworksDeleted?: readonly string[] | null;
    }>('POST', '/networks/prune', { query: { filters } });
    if (!names?.length) return;
    context.out.line(['Deleted Networks:', ...names, ''].join('\n'));
  },
};
