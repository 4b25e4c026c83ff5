/**
 * What the store costs: durable proposals a second, entries applied a second, memory for each task,
 * and snapshots of 100,000 tasks. `node bench/store.ts` prints a table.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { seededRandom } from '../lib/random.ts';
import { openRaftLog } from '../test/contract/raft-log.ts';
import { Store, type Change } from '../manager/store/index.ts';
import { MemoryLog } from '../manager/store/memory-log.ts';
import { AesCipher, nodeDisk, type Cipher } from '../raft/index.ts';
import type { Service, Task } from '../types/index.ts';

const tasksCount = 100_000;
const nodesCount = 1_000;
const tasksPerEntry = 2_000;
const writeMs = 2_000;
const random = seededRandom(1);
const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function makeService(): Service {
  const id = random.id();
  return {
    id,
    meta,
    specVersion: 1,
    spec: {
      name: `service-${id.slice(0, 6)}`,
      labels: { 'com.example.tier': 'web' },
      mode: { replicated: { replicas: 1 } },
      task: {
        container: {
          image: '10.99.0.254:5000/web:1',
          env: ['A=1', 'B=2', 'C=3'],
          labels: { team: 'x' },
          healthCheck: { test: ['CMD', 'true'], intervalMs: 5000 },
        },
        resources: { reservations: { nanoCpus: 1e8, memoryBytes: 64 << 20 } },
        forceUpdate: 0,
      },
    },
  };
}

function makeTask(service: Service, slot: number): Task {
  const id = random.id();
  return {
    id,
    meta,
    serviceId: service.id,
    slot,
    nodeId: '',
    spec: service.spec.task,
    specVersion: service.specVersion,
    name: `${service.spec.name}.${slot}.${id}`,
    serviceName: service.spec.name,
    desiredState: 'running',
    status: { state: 'new', atMs: 1_790_000_000_000, message: 'created' },
  };
}

/** Writers each propose a status of a task of their own, and wait for it to be durable. */
async function proposalsPerSecond(writers: number, cipher?: Cipher): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-store-'));
  const store = new Store(openRaftLog(folder, {}, cipher));
  try {
    await store.open();
    const service = makeService();
    const tasks = Array.from({ length: writers }, (_, slot) => makeTask(service, slot));
    const atMs = 1_790_000_000_000;
    await store.propose(
      [
        { op: 'put', table: 'service', object: service, base: 0 },
        ...tasks.map((object): Change => ({ op: 'put', table: 'task', object, base: 0 })),
      ],
      { atMs },
    );
    let count = 0;
    const start = performance.now();
    const end = start + writeMs;
    await Promise.all(
      tasks.map(async ({ id }) => {
        for (let serial = 0; performance.now() < end; serial++) {
          const status = { state: 'running', atMs, message: `started ${serial}` } as const;
          await store.propose([{ op: 'task-status', id, status }], { atMs });
          count += 1;
        }
      }),
    );
    return (count * 1000) / (performance.now() - start);
  } finally {
    await store[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  }
}

