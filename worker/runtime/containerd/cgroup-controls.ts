/** Freezes, measures and limits containers by their cgroups. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';
import type { ContainerControls, LimitChanges, Usage } from '../controls.ts';
import { networkUsage, readUsage } from './cgroup-usage.ts';
import type { ContainerdClient } from './client.ts';
import type { Held } from './held.ts';
import { cgroupRoot, type HostFacts } from './host.ts';
import { json } from './meta.ts';

const resourcesType = 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources';
/** A freezer of version 1 may have to be told more than once, as processes fork meanwhile. */
const freezeTries = 100;
const freezePauseMs = 10;

interface Setup {
  readonly client: ContainerdClient;
  readonly host: HostFacts;
}

export class CgroupControls implements ContainerControls {
  readonly #setup: Setup;
  readonly #find: (id: string) => Held;
  readonly #clock: Clock;

  constructor(setup: Setup, clock: Clock, find: (id: string) => Held) {
    this.#setup = setup;
    this.#clock = clock;
    this.#find = find;
  }

  async pause(id: string): Promise<void> {
    const held = this.#running(id, 'running');
    await this.#freeze(held, true);
    held.state = 'paused';
  }

  async resume(id: string): Promise<void> {
    const held = this.#running(id, 'paused');
    await this.#freeze(held, false);
    held.state = 'running';
  }

  async update(id: string, changes: LimitChanges): Promise<void> {
    this.#find(id);
    const resources = json(resourcesType, ociResources(changes));
    await this.#setup.client.tasks.update({ containerId: id, resources });
  }

  async pids(id: string): Promise<readonly number[]> {
    const { cgroupsPath } = this.#find(id);
    const { cgroupVersion } = this.#setup.host;
    const folder = cgroupVersion === 2 ? '' : 'pids';
    return pidsBelow(join(cgroupRoot, folder, cgroupsPath));
  }

  async usage(id: string): Promise<Usage> {
    const held = this.#find(id);
    const [usage, networks] = await Promise.all([
      readUsage(held.cgroupsPath, this.#setup.host.cgroupVersion),
      networkUsage(held.pid),
    ]);
    return { ...usage, networks };
  }

  #running(id: string, state: 'running' | 'paused'): Held {
    const held = this.#find(id);
    if (held.state === state) return held;
    throw new SwarmError('failed-precondition', `container ${id} is not ${state}`);
  }

  async #freeze({ id, cgroupsPath }: Held, frozen: boolean): Promise<void> {
    const { cgroupVersion } = this.#setup.host;
    const path = freezerOf(cgroupsPath, cgroupVersion);
    const words = cgroupVersion === 2 ? ['0', '1'] : ['THAWED', 'FROZEN'];
    for (let tries = 0; tries < freezeTries; tries++) {
      await writeFile(path, words[Number(frozen)] ?? '');
      if ((await isFrozen(cgroupsPath, cgroupVersion)) === frozen) return;
      await this.#clock.sleep(freezePauseMs);
    }
    await writeFile(path, words[0] ?? '');
    throw new SwarmError('internal', `the processes of container ${id} could not be frozen`);
  }
}

export async function isFrozen(
  cgroupsPath: string,
  cgroupVersion: 1 | 2,
  root = cgroupRoot,
): Promise<boolean> {
  if (cgroupVersion === 1) {
    return (await readIfThere(freezerOf(cgroupsPath, 1, root))).trim() === 'FROZEN';
  }
  const events = await readIfThere(join(root, cgroupsPath, 'cgroup.events'));
  return /^frozen 1$/m.test(events);
}

function freezerOf(cgroupsPath: string, cgroupVersion: 1 | 2, root = cgroupRoot): string {
  return cgroupVersion === 2
    ? join(root, cgroupsPath, 'cgroup.freeze')
    : join(root, 'freezer', cgroupsPath, 'freezer.state');
}

/** A container that has containers of its own moves its processes into cgroups below. */
export async function pidsBelow(folder: string): Promise<readonly number[]> {
  const text = await readIfThere(join(folder, 'cgroup.procs'));
  const own = text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
  const below = await Promise.all((await foldersIn(folder)).map(pidsBelow));
  return [...own, ...below.flat()];
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name));
  } catch (error) {
    if (isOver(error)) return [];
    throw error;
  }
}

function isOver(error: unknown): boolean {
  return ['ENOENT', 'ENODEV', 'ENOTDIR', 'ESRCH'].includes(errnoOf(error) ?? '');
}

export async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isOver(error)) return '';
    throw error;
  }
}

/** The OCI specification's names. */
function ociResources(changes: LimitChanges) {
  const { cpu, memoryBytes, memoryReservationBytes, memorySwapBytes, pids } = changes;
  const memory = defined({
    limit: memoryBytes,
    reservation: memoryReservationBytes,
    swap: memorySwapBytes,
  });
  const cpus = defined({
    shares: cpu?.shares,
    period: cpu?.periodUs,
    quota: cpu?.quotaUs,
    cpus: cpu?.cpus,
    mems: cpu?.mems,
  });
  return defined({
    memory,
    cpu: cpus,
    pids: pids === undefined ? undefined : { limit: pids },
    blockIO: changes.blkioWeight === undefined ? undefined : { weight: changes.blkioWeight },
  });
}

/** Without what is undefined; nothing where that is all. */
function defined(fields: Record<string, unknown>): Record<string, unknown> | undefined {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return present.length === 0 ? undefined : Object.fromEntries(present);
}
