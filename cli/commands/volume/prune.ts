import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { pruneFilterFlag } from '../../command/common-flags.ts';
import { forceFlag, isConfirmed } from '../../command/confirm.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { humanSize } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';

const all = bool('all', 'Remove all unused volumes, not just anonymous ones', { short: 'a' });
const filter = pruneFilterFlag('"label=<label>"');

const question = (kind: string) =>
  `WARNING! This will remove ${kind} local volumes not used by at least one container.`;

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [all, filter, forceFlag],
  args: noArgs,
  async run(context, _args, flags) {
    const given = flags.get(filter) ?? [];
    if (flags.get(all) && given.some(([key]) => key === 'all')) {
      throw commandError('conflicting options: cannot specify both --all and --filter all=1');
    }
    const warning = question(flags.get(all) ? 'all' : 'anonymous');
    if (!flags.get(forceFlag) && !(await isConfirmed(context, warning))) return;
    const wanted = flags.get(all) ? [...given, ['all', 'true'] as const] : given;
    const { VolumesDeleted: names, SpaceReclaimed } = await connect(context).json<{
      VolumesDeleted?: readonly string[] | null;
      SpaceReclaimed: number;
    }>('POST', '/volumes/prune', { query: { filters: filtersQuery(gatherFilters(wanted)) } });
    if (names?.length) context.out.line(['Deleted Volumes:', ...names, ''].join('\n'));
    context.out.line(`Total reclaimed space: ${humanSize(SpaceReclaimed)}`);
  },
};
