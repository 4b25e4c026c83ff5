import { strict as assert } from 'node:assert';
import { MemoryDisk } from './memory-disk.ts';
import { Snapshots } from './snapshots.ts';

const folder = '/snapshots';
const lose = (disk: MemoryDisk) => disk.crash('lose', () => 0);

async function openOn(disk: MemoryDisk): Promise<Snapshots> {
  const snapshots = new Snapshots({ disk, folder });
  await snapshots.open();
  return snapshots;
}

const parts = (...texts: string[]) => texts.map((text) => Buffer.from(text));

describe('Snapshots', () => {
  it('keeps what was saved, newest first, and removes the old', async () => {
    const disk = new MemoryDisk();
    const snapshots = await openOn(disk);
    await snapshots.save({ index: 5, term: 1 }, parts('five'));
    await snapshots.save({ index: 20, term: 2 }, parts('twen', '', 'ty'));
    await snapshots.save({ index: 7, term: 1 }, parts());
    const again = await openOn(lose(disk));
    const all = await again.list();
    assert.deepEqual(
      all.map(({ index, term }) => [index, term]),
      [
        [20, 2],
        [7, 1],
        [5, 1],
      ],
    );
    const texts = [];
    for (const info of all) texts.push(Buffer.from(await again.load(info)).toString());
    assert.deepEqual(texts, ['twenty', '', 'five']);
    await again.prune(1);
    assert.deepEqual(
      (await again.list()).map(({ index }) => index),
      [20],
    );
  });

  it('asks for each part when the one before is written', async () => {
    const snapshots = await openOn(new MemoryDisk());
    const asked: number[] = [];
    let turns = 0;
    const others = (async () => {
      for (; turns < 200; turns++) await Promise.resolve();
    })();
    const lazily = function* () {
      for (let i = 0; i < 3; i++) {
        asked.push(turns);
        yield Buffer.from('x');
      }
    };
    await snapshots.save({ index: 1, term: 1 }, lazily());
    await others;
    assert.ok(asked[0]! < asked[1]! && asked[1]! < asked[2]!, asked.join());
  });

  it('leaves nothing of a snapshot that could not be finished', async () => {
    const disk = new MemoryDisk();
    const snapshots = await openOn(disk);
    await snapshots.save({ index: 1, term: 1 }, parts('one'));
    const faults = [
      { operation: 'write', code: 'ENOSPC', expected: 'full' },
      { operation: 'sync', code: 'EIO', expected: 'failed' },
      { operation: 'rename', code: 'EIO', expected: 'failed' },
    ] as const;
    for (const { operation, code, expected } of faults) {
      disk.failNext(operation, code);
      const saving = snapshots.save({ index: 2, term: 1 }, parts('two'));
      await assert.rejects(saving, { code: expected });
      const names = await disk.list(folder);
      assert.equal(names.length, 1, 'the disk has its room back');
      const again = await openOn(disk.crash('keep', () => 0));
      assert.deepEqual(
        (await again.list()).map(({ index }) => index),
        [1],
        operation,
      );
    }
    await snapshots.save({ index: 2, term: 1 }, parts('two'));
    assert.equal((await snapshots.list()).length, 2);
  });

  it('is there whole or not at all, wherever a crash comes', async () => {
    let found = 0;
    for (let operations = 0; operations < 12; operations++) {
      for (const mode of ['keep', 'lose', 'prefix', 'sectors'] as const) {
        const disk = new MemoryDisk();
        const snapshots = await openOn(disk);
        disk.operationsLeft = operations;
        const saving = snapshots.save({ index: 1, term: 1 }, parts('a'.repeat(700), 'b'));
        const [result] = await Promise.allSettled([saving]);
        let seed = operations;
        const random = () => (seed = (seed * 16_807 + 11) % 2_147_483_647) / 2_147_483_647;
        const again = await openOn(disk.crash(mode, random));
        const all = await again.list();
        if (result?.status === 'fulfilled') assert.equal(all.length, 1);
        for (const info of all) {
          assert.equal((await again.load(info)).length, 701);
          found += 1;
        }
      }
    }
    assert.ok(found > 4, `${found} found`);
  });

  it('refuses any changed byte, and names file and byte', async () => {
    const disk = new MemoryDisk();
    const snapshots = await openOn(disk);
    const info = await snapshots.save({ index: 3, term: 1 }, parts('first', 'second', ''));
    const bytes = disk.bytesOf(info.path);
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 0x20;
      await assert.rejects(snapshots.load(info), (error: Error & { offset: number }) => {
        assert.ok(error.message.startsWith(`${info.path} is damaged at byte `), error.message);
        assert.ok(error.offset <= at, `${error.offset} for ${at}`);
        return true;
      });
      bytes[at]! ^= 0x20;
    }
    assert.equal(Buffer.from(await snapshots.load(info)).toString(), 'firstsecond');
  });
});
