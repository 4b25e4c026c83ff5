import { strict as assert } from 'node:assert';
import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRaftLog } from '../../test/contract/raft-log.ts';
import { describeKills } from '../../test/contract/store-kill.ts';
import { describeStoreLog } from '../../test/contract/store-log.ts';
import type { RaftLogOptions } from './raft-log.ts';
import { Store } from './store.ts';
import { makeNode } from './testing.ts';

const segmentBytes = 64 << 10;

describeStoreLog('RaftLog', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'raft-log-'));
  return {
    open: ({ maxPending, ...options }) =>
      openRaftLog(folder, {
        segmentBytes,
        ...options,
        ...(maxPending === undefined ? {} : { maxProposals: maxPending }),
      }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
});

describe('RaftLog by the settings of its swarm', () => {
  it('makes a snapshot after so many entries, and keeps so many older ones', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'raft-log-'));
    const log = openRaftLog(folder, { segmentBytes });
    await using store = new Store(log);
    await store.open();
    const snapshots = async () => {
      const names = await readdir(join(folder, 'snapshots'));
      return names.filter((name) => name.endsWith('.snap')).length;
    };
    await createNodes(store, 30);
    assert.equal(await snapshots(), 0);
    log.tune({ snapshotInterval: 5, keepOldSnapshots: 2 });
    // They are written while the log goes on: some changes later there is another.
    for (let rounds = 0; (await snapshots()) < 3; rounds++) {
      assert.ok(rounds < 100, 'there are three within 500 entries');
      await createNodes(store, 5);
    }
    await createNodes(store, 50);
    await store[Symbol.asyncDispose]();
    assert.equal(await snapshots(), 3);
    await rm(folder, { recursive: true });
  });
});

describe('RaftLog on damaged files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'raft-log-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const openStore = async (options: Partial<RaftLogOptions> = {}) => {
    const store = new Store(openRaftLog(folder, { segmentBytes: 16 << 10, ...options }));
    await store.open();
    return store;
  };

  it('refuses a changed record, naming file and byte', async () => {
    await using store = await openStore();
    await createNodes(store, 20);
    await store[Symbol.asyncDispose]();
    const path = join(folder, 'wal', '0000000000000001.wal');
    await flip(path, 1500);
    await assert.rejects(openStore(), (error: Error & { details: object }) => {
      assert.match(
        error.message,
        /0000000000000001\.wal is damaged at byte \d+: .*; this node goes on as a worker/,
      );
      assert.deepEqual(Object.keys(error.details), ['reason', 'path', 'offset']);
      return true;
    });
    await flip(path, 1500);
    await using again = await openStore();
    assert.equal(again.digest(), store.digest());
  });

  it('refuses a changed snapshot, though the one before it may be whole', async () => {
    const store = await openStore({ snapshotEntries: 10, keepEntries: 0 });
    await createNodes(store, 25);
    await store[Symbol.asyncDispose]();
    const [name = ''] = await readdir(join(folder, 'snapshots'));
    await flip(join(folder, 'snapshots', name), 700);
    await assert.rejects(openStore(), {
      code: 'internal',
      message: /\.snap is damaged at byte \d+: a checksum does not match; this node goes on as /,
    });
  });

  it('refuses a log that does not reach back to the snapshot', async () => {
    const store = await openStore({ snapshotEntries: 100, keepEntries: 0 });
    await createNodes(store, 200);
    await store[Symbol.asyncDispose]();
    await rm(join(folder, 'snapshots'), { recursive: true });
    await assert.rejects(openStore(), { code: 'internal', message: /files are missing/ });
  });

  it('is opened by one process at a time', async () => {
    const store = await openStore();
    await assert.rejects(openStore(), {
      code: 'failed-precondition',
      message: /in use by another process/,
    });
    await store[Symbol.asyncDispose]();
    await (await openStore())[Symbol.asyncDispose]();
  });
});

describeKills('RaftLog', (folder) => openRaftLog(folder, { segmentBytes: 256 << 10 }));

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
