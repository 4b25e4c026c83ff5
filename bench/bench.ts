/** What every bench exports and returns: `run`, and `flagNames` where it has flags. */

/** Measured values; the key ends in the unit: `scale_30_60_s`, `memory_mb`, `writes_per_s`. */
export type Metrics = Readonly<Record<string, number>>;

export interface BenchOptions {
  /** `--rounds=3` and the like; a flag without a value is ''. */
  readonly flags: Readonly<Record<string, string>>;
  /** Says on the terminal what is being measured. */
  readonly say: (line: string) => void;
}

export interface BenchResult {
  /** Under another name than the bench's own: what other flags measure does not replace it. */
  readonly recordAs?: string;
  readonly ours: Metrics;
  readonly peer?: Metrics;
  /** Only what cannot be derived from ours and peer. */
  readonly ratios?: Metrics;
  /** The peer in other configurations, each compared with ours as well. */
  readonly variants?: Readonly<Record<string, Metrics>>;
}

export type Run = (options: BenchOptions) => Promise<BenchResult>;

/** For these units less is better; for a rate, more. Anything else has no better. */
const lessIsBetter = /_(s|ms|us|ns|bytes|kb|mb|gb)$/;
const moreIsBetter = /_per_s(_|$)/;

/** How many times better ours is: above 1 we win. Keys that only one side has are left out. */
export function ratiosOf(ours: Metrics, peer: Metrics): Metrics {
  const ratios: Record<string, number> = {};
  for (const [key, own] of Object.entries(ours)) {
    const other = peer[key];
    if (other === undefined || own <= 0 || other <= 0) continue;
    if (moreIsBetter.test(key)) ratios[key] = round(own / other);
    else if (lessIsBetter.test(key)) ratios[key] = round(other / own);
  }
  return ratios;
}

/** Three significant digits: more would claim what no run repeats. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
