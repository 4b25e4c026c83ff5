/** One daemon for a data root. The file names a process that may be gone, also after kill -9. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, SwarmError } from '../lib/errors.ts';
import { makeFoldersSync } from '../lib/folders.ts';

/** Throws SwarmError `failed-precondition` when a living daemon holds the file. */
export function acquirePidFile(path: string): Disposable {
  makeFoldersSync(dirname(path), 0o711);
  const holder = readHolder(path);
  if (holder !== undefined && startTime(holder.pid) === holder.startTime) {
    throw new SwarmError(
      'failed-precondition',
      `a daemon with process id ${holder.pid} already runs on ${dirname(path)}: stop it, or start ` +
        'this one with another --data-root and --run-root',
    );
  }
  const own = `${process.pid} ${startTime(process.pid)}\n`;
  write(path, own);
  return {
    [Symbol.dispose]() {
      if (readFileSync(path, 'utf8') === own) rmSync(path);
    },
  };
}

function write(path: string, text: string): void {
  try {
    writeFileSync(`${path}.new`, text, { mode: 0o644 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    rmSync(`${path}.new`, { force: true });
    if (errnoOf(cause) !== 'ENOSPC') throw cause;
    const message = `no room is left in ${dirname(path)}: make some, and start the daemon again`;
    throw new SwarmError('resource-exhausted', message, { cause });
  }
}

function readHolder(path: string): { pid: number; startTime: string } | undefined {
  try {
    const [pid = '', time = ''] = readFileSync(path, 'utf8').trim().split(' ');
    return { pid: Number(pid), startTime: time };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** In clock ticks since boot: tells a process from a later one with the same id. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const startTimeField = 19;
    return afterName[startTimeField];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
