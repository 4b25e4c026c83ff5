import { strict as assert } from 'node:assert';
import { hostDocument } from '../../types/index.ts';
import { allBlockLimits } from '../runtime/fake-parts.ts';
import { blockIoOf, keptBlockIo } from './block-io.ts';

const host = (json: object) => hostDocument.decode(json, '');
const of = [{ Path: '/dev/sda', Rate: 7 }];
const asked = host({
  BlkioWeight: 300,
  BlkioWeightDevice: [{ Path: '/dev/sda', Weight: 200 }],
  BlkioDeviceReadBps: of,
  BlkioDeviceWriteBps: of,
  BlkioDeviceReadIOps: of,
  BlkioDeviceWriteIOps: of,
});

describe('what is asked for of block devices', () => {
  it('is kept where the kernel has it', () => {
    const { kept, warnings } = keptBlockIo(asked, allBlockLimits);
    assert.deepEqual([kept, warnings], [asked, []]);
    const rates = [{ path: '/dev/sda', rate: 7 }];
    assert.deepEqual(blockIoOf(kept), {
      weight: 300,
      weightDevices: [{ path: '/dev/sda', weight: 200 }],
      readBps: rates,
      writeBps: rates,
      readIops: rates,
      writeIops: rates,
    });
  });

  for (const [limit, field, left] of [
    ['weight', 'blkioWeight', 0],
    ['weightDevices', 'blkioWeightDevice', []],
    ['readBps', 'blkioDeviceReadBps', []],
    ['writeBps', 'blkioDeviceWriteBps', []],
    ['readIops', 'blkioDeviceReadIops', []],
    ['writeIops', 'blkioDeviceWriteIops', []],
  ] as const) {
    it(`is discarded with a warning where the kernel has no ${limit}`, () => {
      const { kept, warnings } = keptBlockIo(asked, { ...allBlockLimits, [limit]: false });
      assert.deepEqual(kept, { ...asked, [field]: left });
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? '', /^Your kernel does not support .* discarded\.$/);
      assert.deepEqual(keptBlockIo(host({}), { ...allBlockLimits, [limit]: false }).warnings, []);
    });
  }

  for (const BlkioWeight of [9, 1001]) {
    it(`is no weight of ${BlkioWeight}`, () =>
      assert.throws(() => keptBlockIo(host({ BlkioWeight }), allBlockLimits), {
        message: 'Range of blkio weight is from 10 to 1000',
      }));
  }
});
