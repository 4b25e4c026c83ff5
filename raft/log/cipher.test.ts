import { strict as assert } from 'node:assert';
import { AesCipher, aesKeyId } from './aes-cipher.ts';
import type { Cipher } from './cipher.ts';
import { Log, type LogEntry } from './log.ts';
import { MemoryDisk } from './memory-disk.ts';
import { decodeRecord, encodeRecord, segmentHeaderBytes } from './record.ts';
import { Snapshots } from './snapshots.ts';

const folder = '/log';
const segmentBytes = 4096;
const keys = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer];
const [one, two, three] = keys;
const secret = 'the password is swordfish';

const segment = (sequence: number) => `${folder}/${String(sequence).padStart(16, '0')}.wal`;
const entry = (index: number, text = secret): LogEntry => {
  return { index, term: 1, type: 0, data: Buffer.from(text) };
};
const open = (disk: MemoryDisk, cipher?: Cipher) =>
  Log.open({ folder, disk, segmentBytes, ...(cipher === undefined ? {} : { cipher }) });

async function texts(log: Log): Promise<string[]> {
  const all: string[] = [];
  for (let from = log.firstIndex; from <= log.durableIndex;) {
    const entries = await log.read(from, log.durableIndex);
    all.push(...entries.map(({ data }) => Buffer.from(data).toString()));
    from += entries.length;
  }
  return all;
}

async function contentOf(disk: MemoryDisk, path: string): Promise<Buffer> {
  const file = await disk.open(path);
  const bytes = Buffer.alloc(await file.size());
  await file.read(bytes, 0);
  await file.close();
  return bytes;
}

async function replace(disk: MemoryDisk, path: string, bytes: Buffer): Promise<void> {
  const file = await disk.open(path);
  await file.write(bytes, 0);
  await file.sync();
  await file.close();
}

async function written(cipher: Cipher): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const log = await open(disk, cipher);
  await log.append([entry(1), entry(2, secret.toUpperCase())], Buffer.from('vote'));
  await log.close();
  return disk;
}

describe('An encrypted log', () => {
  it('is read with its key, and shows nothing without', async () => {
    const disk = await written(new AesCipher([one]));
    const bytes = await contentOf(disk, segment(1));
    assert.equal(bytes.includes('swordfish'), false);
    assert.equal(bytes.includes('vote'), false);
    const again = await open(disk, new AesCipher([one]));
    assert.deepEqual(await texts(again), [secret, secret.toUpperCase()]);
    assert.equal(Buffer.from(again.state ?? []).toString(), 'vote');
    await again.close();
  });

  const wrong: {
    name: string;
    write: Cipher | undefined;
    read: Cipher | undefined;
    why: RegExp;
  }[] = [
    {
      name: 'another key',
      write: new AesCipher([one]),
      read: new AesCipher([two]),
      why: new RegExp(`0001\\.wal is encrypted with key ${aesKeyId(one)}, which is not here`),
    },
    {
      name: 'no key',
      write: new AesCipher([one]),
      read: undefined,
      why: /is encrypted with key [0-9a-f]{16}: none was given/,
    },
    {
      name: 'a key where it is plain',
      write: undefined,
      read: new AesCipher([one]),
      why: /is not encrypted, though it should be/,
    },
  ];
  for (const { name, write, read, why } of wrong) {
    it(`says so when it is opened with ${name}`, async () => {
      const disk = new MemoryDisk();
      const log = await open(disk, write);
      await log.append([entry(1)]);
      await log.close();
      await assert.rejects(open(disk, read), { name: 'LogError', code: 'wrong-key', message: why });
      const again = await open(disk, write);
      assert.deepEqual(await texts(again), [secret], 'the refusal has changed nothing');
      await again.close();
    });
  }

  it('refuses records that were swapped, though every checksum is right', async () => {
    const disk = await written(new AesCipher([one]));
    const bytes = await contentOf(disk, segment(1));
    const seed = bytes.readUInt32LE(0);
    const first = decodeRecord(bytes, segmentHeaderBytes, seed)!;
    let previous = first.checksum;
    // The second entry's header with the first one's payload, and the chain mended behind it.
    for (let at = segmentHeaderBytes + first.bytes; ;) {
      const record = decodeRecord(bytes, at, seed);
      if (record === undefined) break;
      const payload = Buffer.from(record.index === 2 ? first.payload : record.payload);
      previous = encodeRecord(bytes, at, { ...record, payload }, { ...record, seed, previous });
      at += record.bytes;
    }
    await replace(disk, segment(1), bytes);
    const log = await open(disk, new AesCipher([one]));
    assert.equal((await log.read(1, 1)).length, 1);
    await assert.rejects(log.read(2, 2), {
      code: 'corrupt',
      message: /damaged at byte \d+: it was changed, or moved from another place/,
    });
    await log.close();
  });

  it('goes on in a new segment when the key changes, and tells which keys it needs', async () => {
    const disk = new MemoryDisk();
    const released: string[][] = [];
    const cipher = new AesCipher([one], { onRetain: (ids) => released.push([...ids]) });
    const log = await open(disk, cipher);
    await log.append([entry(1), entry(2)], Buffer.from('vote'));
    assert.equal(log.staleIndex, 0);
    cipher.use(two);
    assert.equal(log.staleIndex, 2);
    await log.append([entry(3)]);
    assert.deepEqual([...log.keyIds], [aesKeyId(one), aesKeyId(two)]);
    await log.close();

    const both = await open(disk, new AesCipher([two, one]));
    assert.equal((await texts(both)).length, 3);
    assert.equal(Buffer.from(both.state ?? []).toString(), 'vote');
    await both.compact(2);
    assert.deepEqual([...both.keyIds], [aesKeyId(two)]);
    await both.close();
    const late = await open(disk, new AesCipher([two]));
    assert.deepEqual(await texts(late), [secret]);
    await late.close();
    cipher.retain(new Set([aesKeyId(two)]));
    cipher.retain(new Set([aesKeyId(two)]));
    assert.deepEqual(released, [[aesKeyId(two)]], 'it is told once');
    assert.equal(cipher.has(aesKeyId(one)), false);
  });
});

describe('Encrypted snapshots', () => {
  const parts = ['he', '', 'llo'].map((text) => Buffer.from(text));
  const at = { index: 3, term: 1 };

  async function saved(cipher?: Cipher) {
    const disk = new MemoryDisk();
    const snapshots = new Snapshots({ disk, folder, ...(cipher === undefined ? {} : { cipher }) });
    await snapshots.open();
    return { disk, info: await snapshots.save(at, parts), snapshots };
  }

  it('are read with their key, and refused with another', async () => {
    const { disk, info, snapshots } = await saved(new AesCipher([one]));
    assert.equal((await contentOf(disk, info.path)).includes('llo'), false);
    const rotated = new Snapshots({ disk, folder, cipher: new AesCipher([three, one]) });
    assert.equal(Buffer.from(await rotated.load(info)).toString(), 'hello');
    assert.deepEqual([...(await snapshots.keyIds())], [aesKeyId(one)]);
    for (const options of [{ cipher: new AesCipher([two]) }, {}]) {
      const other = new Snapshots({ disk, folder, ...options });
      await assert.rejects(other.load(info), { code: 'wrong-key' });
    }
    const plain = await saved();
    const strict = new Snapshots({ disk: plain.disk, folder, cipher: new AesCipher([one]) });
    await assert.rejects(strict.load(plain.info), { code: 'wrong-key' });
  });
});
