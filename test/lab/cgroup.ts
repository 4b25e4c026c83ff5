/** A cgroup of a test host in every mounted hierarchy, of version 1 or 2. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';
import { sleepSync } from './until.ts';

interface Hierarchy {
  readonly mountPoint: string;
  readonly version: 1 | 2;
  /** Of version 1: which there are, with other options of the mount. */
  readonly controllers: readonly string[];
}

function hierarchies(): readonly Hierarchy[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line): Hierarchy[] => {
      const [, , , , mountPoint = ''] = line.split(' ');
      const controllers = line.split(' ').at(-1)?.split(',') ?? [];
      if (line.includes(' - cgroup ')) return [{ mountPoint, version: 1, controllers }];
      return line.includes(' - cgroup2 ') ? [{ mountPoint, version: 2, controllers: [] }] : [];
    });
}

/** Makes the cgroup `path` (from the root, like /a/b) everywhere, with its parents. */
export function makeCgroup(path: string): void {
  for (const { mountPoint, version } of hierarchies()) {
    const names = path.split('/').filter(Boolean);
    let folder = mountPoint;
    for (const name of names) {
      if (version === 2) enableControllers(folder);
      folder = join(folder, name);
      mkdirSync(folder, { recursive: true });
      // A cpuset starts empty, and takes no process until it has CPUs and memory nodes.
      for (const file of ['cpuset.cpus', 'cpuset.mems']) {
        const own = join(folder, file);
        if (version === 2 || !existsSync(own) || readFileSync(own, 'utf8').trim() !== '') continue;
        writeFileSync(own, readFileSync(join(dirname(folder), file)));
      }
    }
  }
}

function enableControllers(folder: string): void {
  const names = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').split(/\s+/);
  for (const name of names.filter(Boolean)) {
    writeFileSync(join(folder, 'cgroup.subtree_control'), `+${name}`);
  }
}

/** Removes the cgroup and all below it. The kernel takes a moment to let go of dead processes. */
export function removeCgroup(path: string, timeoutMs = 30_000): void {
  const endMs = performance.now() + timeoutMs;
  for (const { mountPoint } of hierarchies()) {
    const folder = join(mountPoint, path);
    while (existsSync(folder)) {
      try {
        removeTree(folder);
      } catch (error) {
        const code = errnoOf(error);
        if (code !== 'EBUSY' && code !== 'ENOENT') throw error;
        if (performance.now() > endMs) throw new Error(`${folder} stays busy`, { cause: error });
        sleepSync(10);
      }
    }
  }
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}

/**
 * The processes in cgroups below `path`, each with the name of its cgroup. Looks into the one
 * hierarchy in which every runtime puts containers, which takes a tenth of asking all processes.
 */
export function membersBelow(path: string): { readonly name: string; readonly pid: number }[] {
  const all = hierarchies();
  const { mountPoint } = all.find((one) => one.controllers.includes('devices')) ??
    all.find(({ version }) => version === 2) ?? { mountPoint: undefined };
  if (mountPoint === undefined) throw new Error('no hierarchy of cgroups has containers');
  return membersOf(join(mountPoint, path));
}

function membersOf(folder: string): { readonly name: string; readonly pid: number }[] {
  return namesIn(folder).flatMap((name) => {
    const inner = join(folder, name);
    const pids = pidsOf(inner).map((pid) => ({ name, pid }));
    return [...pids, ...membersOf(inner)];
  });
}

/** Of a cgroup that is gone by now: none. */
function namesIn(folder: string): readonly string[] {
  return ifThere([], () =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name),
  );
}

function pidsOf(folder: string): readonly number[] {
  const text = ifThere('', () => readFileSync(join(folder, 'cgroup.procs'), 'utf8'));
  return text.split('\n').filter(Boolean).map(Number);
}

function ifThere<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENODEV') return otherwise;
    throw error;
  }
}

/** CPU time that the cgroup and all below it have used, in seconds. */
export function cpuSecondsOf(path: string): number {
  for (const { mountPoint, version } of hierarchies()) {
    const usage = join(mountPoint, path, 'cpuacct.usage');
    if (version === 1 && existsSync(usage)) return Number(readFileSync(usage, 'utf8')) / 1e9;
    const stat = join(mountPoint, path, 'cpu.stat');
    const text = version === 2 && existsSync(stat) ? readFileSync(stat, 'utf8') : '';
    const micros = /^usage_usec (\d+)/m.exec(text)?.[1];
    if (micros !== undefined && hierarchies().every((other) => other.version === 2)) {
      return Number(micros) / 1e6;
    }
  }
  throw new Error(`no cgroup hierarchy counts the CPU time of ${path}`);
}
