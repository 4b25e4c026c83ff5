import { connect } from '../../client/index.ts';
import type { WireImage } from '../../client/wire.ts';
import { noArgs, type Command } from '../../command/command.ts';
import { formatFlag } from '../../command/common-flags.ts';
import { bool } from '../../command/flags.ts';
import { printList, type Column } from '../../format/list.ts';
import { humanSize } from '../../format/units.ts';

const verbose = bool('verbose', 'Show detailed information on space usage', { short: 'v' });

interface WireUsage {
  readonly LayersSize?: number;
  readonly Images?: readonly WireImage[] | null;
  readonly Containers?: readonly UsedContainer[] | null;
  readonly Volumes?: readonly UsedVolume[] | null;
  readonly BuildCache?: readonly { readonly InUse?: boolean; readonly Size?: number }[] | null;
}

interface UsedContainer {
  readonly Id: string;
  readonly Names?: readonly string[];
  readonly Image: string;
  readonly SizeRw?: number;
  readonly State: string;
  readonly Status: string;
}

interface UsedVolume {
  readonly Name: string;
  readonly UsageData?: { readonly RefCount: number; readonly Size: number } | null;
}

interface Row {
  readonly type: string;
  readonly total: number;
  readonly active: number;
  readonly bytes: number;
  readonly reclaimable: number;
}

const columns: Readonly<Record<string, Column<Row>>> = {
  Type: { header: 'TYPE', value: ({ type }) => type },
  TotalCount: { header: 'TOTAL', value: ({ total }) => String(total) },
  Active: { header: 'ACTIVE', value: ({ active }) => String(active) },
  Size: { header: 'SIZE', value: ({ bytes }) => humanSize(bytes) },
  Reclaimable: { header: 'RECLAIMABLE', value: reclaimableText },
};

export const command: Command = {
  usage: '[OPTIONS]',
  flags: [formatFlag, verbose],
  args: noArgs,
  async run(context, _args, flags) {
    const usage = await connect(context).get<WireUsage>('/system/df');
    const format = flags.get(formatFlag);
    if (flags.get(verbose)) return printDetails(context.out, usage, format);
    await printList(context.out, {
      rows: rowsOf(usage),
      columns,
      table: Object.keys(columns),
      format,
    });
  },
};

function rowsOf(usage: WireUsage): readonly Row[] {
  const { Images: images, Containers: containers, Volumes: volumes, BuildCache: cache } = usage;
  const used = (images ?? []).filter(({ Containers: count = 0 }) => count > 0);
  const usedBytes = sum(used.map((image) => image.Size - Math.max(0, image.SharedSize ?? 0)));
  const layers = usage.LayersSize ?? 0;
  const rest = (type: string, all: readonly { bytes: number; isActive: boolean }[]): Row => ({
    type,
    total: all.length,
    active: all.filter(({ isActive }) => isActive).length,
    bytes: sum(all.map(({ bytes }) => bytes)),
    reclaimable: sum(all.filter(({ isActive }) => !isActive).map(({ bytes }) => bytes)),
  });
  const isUp = (state: string) => ['running', 'paused', 'restarting'].includes(state);
  return [
    {
      type: 'Images',
      total: images?.length ?? 0,
      active: used.length,
      bytes: layers,
      reclaimable: Math.max(0, layers - usedBytes),
    },
    rest(
      'Containers',
      (containers ?? []).map(({ SizeRw: bytes = 0, State: state }) => ({
        bytes,
        isActive: isUp(state),
      })),
    ),
    rest(
      'Local Volumes',
      (volumes ?? []).map(({ UsageData: data }) => ({
        bytes: Math.max(0, data?.Size ?? 0),
        isActive: (data?.RefCount ?? 0) > 0,
      })),
    ),
    rest(
      'Build Cache',
      (cache ?? []).map(({ Size: bytes = 0, InUse: isActive = false }) => ({ bytes, isActive })),
    ),
  ];
}

function reclaimableText({ bytes, reclaimable, type }: Row): string {
  const text = humanSize(reclaimable);
  if (bytes === 0 || type === 'Build Cache') return text;
  return `${text} (${Math.floor((reclaimable * 100) / bytes)}%)`;
}

async function printDetails(
  out: Parameters<typeof printList>[0],
  { Images: images, Containers: containers, Volumes: volumes }: WireUsage,
  format: string | undefined,
): Promise<void> {
  const section = async <T>(
    title: string,
    rows: readonly T[],
    all: Readonly<Record<string, Column<T>>>,
  ) => {
    if (format === undefined) out.line(`${title} space usage:\n`);
    await printList(out, { rows, columns: all, table: Object.keys(all), format });
    if (format === undefined) out.line();
  };
  await section('Images', images ?? [], imageColumns);
  await section('Containers', containers ?? [], containerColumns);
  await section('Local Volumes', volumes ?? [], volumeColumns);
}

const shortId = (id: string) => id.replace('sha256:', '').slice(0, 12);

const imageColumns: Readonly<Record<string, Column<WireImage>>> = {
  Name: { header: 'IMAGE', value: ({ RepoTags: names }) => names?.[0] ?? '<none>' },
  ID: { header: 'IMAGE ID', value: ({ Id }) => shortId(Id) },
  Size: { header: 'SIZE', value: ({ Size }) => humanSize(Size) },
  SharedSize: {
    header: 'SHARED SIZE',
    value: ({ SharedSize: bytes = 0 }) => humanSize(Math.max(0, bytes)),
  },
  UniqueSize: {
    header: 'UNIQUE SIZE',
    value: ({ Size, SharedSize: bytes = 0 }) => humanSize(Size - Math.max(0, bytes)),
  },
  Containers: { header: 'CONTAINERS', value: ({ Containers: count = 0 }) => String(count) },
};

const containerColumns: Readonly<Record<string, Column<UsedContainer>>> = {
  ID: { header: 'CONTAINER ID', value: ({ Id }) => shortId(Id) },
  Image: { header: 'IMAGE', value: ({ Image }) => Image },
  Size: { header: 'SIZE', value: ({ SizeRw: bytes = 0 }) => humanSize(bytes) },
  Status: { header: 'STATUS', value: ({ Status }) => Status },
  Names: {
    header: 'NAMES',
    value: ({ Names: names = [] }) => names.map((name) => name.replace('/', '')).join(','),
  },
};

const volumeColumns: Readonly<Record<string, Column<UsedVolume>>> = {
  Name: { header: 'VOLUME NAME', value: ({ Name }) => Name },
  Links: { header: 'LINKS', value: ({ UsageData: data }) => String(data?.RefCount ?? 0) },
  Size: {
    header: 'SIZE',
    value: ({ UsageData: data }) => humanSize(Math.max(0, data?.Size ?? 0)),
  },
};

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
