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
    const last = fresh.at(-1);
    if (last === undefined) return undefined;
    const cpuNs = rate(fresh, 'cpuNs', 'atMs');
    const accepted = rate(fresh, 'accepted', 'atMs');
    const requests = rate(fresh, 'requests', 'requestsAtMs');
    const { memoryBytes, connections, requestsProblem } = last;
    return {
      ...(cpuNs === undefined ? {} : { cpu: cpuNs / 1e6 }),
      ...(accepted === undefined ? {} : { 'connection-rate': accepted * 1e3 }),
      ...(memoryBytes === undefined ? {} : { memory: memoryBytes }),
      ...(connections === undefined ? {} : { connections }),
      ...(requests === undefined ? {} : { requests: requests * 1e3 }),
      ...(requests !== undefined || requestsProblem === undefined
        ? {}
        : { problem: requestsProblem }),
    };
  }
}

/**
 * For each millisecond of the node's clock. The time in which a counter fell, as its program began
 * anew, says nothing, and is left out.
 */
function rate(
  readings: readonly Reading[],
  counter: 'cpuNs' | 'accepted' | 'requests',
  time: 'atMs' | 'requestsAtMs',
): number | undefined {
  let [counted, tookMs] = [0, 0];
  let before: { readonly value: number; readonly atMs: number } | undefined;
  for (const { [counter]: value, [time]: atMs } of readings) {
    if (value === undefined || atMs === undefined) continue;
    if (before !== undefined && value >= before.value && atMs > before.atMs) {
      counted += value - before.value;
      tookMs += atMs - before.atMs;
    }
    before = { value, atMs };
  }
  return tookMs === 0 ? undefined : counted / tookMs;
}
