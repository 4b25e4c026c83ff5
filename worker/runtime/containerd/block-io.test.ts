import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockSupport, ociBlockIo } from './block-io.ts';
import { numbersOf } from './devices.ts';

const disk = readdirSync('/dev')
  .map((name) => `/dev/${name}`)
  .find((path) => statSync(path, { throwIfNoEntry: false })?.isBlockDevice());

describe('limits of block devices', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'block-io-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const all = (is: boolean) => ({
    weight: is,
    weightDevices: is,
    readBps: is,
    writeBps: is,
    readIops: is,
    writeIops: is,
  });

  it('are those that version 1 has files for', async () => {
    assert.deepEqual(await blockSupport(root, 1), all(false));
    mkdirSync(join(root, 'blkio'));
    for (const name of ['weight', 'throttle.read_bps_device', 'throttle.write_iops_device']) {
      writeFileSync(join(root, 'blkio', `blkio.${name}`), '');
    }
    const found = { weight: true, readBps: true, writeIops: true };
    assert.deepEqual(await blockSupport(root, 1), { ...all(false), ...found });
  });

  it('are all there in version 2, where the controller is', async () => {
    assert.deepEqual(await blockSupport(root, 2), all(false));
    const controllers = join(root, 'cgroup.controllers');
    writeFileSync(controllers, 'cpuset cpu memory pids\n');
    assert.deepEqual(await blockSupport(root, 2), all(false));
    writeFileSync(controllers, 'cpuset cpu io memory pids\n');
    assert.deepEqual(await blockSupport(root, 2), all(true));
  });

  // Not every machine shows its disks.
  if (disk !== undefined) {
    it('name devices by their numbers', async () => {
      const numbers = numbersOf(statSync(disk).rdev);
      const wanted = {
        weight: 300,
        weightDevices: [{ path: disk, weight: 200 }],
        readBps: [{ path: disk, rate: 1 }],
        writeIops: [{ path: disk, rate: 2 }],
      };
      assert.deepEqual(await ociBlockIo(wanted), {
        weight: 300,
        weightDevice: [{ ...numbers, weight: 200 }],
        throttleReadBpsDevice: [{ ...numbers, rate: 1 }],
        throttleWriteIOPSDevice: [{ ...numbers, rate: 2 }],
      });
    });
  }

  it('are none where none are asked for', async () => {
    assert.equal(await ociBlockIo({ weight: 0, readBps: [] }), undefined);
  });

  for (const [path, says] of [
    ['/dev/nowhere', /^stat \/dev\/nowhere: no such file or directory$/],
    ['/dev/null', /^\/dev\/null is no block device/],
  ] as const) {
    it(`are not of ${path}`, () =>
      assert.rejects(ociBlockIo({ writeBps: [{ path, rate: 1 }] }), { message: says }));
  }
});
