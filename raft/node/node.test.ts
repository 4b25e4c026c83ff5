import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import type { Message } from '../core/index.ts';
import { bytes, Group } from '../testing/node-group.ts';
import type { RaftError } from './index.ts';

describe('raft node', () => {
  let group: Group;
  beforeEach(() => {
    group = new Group();
  });
  afterEach(() => group.close());

  it('applies proposals in order, alone', async () => {
    const node = await group.start('a', true);
    await group.until('it leads', () => node.status.role === 'leader');
    const results = await Promise.all(['x', 'y', 'z'].map((text) => node.propose(bytes(text))));
    assert.deepEqual(results, [1, 2, 3]);
    await group.stop('a');
    const again = await group.start('a');
    await group.until('it leads again', () => again.status.role === 'leader');
    await again.readBarrier();
    assert.deepEqual(group.journals.get('a')?.entries, ['x', 'y', 'z']);
  });

  it('replicates to all, and goes on without a minority', async () => {
    await group.three();
    const proposals = Array.from({ length: 500 }, (_, index) => `p${index}`);
    const { leader } = group;
    assert.ok(leader);
    const all = Promise.all(proposals.map((text) => leader.propose(bytes(text))));
    let done = false;
    void all.then(() => (done = true));
    await group.until('all are committed', () => done);
    const old = group.leader?.status.leader ?? '';
    await group.stop(old);
    await group.until('another leads', () => group.leader !== undefined);
    const more = group.leader?.propose(bytes('more'));
    let isMore = false;
    void more?.then(() => (isMore = true));
    await group.until('it commits', () => isMore);
    await group.start(old);
    const expected = [...proposals, 'more'];
    await group.until('all have all', () =>
      [...group.journals.values()].every((journal) => journal.entries.length === expected.length),
    );
    for (const journal of group.journals.values()) assert.deepEqual(journal.entries, expected);
  });

  it('brings a new member up to date by a snapshot', async () => {
    group.snapshotEntries = 50;
    const first = await group.start('a', true);
    await group.until('it leads', () => first.status.role === 'leader');
    for (let index = 0; index < 300; index++) await first.propose(bytes(`p${index}`));
    await group.until('the log is compacted', () => first.status.firstIndex > 1);
    await group.start('b');
    void first.changeMembership({
      steps: [{ op: 'add-learner', node: 'b' }],
      transition: 'auto',
    });
    await group.until('b has all', () => group.journals.get('b')?.entries.length === 300);
    assert.deepEqual(group.nodes.get('b')?.status.conf.learners, ['b']);
    await group.stop('b');
    const again = await group.start('b');
    assert.equal(group.journals.get('b')?.entries.length, 300);
    assert.deepEqual(again.status.conf.voters, ['a']);
  });

  it('hands the lead over', async () => {
    await group.three();
    const before = group.leader?.status.leader ?? '';
    const target = before === 'b' ? 'c' : 'b';
    group.leader?.transferLeadership(target);
    await group.until('the target leads', () => group.leader?.status.leader === target);
  });

  it('elects another at once when the followers have lost the leader', async () => {
    await group.three();
    const old = group.leader;
    const followers = [...group.nodes.values()].filter((node) => node !== old);
    const [first] = followers;
    assert.ok(old && first);
    // One that lost it alone is refused, and goes on following.
    first.reportUnreachable(old.status.leader);
    first.campaign();
    for (let round = 0; round < 20; round++) await turn();
    assert.equal(old.status.role, 'leader');
    await group.until('it follows again', () => first.status.leader === old.status.leader);
    const { term } = old.status;
    assert.equal(first.status.term, term, 'nothing was disturbed');
    const lost = old.status.leader;
    await group.stop(lost);
    for (const node of followers) node.reportUnreachable(lost);
    first.campaign();
    for (let round = 0; round < 100; round++) await turn();
    assert.equal(first.status.role, 'leader', 'without a tick of the clock');
  });

  it('refuses what a follower cannot do, and a membership that does not fit', async () => {
    await group.three();
    const follower = [...group.nodes.values()].find((node) => node.status.role !== 'leader');
    await assert.rejects(follower?.propose(bytes('x')) ?? Promise.resolve(), {
      code: 'not-leader',
    });
    await assert.rejects(
      group.leader?.changeMembership({ steps: [], transition: 'auto' }) ?? Promise.resolve(),
      { code: 'refused' },
    );
  });

  it('serves reads on followers that see what the leader acknowledged', async () => {
    await group.three();
    const write = group.leader?.propose(bytes('seen'));
    let written = false;
    void write?.then(() => (written = true));
    await group.until('it is written', () => written);
    for (const [id, node] of group.nodes) {
      let read = false;
      void node.readBarrier().then(() => (read = true));
      await group.until(`${id} has read`, () => read);
      assert.deepEqual(group.journals.get(id)?.entries, ['seen']);
    }
  });

  for (const type of ['read-index', 'read-index-reply'] as const) {
    it(`asks again when a follower's ${type} was lost`, async () => {
      await group.three();
      const follower = [...group.nodes.values()].find((node) => node.status.role === 'follower');
      assert.ok(follower);
      let read = false;
      group.lost.add(type);
      void follower.readBarrier().then(() => (read = true));
      for (let round = 0; round < 20; round++) await turn();
      assert.ok(!read);
      group.lost.clear();
      await group.until('it has read', () => read);
    });
  }

  it('follows while its disk is full, and goes on when there is room', async () => {
    group.segmentBytes = 4096;
    await group.three();
    const old = group.leader;
    const id = old?.status.leader ?? '';
    const disk = group.disks.get(id);
    assert.ok(old && disk);
    disk.capacityBytes = 0;
    const lost = Promise.allSettled(
      Array.from({ length: 40 }, (_, index) => old.propose(bytes(`${index}`.repeat(200)))),
    );
    await group.until('another leads', () => group.leader !== undefined && group.leader !== old);
    assert.equal(old.status.role, 'follower');
    await assert.rejects(old.propose(bytes('x')), { code: 'full' });
    assert.ok((await lost).every(({ status }) => status === 'rejected'));
    let isWritten = false;
    void group.leader?.propose(bytes('meanwhile')).then(() => (isWritten = true));
    await group.until('the others go on', () => isWritten);
    assert.ok(old.status.isDiskFull);
    await group.until('it follows', () => old.status.leader !== '');
    let code = '';
    old.readBarrier().catch((error: RaftError) => (code = error.code));
    const { ticksPassed } = group;
    await group.until('a read says why it cannot be answered', () => code === 'full');
    assert.ok(group.ticksPassed - ticksPassed < 10, 'at once');
    disk.capacityBytes = Infinity;
    await group.until('it has what it missed', () =>
      Boolean(group.journals.get(id)?.entries.includes('meanwhile')),
    );
    await assert.rejects(old.propose(bytes('x')), { code: 'not-leader' });
    assert.ok(!old.status.isDiskFull);
    assert.ok(group.problems.some((what) => what.includes('full')));
    assert.ok(group.problems.some((what) => what.includes('room')));
  });

  it('leads again, alone, when its disk has room again', async () => {
    group.segmentBytes = 4096;
    const node = await group.start('a', true);
    await group.until('it leads', () => node.status.role === 'leader');
    const disk = group.disks.get('a');
    assert.ok(disk);
    disk.capacityBytes = 0;
    const large = Array.from({ length: 40 }, () => node.propose(bytes('y'.repeat(200))));
    const settled = Promise.allSettled(large);
    await group.until('it has stepped down', () => node.status.role === 'follower');
    await settled;
    disk.capacityBytes = Infinity;
    await group.until('it leads again', () => node.status.role === 'leader');
    await node.propose(bytes('z'));
    assert.equal(group.journals.get('a')?.entries.at(-1), 'z');
  });

  it('fails a read that nobody answers', async () => {
    await group.three();
    const follower = [...group.nodes.values()].find((node) => node.status.role === 'follower');
    group.lost.add('read-index');
    let code = '';
    follower?.readBarrier().catch((error: RaftError) => (code = error.code));
    await group.until('it has failed', () => code !== '');
    assert.equal(code, 'lost');
  });

  it('does not take an answer to a read of before its restart', async () => {
    await group.three();
    const [id, follower] =
      [...group.nodes].find(([, node]) => node.status.role === 'follower') ?? [];
    assert.ok(id && follower);
    let answer: Message | undefined;
    group.onMessage = (message) => {
      if (message.type === 'read-index-reply') answer = message;
    };
    await Promise.race([follower.readBarrier(), group.until('x', () => answer !== undefined)]);
    assert.ok(answer);
    await group.stop(id);
    const again = await group.start(id);
    await group.until('it follows', () => again.status.leader !== '');
    group.lost.add('read-index');
    let isRead = false;
    void again.readBarrier().then(
      () => (isRead = true),
      () => {},
    );
    again.receive(answer);
    for (let round = 0; round < 20; round++) await turn();
    assert.ok(!isRead);
  });

  it('tells of a proposal that is too large, or empty', async () => {
    const node = await group.start('a', true);
    await group.until('it leads', () => node.status.role === 'leader');
    await assert.rejects(node.propose(new Uint8Array(32 << 20)), { code: 'refused' });
    await assert.rejects(node.propose(new Uint8Array()), { code: 'refused' });
  });

  it('tells of a torn tail that was cut off', async () => {
    const node = await group.start('a', true);
    await group.until('it leads', () => node.status.role === 'leader');
    await node.propose(bytes('kept'));
    await group.stop('a');
    const disk = group.disks.get('a');
    const file = disk?.bytesOf('/raft/wal/0000000000000001.wal');
    assert.ok(disk && file);
    // The beginning of a record that never came to its end.
    let end = file.length;
    while (file[end - 1] === 0) end -= 1;
    file.writeUInt32LE(1, Math.ceil(end / 8) * 8);
    const again = await group.start('a');
    assert.match(group.problems.join(), /tore the last write/);
    await group.until('it leads again', () => again.status.role === 'leader');
    await again.readBarrier();
    assert.deepEqual(group.journals.get('a')?.entries, ['kept']);
  });

  it('leaves a follower that takes no snapshot alone for a while', async () => {
    group.snapshotEntries = 50;
    const first = await group.start('a', true);
    await group.until('it leads', () => first.status.role === 'leader');
    for (let index = 0; index < 200; index++) await first.propose(bytes(`p${index}`));
    await group.until('the log is compacted', () => first.status.firstIndex > 1);
    group.failSnapshots = true;
    await group.start('b');
    const steps = [{ op: 'add-learner', node: 'b' }] as const;
    void first.changeMembership({ steps, transition: 'auto' });
    await group.until('three have failed', () => group.problems.length >= 3);
    assert.ok(group.ticksPassed >= 20, `three attempts within ${group.ticksPassed} ticks`);
    group.failSnapshots = false;
    await group.until('b has all', () => group.journals.get('b')?.entries.length === 200);
  });
});
