import { strict as assert } from 'node:assert';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AesCipher, aesKeyId } from '../../raft/index.ts';
import { openRaftLog } from '../../test/contract/raft-log.ts';
import type { StateMachine } from './log.ts';

const keys = [1, 2].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer];
const [one, two] = keys;

/** Remembers what was applied; a snapshot is all of it. */
function recorder(): StateMachine & { readonly applied: string[] } {
  const applied: string[] = [];
  return {
    applied,
    apply: (index, entry) => {
      applied.push(Buffer.from(entry).toString());
      return { applied: true, index };
    },
    snapshot: () => Buffer.from(JSON.stringify(applied)),
    snapshotParts: () => [Buffer.from(JSON.stringify(applied))],
    restore: (_, snapshot) => {
      applied.splice(0, applied.length, ...(JSON.parse(Buffer.from(snapshot).toString()) as []));
    },
  };
}

describe('RaftLog, encrypted', () => {
  let folder = '';
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'raft-encrypted-'))));
  afterEach(() => rm(folder, { recursive: true }));

  async function onDisk(): Promise<string> {
    const names = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile());
    const texts = files.map((file) => readFile(join(file.parentPath, file.name), 'latin1'));
    return (await Promise.all(texts)).join('');
  }

  it('leaves an old key behind once a snapshot covers the last record under it', async () => {
    const kept: string[][] = [];
    const released = Promise.withResolvers<void>();
    const cipher = new AesCipher([one], {
      onRetain: (ids) => {
        kept.push([...ids]);
        released.resolve();
      },
    });
    {
      await using log = openRaftLog(folder, {}, cipher);
      await log.open(recorder());
      for (let i = 0; i < 5; i++) await log.propose(Buffer.from(`swordfish ${i}`));
      cipher.use(two);
      await log.renewStorageKey();
      await released.promise;
      assert.deepEqual(kept, [[aesKeyId(two)]]);
      await log.propose(Buffer.from('swordfish 5'));
    }
    assert.equal((await onDisk()).includes('swordfish'), false);
    await using again = openRaftLog(folder, {}, new AesCipher([two]));
    const machine = recorder();
    await again.open(machine);
    assert.equal(machine.applied.length, 6);
    assert.equal(machine.applied.at(-1), 'swordfish 5');
  });

  it('names the key that is missing', async () => {
    {
      await using log = openRaftLog(folder, {}, new AesCipher([one]));
      await log.open(recorder());
      await log.propose(Buffer.from('x'));
    }
    const log = openRaftLog(folder, {}, new AesCipher([two]));
    await assert.rejects(log.open(recorder()), {
      code: 'failed-precondition',
      message: new RegExp(`is encrypted with key ${aesKeyId(one)}, which is not here`),
    });
  });
});
