import { humanDuration } from '../../../lib/units.ts';
import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noTruncFlag } from '../../command/common-flags.ts';
import { bool, integer } from '../../command/flags.ts';
import { imageText, portsText, type WireContainer } from '../../container/row.ts';
import { printList, type Column } from '../../format/list.ts';
import { ellipsis, humanSize } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';

const all = bool('all', 'Show all containers (default shows just running)', { short: 'a' });
const last = integer('last', 'Show n last created containers (includes all states)', {
  short: 'n',
  shownDefault: '-1',
});
const latest = bool('latest', 'Show the latest created container (includes all states)', {
  short: 'l',
});
const quiet = bool('quiet', 'Only display container IDs', { short: 'q' });
const size = bool('size', 'Display total file sizes', { short: 's' });

const commandLength = 20;

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [all, filterFlag, formatFlag, last, latest, noTruncFlag, quiet, size],
  args: noArgs,
  async run(context, _args, flags) {
    const withSize = flags.get(size) || /\.Size\b/.test(flags.get(formatFlag) ?? '');
    const count = flags.get(latest) ? 1 : (flags.get(last) ?? -1);
    const rows = await connect(context).get<readonly WireContainer[]>('/containers/json', {
      all: flags.get(all) ? 1 : undefined,
      limit: count > 0 ? count : undefined,
      size: withSize ? 1 : undefined,
      filters: filtersQuery(gatherFilters(flags.get(filterFlag))),
    });
    const noTrunc = flags.get(noTruncFlag) ?? false;
    const idOf = ({ Id }: WireContainer) => (noTrunc ? Id : Id.slice(0, 12));
    await printList(context.out, {
      rows,
      columns: columnsFor(context.clock.nowMs(), noTrunc, idOf),
      table: [
        'ID',
        'Image',
        'Command',
        'RunningFor',
        'Status',
        'Ports',
        'Names',
        ...(withSize ? ['Size'] : []),
      ],
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ? idOf : undefined,
    });
  },
};

function columnsFor(
  nowMs: number,
  noTrunc: boolean,
  idOf: (row: WireContainer) => string,
): Record<string, Column<WireContainer>> {
  return {
    ID: { header: 'CONTAINER ID', value: idOf },
    Image: { header: 'IMAGE', value: (row) => (noTrunc ? row.Image : imageText(row)) },
    Command: {
      header: 'COMMAND',
      value: ({ Command: line }) => `"${noTrunc ? line : ellipsis(line, commandLength)}"`,
    },
    CreatedAt: {
      header: 'CREATED AT',
      value: ({ Created }) =>
        `${new Date(Created * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
    },
    RunningFor: {
      header: 'CREATED',
      value: ({ Created }) => `${humanDuration(nowMs - Created * 1000)} ago`,
    },
    Status: { header: 'STATUS', value: ({ Status }) => Status },
    State: { header: 'STATE', value: ({ State }) => State },
    Ports: { header: 'PORTS', value: ({ Ports }) => portsText(Ports) },
    Names: {
      header: 'NAMES',
      value: ({ Names }) => Names.map((name) => name.replace(/^\//, '')).join(','),
    },
    Labels: {
      header: 'LABELS',
      value: ({ Labels }) =>
        Object.entries(Labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
    },
    Label: {
      header: 'LABEL',
      value:
        ({ Labels }) =>
        (name: string) =>
          Labels[name] ?? '',
    },
    Networks: {
      header: 'NETWORKS',
      value: ({ NetworkSettings }) => Object.keys(NetworkSettings.Networks).join(','),
    },
    Mounts: {
      header: 'MOUNTS',
      value: ({ Mounts }) => Mounts.map(({ Source }) => Source).join(','),
    },
    Size: {
      header: 'SIZE',
      value: ({ SizeRw = 0, SizeRootFs = 0 }) =>
        `${humanSize(SizeRw, 3)} (virtual ${humanSize(SizeRootFs, 3)})`,
    },
  };
}
