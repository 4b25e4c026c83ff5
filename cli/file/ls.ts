import { humanDuration } from '../../lib/units.ts';
import type { FileKind } from '../../types/index.ts';
import { connect, filtersQuery } from '../client/index.ts';
import { noArgs, type Command } from '../command/command.ts';
import { filterFlag, formatFlag } from '../command/common-flags.ts';
import { bool } from '../command/flags.ts';
import { printList, type Column } from '../format/list.ts';
import { naturalCompare } from '../format/units.ts';
import { gatherFilters } from '../service/lookup.ts';
import type { WireFile } from './wire.ts';

const quiet = bool('quiet', 'Only display IDs', { short: 'q' });

export function lsCommand(kind: FileKind): Command {
  return {
    usage: '[OPTIONS]',
    flags: [filterFlag, formatFlag, quiet],
    args: noArgs,
    async run(context, _args, flags) {
      const filters = filtersQuery(gatherFilters(flags.get(filterFlag)));
      const found = await connect(context).get<WireFile[] | null>(`/${kind}s`, { filters });
      await printList(context.out, {
        rows: (found ?? []).toSorted((a, b) => naturalCompare(a.Spec.Name, b.Spec.Name)),
        columns: columnsFor(kind, context.clock.nowMs()),
        table: ['ID', 'Name', ...(kind === 'secret' ? ['Driver'] : []), 'CreatedAt', 'UpdatedAt'],
        format: flags.get(formatFlag),
        quiet: flags.get(quiet) ? ({ ID }) => ID : undefined,
      });
    },
  };
}

function columnsFor(kind: FileKind, nowMs: number): Readonly<Record<string, Column<WireFile>>> {
  const age = (time: string) => `${humanDuration(nowMs - Date.parse(time))} ago`;
  return {
    ID: { header: 'ID', value: ({ ID }) => ID },
    Name: { header: 'NAME', value: ({ Spec }) => Spec.Name },
    ...(kind === 'secret'
      ? { Driver: { header: 'DRIVER', value: ({ Spec }: WireFile) => Spec.Driver?.Name ?? '' } }
      : {}),
    CreatedAt: { header: 'CREATED', value: ({ CreatedAt }) => age(CreatedAt) },
    UpdatedAt: { header: 'UPDATED', value: ({ UpdatedAt }) => age(UpdatedAt) },
    Labels: { header: 'LABELS', value: ({ Spec }) => labelWords(Spec.Labels).join(',') },
    Label: {
      header: '',
      value:
        ({ Spec }) =>
        (key: string) =>
          Spec.Labels?.[key] ?? '',
    },
  };
}

function labelWords(labels: WireFile['Spec']['Labels']): string[] {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort();
}
