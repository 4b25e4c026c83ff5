/** Limits of block devices: what the kernel has of them, and what the OCI runtime is told. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';
import type { BlockIo, BlockRate, BlockSupport } from '../controls.ts';
import type { OciBlockIo } from '../oci/resources.ts';
import { numbersOf } from './devices.ts';

const filesV1: Readonly<Record<keyof BlockIo, string>> = {
  weight: 'weight',
  weightDevices: 'weight_device',
  readBps: 'throttle.read_bps_device',
  writeBps: 'throttle.write_bps_device',
  readIops: 'throttle.read_iops_device',
  writeIops: 'throttle.write_iops_device',
};

/** Version 2 has all of them, or no controller of that name. */
export async function blockSupport(root: string, version: 1 | 2): Promise<BlockSupport> {
  const hasIo =
    version === 2 && (await textAt(join(root, 'cgroup.controllers'))).split(/\s+/).includes('io');
  const pairs = Object.entries(filesV1).map(
    async ([limit, file]) =>
      [limit, version === 2 ? hasIo : await isThere(join(root, 'blkio', `blkio.${file}`))] as const,
  );
  return Object.fromEntries(await Promise.all(pairs)) as BlockSupport;
}

/** Devices by their numbers. Throws `internal`, in Docker's words, for one that is not there. */
export async function ociBlockIo(wanted: BlockIo): Promise<OciBlockIo | undefined> {
  const { weight, weightDevices = [] } = wanted;
  const throttles = {
    throttleReadBpsDevice: await throttlesOf(wanted.readBps),
    throttleWriteBpsDevice: await throttlesOf(wanted.writeBps),
    throttleReadIOPSDevice: await throttlesOf(wanted.readIops),
    throttleWriteIOPSDevice: await throttlesOf(wanted.writeIops),
  };
  const weights = await Promise.all(
    weightDevices.map(async ({ path, weight: own }) => ({
      ...(await numbersAt(path)),
      weight: own,
    })),
  );
  const lists = Object.entries({ weightDevice: weights, ...throttles });
  const found = {
    ...(weight ? { weight } : {}),
    ...Object.fromEntries(lists.filter(([, list]) => list.length > 0)),
  };
  return Object.keys(found).length === 0 ? undefined : found;
}

function throttlesOf(rates: readonly BlockRate[] = []) {
  return Promise.all(rates.map(async ({ path, rate }) => ({ ...(await numbersAt(path)), rate })));
}

async function numbersAt(path: string): Promise<{ major: number; minor: number }> {
  let found;
  try {
    found = await stat(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const message = `stat ${path}: no such file or directory`;
    throw new SwarmError('internal', message, { cause: error });
  }
  if (found.isBlockDevice()) return numbersOf(found.rdev);
  throw new SwarmError(
    'invalid-argument',
    `${path} is no block device: limits of block I/O are of those alone`,
  );
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

async function textAt(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return '';
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '');
}
