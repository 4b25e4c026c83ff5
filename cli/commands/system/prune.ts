import { connect, filtersQuery, type Filters } from '../../client/index.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { pruneFilterFlag } from '../../command/common-flags.ts';
import { forceFlag, isConfirmed } from '../../command/confirm.ts';
import { commandError } from '../../command/errors.ts';
import { bool } from '../../command/flags.ts';
import { humanSize } from '../../format/units.ts';
import { gatherFilters } from '../../service/lookup.ts';

const all = bool('all', 'Remove all unused images not just dangling ones', { short: 'a' });
const filter = pruneFilterFlag('"label=<key>=<value>"');
const volumes = bool('volumes', 'Prune anonymous volumes');

interface Pruned {
  readonly ContainersDeleted?: readonly string[] | null;
  readonly VolumesDeleted?: readonly string[] | null;
  readonly NetworksDeleted?: readonly string[] | null;
  readonly ImagesDeleted?: readonly { Untagged?: string; Deleted?: string }[] | null;
  readonly CachesDeleted?: readonly string[] | null;
  readonly SpaceReclaimed?: number;
}

interface Step {
  readonly path: string;
  readonly filters: Filters;
  readonly all?: boolean;
}

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [all, filter, forceFlag, volumes],
  args: noArgs,
  async run(context, _args, flags) {
    const isAll = flags.get(all) ?? false;
    const withVolumes = flags.get(volumes) ?? false;
    const given = gatherFilters(flags.get(filter));
    if (withVolumes && given['until'] !== undefined) {
      throw commandError('ERROR: The "until" filter is not supported with "--volumes"');
    }
    const question = questionOf(isAll, withVolumes, given);
    if (!flags.get(forceFlag) && !(await isConfirmed(context, question))) return;
    const client = connect(context);
    let freed = 0;
    // What is gone first sets free what comes later.
    const steps: readonly Step[] = [
      { path: '/containers/prune', filters: given },
      ...(withVolumes ? [{ path: '/volumes/prune', filters: given }] : []),
      { path: '/networks/prune', filters: given },
      { path: '/images/prune', filters: { ...given, dangling: [String(!isAll)] } },
      { path: '/build/prune', filters: given, all: isAll },
    ];
    for (const { path, filters, all: whole } of steps) {
      const query = { filters: filtersQuery(filters), all: whole === true ? 1 : undefined };
      const pruned = await client.json<Pruned>('POST', path, { query });
      for (const line of linesOf(pruned)) context.out.line(line);
      freed += pruned.SpaceReclaimed ?? 0;
    }
    context.out.line(`Total reclaimed space: ${humanSize(freed)}`);
  },
};

function questionOf(isAll: boolean, withVolumes: boolean, given: Filters): string {
  const filters = Object.entries(given).flatMap(([key, values]) =>
    values.map((value) => `  - ${key}=${value}`),
  );
  return [
    'WARNING! This will remove:',
    '  - all stopped containers',
    '  - all networks not used by at least one container',
    ...(withVolumes ? ['  - all anonymous volumes not used by at least one container'] : []),
    isAll
      ? '  - all images without at least one container associated to them'
      : '  - all dangling images',
    isAll ? '  - all build cache' : '  - unused build cache',
    ...(filters.length > 0 ? ['', '  Items to be pruned will be filtered with:', ...filters] : []),
    '',
  ].join('\n');
}

function linesOf(pruned: Pruned): readonly string[] {
  const images = (pruned.ImagesDeleted ?? []).map(({ Deleted, Untagged }) =>
    Deleted === undefined ? `untagged: ${Untagged}` : `deleted: ${Deleted}`,
  );
  const sections: readonly (readonly [string, readonly string[] | null | undefined])[] = [
    ['Deleted Containers:', pruned.ContainersDeleted],
    ['Deleted Volumes:', pruned.VolumesDeleted],
    ['Deleted Networks:', pruned.NetworksDeleted],
    ['Deleted Images:', images],
    ['Deleted build cache objects:', pruned.CachesDeleted],
  ];
  return sections.flatMap(([title, names]) => (names?.length ? [title, ...names, ''] : []));
}
