/** What a daemon leaves in the system when it ends, so that containers run on without it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import { mountTable } from '../../lib/mount-table.ts';

interface Roots {
  readonly dataRoot: string;
  readonly runRoot: string;
}

const execute = promisify(execFile);
const commandTimeoutMs = 30_000;
const stopTimeoutMs = 30_000;
const pollMs = 50;

const unitName = 'ts-swarm.service';
const unitFile = `/etc/systemd/system/${unitName}`;
/** Which all daemons of a network namespace share. */
const bridge = 'ts-swarm0';
const cgroupName = 'ts-swarm';
const cgroupRoot = '/sys/fs/cgroup';

/** Ends the daemon, also where systemd would start it again. */
export async function stopDaemon({ runRoot }: Roots, clock: Clock): Promise<void> {
  const [pidText = ''] = (await readFile(join(runRoot, 'daemon.pid'), 'utf8')).split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid < 2) {
    throw new SwarmError('internal', `${runRoot}/daemon.pid names no process: stop the daemon`);
  }
  if (existsSync(unitFile) && existsSync('/run/systemd/system')) {
    await command('systemctl', 'disable', '--now', unitName);
  }
  const deadlineMs = clock.monotonicMs() + stopTimeoutMs;
  if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGTERM');
  while (existsSync(`/proc/${pid}`)) {
    if (clock.monotonicMs() > deadlineMs) {
      const seconds = stopTimeoutMs / 1000;
      throw new SwarmError(
        'deadline-exceeded',
        `the daemon (process ${pid}) did not end within ${seconds} seconds: end it, and try again`,
      );
    }
    await clock.sleep(pollMs);
  }
}

/** Returns a sentence for each thing that has to stay, because somebody else uses it. */
export async function removeTraces({ dataRoot, runRoot }: Roots): Promise<string[]> {
  await unmountBelow([dataRoot, runRoot]);
  const kept = [...(await removeFromNetwork()), ...(await removeCgroups())];
  await rm(runRoot, { recursive: true, force: true });
  await rm(dataRoot, { recursive: true, force: true });
  if (existsSync(unitFile)) {
    await rm(unitFile);
    if (existsSync('/run/systemd/system')) await command('systemctl', 'daemon-reload');
  }
  return kept;
}

async function unmountBelow(folders: readonly string[]): Promise<void> {
  const mountPoints = mountTable()
    .map(({ path }) => path)
    .filter((path) => folders.some((folder) => path === folder || path.startsWith(`${folder}/`)));
  // The last to come is the first to go. A root that is a disk of its own stays one.
  for (const path of mountPoints.toReversed()) {
    if (!folders.includes(path)) await command('umount', path);
  }
}

interface Link {
  readonly ifname: string;
  /** The bridge that it is a port of. */
  readonly master?: string;
}

async function removeFromNetwork(): Promise<string[]> {
  // Not from /sys, which may show another network namespace's.
  const links = JSON.parse(await command('ip', '-json', 'link', 'show')) as Link[];
  if (!links.some(({ ifname }) => ifname === bridge)) return [];
  const ports = links.filter(({ master }) => master === bridge);
  if (ports.length > 0) {
    return [`The bridge ${bridge} stays: containers of another daemon are on it.`];
  }
  await command('ip', 'link', 'delete', bridge);
  for (const line of (await command('nft', 'list', 'tables')).split('\n')) {
    const [, family, name] = /^table (\S+) (ts_swarm\S*)$/.exec(line.trim()) ?? [];
    if (family !== undefined && name !== undefined) {
      await command('nft', 'delete', 'table', family, name);
    }
  }
  return [];
}

/** Of version 2 there is one hierarchy, of version 1 one for each controller. */
async function removeCgroups(): Promise<string[]> {
  const names = await readdir(cgroupRoot);
  const found = [cgroupRoot, ...names.map((name) => join(cgroupRoot, name))]
    .map((folder) => join(folder, cgroupName))
    .filter((folder) => existsSync(folder));
  const kept: string[] = [];
  for (const folder of found) {
    try {
      await removeCgroup(folder);
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY') throw error;
      kept.push(`The cgroup ${folder} stays: containers of another daemon are in it.`);
    }
  }
  return kept;
}

/** A cgroup's files go with it. */
async function removeCgroup(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroup(join(folder, entry.name));
  }
  await rmdir(folder);
}

async function command(program: string, ...words: readonly string[]): Promise<string> {
  try {
    return (await execute(program, words, { timeout: commandTimeoutMs })).stdout;
  } catch (error) {
    throw new SwarmError(
      'internal',
      `'${[program, ...words].join(' ')}' failed, and is to be done by hand: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
