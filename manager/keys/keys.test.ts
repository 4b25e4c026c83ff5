import { strict as assert } from 'node:assert';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../lib/clock.ts';
import { NodeIdentity } from '../../lib/identity/index.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Cluster } from '../../types/index.ts';
import { createRootCa, issueForSelf, type RootCa } from '../ca/index.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeCluster } from '../store/testing.ts';
import { createUnlockKey, KeyStore, LockKeeper, parseUnlockKey } from './index.ts';

const parts = {
  nowMs: () => 1,
  onProblem: (error: unknown) => {
    throw error;
  },
};
const place = Buffer.from('place');

describe('unlock keys', () => {
  it('are of 32 bytes, in the form that Docker gives them', () => {
    const key = createUnlockKey();
    assert.match(key, /^SWMKEY-1-[A-Za-z0-9+/]{43}$/);
    assert.equal(parseUnlockKey(`${key}\n`).length, 32);
    assert.notEqual(createUnlockKey(), key);
  });
  for (const bad of ['', 'SWMKEY-1-', 'SWMKEY-1-AAAA', createUnlockKey().slice(9)]) {
    it(`are refused where they are none: "${bad}"`, () => {
      assert.throws(() => parseUnlockKey(bad), {
        code: 'unauthenticated',
        message: 'swarm could not be unlocked: invalid key provided',
      });
    });
  }
});

describe('a manager’s keys', () => {
  let folder = '';
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'swarm-keys-'))));
  afterEach(() => rm(folder, { recursive: true }));
  const file = () => readFile(join(folder, 'manager-keys.json'), 'utf8');

  it('are read again, for root alone', async () => {
    assert.equal(await KeyStore.open(folder, parts), undefined);
    const keys = await KeyStore.create(folder, parts);
    const secret = keys.cipher.encrypt(keys.cipher.keyId, Buffer.from('x'), place);
    const again = await KeyStore.open(folder, parts);
    assert.equal(again?.cipher.keyId, keys.cipher.keyId);
    assert.equal(
      Buffer.from(again.cipher.decrypt(keys.cipher.keyId, secret, place)).toString(),
      'x',
    );
    await KeyStore.remove(folder);
    assert.deepEqual(await readdir(folder), []);
  });

  it('are locked with one key, changed to another, and unlocked', async () => {
    const keys = await KeyStore.create(folder, parts);
    const plainKeyId = keys.cipher.keyId;
    const [first, second] = [createUnlockKey(), createUnlockKey()];
    await keys.setLock(first, 1);
    assert.notEqual(keys.cipher.keyId, plainKeyId, 'what was plain on the disk is used no more');
    assert.doesNotMatch(await file(), /dataKeys|secrets/);
    await assert.rejects(KeyStore.open(folder, parts), {
      code: 'unavailable',
      message: /^Swarm is encrypted and needs to be unlocked before it can be used\. /,
      details: { reason: 'locked' },
    });
    await assert.rejects(KeyStore.open(folder, parts, second), {
      code: 'unauthenticated',
      message: 'swarm could not be unlocked: invalid key provided',
    });
    const opened = await KeyStore.open(folder, parts, first);
    assert.equal(opened?.cipher.keyId, keys.cipher.keyId);
    assert.ok(opened.cipher.has(plainKeyId), 'the log may still need it');
    await opened.setLock(second, 2);
    assert.equal(opened.cipher.keyId, keys.cipher.keyId);
    await assert.rejects(KeyStore.open(folder, parts, first), { code: 'unauthenticated' });
    const rotated = await KeyStore.open(folder, parts, second);
    assert.equal(rotated?.lockVersion, 2);
    await rotated.setLock(undefined, 3);
    assert.equal((await KeyStore.open(folder, parts))?.lockVersion, 3);
  });

  it('forget what the log needs no more, and not what it needs', async () => {
    const keys = await KeyStore.create(folder, parts);
    const ids = [keys.cipher.keyId];
    for (let i = 0; i < 2; i++) {
      await keys.rotateDataKey();
      ids.push(keys.cipher.keyId);
    }
    keys.cipher.retain(new Set(ids.slice(1)));
    await keys.settled();
    const again = await KeyStore.open(folder, parts);
    assert.deepEqual(
      ids.map((id) => again?.cipher.has(id)),
      [false, true, true],
    );
  });

  it('say which file is damaged', async () => {
    await writeFile(join(folder, 'manager-keys.json'), 'garbage');
    await assert.rejects(KeyStore.open(folder, parts), {
      code: 'failed-precondition',
      message: /manager-keys\.json are damaged/,
    });
  });
});

describe('a manager’s lock', () => {
  const clock = new VirtualClock();
  let folder = '';
  let root: RootCa;
  before(async () => (root = await createRootCa(clock)));
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'swarm-keys-'))));
  afterEach(() => rm(folder, { recursive: true }));

  async function start() {
    const options = { lifeMs: undefined, clock };
    const material = await issueForSelf(root, { role: 'manager', clusterId: 'c' }, options);
    const identity = await NodeIdentity.create(folder, material, clock);
    const keys = await KeyStore.create(folder, { ...parts, nowMs: () => clock.nowMs() });
    await identity.protect(keys.protection);
    const store = new Store(new MemoryLog());
    await store.open();
    let renewed = pending();
    const keeper = new LockKeeper({
      store,
      keys,
      protectIdentity: () => identity.protect(keys.protection),
      renewLogKey: async () => renewed.resolve(),
      clock,
      log: silentLogger,
    });
    keeper.start();
    const lock = async (managerLock: Cluster['managerLock']) => {
      renewed = pending();
      const base = store.cluster()?.meta.version ?? 0;
      const object = { ...newCluster(root), ...(managerLock && { managerLock }) };
      await store.propose([{ op: 'put', table: 'cluster', object, base }], { atMs: 1 });
    };
    const renewal = () => renewed.promise;
    return { keys, keeper, lock, renewal, store };
  }

  it('is put on when the swarm says so, and the log and private key get new keys', async () => {
    const { keys, keeper, lock, renewal, store } = await start();
    const keyFile = join(folder, 'node.key');
    const before = await readFile(keyFile, 'utf8');
    const unlockKey = createUnlockKey();
    await lock({ version: 1, unlockKey });
    await renewal();
    assert.equal(keys.unlockKey, unlockKey);
    const after = await readFile(keyFile, 'utf8');
    assert.match(after, /BEGIN ENCRYPTED PRIVATE KEY/);
    assert.notEqual(after, before);
    await keeper[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();

    const opened = await KeyStore.open(folder, parts, unlockKey);
    const identity = await NodeIdentity.load(folder, clock, opened?.protection);
    assert.equal(identity?.role, 'manager');
    await assert.rejects(NodeIdentity.load(folder, clock), /node\.key is damaged/);
  });

  it('is not taken off by a log that has not caught up', async () => {
    const { keys, keeper, lock, renewal, store } = await start();
    const unlockKey = createUnlockKey();
    await lock({ version: 2, unlockKey });
    await renewal();
    await lock({ version: 1, unlockKey: '' });
    await keeper[Symbol.asyncDispose]();
    assert.equal(keys.unlockKey, unlockKey);
    await store[Symbol.asyncDispose]();
  });
});

function pending() {
  return Promise.withResolvers<void>();
}

function newCluster({ certPem, keyPem }: RootCa): Cluster {
  return makeCluster('c', {
    rootCa: { certPem, keyPem, joinTokens: { worker: 'w', manager: 'm' } },
  });
}
