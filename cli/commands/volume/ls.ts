import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList, type Column } from '../../format/list.ts';
import { naturalCompare } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';
import type { WireVolume } from '../../volume/wire.ts';

const quiet = bool('quiet', 'Only display volume names', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filterFlag, formatFlag, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const filters = filtersQuery(gatherFilters(flags.get(filterFlag)));
    const { Volumes } = await connect(context).get<{ Volumes?: WireVolume[] | null }>('/volumes', {
      filters,
    });
    await printList(context.out, {
      rows: (Volumes ?? []).toSorted((a, b) => naturalCompare(a.Name, b.Name)),
      columns,
      table: ['Driver', 'Name'],
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ? ({ Name }) => Name : undefined,
    });
  },
};

const columns: Readonly<Record<string, Column<WireVolume>>> = {
  Driver: { header: 'DRIVER', value: ({ Driver }) => Driver },
  Name: { header: 'VOLUME NAME', value: ({ Name }) => Name },
  Scope: { header: 'SCOPE', value: ({ Scope }) => Scope },
  Mountpoint: { header: 'MOUNTPOINT', value: ({ Mountpoint }) => Mountpoint },
  Labels: {
    header: 'LABELS',
    value: ({ Labels }) =>
      Object.entries(Labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
  },
  Label: {
    header: '',
    value:
      ({ Labels }) =>
      (key: string) =>
        Labels?.[key] ?? '',
  },
  Links: { header: 'LINKS', value: () => 'N/A' },
  Size: { header: 'SIZE', value: () => 'N/A' },
};
