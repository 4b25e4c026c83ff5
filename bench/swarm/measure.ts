/** The measurements, the same for both sides, on three fresh hosts. */
import { Lab, sleep, until } from '../../test/lab/index.ts';
import type { Metrics } from '../bench.ts';
import { BenchService } from './service.ts';
import { isOverhead, type Swarm } from './swarm.ts';

/** How long idle tasks are watched for the CPU that they cost. */
const idleS = 30;
/** Shorter than any sensible grace: no task may be replaced for it. */
const blipMs = 1500;
/** After a blip, long enough for a needless replacement to show. */
const blipWatchMs = 10_000;

/** What is measured once 60 tasks run. */
export const partNames = ['idle', 'blip', 'turnover', 'loss'] as const;
export type Part = (typeof partNames)[number];

export async function measure(
  swarm: Swarm,
  parts: ReadonlySet<Part>,
  say: (line: string) => void,
): Promise<Metrics> {
  say(`${swarm.name}: three hosts, one manager`);
  await using lab = await Lab.create({ hosts: 3 });
  const image = await lab.image('sleeper:1');
  const metrics: Record<string, number> = {};
  const note = (measured: Metrics) => {
    Object.assign(metrics, measured);
    for (const [key, value] of Object.entries(measured)) {
      say(`${swarm.name}: ${key} ${value.toFixed(2)}`);
    }
  };
  const timed = async (key: string, work: () => Promise<void>) => {
    const startMs = performance.now();
    await work();
    note({ [key]: (performance.now() - startMs) / 1000 });
  };

  await timed('start_swarm_s', () => swarm.start(lab));
  const [manager] = lab.hosts;
  if (manager === undefined) throw new Error('the lab has no hosts');
  const service = new BenchService(manager, 'bench');
  const scaleTo = async (replicas: number) => {
    await service.scale(replicas);
    await service.untilRunning(replicas);
  };
  await timed('create_3_s', async () => {
    await service.create(image, 3);
    await service.untilRunning(3);
  });
  await timed('scale_3_30_s', () => scaleTo(30));
  await timed('scale_30_60_s', () => scaleTo(60));
  if (parts.has('idle')) note(await idleCost(swarm, lab));
  if (parts.has('blip')) note({ blip_restarts_tasks: await blip(lab, service) });
  if (parts.has('turnover')) {
    await timed('scale_60_0_s', async () => {
      await service.scale(0);
      await service.untilGone();
    });
    await timed('scale_0_60_s', () => scaleTo(60));
  }
  if (parts.has('loss')) note(await hostLoss(lab, service));
  return metrics;
}

/** Memory and CPU of 60 tasks that do nothing. */
async function idleCost(swarm: Swarm, lab: Lab): Promise<Metrics> {
  // What starting left behind (garbage, page cache writes) shall not count as idle.
  await sleep(5000);
  const cpuBefore = lab.hosts.map((host) => host.cpuSeconds());
  await sleep(idleS * 1000);
  const cpu = lab.hosts.map((host, index) => host.cpuSeconds() - (cpuBefore[index] ?? 0));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const overhead = lab.hosts.map((host) => host.memory(isOverhead));
  const daemons = lab.hosts.map((host) => host.memory((argv) => swarm.isDaemon(argv)).pssBytes);
  const megabytes = (bytes: number) => bytes / 2 ** 20;
  return {
    [`idle_60_cpu_in_${idleS}s_s`]: sum(cpu),
    memory_60_pss_mb: megabytes(sum(overhead.map(({ pssBytes }) => pssBytes))),
    memory_60_rss_mb: megabytes(sum(overhead.map(({ rssBytes }) => rssBytes))),
    memory_manager_daemon_mb: megabytes(daemons[0] ?? 0),
    memory_worker_daemon_mb: megabytes(sum(daemons.slice(1)) / (daemons.length - 1)),
  };
}

/** How many tasks were replaced because a worker's link was away for a moment. */
async function blip(lab: Lab, service: BenchService): Promise<number> {
  const before = new Set((await service.running()).map(({ ID }) => ID));
  const worker = lab.host('h2');
  await worker.cutLink();
  await sleep(blipMs);
  await worker.restoreLink();
  await sleep(blipWatchMs);
  const after = new Set((await service.running()).map(({ ID }) => ID));
  return [...before].filter((id) => !after.has(id)).length;
}

/** Power off a worker with a third of the tasks, until all of them run elsewhere. */
async function hostLoss(lab: Lab, service: BenchService): Promise<Metrics> {
  const [manager] = lab.hosts;
  const worker = lab.host('h3');
  const { Swarm } = await worker.api<{ Swarm: { NodeID: string } }>('GET', '/info');
  const lost = (await service.running()).filter((task) => task.NodeID === Swarm.NodeID).length;
  if (lost < 10) throw new Error(`only ${lost} tasks run on ${worker.name}: nothing to measure`);
  const startMs = performance.now();
  const elapsedS = () => (performance.now() - startMs) / 1000;
  await worker.kill();
  const detected = until(
    `the manager sees that ${worker.name} is down`,
    async () => {
      const path = `/nodes/${Swarm.NodeID}`;
      const node = await manager?.api<{ Status: { State: string } }>('GET', path);
      return node?.Status.State === 'down';
    },
    { timeoutMs: 60_000, everyMs: 25 },
  ).then(elapsedS);
  const recovered = service.untilRunning(60, { excludedNodeId: Swarm.NodeID }).then(elapsedS);
  const [detectedS, recoveredS] = await Promise.all([detected, recovered]);
  return { host_loss_detected_s: detectedS, host_loss_recovered_s: recoveredS };
}
