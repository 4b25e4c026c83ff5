import { strict as assert } from 'node:assert';
import { Log } from './log.ts';
import { MemoryDisk, type CrashMode } from './memory-disk.ts';

const folder = '/log';
const segmentBytes = 8192;

/** Numbers in [0, 1), the same for the same seed. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}

/** A disk whose log was being written to when the power went. */
async function tornDisk(mode: CrashMode, seed: number): Promise<MemoryDisk> {
  const random = numbers(seed);
  const disk = new MemoryDisk();
  const log = await Log.open({ folder, disk, segmentBytes });
  const data = (length: number) => Buffer.alloc(length, 7);
  await log.append([{ index: 1, term: 1, type: 0, data: data(Math.floor(random() * 900)) }]);
  disk.failNext('sync', 'EIO');
  const more = [2, 3].map((index) => ({ index, term: 1, type: 0, data: data(500 * random()) }));
  await assert.rejects(log.append(more));
  return disk.crash(mode, random);
}

describe('the recovery of a torn log', () => {
  for (const mode of ['prefix', 'sectors'] as const) {
    it(`may itself be torn, by ${mode}`, async () => {
      let interrupted = 0;
      for (let seed = 1; seed <= 150; seed++) {
        for (let operations = 4; operations < 16; operations++) {
          const disk = await tornDisk(mode, seed);
          disk.operationsLeft = operations;
          try {
            await (await Log.open({ folder, disk, segmentBytes })).close();
          } catch {
            interrupted += 1;
          }
          const after = disk.crash(mode, numbers(seed * 1_000 + operations));
          await using again = await Log.open({ folder, disk: after, segmentBytes });
          assert.ok(again.lastIndex >= 1, 'what was durable is there');
        }
      }
      assert.ok(interrupted > 100, `only ${interrupted} recoveries were interrupted`);
    });
  }
});
