/** A container as the daemon holds it in memory. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { errnoOf } from '../../../lib/errors.ts';
import type { ContainerExit, ContainerInfo } from '../runtime.ts';
import type { OciProcess } from '../oci/spec.ts';
import type { LogFile } from '../logs/log-file.ts';
import type { LogPump } from '../logs/log-pump.ts';
import type { Meta } from './meta.ts';

export interface Held {
  readonly id: string;
  readonly meta: Meta;
  readonly process: OciProcess;
  readonly shimGroup: string;
  readonly cgroupsPath: string;
  readonly logFile: LogFile;
  pump: LogPump | undefined;
  state: ContainerInfo['state'];
  pid: number;
  exit: ContainerExit | undefined;
  oomSeen: boolean;
  /** The exit is being dealt with. */
  ending: boolean;
  readonly ended: PromiseWithResolvers<ContainerExit>;
}

export function infoOf(held: Held): ContainerInfo {
  return {
    id: held.id,
    labels: held.meta.labels,
    state: held.state,
    pid: held.pid,
    ...(held.exit === undefined ? {} : { exit: held.exit }),
  };
}

/**
 * Sends the signal without the help of the OCI runtime, which would be started for it. False where
 * it is not certain that the process is the container's: an id may be another process's by now.
 */
export async function signalProcess(
  { pid, cgroupsPath }: Pick<Held, 'pid' | 'cgroupsPath'>,
  signal: number,
): Promise<boolean> {
  if (pid <= 1) return false;
  try {
    const cgroups = await readFile(`/proc/${pid}/cgroup`, 'utf8');
    if (!cgroups.split('\n').some((line) => line.endsWith(`:${cgroupsPath}`))) return false;
    process.kill(pid, signal);
    return true;
  } catch (error) {
    // Its exit is on its way.
    if (errnoOf(error) === 'ESRCH') return true;
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Kept on disk, because the task that knows it is deleted as soon as it has ended. */
export async function writeExit(path: string, exit: ContainerExit): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(exit));
  await rename(`${path}.new`, path);
}

export async function readExit(path: string): Promise<ContainerExit | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ContainerExit;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
