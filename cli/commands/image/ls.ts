import { humanDuration } from '../../../lib/units.ts';
import { connect, filtersQuery } from '../../client/index.ts';
import type { WireImage } from '../../client/wire.ts';
import { between, type Command } from '../../command/command.ts';
import { filterFlag, formatFlag, noTruncFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList, type Column } from '../../format/list.ts';
import { humanSize } from '../../format/units.ts';
import { parseReference } from '../../image/reference.ts';
import { gatherFilters } from '../../service/lookup.ts';

const all = bool('all', 'Show all images (default hides intermediate images)', { short: 'a' });
const digests = bool('digests', 'Show digests');
const quiet = bool('quiet', 'Only show image IDs', { short: 'q' });

interface Row {
  readonly image: WireImage;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const none = '<none>';

export const command: Command = {
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  flags: [all, digests, filterFlag, formatFlag, noTruncFlag, quiet],
  args: between(0, 1),
  async run(context, [reference], flags) {
    const given = flags.get(filterFlag) ?? [];
    const filters = gatherFilters(
      reference === undefined ? given : [...given, ['reference', reference]],
    );
    const images = await connect(context).get<WireImage[] | null>('/images/json', {
      all: flags.get(all) ? 1 : undefined,
      filters: filtersQuery(filters),
    });
    const sorted = (images ?? []).toSorted((a, b) => b.Created - a.Created);
    const noTrunc = flags.get(noTruncFlag) ?? false;
    const withDigests = flags.get(digests) ?? false;
    await printList(context.out, {
      rows: sorted.flatMap((image) => rowsOf(image, withDigests)),
      columns: columnsFor(context.clock.nowMs(), noTrunc),
      table: [
        'Repository',
        'Tag',
        ...(withDigests ? ['Digest'] : []),
        'ID',
        'CreatedSince',
        'Size',
      ],
      format: flags.get(formatFlag),
      quiet: flags.get(quiet) ? ({ image }) => shownId(image, noTrunc) : undefined,
    });
  },
};

/** A row for each tag; one for each digest that no tag of the same repository stands for. */
function rowsOf(image: WireImage, withDigests: boolean): Row[] {
  const tags = (image.RepoTags ?? [])
    .filter((name) => name !== '<none>:<none>')
    .map(parseReference);
  const digestsOf = (image.RepoDigests ?? [])
    .filter((name) => name !== '<none>@<none>')
    .map(parseReference);
  const rows = tags.flatMap(({ repository, tag = none }) => {
    const own = digestsOf.filter((digest) => digest.repository === repository);
    const shown = withDigests && own.length > 0 ? own.map(({ digest = none }) => digest) : [none];
    return shown.map((digest) => ({ image, repository, tag, digest }));
  });
  const untagged = digestsOf.filter(
    ({ repository }) => !tags.some((tag) => tag.repository === repository),
  );
  for (const { repository, digest = none } of untagged) {
    rows.push({ image, repository, tag: none, digest });
  }
  return rows.length > 0 ? rows : [{ image, repository: none, tag: none, digest: none }];
}

function shownId(image: WireImage, noTrunc: boolean): string {
  return noTrunc ? image.Id : image.Id.replace(/^sha256:/, '').slice(0, 12);
}

function columnsFor(nowMs: number, noTrunc: boolean): Record<string, Column<Row>> {
  return {
    ID: {
      header: 'IMAGE ID',
      value: ({ image }) => shownId(image, noTrunc),
    },
    Repository: { header: 'REPOSITORY', value: ({ repository }) => repository },
    Tag: { header: 'TAG', value: ({ tag }) => tag },
    Digest: { header: 'DIGEST', value: ({ digest }) => digest },
    CreatedSince: {
      header: 'CREATED',
      value: ({ image }) =>
        image.Created <= 0 ? 'N/A' : `${humanDuration(nowMs - image.Created * 1000)} ago`,
    },
    CreatedAt: {
      header: 'CREATED AT',
      value: ({ image }) =>
        `${new Date(image.Created * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
    },
    Size: { header: 'SIZE', value: ({ image }) => humanSize(image.Size, 3) },
    Containers: {
      header: 'CONTAINERS',
      value: ({ image: { Containers: count = -1 } }) => (count < 0 ? 'N/A' : String(count)),
    },
    VirtualSize: { header: 'SIZE', value: ({ image }) => humanSize(image.Size) },
    SharedSize: {
      header: 'SHARED SIZE',
      value: ({ image: { SharedSize: size = -1 } }) => (size < 0 ? 'N/A' : humanSize(size)),
    },
    UniqueSize: {
      header: 'UNIQUE SIZE',
      value: ({ image: { Size, SharedSize: size = -1 } }) =>
        size < 0 ? 'N/A' : humanSize(Size - size),
    },
  };
}
