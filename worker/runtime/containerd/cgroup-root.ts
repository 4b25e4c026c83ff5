/**
 * Makes the root of a cgroup v2 hierarchy hand its controllers down. Where the root is that of a
 * namespace (a host that is itself a container), the kernel refuses while processes are in it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';

/** What limits and accounts of containers need. */
const wanted: readonly string[] = ['cpu', 'cpuset', 'hugetlb', 'io', 'memory', 'pids'];
/** Where the processes of the root go: the daemon itself, and whatever started it. */
const leafName = 'init';
/** Processes that are moved may have just forked another. */
const roundsMax = 10;

/** Does nothing where the controllers are handed down already. */
export async function delegateControllers(root: string, log: Logger): Promise<void> {
  const available = await words(join(root, 'cgroup.controllers'));
  const enabled = await words(join(root, 'cgroup.subtree_control'));
  const missing = available.filter((name) => wanted.includes(name) && !enabled.includes(name));
  if (missing.length === 0) return;
  try {
    for (let round = 0; !(await enable(root, missing)); round++) {
      const left = await words(join(root, 'cgroup.procs'));
      if (round === roundsMax) throw new Error(`processes stay in it: ${left.join(', ')}`);
      log.info('processes leave the cgroup root, which cannot limit containers with them', {
        leaf: join(root, leafName),
        processes: left.length,
      });
      await moveProcesses(left, join(root, leafName));
    }
  } catch (error) {
    // Containers may run all the same; what does not work without is said when it is asked for.
    log.warn('cgroup controllers are not available: limits of containers may not work', {
      root,
      missing,
      error: messageOf(error),
    });
  }
}

/** False: the cgroup has processes. */
async function enable(root: string, controllers: readonly string[]): Promise<boolean> {
  try {
    const text = controllers.map((name) => `+${name}`).join(' ');
    await writeFile(join(root, 'cgroup.subtree_control'), text);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') throw error;
    return false;
  }
}

async function moveProcesses(pids: readonly string[], leaf: string): Promise<void> {
  await mkdir(leaf, { recursive: true });
  for (const pid of pids) {
    try {
      await writeFile(join(leaf, 'cgroup.procs'), pid);
    } catch (error) {
      // It has ended meanwhile.
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
  }
}

async function words(path: string): Promise<readonly string[]> {
  return (await readFile(path, 'utf8')).split(/\s+/).filter((word) => word !== '');
}
