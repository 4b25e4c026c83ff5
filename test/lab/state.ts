/**
 * Which labs exist on this machine. Each has a number, and everything that it makes is named after
 * the number: so a lab whose process died can be removed by another, without having known it.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';
import { removeCgroup } from './cgroup.ts';
import { inCgroup, killSync, startTicksOf, withEnvironment } from './processes.ts';
import { runSync } from './run.ts';

const runBase = '/run/ts-swarm-lab';
const dataBase = '/var/lib/ts-swarm-lab';
const maxLabs = 100;

/**
 * Where the search for a free number begins. Numbers are not used again at once: a client that
 * outlives its lab would be heard in the next one, which has the same paths and addresses.
 */
let nextId = process.pid % maxLabs;

/** Every process of a lab that is not in a container carries this, with the lab's number. */
export const environmentMark = 'TS_SWARM_LAB';

/** What must be known to find a lab again, or to tell that nobody wants it any more. */
export interface LabRecord {
  readonly id: number;
  readonly name: string;
  readonly bootId: string;
  /** The process that made the lab, or undefined when it was left running on purpose. */
  readonly owner?: { readonly pid: number; readonly startTicks: number };
  readonly hosts: readonly string[];
}

interface LabPaths {
  /** Sockets, pid files: what a boot empties. */
  readonly run: string;
  /** Data roots and logs: what a boot keeps. */
  readonly data: string;
  readonly cgroup: string;
  readonly bridge: string;
  /** The first three bytes of every address of the lab, with the last dot. */
  readonly subnet: string;
}

export function pathsOf(id: number): LabPaths {
  return {
    run: `${runBase}/${id}`,
    data: `${dataBase}/${id}`,
    cgroup: `/ts-swarm-lab/${id}`,
    bridge: `tsl${id}`,
    subnet: `10.99.${id}.`,
  };
}

/** Takes a free number, after removing what dead labs left behind. */
export function claim(name: string, hosts: readonly string[]): LabRecord {
  mkdirSync(runBase, { recursive: true });
  for (const record of records()) {
    if (!isAlive(record)) reap(record.id);
  }
  if (records().some((record) => record.name === name)) {
    throw new Error(`a lab named '${name}' is there already: close it, or take another name`);
  }
  const draft = join(runBase, `.claim-${process.pid}`);
  for (let tries = 0; tries < maxLabs; tries++) {
    const id = nextId;
    nextId = (nextId + 1) % maxLabs;
    const paths = pathsOf(id);
    if (existsSync(paths.run)) continue;
    const record = {
      id,
      name,
      bootId: bootId(),
      owner: { pid: process.pid, startTicks: startTicksOf(process.pid) ?? 0 },
      hosts,
    };
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft);
    writeFileSync(join(draft, 'lab.json'), JSON.stringify(record));
    try {
      // Renaming is what claims: it fails when another process took the number meanwhile.
      renameSync(draft, paths.run);
    } catch (error) {
      if (errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EEXIST') continue;
      throw error;
    }
    removeParts(id);
    return record;
  }
  rmSync(draft, { recursive: true, force: true });
  throw new Error(`${maxLabs} labs are there already: look into ${runBase}`);
}

/**
 * Removes a dead lab. Of several processes that want to, one does: the others must not still be
 * removing when the number has a new owner.
 */
function reap(id: number): void {
  const mark = join(pathsOf(id).run, 'reaper');
  try {
    const other = existsSync(mark) ? Number(readFileSync(mark, 'utf8')) : 0;
    if (other !== 0 && startTicksOf(other) !== undefined) return;
    rmSync(mark, { force: true });
    writeFileSync(mark, String(process.pid), { flag: 'wx' });
  } catch (error) {
    // Another process was quicker, and has removed the lab or is about to.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EEXIST') return;
    throw error;
  }
  const record = records().find((other) => other.id === id);
  if (record !== undefined && isAlive(record)) rmSync(mark);
  else removeLab(id);
}

/** From now on the lab outlives this process, until somebody closes it. */
export function disown(record: LabRecord): LabRecord {
  const { id, name, bootId, hosts } = record;
  const orphan = { id, name, bootId, hosts };
  const path = join(pathsOf(record.id).run, 'lab.json');
  writeFileSync(`${path}.new`, JSON.stringify(orphan));
  renameSync(`${path}.new`, path);
  return orphan;
}

/** The living lab of this name, if there is one. */
export function find(name: string): LabRecord | undefined {
  return records().find((record) => record.name === name && isAlive(record));
}

/** Removes everything of the lab, and its number. Blocking, so that it works in an exit handler. */
export function removeLab(id: number): void {
  removeParts(id);
  rmSync(pathsOf(id).run, { recursive: true, force: true });
}

/** Processes, network devices, cgroups and data: all but the folder that holds the number. */
function removeParts(id: number): void {
  const { cgroup, bridge, data } = pathsOf(id);
  killSync(`lab ${id}`, () => [
    ...withEnvironment(environmentMark, String(id)),
    ...inCgroup(cgroup),
  ]);
  const own = readdirSync('/sys/class/net').filter(
    (device) => device === bridge || device.startsWith(`${bridge}-`),
  );
  for (const device of own) removeDevice(device);
  removeCgroup(cgroup);
  rmSync(data, { recursive: true, force: true });
}

/** A device that is gone is removed too: the kernel drops those of a dead host on its own. */
export function removeDevice(device: string): void {
  if (!existsSync(`/sys/class/net/${device}`)) return;
  try {
    runSync(['ip', 'link', 'del', device]);
  } catch (error) {
    if (existsSync(`/sys/class/net/${device}`)) throw error;
  }
}

function records(): LabRecord[] {
  return readdirSync(runBase)
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const path = join(runBase, entry, 'lab.json');
      try {
        return [JSON.parse(readFileSync(path, 'utf8')) as LabRecord];
      } catch (error) {
        // Another process removes this lab right now.
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      }
    });
}

function isAlive(record: LabRecord): boolean {
  if (record.bootId !== bootId()) return false;
  return record.owner === undefined || startTicksOf(record.owner.pid) === record.owner.startTicks;
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
