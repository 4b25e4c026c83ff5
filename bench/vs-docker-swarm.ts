/**
 * The whole product beside Docker Swarm: the same three hosts, registry and image, one after the
 * other on the same machine in one run.
 *
 * Flags: --only=docker|ours, --parts=idle,blip,turnover,loss (behind the way to 60 tasks, which is
 * always measured; --parts=idle takes a minute a side), --rounds=N (1; figures are medians; ours
 * and theirs take turns), --no-crun.
 */
import { median, type BenchOptions, type BenchResult, type Metrics } from './bench.ts';
import { measure, partNames, type Part } from './swarm/measure.ts';
import { dockerSwarm, tsSwarm, type Swarm } from './swarm/swarm.ts';

export const flagNames = ['only', 'parts', 'rounds', 'no-crun'] as const;

export async function run({ flags, say }: BenchOptions): Promise<BenchResult> {
  const rounds = Number(flags['rounds'] ?? 1);
  const parts = partsOf(flags['parts']);
  const sides: readonly Swarm[] = [
    ...(flags['only'] === 'docker' ? [] : [tsSwarm]),
    ...(flags['only'] === 'ours' ? [] : [docker]),
    ...(flags['only'] === 'ours' || flags['no-crun'] !== undefined ? [] : [dockerCrun]),
  ];
  const measured = new Map<Swarm, Metrics[]>(sides.map((side) => [side, []]));
  // Side by side in each round: what else the machine does concerns them all.
  for (let round = 0; round < rounds; round++) {
    for (const [side, all] of measured) all.push(await measure(side, parts, say));
  }
  const [ours = {}, peer = {}, crun] = [tsSwarm, docker, dockerCrun].map((side) => {
    const all = measured.get(side);
    return all && medians(all);
  });
  const isWhole = flags['parts'] === undefined && flags['only'] === undefined;
  return {
    ours,
    peer,
    ...(crun === undefined ? {} : { variants: { crun } }),
    ...(isWhole ? {} : { recordAs: 'vs-docker-swarm-partly' }),
  };
}

const docker = dockerSwarm('runc');
const dockerCrun = dockerSwarm('crun');

function partsOf(flag: string | undefined): ReadonlySet<Part> {
  const names = new Set<string>(flag?.split(','));
  const parts = partNames.filter((name) => flag === undefined || names.delete(name));
  if (names.size > 0) throw new Error(`--parts knows ${partNames.join(', ')}`);
  return new Set(parts);
}

function medians(all: readonly Metrics[]): Metrics {
  const keys = Object.keys(all[0] ?? {});
  return Object.fromEntries(
    keys.map((key) => [key, median(all.map((metrics) => metrics[key] ?? Number.NaN))]),
  );
}
