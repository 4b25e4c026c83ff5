/** What /proc tells about the processes of test hosts. Pids are the machine's, not the hosts'. */
import { readFileSync, readdirSync } from 'node:fs';
import { errnoOf } from '../../lib/errors.ts';
import { membersBelow } from './cgroup.ts';
import { sleepSync } from './until.ts';

/** Reads a file of /proc; undefined when its process is gone. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

export function argvOf(pid: number): readonly string[] {
  return readProc(`/proc/${pid}/cmdline`)?.split('\0').slice(0, -1) ?? [];
}

/** When the process started, in ticks since boot: with the pid, its identity. */
export function startTicksOf(pid: number): number | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return state === 'Z' || state === 'X' ? undefined : Number(rest[18]);
}

export function childrenOf(pid: number): number[] {
  const text = readProc(`/proc/${pid}/task/${pid}/children`) ?? '';
  return text.split(' ').filter(Boolean).map(Number);
}

/** Processes (no zombies) with this exact variable in their environment. */
export function withEnvironment(name: string, value: string): number[] {
  const entry = `${name}=${value}`;
  return allPids().filter(
    (pid) =>
      readProc(`/proc/${pid}/environ`)?.split('\0').includes(entry) === true &&
      startTicksOf(pid) !== undefined,
  );
}

/** Processes (no zombies) in the cgroup or below it, in any hierarchy. */
export function inCgroup(path: string): number[] {
  return allPids().filter((pid) => {
    const lines = readProc(`/proc/${pid}/cgroup`)?.split('\n') ?? [];
    const inside = lines.some((line) => {
      const own = line.slice(line.indexOf(':', line.indexOf(':') + 1) + 1);
      return own === path || own.startsWith(`${path}/`);
    });
    return inside && startTicksOf(pid) !== undefined;
  });
}

/** A container, as the kernel sees it. */
export interface ContainerProcess {
  /** The name of its cgroup, which is the container's id. */
  readonly id: string;
  /** Its process 1, in the machine's numbers. */
  readonly pid: number;
  /** The same process in its host's numbers. */
  readonly hostPid: number;
}

/** The containers whose processes run in cgroups below `path`, of any runtime. */
export function containersIn(path: string): ContainerProcess[] {
  return membersBelow(path).flatMap(({ name, pid }) => {
    const status = readProc(`/proc/${pid}/status`) ?? '';
    // Where its namespace numbers it 1, below the host's own namespace and the machine's.
    const numbers = /^NSpid:\s*(.+)$/m.exec(status)?.[1]?.split('\t');
    if (numbers === undefined || numbers.length < 3 || numbers.at(-1) !== '1') return [];
    const isOver = /^State:\s*[ZX]/m.test(status);
    return isOver ? [] : [{ id: name, pid, hostPid: Number(numbers.at(-2)) }];
  });
}

/** Kills with SIGKILL and waits, blocking, until `find` finds nothing more. */
export function killSync(what: string, find: () => readonly number[], timeoutMs = 60_000): void {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const pids = find();
    if (pids.length === 0) return;
    if (performance.now() > endMs) {
      const names = pids.map((pid) => `${pid} (${argvOf(pid).join(' ').slice(0, 80)})`);
      throw new Error(`processes of ${what} do not die: ${names.join(', ')}`);
    }
    for (const pid of pids) signal(pid, 'SIGKILL');
    sleepSync(5);
  }
}

/** Whether the process has nothing that would be done on SIGTERM. */
export function isDeaf(pid: number): boolean {
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readProc(`/proc/${pid}/status`) ?? '')?.[1];
  return caught !== undefined && (BigInt(`0x${caught}`) & (1n << 14n)) === 0n;
}

/** Sends a signal; false when the process is gone already. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false;
    throw error;
  }
}

/** The memory that the process takes, shared pages by share (PSS), in bytes. */
export function memoryOf(pid: number): { readonly pssBytes: number; readonly rssBytes: number } {
  const text = readProc(`/proc/${pid}/smaps_rollup`) ?? '';
  const of = (key: string) => Number(new RegExp(`^${key}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return { pssBytes: of('Pss') * 1024, rssBytes: of('Rss') * 1024 };
}
