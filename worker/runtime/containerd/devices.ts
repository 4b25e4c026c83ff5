/** Devices of the host that a container is given. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';
import type { OciDevice } from '../oci/resources.ts';
import type { StandaloneConfig } from '../runtime.ts';

/** What a container has of its own, whatever the host has at these places. */
const ownNames = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev', 'console']);

/** A privileged container has all. Throws `invalid-argument` for one that is not there. */
export async function devicesOf(more: StandaloneConfig = {}): Promise<readonly OciDevice[]> {
  const asked = await Promise.all(
    (more.devices ?? []).map(async (mapping) => {
      const { pathOnHost, pathInContainer, permissions, fileMode, uid, gid } = mapping;
      const found = await devicesAt(pathOnHost, pathInContainer, permissions || 'rwm');
      const reason = found.length === 0 ? await whyNone(pathOnHost) : '';
      const changed = {
        ...(fileMode === undefined ? {} : { fileMode }),
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      };
      if (found.length > 0) return found.map((device) => ({ ...device, ...changed }));
      throw new SwarmError(
        'invalid-argument',
        `error gathering device information while adding custom device "${pathOnHost}": ` + reason,
      );
    }),
  );
  const all = more.privileged ? await devicesAt('/dev', '/dev', 'rwm') : [];
  const byPath = new Map([...all, ...asked.flat()].map((device) => [device.path, device]));
  return [...byPath.values()];
}

async function whyNone(path: string): Promise<string> {
  try {
    await stat(path);
    return 'not a device node';
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return 'no such file or directory';
  }
}

async function devicesAt(path: string, target: string, access: string): Promise<OciDevice[]> {
  let found;
  try {
    found = await stat(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return [];
  }
  if (found.isDirectory()) {
    const names = (await readdir(path)).filter((name) => !ownNames.has(name));
    const below = names.map((name) => devicesAt(join(path, name), join(target, name), access));
    return (await Promise.all(below)).flat();
  }
  if (!found.isCharacterDevice() && !found.isBlockDevice()) return [];
  return [
    {
      path: target,
      type: found.isBlockDevice() ? 'b' : 'c',
      ...numbersOf(found.rdev),
      fileMode: found.mode & 0o777,
      uid: found.uid,
      gid: found.gid,
      access,
    },
  ];
}

/** Linux's packing of the two numbers into one. */
export function numbersOf(rdev: number): { major: number; minor: number } {
  const packed = BigInt(rdev);
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & ~0xfffn);
  const minor = (packed & 0xffn) | ((packed >> 12n) & ~0xffn);
  return { major: Number(major), minor: Number(minor & 0xffffffffn) };
}
