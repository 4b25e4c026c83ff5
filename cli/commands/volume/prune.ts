import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { commandError } from '../../command/errors.ts';
import { bool, listOf } from '../../command/flags.ts';
import { humanSize } from '../../format/units.ts';
import { isConfirmed } from '../../network/confirm.ts';
import { gatherFilters, parseFilter } from '../../service/lookup.ts';

const all = bool('all', 'Remove all unused volumes, not just anonymous ones', { short: 'a' });
const filter = listOf('filter', 'Provide filter values (e.g. "label=<label>")', parseFilter, {
  word: 'filter',
});
const force = bool('force', 'Do not prompt for confirmation', { short: 'f' });

const question = (kind: string) =>
  `WARNING! This will remove ${kind} local volumes not used by at least one container.`;

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [all, filter, force],
  args: noArgs,
  async run(context, _args, flags) {
    const given = flags.get(filter) ?? [];
    if (flags.get(all) && given.some(([key]) => key === 'all')) {
      throw commandError('conflicting options: cannot specify both --all and --filter all=1');
    }
    const warning = question(flags.get(all) ? 'all' : 'anonymous');
    if (!flags.get(force) && !(await isConfirmed(context, warning))) return;
    const wanted = flags.get(all) ? [...given, ['all', 'true'] as const] : given;
    const { VolumesDeleted: names, SpaceReclaimed } = await connect(context).json<{
      VolumesDeleted?: readonly string[] | null;
      SpaceReclaimed: number;
    }>('POST', '/volumes/prune', { query: { filters: filtersQuery(gatherFilters(wanted)) } });
    if (names?.length) context.out.line(['Deleted Volumes:', ...names, ''].join('\n'));
    context.out.line(`Total reclaimed space: ${humanSize(SpaceReclaimed)}`);
  },
};
