/** When a service's endpoints came and went, as containers on its network saw it. */
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { until } from '../../test/lab/index.ts';
import type { Member } from './ground.ts';
import type { Seen, WatchConfig } from './watch-child.ts';

interface Change {
  readonly atMs: number;
  readonly address: string;
  readonly isThere: boolean;
}

/** What one container sees in one way. */
interface Sight {
  present: ReadonlySet<string>;
  readonly changes: Change[];
}

/** Milliseconds of the moment when the last container had seen it. */
export interface SeenByAll {
  readonly dnsMs: number;
  /** Absent where VIPs are not watched. */
  readonly vipMs?: number;
}

const timeoutMs = 30_000;

export class Watch implements Disposable {
  readonly #child: ChildProcess;
  readonly #sights: ReadonlyMap<string, Sight>;

  private constructor(config: WatchConfig) {
    const ways = config.vip === undefined ? ['dns'] : ['dns', 'vip'];
    const keys = config.pids.flatMap((pid) => ways.map((by) => `${by} ${pid}`));
    this.#sights = new Map(keys.map((key) => [key, { present: new Set(), changes: [] }]));
    this.#child = fork(join(import.meta.dirname, 'watch-child.ts'), [JSON.stringify(config)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#child.on('message', (seen) => this.#note(seen as Seen));
  }

  /** Resolves once all of the containers see `count` endpoints. */
  static async start(
    members: readonly Member[],
    service: { readonly name: string; readonly vip?: string },
    count: number,
  ): Promise<Watch> {
    const watch = new Watch({ ...service, pids: members.map(({ pid }) => pid) });
    try {
      await watch.settled(count);
      return watch;
    } catch (error) {
      watch[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  async settled(count: number): Promise<void> {
    await until(
      `all containers see ${count} endpoints`,
      () => [...this.#sights].map(([key, { present }]) => [key, [...present]] as const),
      { accept: (all) => all.every(([, { length }]) => length === count), timeoutMs },
    );
  }

  /** Waits until every container has seen this address come (or go) after `sinceMs`. */
  async seenByAll(address: string, isThere: boolean, sinceMs: number): Promise<SeenByAll> {
    const lastBy = (by: string) => {
      const sights = [...this.#sights].filter(([key]) => key.startsWith(by));
      const times = sights.map(([, { changes }]) => {
        return changes.find((change) => {
          const isIt = change.address === address && change.isThere === isThere;
          return isIt && change.atMs >= sinceMs;
        })?.atMs;
      });
      return times.some((time) => time === undefined)
        ? undefined
        : Math.max(...(times as number[]));
    };
    await until(
      `all containers see ${address} ${isThere ? 'come' : 'go'}`,
      () => ['dns', 'vip'].map((by) => lastBy(by)),
      { accept: (times) => times.every((time) => time !== undefined), everyMs: 20, timeoutMs },
    );
    const vipMs = lastBy('vip');
    return {
      dnsMs: lastBy('dns') ?? Number.NaN,
      ...(vipMs === undefined || vipMs === -Infinity ? {} : { vipMs }),
    };
  }

  #note({ atMs, pid, by, addresses }: Seen): void {
    const sight = this.#sights.get(`${by} ${pid}`);
    if (sight === undefined) return;
    const now = new Set(addresses);
    for (const address of now.difference(sight.present)) {
      sight.changes.push({ atMs, address, isThere: true });
    }
    for (const address of sight.present.difference(now)) {
      sight.changes.push({ atMs, address, isThere: false });
    }
    sight.present = now;
  }
}
