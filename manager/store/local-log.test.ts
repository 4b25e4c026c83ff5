import { strict as assert } from 'node:assert';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../lib/log.ts';
import { MemoryDisk } from '../../raft/index.ts';
import { LocalLog, type LocalLogOptions } from './local-log.ts';
import { describeKills } from '../../test/contract/store-kill.ts';
import { describeStoreLog } from '../../test/contract/store-log.ts';
import { Store } from './store.ts';
import { makeNode } from './testing.ts';

const deps = { log: silentLogger };
const segmentBytes = 16 << 10;

async function makeFolder(): Promise<{ folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'local-log-'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

describeStoreLog('LocalLog', async () => {
  const home = await makeFolder();
  const { folder } = home;
  return Object.assign(home, {
    open: (options: Partial<LocalLogOptions>) =>
      new LocalLog({ folder, segmentBytes, ...options }, deps),
  });
});

async function openStore(options: LocalLogOptions): Promise<Store> {
  const store = new Store(new LocalLog({ segmentBytes, ...options }, deps));
  await store.open();
  return store;
}

async function createNodes(store: Store, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const object = makeNode(`node${store.index}`);
    await store.propose([{ op: 'put', table: 'node', object, base: 0 }], { atMs: i });
  }
}

/** Changes one bit of a real file. */
async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0]! ^= 4;
  await file.write(byte, 0, 1, at);
  await file.close();
}

describe('LocalLog on damaged files', () => {
  it('refuses a changed record, naming file and byte', async () => {
    await using home = await makeFolder();
    const { folder } = home;
    await using store = await openStore({ folder });
    await createNodes(store, 20);
    await store[Symbol.asyncDispose]();
    const path = join(folder, 'log', '0000000000000001.wal');
    await flip(path, 1500);
    await assert.rejects(openStore({ folder }), (error: Error & { details: object }) => {
      assert.match(error.message, /0000000000000001\.wal is damaged at byte \d+: .*; restore/);
      assert.deepEqual(Object.keys(error.details), ['path', 'offset']);
      return true;
    });
    await flip(path, 1500);
    await using again = await openStore({ folder });
    assert.equal(again.digest(), store.digest());
  });

  it('refuses a changed snapshot, though the one before it may be whole', async () => {
    await using home = await makeFolder();
    const { folder } = home;
    const store = await openStore({ folder, snapshotEntries: 10 });
    await createNodes(store, 25);
    await store[Symbol.asyncDispose]();
    const [name = ''] = await readdir(join(folder, 'snapshots'));
    const path = join(folder, 'snapshots', name);
    await flip(path, 700);
    await assert.rejects(openStore({ folder }), {
      code: 'internal',
      message: /\.snap is damaged at byte \d+: a checksum does not match; restore/,
    });
  });

  it('refuses a log that does not reach back to the snapshot', async () => {
    await using home = await makeFolder();
    const { folder } = home;
    const store = await openStore({ folder, snapshotEntries: 100 });
    await createNodes(store, 200);
    await store[Symbol.asyncDispose]();
    await rm(join(folder, 'snapshots'), { recursive: true });
    await assert.rejects(openStore({ folder }), { code: 'internal', message: /files are missing/ });
  });

  it('is opened by one process at a time', async () => {
    await using home = await makeFolder();
    const { folder } = home;
    const store = await openStore({ folder });
    await assert.rejects(openStore({ folder }), {
      code: 'failed-precondition',
      message: /in use by another process/,
    });
    await store[Symbol.asyncDispose]();
    await (await openStore({ folder }))[Symbol.asyncDispose]();
  });
});

describe('LocalLog on a disk that fails', () => {
  const folder = '/store';

  it('says that the disk is full, and goes on when there is room', async () => {
    const disk = new MemoryDisk();
    await using store = await openStore({ folder, disk });
    await createNodes(store, 5);
    disk.capacityBytes = 0;
    await assert.rejects(createNodes(store, 200), {
      code: 'resource-exhausted',
      message: /^the change was not stored: no space is left on the disk/,
    });
    assert.ok(store.isLeader);
    disk.capacityBytes = Infinity;
    await createNodes(store, 5);
    await using again = await openStore({ folder, disk: disk.crash('lose', () => 0) });
    assert.equal(again.digest(), store.digest());
  });

  it('gives up the lead when a sync fails', async () => {
    const disk = new MemoryDisk();
    await using store = await openStore({ folder, disk });
    await createNodes(store, 5);
    // The next segment is made ready in the background, and syncs, too.
    for (let turn = 0; turn < 100; turn++) await Promise.resolve();
    disk.failNext('sync', 'EIO');
    await assert.rejects(createNodes(store, 1), { code: 'unavailable', message: /syncing .* EIO/ });
    assert.equal(store.isLeader, false);
    await assert.rejects(createNodes(store, 1), { code: 'unavailable' });
    assert.equal(store.index, 5);
  });
});

describeKills('LocalLog', (folder) => new LocalLog({ folder, segmentBytes: 256 << 10 }, deps));
