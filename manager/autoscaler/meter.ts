/** What nodes have measured of tasks of late, and what follows of it: rates from counters. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { MeasurementsSchema } from '../../gen/dispatcher_pb.js';
import type { Sample } from './load.ts';

export type Measurements = MessageInitShape<typeof MeasurementsSchema>;
type Reading = NonNullable<Measurements['tasks']>[number] & { readonly heardMs: number };

/** Rates are of the time between this many readings. */
const readingsMax = 3;

/** Times are the leader's, milliseconds that never go back, except where they are the nodes'. */
export class Meter {
  readonly #readings = new Map<string, Reading[]>();

  /** Nothing is kept but of tasks that were asked for. */
  expect(taskIds: ReadonlySet<string>): void {
    for (const id of this.#readings.keys()) if (!taskIds.has(id)) this.#readings.delete(id);
    for (const id of taskIds) if (!this.#readings.has(id)) this.#readings.set(id, []);
  }

  /** `isOf`: whether a task is the node's that says so. */
  take(measured: Measurements, heardMs: number, isOf: (taskId: string) => boolean): void {
    for (const task of measured.tasks ?? []) {
      const readings = this.#readings.get(task.taskId ?? '');
      const latestMs = readings?.at(-1)?.atMs ?? -Infinity;
      if (readings === undefined || (task.atMs ?? 0) <= latestMs || !isOf(task.taskId ?? ''))
        continue;
      readings.push({ ...task, heardMs });
      if (readings.length > readingsMax) readings.shift();
    }
  }

  /** Undefined where nothing was heard since `sinceMs`. */
  sample(taskId: string, sinceMs: number): Sample | undefined {
    const fresh = (this.#readings.get(taskId) ?? []).filter(({ heardMs }) => heardMs >= sinceMs);
    const [first, last] = [fresh[0], fresh.at(-1)];
    if (first === undefined || last === undefined) return undefined;
    const cpuNs = rate(first, last, 'cpuNs');
    const accepted = rate(first, last, 'accepted');
    return {
      ...(cpuNs === undefined ? {} : { cpu: cpuNs / 1e6 }),
      ...(accepted === undefined ? {} : { 'connection-rate': accepted * 1e3 }),
      ...(last.memoryBytes === undefined ? {} : { memory: last.memoryBytes }),
      ...(last.connections === undefined ? {} : { connections: last.connections }),
    };
  }
}

/** For each millisecond of the node's clock. */
function rate(first: Reading, last: Reading, counter: 'cpuNs' | 'accepted'): number | undefined {
  const [before, after] = [first[counter], last[counter]];
  const tookMs = (last.atMs ?? 0) - (first.atMs ?? 0);
  if (before === undefined || after === undefined || tookMs <= 0 || after < before)
    return undefined;
  return (after - before) / tookMs;
}
