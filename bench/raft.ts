/**
 * What three managers commit: durable, encrypted, with mTLS, each in a process of its own, beside
 * three members of etcd with TLS on the same machine in the same run. Values are 256 bytes.
 *
 * Flags: --rounds=N (3; figures are medians), --seconds=N for each figure (3), --writers=1,16,128,
 * --only=etcd|ours, --profile (a CPU profile of each manager, in the present folder).
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock as clock } from '../lib/clock.ts';
import { NodeIdentity } from '../lib/identity/index.ts';
import { systemRandom } from '../lib/random.ts';
import { createRootCa, issueForSelf } from '../manager/ca/index.ts';
import { median, type BenchOptions, type BenchResult, type Metrics } from './bench.ts';
import { Child } from './raft/child.ts';
import { startEtcd } from './raft/etcd.ts';
import { metricsOf, type Load } from './raft/load.ts';
import type { ManagerConfig, Question } from './raft/manager.ts';

const managers = 3;
const firstPort = 23_770;
const defaultWriters = '1,16,128';

export const flagNames = ['only', 'rounds', 'seconds', 'writers', 'profile'] as const;

export async function run({ flags, say }: BenchOptions): Promise<BenchResult> {
  const durationMs = 1000 * Number(flags['seconds'] ?? 3);
  const rounds = Number(flags['rounds'] ?? 3);
  const folder = await mkdtemp(join(tmpdir(), 'bench-raft-'));
  const writersOf = (flags['writers'] ?? defaultWriters).split(',').map(Number);
  const execArgv = flags['profile'] === undefined ? [] : ['--cpu-prof'];
  const sides = { ours: [] as Metrics[], peer: [] as Metrics[] };
  try {
    for (let round = 0; round < rounds; round++) {
      const own = join(folder, String(round));
      if (flags['only'] !== 'etcd') {
        await using group = await startManagers(join(own, 'managers'), execArgv);
        sides.ours.push(
          await measure('ts-swarm', writersOf, say, (writers) =>
            group.ask(group.leader, { op: 'load', writers, durationMs }),
          ),
        );
        await group.checkDigests();
      }
      if (flags['only'] !== 'ours') {
        await using etcd = await startEtcd(join(own, 'etcd'));
        sides.peer.push(
          await measure('etcd', writersOf, say, (writers) =>
            etcd.client.ask({ writers, durationMs }),
          ),
        );
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return { ours: medians(sides.ours), peer: medians(sides.peer) };
}

async function measure(
  name: string,
  writersOf: readonly number[],
  say: (line: string) => void,
  run: (writers: number) => Promise<Load>,
): Promise<Metrics> {
  const metrics: Record<string, number> = {};
  for (const writers of writersOf) {
    const result = await run(writers);
    Object.assign(metrics, metricsOf(writers, result));
    const { perSecond, p50Ms, p99Ms } = result;
    const waits = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`;
    say(`${name}: ${writers} writers, ${perSecond.toFixed(0)} changes/s, ${waits}`);
  }
  return metrics;
}

function medians(rounds: readonly Metrics[]): Metrics {
  const keys = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(
    keys.map((key) => [key, median(rounds.map((metrics) => metrics[key] ?? Number.NaN))]),
  );
}

interface Group extends AsyncDisposable {
  readonly leader: Child;
  ask<T>(manager: Child, question: Question): Promise<T>;
  /** Throws unless every manager has come to the same state. */
  checkDigests(): Promise<void>;
}

async function startManagers(folder: string, execArgv: readonly string[]): Promise<Group> {
  const root = await createRootCa(clock);
  const clusterId = systemRandom.id();
  const identities: NodeIdentity[] = [];
  for (let manager = 0; manager < managers; manager++) {
    const subject = { role: 'manager', clusterId } as const;
    const material = await issueForSelf(root, subject, { lifeMs: undefined, clock });
    const own = join(folder, String(manager), 'certificates');
    identities.push(await NodeIdentity.create(own, material, clock));
  }
  const addrs = Object.fromEntries(
    identities.map(({ nodeId }, index) => [nodeId, `127.0.0.1:${firstPort + index}`]),
  );
  await using stack = new AsyncDisposableStack();
  const children = identities.map((identity, index) => {
    const config: ManagerConfig = {
      folder: join(folder, String(index), 'raft'),
      identity: identity.folder,
      bootstrap: index === 0,
      addrs,
      key: randomBytes(32).toString('hex'),
    };
    return stack.use(new Child('manager.ts', config, execArgv));
  });
  const ask = <T>(manager: Child, question: Question) => manager.ask<T>(question);
  for (const child of children) await ask(child, { op: 'open' });
  const [leader] = children;
  if (leader === undefined) throw new Error('there is no manager');
  for (const { nodeId } of identities.slice(1)) await ask(leader, { op: 'add', id: nodeId });
  const running = stack.move();
  return {
    leader,
    ask,
    async checkDigests() {
      const digests = await Promise.all(
        children.map((child) => ask<string>(child, { op: 'digest' })),
      );
      if (new Set(digests).size !== 1) throw new Error('the managers hold different states');
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
