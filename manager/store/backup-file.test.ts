import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { realClock } from '../../lib/clock.ts';
import { openRaftLog } from '../../test/contract/raft-log.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeBackup, encodeBackup, type Backup } from './backup-file.ts';
import { MemoryLog } from './memory-log.ts';
import { openBackup, restoredState } from './restored.ts';
import { Store } from './store.ts';
import { makeCluster, makeNode, makeService, makeTask } from './testing.ts';

const info = { clusterId: 'c1', createdAtMs: 1_700_000_000_000, index: 7 };

async function concat(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

function fileOf(parts: readonly Uint8Array[], passphrase?: string): Promise<Buffer> {
  return concat(encodeBackup(info, parts, passphrase));
}

describe('a backup file', () => {
  const parts = [Buffer.from('first\n'), Buffer.alloc(300_000, 'second\n')];
  for (const passphrase of [undefined, 'correct horse']) {
    const how = passphrase === undefined ? 'in the clear' : 'encrypted';
    it(`holds what was put in, ${how}`, async () => {
      const file = await fileOf(parts, passphrase);
      assert.match(file.toString('latin1'), /^ts-swarm backup 1\n/);
      assert.equal(file.includes('second'), passphrase === undefined);
      const expected = { ...info, snapshot: Buffer.concat(parts) };
      assert.deepEqual(await decodeBackup(file, passphrase), expected);
    });

    it(`is refused when a bit is wrong or the end is missing, ${how}`, async () => {
      const file = await fileOf([Buffer.from('a'), Buffer.from('b')], passphrase);
      for (let at = 0; at < file.length; at++) {
        const wrong = Buffer.from(file);
        wrong[at]! ^= 1;
        await assert.rejects(decodeBackup(wrong, passphrase), { code: 'invalid-argument' });
        await assert.rejects(decodeBackup(file.subarray(0, at), passphrase), {
          code: 'invalid-argument',
        });
      }
    });
  }

  const refusals = [
    {
      name: 'another file',
      file: () => Promise.resolve(Buffer.from('PK\u0003\u0004 whatever\n')),
      message: 'this is not a backup of a swarm: choose another file',
    },
    {
      name: 'another version',
      file: () => Promise.resolve(Buffer.from('ts-swarm backup 2\nwhatever')),
      message:
        'the backup is of format 2, and this version of ts-swarm reads format 1: restore it with ' +
        'the version that made it',
    },
    {
      name: 'a file cut short',
      file: async () => (await fileOf([Buffer.from('a')])).subarray(0, -1),
      message: 'the backup is damaged (its checksum does not match): use another copy of it',
    },
    {
      name: 'a missing passphrase',
      file: () => fileOf([Buffer.from('a')], 'secret'),
      message:
        'the backup is encrypted: give its passphrase, or the unlock key of the swarm where ' +
        'autolock was on, with --passphrase-file',
    },
    {
      name: 'a wrong passphrase',
      file: () => fileOf([Buffer.from('a')], 'secret'),
      passphrase: 'guess',
      message:
        'the passphrase does not open the backup: give the one that it was made with, or the ' +
        "swarm's unlock key of that time where autolock was on",
    },
  ];
  for (const { name, file, passphrase, message } of refusals) {
    it(`says what is wrong with ${name}`, async () => {
      await assert.rejects(decodeBackup(await file(), passphrase), { message });
    });
  }

  it('cannot be rearranged by one who knows how to make the checksum', async () => {
    const file = await fileOf([Buffer.from('aaaa'), Buffer.from('bbbb')], 'secret');
    const body = file.subarray(0, -32);
    const frameBytes = 5 + 4 + 16;
    const endBytes = 5 + 16;
    const first = body.length - endBytes - 2 * frameBytes;
    const [head, a, b, end] = [
      body.subarray(0, first),
      body.subarray(first, first + frameBytes),
      body.subarray(first + frameBytes, first + 2 * frameBytes),
      body.subarray(first + 2 * frameBytes),
    ];
    const sealed = (...pieces: Uint8Array[]) => {
      const bytes = Buffer.concat(pieces);
      return Buffer.concat([bytes, createHash('sha256').update(bytes).digest()]);
    };
    assert.equal((await decodeBackup(sealed(head, a, b, end), 'secret')).snapshot.length, 8);
    for (const pieces of [
      [head, b, a, end],
      [head, a, end],
      [head, a, a, end],
      [head, a, b],
    ]) {
      await assert.rejects(decodeBackup(sealed(...pieces), 'secret'), { code: 'invalid-argument' });
    }
  });
});

describe('a store that begins with a backup', () => {
  it('has the same services and tasks, one manager, and versions that nobody has used', async () => {
    const backup = await backupOfSwarm();
    const { view, cluster } = openBackup(backup);
    assert.equal(cluster.id, 'c1');
    const manager = makeNode('new', {
      role: 'manager',
      spec: { labels: {}, role: 'manager', availability: 'active' },
      manager: { addr: '10.0.0.9:2377', leader: true },
    });
    const initial = restoredState(backup, manager);
    const folder = await mkdtemp(join(tmpdir(), 'restored-'));
    try {
      let digest = '';
      for (let round = 0; round < 2; round++) {
        await using store = new Store(openRaftLog(folder, { initial }));
        await store.open();
        if (round === 0) digest = store.digest();
        assert.equal(store.digest(), digest, 'a restart changes nothing');
        assert.deepEqual([...store.tasks()], [...view.tasks()]);
        assert.deepEqual(store.service('s1')?.spec, view.service('s1')?.spec);
        assert.ok((store.service('s1')?.meta.version ?? 0) > 1_000_000_000);
        assert.ok(store.index >= initial.index);
        const managers = [...store.nodes()].filter(({ role }) => role === 'manager');
        assert.deepEqual(
          managers.map(({ id }) => id),
          ['new'],
        );
        assert.equal(store.node('old')?.manager, undefined);
        assert.equal(store.node('old')?.spec.role, 'worker');
        assert.deepEqual(store.audit(), []);
        await store[Symbol.asyncDispose]();
      }
      await using store = new Store(openRaftLog(folder, { initial }));
      await store.open();
      const object = makeNode('later');
      const atMs = realClock.nowMs();
      const { index } = await store.propose([{ op: 'put', table: 'node', object, base: 0 }], {
        atMs,
      });
      assert.ok(index > initial.index);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is refused what holds no swarm', () => {
    const empty = { ...info, snapshot: Buffer.from('["format",1]\n') };
    assert.throws(() => openBackup(empty), { message: /holds no swarm/ });
    const later = { ...info, snapshot: Buffer.from('["format",9]\n') };
    assert.throws(() => openBackup(later), { message: /cannot be read: .*format 9/ });
  });
});

async function backupOfSwarm(): Promise<Backup> {
  await using store = new Store(new MemoryLog());
  await store.open();
  const rootCa = { certPem: 'root', keyPem: 'key', joinTokens: { worker: 'w', manager: 'm' } };
  const cluster = makeCluster('c1', { rootCa });
  const service = makeService('s1');
  const old = makeNode('old', {
    role: 'manager',
    spec: { labels: {}, role: 'manager', availability: 'active' },
    manager: { addr: '10.0.0.1:2377', leader: true },
  });
  const task = makeTask('t1', service, { nodeId: 'worker' });
  await store.propose(
    [
      { op: 'put', table: 'cluster', object: cluster, base: 0 },
      { op: 'put', table: 'node', object: old, base: 0 },
      { op: 'put', table: 'node', object: makeNode('worker'), base: 0 },
      { op: 'put', table: 'service', object: service, base: 0 },
      { op: 'put', table: 'task', object: task, base: 0 },
    ],
    { atMs: 5 },
  );
  const parts = encodeBackup({ ...info, index: store.index }, store.snapshotParts());
  return decodeBackup(await concat(parts));
}
