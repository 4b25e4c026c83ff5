import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { pruneFilterFlag } from '../../command/common-flags.ts';
import { forceFlag, isConfirmed } from '../../command/confirm.ts';
import { bool } from '../../command/flags.ts';
import { humanSize } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';

const all = bool('all', 'Remove all unused images, not just dangling ones', { short: 'a' });
const filter = pruneFilterFlag('"until=<timestamp>"');

const warning = 'WARNING! This will remove all dangling images.';
const warningAll =
  'WARNING! This will remove all images without at least one container associated to them.';

interface Pruned {
  readonly ImagesDeleted?: readonly { Untagged?: string; Deleted?: string }[] | null;
  readonly SpaceReclaimed?: number;
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [all, filter, forceFlag],
  args: noArgs,
  async run(context, _args, flags) {
    const isAll = flags.get(all) ?? false;
    const question = isAll ? warningAll : warning;
    if (!flags.get(forceFlag) && !(await isConfirmed(context, question))) return;
    const given = gatherFilters(flags.get(filter));
    const filters = filtersQuery({ ...given, dangling: [String(!isAll)] });
    const pruned = await connect(context).json<Pruned>('POST', '/images/prune', {
      query: { filters },
    });
    const removed = pruned.ImagesDeleted ?? [];
    if (removed.length > 0) {
      context.out.line('Deleted Images:');
      for (const { Deleted, Untagged } of removed) {
        context.out.line(Deleted === undefined ? `untagged: ${Untagged}` : `deleted: ${Deleted}`);
      }
      context.out.line();
    }
    context.out.line(`Total reclaimed space: ${humanSize(pruned.SpaceReclaimed ?? 0)}`);
  },
};
