import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { pruneFilterFlag } from '../../command/common-flags.ts';
import { forceFlag, isConfirmed } from '../../command/confirm.ts';
import { bool, bytes } from '../../command/flags.ts';
import { humanSize } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';

const all = bool('all', 'Remove all build cache, not just what nothing is named of', {
  short: 'a',
});
const filter = pruneFilterFlag('until=24h');
const keepStorage = bytes('keep-storage', 'Amount of disk space to keep for cache');

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [all, filter, forceFlag, keepStorage],
  args: noArgs,
  async run(context, _args, flags) {
    const isAll = flags.get(all) ?? false;
    const question = `WARNING! This will remove all ${isAll ? '' : 'dangling '}build cache.`;
    if (!flags.get(forceFlag) && !(await isConfirmed(context, question))) return;
    const { SpaceReclaimed: freed = 0 } = await connect(context).json<{ SpaceReclaimed?: number }>(
      'POST',
      '/build/prune',
      {
        query: {
          all: isAll ? 1 : undefined,
          filters: filtersQuery(gatherFilters(flags.get(filter))),
          'keep-storage': flags.get(keepStorage),
        },
      },
    );
    context.out.line(`Total reclaimed space: ${humanSize(freed)}`);
  },
};
