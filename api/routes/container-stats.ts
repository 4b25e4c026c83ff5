/** GET /containers/{id}/stats: what a container uses, each second or once. */
import type { Target } from '../../worker/container/manager.ts';
import type { Usage } from '../../worker/runtime/controls.ts';
import { statsJson } from '../convert/container-stats.ts';
import type { Exchange } from '../exchange.ts';
import type { RouteModules } from './modules.ts';

const periodMs = 1000;

export async function sendStats(
  exchange: Exchange,
  target: Target,
  { backend, clock }: RouteModules,
): Promise<void> {
  const { containers } = backend;
  const text = exchange.query.get('stream');
  const streams = text === null ? true : exchange.flag('stream');
  const { cpus } = await backend.system.info();
  const read = async () => {
    const { view } = await containers.find(target.view.record.id);
    const runs = view.state.status === 'running' || view.state.status === 'paused';
    const usage: Usage | undefined = runs ? await containers.inside.usage(view) : undefined;
    return { usage, atMs: clock.nowMs(), systemNs: await containers.inside.systemCpuNs() };
  };
  const { record } = target.view;
  let last = undefined;
  if (!streams && !exchange.flag('one-shot')) {
    last = await read();
    await clock.sleep(periodMs, { signal: exchange.signal });
  }
  exchange.begin('application/json');
  for (;;) {
    const now = await read();
    const json = statsJson(record, now, last, cpus);
    await exchange.write(`${JSON.stringify(json)}\n`);
    if (!streams) break;
    last = now;
    await clock.sleep(periodMs, { signal: exchange.signal });
  }
  exchange.end();
}
