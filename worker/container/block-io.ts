/** A container's limits of block devices: what is asked for, and what this kernel has of it. */
import { SwarmError } from '../../lib/errors.ts';
import type { HostDocument } from '../../types/index.ts';
import type { BlockIo, BlockSupport } from '../runtime/controls.ts';

type Asked = Pick<HostDocument, (typeof limits)[number]['field']>;

/** Docker's words, which its clients print. */
const limits = [
  {
    of: 'weight',
    field: 'blkioWeight',
    lacking: 'Block I/O weight or the cgroup is not mounted. Weight discarded.',
  },
  {
    of: 'weightDevices',
    field: 'blkioWeightDevice',
    lacking: 'Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.',
  },
  {
    of: 'readBps',
    field: 'blkioDeviceReadBps',
    lacking: `BPS Block I/O read limit ${discarded('BPS read')}`,
  },
  {
    of: 'writeBps',
    field: 'blkioDeviceWriteBps',
    lacking: `BPS Block I/O write limit ${discarded('BPS write')}`,
  },
  {
    of: 'readIops',
    field: 'blkioDeviceReadIops',
    lacking: `IOPS Block read limit ${discarded('IOPS read')}`,
  },
  {
    of: 'writeIops',
    field: 'blkioDeviceWriteIops',
    lacking: `IOPS Block write limit ${discarded('IOPS write')}`,
  },
] as const;

export const deviceLimits = [
  'blkioWeightDevice',
  'blkioDeviceReadBps',
  'blkioDeviceWriteBps',
  'blkioDeviceReadIops',
  'blkioDeviceWriteIops',
] as const;

function discarded(what: string): string {
  return `or the cgroup is not mounted. Block I/O ${what} limit discarded.`;
}

/** Without what the kernel lacks, and what is said of that. Throws `invalid-argument`. */
export function keptBlockIo<T extends Partial<Asked>>(
  asked: T,
  support: BlockSupport,
): { readonly kept: T; readonly warnings: readonly string[] } {
  const lacked = limits.filter(({ of, field }) => isSet(asked[field]) && !support[of]);
  const { blkioWeight = 0 } = asked;
  if (support.weight && blkioWeight !== 0 && (blkioWeight < 10 || blkioWeight > 1000)) {
    throw new SwarmError('invalid-argument', 'Range of blkio weight is from 10 to 1000');
  }
  const nothing = lacked.map(({ field }) => [field, field === 'blkioWeight' ? 0 : []]);
  return {
    kept: { ...asked, ...Object.fromEntries(nothing) },
    warnings: lacked.map(({ lacking }) => `Your kernel does not support ${lacking}`),
  };
}

export function blockIoOf(host: HostDocument): BlockIo {
  const given = limits.filter(({ field }) => isSet(host[field]));
  return Object.fromEntries(given.map(({ of, field }) => [of, host[field]]));
}

function isSet(value: number | readonly unknown[] | null | undefined): boolean {
  return typeof value === 'number' ? value > 0 : (value?.length ?? 0) > 0;
}
