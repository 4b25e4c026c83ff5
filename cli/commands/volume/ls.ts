import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList, type Column } from '../../format/list.ts';
import { naturalCompare } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';
import type { WireClusterVolume, WireVolume } from '../../volume/wire.ts';

const cluster = bool(
  'cluster',
  'Display only cluster volumes, and use cluster volume list formatting',
);
const quiet = bool('quiet', 'Only display volume names', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [cluster, filterFlag, formatFlag, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const filters = filtersQuery(gatherFilters(flags.get(filterFlag)));
    const { Volumes } = await connect(context).get<{ Volumes?: WireVolume[] | null }>('/volumes', {
      filters,
    });
    const isCluster = flags.get(cluster) === true;
    const shown = (Volumes ?? []).filter((one) => !isCluster || one.ClusterVolume !== undefined);
    await printList(context.out, {
      rows: shown.toSorted((a, b) => naturalCompare(a.Name, b.Name)),
      columns,
      table: isCluster ? ['Name', 'Group', 'Driver', 'Availability', 'Status'] : ['Driver', 'Name'],
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
  Group: {
    header: 'GROUP',
    value: ({ ClusterVolume: of }) => (of ? (of.Spec.Group ?? '') : 'N/A'),
  },
  Availability: {
    header: 'AVAILABILITY',
    value: ({ ClusterVolume: of }) => (of ? (of.Spec.Availability ?? '') : 'N/A'),
  },
  Status: { header: 'STATUS', value: ({ ClusterVolume: of }) => (of ? statusOf(of) : 'N/A') },
  Links: { header: 'LINKS', value: () => 'N/A' },
  Size: { header: 'SIZE', value: () => 'N/A' },
};

function statusOf({ Info, PublishStatus = [] }: WireClusterVolume): string {
  if (!Info?.VolumeID) return 'pending creation';
  if (PublishStatus.length === 0) return 'created';
  return `in use (${PublishStatus.length} ${PublishStatus.length === 1 ? 'node' : 'nodes'})`;
}
