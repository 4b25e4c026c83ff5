/** Requests at a steady rate from a container or from outside, and what became of each of them. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { mkdirSync, readFileSync } from 'node:fs';
import { until, type Host, type Service } from '../lab/index.ts';

export interface LoadOutcome {
  readonly sent: number;
  readonly seconds: number;
  /** Times are as `nowMs` tells them. */
  readonly failures: readonly {
    readonly kind: string;
    readonly startMs: number;
    readonly endMs: number;
  }[];
  /** How often each body came. */
  readonly answers: Readonly<Record<string, number>>;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

interface LoadOptions {
  readonly address: string;
  readonly port: number;
  readonly requestsPerSecond: number;
  /** What a good body looks like. */
  readonly expect: RegExp;
  /** The namespace it comes from; the host's own unless told. */
  readonly netns?: string;
  /** What has no answer for so long has failed; 10 seconds unless told. */
  readonly timeoutMs?: number;
}

const generator = join(import.meta.dirname, 'load-generator.ts');
let count = 0;

export class Load {
  readonly #service: Service;
  readonly #from: number;

  private constructor(service: Service, from: number) {
    this.#service = service;
    this.#from = from;
  }

  static async start(host: Host, options: LoadOptions): Promise<Load> {
    const { address, port, requestsPerSecond, expect, netns, timeoutMs = 10_000 } = options;
    const folder = join(host.dataRoot, '..', 'load');
    mkdirSync(folder, { recursive: true });
    const numbers = [port, requestsPerSecond, timeoutMs].map(String);
    const args = [address, ...numbers.slice(0, 2), expect.source, ...numbers.slice(2)];
    const command = [process.execPath, generator, ...args];
    const inside = netns === undefined ? [] : ['nsenter', `--net=${netns}`, '--'];
    const logFile = join(folder, `${++count}.log`);
    const service = await host.start(`load ${count}`, [...inside, ...command], logFile);
    const load = new Load(service, count);
    await service.ready(() => Promise.resolve(load.#lines().includes('begun')));
    return load;
  }

  /** Ends the requests, waits for those in flight, and says what became of all of them. */
  async stop(): Promise<LoadOutcome> {
    await this.#service.stop();
    const lines = await until(`load ${this.#from} tells its outcome`, () => this.#lines(), {
      accept: (all) => all.at(-1)?.startsWith('{') === true,
    });
    return JSON.parse(lines.at(-1) ?? '') as LoadOutcome;
  }

  #lines(): readonly string[] {
    return readFileSync(this.#service.logFile, 'utf8').trim().split('\n');
  }
}

/** The machine's monotonic clock, which all processes share, in milliseconds. */
export function nowMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** "1000 requests in 2.0 s, 0 failed; p50 1.0 ms, p99 3.0 ms, max 9.0 ms": for people. */
export function outcomeLine({ sent, seconds, failures, latencyMs }: LoadOutcome): string {
  const { p50, p99, max } = latencyMs;
  const times = `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`;
  return `${sent} requests in ${seconds.toFixed(1)} s, ${failures.length} failed; ${times}`;
}

/** The kinds of failures, and how many there were of each. */
export function failureKinds({ failures }: LoadOutcome): Readonly<Record<string, number>> {
  const kinds = Map.groupBy(failures, ({ kind }) => kind);
  return Object.fromEntries([...kinds].map(([kind, all]) => [kind, all.length]));
}

export function assertNoneFailed(outcome: LoadOutcome, what: string): void {
  const { sent, seconds, failures } = outcome;
  assert.ok(sent > seconds, `${what}: too few requests to tell anything: ${sent}`);
  const first = failures.slice(0, 5).map(({ kind, startMs, endMs }) => {
    return `${kind} after ${(endMs - startMs).toFixed(0)} ms, at ${startMs.toFixed(0)}`;
  });
  assert.deepEqual(
    failureKinds(outcome),
    {},
    `${what}: ${outcomeLine(outcome)}; ${first.join('; ')}`,
  );
}
