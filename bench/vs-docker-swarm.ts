/**
 * The whole product beside Docker Swarm: the same three hosts, registry and image, one after the
 * other on the same machine in one run.
 *
 * Flags: --only=docker|ours, --rounds=N (1; figures are medians), --no-crun.
 */
import { median, type BenchOptions, type BenchResult, type Metrics } from './bench.ts';
import { measure } from './swarm/measure.ts';
import { dockerSwarm, tsSwarm, type Swarm } from './swarm/swarm.ts';

export async function run({ flags, say }: BenchOptions): Promise<BenchResult> {
  const rounds = Number(flags['rounds'] ?? 1);
  const docker = flags['only'] !== 'ours';
  const several = async (swarm: Swarm): Promise<Metrics> => {
    const all: Metrics[] = [];
    for (let round = 0; round < rounds; round++) all.push(await measure(swarm, say));
    const keys = Object.keys(all[0] ?? {});
    return Object.fromEntries(
      keys.map((key) => [key, median(all.map((metrics) => metrics[key] ?? Number.NaN))]),
    );
  };
  const ours = flags['only'] === 'docker' ? {} : await several(tsSwarm);
  const peer = docker ? await several(dockerSwarm('runc')) : {};
  const crun =
    docker && flags['no-crun'] === undefined ? await several(dockerSwarm('crun')) : undefined;
  return { ours, peer, ...(crun === undefined ? {} : { variants: { crun } }) };
}