/** The floor: one write of an entry's size and one sync after another, with no log around them. */
async function syncsPerSecond(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-store-'));
  try {
    const file = await nodeDisk.create(join(folder, 'file'));
    await file.write(Buffer.alloc(4 << 20), 0);
    await file.sync();
    const entry = Buffer.alloc(200, 1);
    let count = 0;
    const start = performance.now();
    while (performance.now() < start + writeMs) {
      await file.write(entry, (count * entry.length) % (4 << 20));
      await file.sync();
      count += 1;
    }
    await file.close();
    return (count * 1000) / (performance.now() - start);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** How long proposals take, one after another, while a snapshot of 100,000 tasks is written. */
async function besideSnapshot(cipher?: Cipher): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-store-'));
  const snapshotEntries = 100;
  const written = () =>
    readdirSync(join(folder, 'snapshots')).some((name) => name.endsWith('.snap'));
  const store = new Store(openRaftLog(folder, { snapshotEntries }, cipher));
  try {
    await store.open();
    const service = makeService();
    await proposeAll(store, [{ op: 'put', table: 'service', object: service, base: 0 }]);
    const tasks = Array.from({ length: tasksCount }, (_, slot) => makeTask(service, slot));
    const put = (object: Task): Change => ({ op: 'put', table: 'task', object, base: 0 });
    await proposeAll(store, tasks.map(put));
    const id = tasks[0]?.id ?? '';
    const propose = (serial: number) => {
      const status = { state: 'running', atMs: serial, message: `${serial}` } as const;
      return store.propose([{ op: 'task-status', id, status }], { atMs: serial });
    };
    while (store.index < snapshotEntries - 1) await propose(store.index);
    const start = performance.now();
    const latencies: number[] = [];
    while (!written()) {
      latencies.push(await timed(async () => void (await propose(latencies.length))));
    }
    const snapshotMs = performance.now() - start;
    latencies.sort((a, b) => a - b);
    const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
    return {
      durable_snapshot_100k_tasks_ms: snapshotMs,
      propose_beside_snapshot_p50_ms: at(0.5),
      propose_beside_snapshot_p99_ms: at(0.99),
      propose_beside_snapshot_max_ms: latencies.at(-1) ?? 0,
    };
  } finally {
    await store[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Proposes the changes in entries of the size that a reconcile pass makes. */
async function proposeAll(store: Store, changes: readonly Change[]): Promise<void> {
  for (let from = 0; from < changes.length; from += tasksPerEntry) {
    const result = await store.propose(changes.slice(from, from + tasksPerEntry), { atMs: from });
    if (!result.applied) throw new Error(result.conflict);
  }
}

async function atScale(): Promise<Record<string, number>> {
  const nodeIds = Array.from({ length: nodesCount }, () => random.id());
  const services = Array.from({ length: 100 }, makeService);
  const full = new Store(new MemoryLog({ snapshotEntries: 100 }));
  await full.open();
  await proposeAll(full, [
    ...services.map((object): Change => ({ op: 'put', table: 'service', object, base: 0 })),
    ...nodeIds.map((id): Change => {
      const spec = { labels: {}, role: 'worker', availability: 'active' } as const;
      const status = { state: 'ready', message: '', addr: '10.0.0.1', atMs: 0 } as const;
      return {
        op: 'put',
        table: 'node',
        object: { id, meta, spec, role: 'worker', status },
        base: 0,
      };
    }),
  ]);
  const puts = function* (): Iterable<Change> {
    for (let i = 0; i < tasksCount; i++) {
      const service = services[i % services.length];
      if (service === undefined) continue;
      const object = makeTask(service, i);
      yield { op: 'put', table: 'task', object, base: 0 };
    }
  };
  let all: Change[] = [...puts()];
  const createMs = await timed(() => proposeAll(full, all));
  all = [...full.tasks()].map((task, i): Change => {
    const object = { ...task, nodeId: nodeIds[i % nodeIds.length] ?? '' };
    return { op: 'put', table: 'task', object, base: task.meta.version };
  });
  const assignMs = await timed(() => proposeAll(full, all));
  all = [...full.tasks()].map((task): Change => {
    const status = { state: 'running', atMs: 1_790_000_000_000, message: 'started' } as const;
    const container = { containerId: random.id().repeat(2), pid: 4711 };
    return { op: 'task-status', id: task.id, status: { ...status, container } };
  });
  const statusMs = await timed(() => proposeAll(full, all));
  all = [];
  let snapshot = Buffer.alloc(0);
  let longestPartMs = 0;
  const snapshotMs = await timed(async () => {
    const parts: Uint8Array[] = [];
    let last = performance.now();
    for (const part of full.snapshotParts()) {
      parts.push(part);
      longestPartMs = Math.max(longestPartMs, performance.now() - last);
      last = performance.now();
      await Promise.resolve();
    }
    snapshot = Buffer.concat(parts);
  });
  const restored = new Store(new MemoryLog());
  collect();
  const before = process.memoryUsage().heapUsed;
  const restoreMs = await timed(async () => {
    restored.restore(full.index, snapshot);
    await Promise.resolve();
  });
  collect();
  const restoredBytes = process.memoryUsage().heapUsed - before;
  if (restored.digest() !== full.digest()) throw new Error('the restored state differs');
  const perSecond = (ms: number) => (tasksCount * 1000) / ms;
  return {
    tasks_created_per_s: perSecond(createMs),
    tasks_assigned_per_s: perSecond(assignMs),
    task_statuses_per_s: perSecond(statusMs),
    memory_per_task_bytes: restoredBytes / tasksCount,
    snapshot_100k_tasks_ms: snapshotMs,
    snapshot_longest_part_ms: longestPartMs,
    snapshot_100k_tasks_mb: snapshot.length / 1e6,
    restore_100k_tasks_ms: restoreMs,
  };
}

/** Managers encrypt what they keep; `plain` figures are beside it to show what that costs. */
function newCipher(): Cipher {
  return new AesCipher([randomBytes(32)]);
}

export async function run(): Promise<{
  ours: Record<string, number>;
  higherIsBetter: string[];
}> {
  const ours: Record<string, number> = {};
  for (const writers of [1, 16, 128]) {
    ours[`durable_${writers}_writers_per_s`] = await proposalsPerSecond(writers, newCipher());
    ours[`durable_plain_${writers}_writers_per_s`] = await proposalsPerSecond(writers);
  }
  ours['disk_write_and_sync_per_s'] = await syncsPerSecond();
  Object.assign(ours, await atScale(), await besideSnapshot(newCipher()));
  console.table(ours);
  return { ours, higherIsBetter: Object.keys(ours).filter((name) => name.endsWith('_per_s')) };
}

if (process.argv[1] === import.meta.filename) await run();
