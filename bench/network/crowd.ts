/** What a network with hundreds of endpoints costs the daemons: all of them real containers. */
import { readFileSync } from 'node:fs';
import { sleep } from '../../test/lab/index.ts';
import type { Metrics } from '../bench.ts';
import type { Swarm } from '../swarm/swarm.ts';
import { Ground } from './ground.ts';

const hosts = 4;
/** What starting left behind (garbage, page cache writes) shall not count as idle. */
const settleMs = 10_000;
const idleS = 20;
/** Tasks that come and go one at a time, for the cost of each. */
const changes = 10;
/** To list hundreds of tasks costs the manager more than to start one. */
const everyMs = 1000;
/** Docker takes a quarter of a second for each task. */
const timeoutMs = 600_000;
/** The kernel's unit in /proc. */
const ticksPerS = 100;

export async function crowd(swarm: Swarm, endpoints: number): Promise<Metrics> {
  await using ground = await Ground.open(swarm, hosts);
  const service = await ground.service('crowd', 1);
  const cpu = () => ground.hosts.map((host) => cpuSeconds(swarm, host));
  const spent = (before: readonly number[]) =>
    cpu().reduce((sum, now, index) => sum + now - (before[index] ?? 0), 0);
  const startMs = performance.now();
  const beforeStart = cpu();
  const scale = async (replicas: number) => {
    await service.scale(replicas);
    await service.untilRunning(replicas, { everyMs, timeoutMs });
  };
  await scale(endpoints);
  const metrics: Record<string, number> = {
    crowd_endpoints: endpoints,
    crowd_start_s: (performance.now() - startMs) / 1000,
    crowd_start_daemons_cpu_s: spent(beforeStart),
  };
  await sleep(settleMs);
  const beforeIdle = cpu();
  await sleep(idleS * 1000);
  metrics['crowd_idle_cpu_percent_of_a_core'] = (100 * spent(beforeIdle)) / idleS / hosts;
  const [manager = 0, ...workers] = ground.hosts.map(
    (host) => host.memory((argv) => swarm.isDaemon(argv)).pssBytes / 2 ** 20,
  );
  metrics['crowd_manager_daemon_mb'] = manager;
  metrics['crowd_worker_daemon_mb'] = workers.reduce((sum, one) => sum + one, 0) / workers.length;
  const beforeChanges = cpu();
  for (let change = 0; change < changes / 2; change++) {
    await scale(endpoints + 1);
    await scale(endpoints);
  }
  metrics['crowd_change_all_daemons_cpu_ms'] = (1000 * spent(beforeChanges)) / changes;
  return metrics;
}

/** CPU time that the daemon on this host has used since it started. */
function cpuSeconds(swarm: Swarm, host: Ground['manager']): number {
  const daemon = host.processes().find(({ argv }) => swarm.isDaemon(argv));
  if (daemon === undefined) throw new Error(`${host.name} has no daemon`);
  const stat = readFileSync(`/proc/${daemon.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
}
