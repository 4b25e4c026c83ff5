/** What this host's kernel and packages offer to containers. */
import { access, readFile, rmdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { allCapabilities } from '../../../lib/capabilities.ts';
import type { BlockSupport, CpuLists } from '../controls.ts';
import { blockSupport } from './block-io.ts';
import { errnoOf } from '../../../lib/errors.ts';

export const cgroupRoot = '/sys/fs/cgroup';
const hybridMount = join(cgroupRoot, 'unified');

export interface HostFacts {
  readonly cgroupVersion: 1 | 2;
  /** A cgroup2 hierarchy beside those of v1, which crun refuses to work with. */
  readonly hybridMount: string | undefined;
  readonly swapLimit: boolean;
  readonly blockSupport: BlockSupport;
  readonly cpuLists: CpuLists;
  readonly initPath: string | undefined;
  /** What this daemon may give away at most. */
  readonly capabilities: readonly string[];
}

export async function hostFacts(): Promise<HostFacts> {
  const unified = await exists(join(cgroupRoot, 'cgroup.controllers'));
  const hybrid = !unified && (await exists(join(hybridMount, 'cgroup.controllers')));
  const inits = ['/usr/bin/tini-static', '/usr/bin/docker-init', '/usr/libexec/docker/docker-init'];
  const found = await Promise.all(inits.map(exists));
  return {
    cgroupVersion: unified ? 2 : 1,
    hybridMount: hybrid ? hybridMount : undefined,
    swapLimit: unified || (await exists(join(cgroupRoot, 'memory', 'memory.memsw.limit_in_bytes'))),
    cpuLists: await cpuLists(),
    blockSupport: await blockSupport(cgroupRoot, unified ? 2 : 1),
    initPath: inits[found.indexOf(true)],
    capabilities: await ownCapabilities(),
  };
}

/** A kernel without NUMA has one node, and does not list it. */
async function cpuLists(): Promise<CpuLists> {
  const listAt = async (path: string, otherwise: string) =>
    (await exists(path)) ? (await readFile(path, 'utf8')).trim() : otherwise;
  return {
    cpus: await listAt('/sys/devices/system/cpu/online', `0-${cpus().length - 1}`),
    mems: await listAt('/sys/devices/system/node/online', '0'),
  };
}

async function ownCapabilities(): Promise<readonly string[]> {
  const [, mask = ''] =
    /^CapBnd:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8')) ?? [];
  const bits = BigInt(`0x${mask || '0'}`);
  return allCapabilities.filter((_, index) => ((bits >> BigInt(index)) & 1n) === 1n);
}

/** How many processes of the cgroup the kernel has killed for want of memory. */
export async function oomKills(
  cgroupsPath: string,
  cgroupVersion: 1 | 2,
  root = cgroupRoot,
): Promise<number> {
  const file =
    cgroupVersion === 2
      ? join(root, cgroupsPath, 'memory.events')
      : join(root, 'memory', cgroupsPath, 'memory.oom_control');
  try {
    const [, count] = /^oom_kill (\d+)$/m.exec(await readFile(file, 'utf8')) ?? [];
    return Number(count ?? 0);
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
}

/** Removes an empty cgroup from every hierarchy; one with children or processes stays. */
export async function removeCgroup(cgroupsPath: string, cgroupVersion: 1 | 2): Promise<void> {
  const hierarchies = cgroupVersion === 2 ? [''] : v1Controllers;
  for (const name of hierarchies) {
    try {
      await rmdir(join(cgroupRoot, name, cgroupsPath));
    } catch (error) {
      if (!isGone(error) && errnoOf(error) !== 'EBUSY' && errnoOf(error) !== 'ENOTEMPTY')
        throw error;
    }
  }
}

const v1Controllers = (
  'blkio cpu cpuacct cpuset devices freezer hugetlb memory misc net_cls net_prio perf_event pids ' +
  'rdma systemd'
).split(' ');

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENODEV', 'ENOTDIR'].includes(errnoOf(error) ?? '');
}
