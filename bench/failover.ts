/**
 * Three managers lose the one that leads, by kill -9 and by a cut link: how long until the next
 * write is accepted through another one, beside Docker Swarm on the same hosts in the same run.
 *
 * Flags: --rounds=N of each loss (5; figures are medians), --only=docker|ours.
 * --idle-minutes=N: nothing is lost; how many elections there are while the machine is busy.
 */
import { availableParallelism, loadavg } from 'node:os';
import { Lab, sleep } from '../test/lab/index.ts';
import { median, type BenchOptions, type BenchResult, type Metrics } from './bench.ts';
import { failover, type Loss } from './swarm/failover.ts';
import { dockerSwarm, tsSwarm, type Swarm } from './swarm/swarm.ts';

const managers = 3;
const defaultRounds = 5;

export const flagNames = ['only', 'rounds', 'idle-minutes'] as const;

export async function run({ flags, say }: BenchOptions): Promise<BenchResult> {
  const idleMinutes = Number(flags['idle-minutes'] ?? 0);
  if (idleMinutes > 0) return { recordAs: 'failover-idle', ours: await idle(idleMinutes, say) };
  const rounds = Number(flags['rounds'] ?? defaultRounds);
  const ours = flags['only'] === 'docker' ? {} : await measure(tsSwarm, rounds, say);
  const peer = flags['only'] === 'ours' ? {} : await measure(dockerSwarm('runc'), rounds, say);
  return { ours, peer };
}

async function measure(
  swarm: Swarm,
  rounds: number,
  say: (line: string) => void,
): Promise<Metrics> {
  await using lab = await Lab.create({ hosts: managers });
  await swarm.start(lab, managers);
  const metrics: Record<string, number> = {};
  for (const loss of ['killed', 'cut'] satisfies Loss[]) {
    const all: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const seconds = await failover(swarm, lab, loss);
      say(`${swarm.name}: leader ${loss}, next write after ${seconds.toFixed(2)} s`);
      all.push(seconds);
    }
    metrics[`leader_${loss}_s`] = median(all);
    metrics[`leader_${loss}_slowest_s`] = Math.max(...all);
  }
  return metrics;
}

/** A manager that leads says so in its log: whatever comes after the first one was needless. */
async function idle(minutes: number, say: (line: string) => void): Promise<Metrics> {
  await using lab = await Lab.create({ hosts: managers });
  await tsSwarm.start(lab, managers);
  const elections = () =>
    lab.hosts.reduce((sum, host) => {
      return sum + (host.daemonOutput().match(/this manager leads/g)?.length ?? 0);
    }, 0);
  const before = elections();
  const [host] = lab.hosts;
  const burners = availableParallelism();
  for (let burner = 0; burner < burners; burner++) {
    await host?.start(`burner ${burner}`, ['sh', '-c', 'while :; do :; done']);
  }
  let load = 0;
  for (let minute = 1; minute <= minutes; minute++) {
    await sleep(60_000);
    load += (loadavg()[0] ?? 0) / minutes;
    say(`minute ${minute} of ${minutes}: ${elections() - before} elections`);
  }
  return {
    idle_minutes: minutes,
    busy_loops: burners,
    load_average: load,
    elections: elections() - before,
  };
}
