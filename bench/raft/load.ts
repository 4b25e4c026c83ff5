/** Writers that each wait for one change before they ask for the next, and how long they wait. */
import { round, type Metrics } from '../bench.ts';

export interface LoadOptions {
  readonly writers: number;
  readonly durationMs: number;
}

export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What one change carries, on either side. */
const valueBytes = 256;

/** Text that no compression makes shorter, and that differs from change to change. */
function valueOf(writer: number, serial: number): string {
  const head = `${writer}-${serial}-`;
  const digits = '0123456789abcdefghijklmnopqrstuvwxyz';
  let text = head;
  for (let at = head.length; at < valueBytes; at++) {
    text += digits[(writer * 7 + serial * 31 + at * 17) % digits.length];
  }
  return text;
}

/** Half of the time again goes before, unmeasured: connections, compilation, the first segment. */
export async function load(
  { writers, durationMs }: LoadOptions,
  write: (writer: number, value: string) => Promise<unknown>,
): Promise<Load> {
  const startMs = performance.now() + durationMs / 2;
  const endMs = startMs + durationMs;
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: writers }, async (_, writer) => {
      for (let serial = 0; ; serial++) {
        const beforeMs = performance.now();
        if (beforeMs >= endMs) return;
        await write(writer, valueOf(writer, serial));
        const afterMs = performance.now();
        if (afterMs >= startMs && afterMs < endMs) latencies.push(afterMs - beforeMs);
      }
    }),
  );
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
  return { perSecond: (latencies.length * 1000) / durationMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}

export function metricsOf(writers: number, { perSecond, p50Ms, p99Ms }: Load): Metrics {
  return {
    [`changes_per_s_${writers}_writers`]: round(perSecond),
    [`p50_${writers}_writers_ms`]: round(p50Ms),
    [`p99_${writers}_writers_ms`]: round(p99Ms),
  };
}
