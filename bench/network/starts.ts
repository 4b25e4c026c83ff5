/** How long tasks take to start, with an overlay network and without. */
import { median, type Metrics } from '../bench.ts';
import { BenchService } from '../swarm/service.ts';
import type { Swarm } from '../swarm/swarm.ts';
import { Ground } from './ground.ts';

/** Of a batch: enough that the polling between two of them counts for little. */
const batch = 30;

/** On three hosts; `rounds` of each in turn, after one that does not count. */
export async function starts(swarm: Swarm, rounds: number): Promise<Metrics> {
  await using ground = await Ground.open(swarm, 3);
  const plain = new BenchService(ground.manager, 'plain');
  await plain.create(ground.image, 0);
  const connected = await ground.service('connected', 0);
  const times = { plain: [] as number[], connected: [] as number[], scale: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const first = await timed(plain, batch);
    await end(plain);
    const second = await timed(connected, batch);
    const third = await timed(connected, 2 * batch);
    await end(connected);
    if (round === 0) continue;
    times.plain.push(first);
    times.connected.push(second);
    times.scale.push(third);
  }
  const startMs = median(times.plain) / batch;
  const connectedMs = median(times.connected) / batch;
  return {
    start_per_task_ms: startMs,
    start_on_overlay_per_task_ms: connectedMs,
    overlay_adds_per_task_ms: connectedMs - startMs,
    scale_30_60_on_overlay_s: median(times.scale) / 1000,
  };
}

/** Milliseconds until this many run. */
async function timed(service: BenchService, replicas: number): Promise<number> {
  const startMs = performance.now();
  await service.scale(replicas);
  await service.untilRunning(replicas);
  return performance.now() - startMs;
}

async function end(service: BenchService): Promise<void> {
  await service.scale(0);
  await service.untilGone();
}
