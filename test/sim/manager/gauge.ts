/** What a simulated host measures of its tasks: idle, busy, or as busy as it should be. */
import type { Clock } from '../../../lib/clock.ts';
import type { MeasureTasks } from '../../../worker/agent/index.ts';
import type { Swarm } from './swarm.ts';

/** For so long the load stays as it is, unless nothing disturbs the swarm any more. */
const spellMs = 4_000;
/** Cores for each replica of a service whose target is half of one. */
const loads = [0, 0.5, 1.4] as const;

export function simGauge(swarm: Swarm, clock: Clock): MeasureTasks {
  const used = new Map<string, { readonly ns: number; readonly atMs: number }>();
  return async ({ usageOf }) => {
    const atMs = clock.monotonicMs();
    const spell = Math.floor(swarm.agenda.now / spellMs);
    const load = swarm.isCalm ? 0.5 : (loads[spell % loads.length] ?? 0);
    const tasks = usageOf.map((taskId) => {
      const before = used.get(taskId) ?? { ns: 0, atMs };
      const ns = before.ns + load * (atMs - before.atMs) * 1e6;
      used.set(taskId, { ns, atMs });
      return { taskId, atMs, cpuNs: ns };
    });
    return { tasks };
  };
}
