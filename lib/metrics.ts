/**
 * Figures for those who watch the daemon, in the text format that Prometheus reads. Counted where
 * things happen, or read when somebody asks; nothing runs in between.
 */
import { assert } from './assert.ts';

/** A value for each of the metric's label names. */
type Labels<L extends string> = Readonly<Record<L, string>>;

interface Counter<L extends string = never> {
  /** `by` is not negative. */
  add(by: number, labels: Labels<L>): void;
}

interface Histogram<L extends string = never> {
  observe(value: number, labels: Labels<L>): void;
}

export interface Sample<L extends string = never> {
  readonly value: number;
  readonly labels: Labels<L>;
}

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** Seconds: from what a pass over a few tasks takes to what nobody wants to wait for. */
const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Label values come from small sets: states, kinds. More of them are a mistake. */
const seriesMax = 1_000;
const namePattern = /^[a-z][a-z0-9_]*$/;

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What follows the name, and the value: `{state="up"}` and 3. */
  readonly lines: () => Iterable<readonly [suffix: string, value: number]>;
}

export class Metrics {
  readonly #metrics = new Map<string, Metric>();

  /** By custom its name ends in `_total`. */
  counter<const L extends string = never>(name: string, help: string): Counter<L> {
    const series = new Series<{ value: number }>(() => ({ value: 0 }));
    this.#add({
      name,
      help,
      type: 'counter',
      *lines() {
        for (const [key, { value }] of series.all) yield [wrapped(key), value];
      },
    });
    return {
      add(by, labels) {
        assert(by >= 0, `the counter ${name} goes up only`);
        series.of(keyOf(labels)).value += by;
      },
    };
  }

  /** `read` is called when somebody asks; without samples the metric is not shown. */
  gauge<const L extends string = never>(
    name: string,
    help: string,
    read: () => Iterable<Sample<L>>,
  ): void {
    this.#add({
      name,
      help,
      type: 'gauge',
      *lines() {
        for (const { labels, value } of read()) yield [wrapped(keyOf(labels)), value];
      },
    });
  }

  /** `buckets` are upper bounds, rising; by custom the name ends in a unit. */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[] = secondsBuckets,
  ): Histogram<L> {
    const series = new Series(() => ({ counts: buckets.map(() => 0), sum: 0, count: 0 }));
    this.#add({
      name,
      help,
      type: 'histogram',
      *lines() {
        for (const [key, { counts, sum, count }] of series.all) {
          const before = key === '' ? '' : `${key},`;
          for (const [at, bound] of buckets.entries()) {
            yield [`_bucket{${before}le="${bound}"}`, counts[at] ?? 0];
          }
          yield [`_bucket{${before}le="+Inf"}`, count];
          yield [`_sum${wrapped(key)}`, sum];
          yield [`_count${wrapped(key)}`, count];
        }
      },
    });
    return {
      observe(value, labels) {
        const seen = series.of(keyOf(labels));
        seen.sum += value;
        seen.count += 1;
        for (const [at, bound] of buckets.entries()) {
          if (value <= bound) seen.counts[at] = (seen.counts[at] ?? 0) + 1;
        }
      },
    };
  }

  text(): string {
    let text = '';
    for (const { name, help, type, lines } of this.#metrics.values()) {
      const rows = [...lines()].map(([suffix, value]) => `${name}${suffix} ${number(value)}\n`);
      if (rows.length === 0) continue;
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${rows.join('')}`;
    }
    return text;
  }

  #add(metric: Metric): void {
    assert(namePattern.test(metric.name), `"${metric.name}" is no name of a metric`);
    assert(!this.#metrics.has(metric.name), `there is a metric ${metric.name} already`);
    this.#metrics.set(metric.name, metric);
  }
}

/** One value, or set of values, for each combination of labels. */
class Series<T> {
  readonly all = new Map<string, T>();
  readonly #make: () => T;

  constructor(make: () => T) {
    this.#make = make;
  }

  of(key: string): T {
    const present = this.all.get(key);
    if (present !== undefined) return present;
    assert(this.all.size < seriesMax, 'the labels of a metric take no more than a few values');
    const made = this.#make();
    this.all.set(key, made);
    return made;
  }
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join();
}

function wrapped(key: string): string {
  return key === '' ? '' : `{${key}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function number(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}
