import { connect, filtersQuery } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noTruncFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList, type Column } from '../../format/list.ts';
import { timeLine } from '../../format/pretty.ts';
import { naturalCompare } from '../../format/units.ts';
import type { WireNetwork } from '../../network/options.ts';
import { gatherFilters } from '../../service/lookup.ts';

const quiet = bool('quiet', 'Only display network IDs', { short: 'q' });

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [filterFlag, formatFlag, noTruncFlag, quiet],
  args: noArgs,
  async run(context, _args, flags) {
    const filters = filtersQuery(gatherFilters(flags.get(filterFlag)));
    const found = await connect(context).get<WireNetwork[] | null>('/networks', { filters });
    const noTrunc = flags.get(noTruncFlag) ?? false;
    const shownId = ({ Id }: WireNetwork) => (noTrunc ? Id : Id.slice(0, 12));
    await printList(context.out, {
      rows: (found ?? []).toSorted((a, b) => naturalCompare(a.Name, b.Name)),
      columns: columnsFor(shownId),
      table: ['ID', 'Name', 'Driver', 'Scope'],
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ? shownId : undefined,
    });
  },
};

function columnsFor(
  shownId: (network: WireNetwork) => string,
): Readonly<Record<string, Column<WireNetwork>>> {
  return {
    ID: { header: 'NETWORK ID', value: shownId },
    Name: { header: 'NAME', value: ({ Name }) => Name },
    Driver: { header: 'DRIVER', value: ({ Driver }) => Driver },
    Scope: { header: 'SCOPE', value: ({ Scope }) => Scope },
    IPv4: { header: 'IPV4', value: ({ EnableIPv4 = true }) => String(EnableIPv4) },
    IPv6: { header: 'IPV6', value: ({ EnableIPv6 = false }) => String(EnableIPv6) },
    Internal: { header: 'INTERNAL', value: ({ Internal = false }) => String(Internal) },
    Labels: { header: 'LABELS', value: ({ Labels }) => labelWords(Labels).join(',') },
    Label: { header: '', value: labelOf },
    CreatedAt: {
      header: 'CREATED AT',
      value: ({ Created }) => timeLine(Created).replace('utc', 'UTC'),
    },
  };
}

function labelWords(labels: WireNetwork['Labels']): string[] {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort();
}

/** `{{.Label "key"}}`. */
function labelOf({ Labels }: WireNetwork): unknown {
  return (key: string) => Labels?.[key] ?? '';
}
