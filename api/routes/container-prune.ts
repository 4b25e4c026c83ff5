/** POST /containers/prune: removes what does not run. */
import { SwarmError } from '../../lib/errors.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { parseUnixTime } from '../convert/time.ts';
import type { RouteModules } from './modules.ts';

const hourMs = 3_600_000;
const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: hourMs };

export async function pruneContainers(
  exchange: Exchange,
  { backend, clock }: RouteModules,
): Promise<void> {
  const { containers } = backend;
  const filters = Filters.parse(exchange.query.get('filters'), ['label', 'label!', 'until']);
  const [until] = filters.get('until');
  const untilMs = until === undefined ? Infinity : timeOf(until, clock.nowMs());
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const view of await containers.list()) {
    const { record, state, taskId } = view;
    const labels = record.config.labels ?? {};
    const isKept =
      taskId !== undefined ||
      !['created', 'exited', 'dead'].includes(state.status) ||
      record.createdAtMs >= untilMs ||
      !filters.labels('label', labels) ||
      (filters.has('label!') && filters.labels('label!', labels));
    if (isKept) continue;
    const { layer } = await containers.inside.size(view);
    await containers.remove(await containers.find(record.id), { force: false });
    deleted.push(record.id);
    reclaimed += layer;
  }
  containers.events.tellPrune(reclaimed);
  exchange.json({
    ContainersDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: reclaimed,
  });
}

/** "1h30m" ago, seconds since 1970, or a date. */
function timeOf(text: string, nowMs: number): number {
  if (/^(?:\d+(?:\.\d+)?[smh])+$/.test(text)) {
    const parts = [...text.matchAll(/([\d.]+)([smh])/g)];
    return (
      nowMs - parts.reduce((sum, [, n, unit = '']) => sum + Number(n) * (unitsMs[unit] ?? 0), 0)
    );
  }
  const ms = parseUnixTime(text) ?? Date.parse(text);
  if (!Number.isNaN(ms)) return ms;
  throw new SwarmError('invalid-argument', `failed to parse value as time or duration: "${text}"`);
}
