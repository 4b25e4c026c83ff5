import { connect, filtersQuery } from '../../client/index.ts';
import { exactly, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noTruncFlag } from '../../command/common-flags.ts';
import { integer } from '../../command/flags.ts';
import { printList } from '../../format/list.ts';
import { ellipsis } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';
import { registryAuthFor } from '../../service/registry-auth.ts';

const limit = integer('limit', 'Max number of search results');

interface Found {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
}

const descriptionWidth = 45;

export const command: Command = {
  usage: '[OPTIONS] TERM',
  flags: [filterFlag, formatFlag, limit, noTruncFlag],
  args: exactly(1),
  async run(context, [term = ''], flags) {
    const found = await connect(context).get<Found[] | null>(
      '/images/search',
      {
        term,
        limit: flags.get(limit),
        filters: filtersQuery(gatherFilters(flags.get(filterFlag))),
      },
      { headers: { 'X-Registry-Auth': await registryAuthFor(term, context.env) } },
    );
    const isWhole = flags.get(noTruncFlag) ?? false;
    const text = ({ description }: Found) => description.replaceAll(/\s+/g, ' ');
    await printList<Found>(context.out, {
      rows: (found ?? []).toSorted((a, b) => b.star_count - a.star_count),
      columns: {
        Name: { header: 'NAME', value: ({ name }) => name },
        Description: {
          header: 'DESCRIPTION',
          value: (row) => (isWhole ? text(row) : ellipsis(text(row), descriptionWidth)),
        },
        StarCount: { header: 'STARS', value: ({ star_count: stars }) => String(stars) },
        IsOfficial: { header: 'OFFICIAL', value: (row) => (row.is_official ? '[OK]' : '') },
      },
      table: ['Name', 'Description', 'StarCount', 'IsOfficial'],
      format: flags.get(formatFlag),
      quiet: undefined,
    });
  },
};
