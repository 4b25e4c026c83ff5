/**
 * Measures what containers cost on this host: `node worker/runtime/testing/measure-starts.ts 60 16`
 * starts and removes 60 of busybox's `sleep`, 16 at once, three times over. Needs root. CPU is that of
 * the daemon, containerd, shims, OCI runtime and containers together, by cgroup accounting (v1).
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRandom } from '../../../lib/random.ts';
import { openContainerd } from '../containerd/open.ts';
import { RuntimePaths } from '../containerd/paths.ts';
import type { Runtime } from '../runtime.ts';
import { makeBusyboxImage } from './busybox.ts';
import { containerConfig } from './container-config.ts';

const count = Number(process.argv[2] ?? 60);
const inFlight = Number(process.argv[3] ?? 16);
const rounds = 3;
const accounting = '/sys/fs/cgroup/cpuacct';
const ownCgroup = join(accounting, `ts-swarm-measure-${process.pid}`);

async function each(work: (id: string) => Promise<void>): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `measured-${index}`);
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) await work(id);
    }),
  );
}

function cpuMs(cgroups: readonly string[]): number {
  const usage = (cgroup: string) =>
    Number(readFileSync(join(cgroup, 'cpuacct.usage'), 'utf8')) / 1e6;
  return cgroups.reduce((sum, cgroup) => sum + usage(cgroup), 0);
}

function shims(runRoot: string): { shims: number; rssMb: number } {
  const sizes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      const commandLine = readIfThere(`/proc/${pid}/cmdline`);
      if (!commandLine.includes('shim-runc-v2') || !commandLine.includes(runRoot)) return 0;
      return Number(/VmRSS:\s+(\d+)/.exec(readIfThere(`/proc/${pid}/status`))?.[1] ?? 0);
    })
    .filter((size) => size > 0);
  const rssMb = sizes.reduce((sum, size) => sum + size, 0) / 1024;
  return { shims: sizes.length, rssMb: Math.round(rssMb) };
}

/** Processes come and go while they are listed. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}

async function measure(
  name: string,
  cgroups: readonly string[],
  work: (id: string) => Promise<void>,
): Promise<void> {
  const cpuBefore = cpuMs(cgroups);
  const before = performance.now();
  await each(work);
  const wallMs = (performance.now() - before) / count;
  const cpu = (cpuMs(cgroups) - cpuBefore) / count;
  console.log(`${name}: ${wallMs.toFixed(1)} ms and ${cpu.toFixed(1)} ms of CPU a container`);
}

async function round(runtime: Runtime, runRoot: string, cgroups: readonly string[]): Promise<void> {
  const image = { name: 'busybox', chainId: 'busybox' };
  await measure('start', cgroups, async (id) => {
    await runtime.create(containerConfig({ id, image, argv: ['sleep', '1000'] }));
    await runtime.start(id);
  });
  console.log(shims(runRoot));
  await measure('stop and remove', cgroups, async (id) => {
    await runtime.stop(id, { signalName: 'SIGKILL', graceMs: 10_000 });
    await runtime.remove(id);
  });
}

const root = mkdtempSync(join(tmpdir(), 'ts-swarm-measure-'));
const roots = { dataRoot: join(root, 'data'), runRoot: join(root, 'run') };
mkdirSync(ownCgroup);
const containersCgroup = join(accounting, new RuntimePaths(roots).cgroupParent);
mkdirSync(containersCgroup, { recursive: true });
writeFileSync(join(ownCgroup, 'cgroup.procs'), String(process.pid));
const opened = await openContainerd(roots, {
  clock: realClock,
  random: systemRandom,
  log: silentLogger,
});
try {
  await makeBusyboxImage(opened.client, opened.snapshotter);
  console.log(opened.runtime.info());
  for (let n = 0; n < rounds; n++) {
    await round(opened.runtime, roots.runRoot, [ownCgroup, containersCgroup]);
  }
} finally {
  await opened[Symbol.asyncDispose]();
  writeFileSync(join(accounting, 'cgroup.procs'), String(process.pid));
  rmSync(root, { recursive: true });
}
