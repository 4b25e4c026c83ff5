/** Reads that wait while the members change: each is answered or fails, and none hangs. */
import { strict as assert } from 'node:assert';
import type { ConfChange, ConfChangeStep, NodeId } from '../core/index.ts';
import { Group } from '../testing/node-group.ts';
import { RaftError, type RaftNode } from './index.ts';
import { Reads } from './reads.ts';

/** Ten elections' time of ten ticks is what a node waits for an answer. */
const patienceTicks = 100;
const slackTicks = 30;

interface Read {
  readonly at: NodeId;
  readonly startedAt: number;
  outcome: string;
  endedAt: number;
}

/** Reads at every node, again and again, and what became of them. */
class Readers {
  readonly reads: Read[] = [];
  readonly #group: Group;

  constructor(group: Group) {
    this.#group = group;
  }

  start(): void {
    for (const [id, node] of this.#group.nodes) {
      const startedAt = this.#group.ticksPassed;
      const read: Read = { at: id, startedAt, outcome: '', endedAt: 0 };
      this.reads.push(read);
      this.#follow(node, read);
    }
  }

  get isDone(): boolean {
    return this.reads.every(({ outcome }) => outcome !== '');
  }

  #follow(node: RaftNode<number>, read: Read): void {
    const end = (outcome: string) => {
      read.outcome = outcome;
      read.endedAt = this.#group.ticksPassed;
    };
    node.readBarrier().then(
      () => end('done'),
      (error: unknown) => end(error instanceof RaftError ? error.code : String(error)),
    );
  }
}

describe('reads while the members change', () => {
  let group: Group;
  beforeEach(() => {
    group = new Group();
  });
  afterEach(() => group.close());

  /** `leader` and `other` are filled in when it is known who leads. */
  const cases: { name: string; steps: [op: ConfChangeStep['op'], who: string][] }[] = [
    { name: 'a follower is removed', steps: [['remove', 'other']] },
    { name: 'the leader is removed', steps: [['remove', 'leader']] },
    { name: 'the leader becomes a learner', steps: [['add-learner', 'leader']] },
    { name: 'a follower becomes a learner', steps: [['add-learner', 'other']] },
    { name: 'a voter is added', steps: [['add-voter', 'd']] },
    {
      name: 'the leader is replaced',
      steps: [
        ['add-voter', 'd'],
        ['remove', 'leader'],
      ],
    },
    {
      name: 'all but the leader are removed',
      steps: [
        ['remove', 'other'],
        ['remove', 'third'],
      ],
    },
  ];
  for (const { name, steps } of cases) {
    for (const lost of [[], ['heartbeat'], ['heartbeat-reply', 'read-index-reply']] as const) {
      const without = lost.length === 0 ? '' : `, at first without ${lost.join(' and ')}`;
      it(`none hangs when ${name}${without}`, async () => {
        await group.three();
        await group.start('d');
        const { leader } = group;
        assert.ok(leader);
        const [other = '', third = ''] = leader.peers;
        const named: Record<string, string> = { leader: leader.status.leader, other, third };
        const change: ConfChange = {
          steps: steps.map(([op, who]) => ({ op, node: named[who] ?? who })),
          transition: 'auto',
        };
        const readers = new Readers(group);
        for (const type of lost) group.lost.add(type);
        readers.start();
        const changed = Promise.allSettled([leader.changeMembership(change)]);
        const begun = group.ticksPassed;
        // Messages of those kinds are lost for less than the leader needs to lose the lead by that.
        await group.until('five ticks have passed', () => {
          readers.start();
          return group.ticksPassed >= begun + 5;
        });
        group.lost.clear();
        await group.until('the change is in force', () => {
          if (group.ticksPassed < begun + 40) readers.start();
          return group.ticksPassed >= begun + 40;
        });
        await group.until('all reads have ended', () => readers.isDone);
        await changed;
        const wrong = readers.reads.filter(
          ({ outcome }) => !['done', 'lost', 'no-leader', 'busy'].includes(outcome),
        );
        assert.deepEqual(wrong, []);
        const late = readers.reads.filter(
          ({ startedAt, endedAt }) => endedAt - startedAt > patienceTicks + slackTicks,
        );
        assert.deepEqual(late, []);
        assert.ok(readers.reads.some(({ outcome }) => outcome === 'done'));
      });
    }
  }

  it('one is answered as soon as a change makes those that have answered a majority', async () => {
    await group.three();
    const { leader } = group;
    assert.ok(leader);
    const [gone = ''] = leader.peers;
    await group.stop(gone);
    group.lost.add('heartbeat-reply');
    let isRead = false;
    void leader.readBarrier().then(() => (isRead = true));
    void leader.changeMembership({ steps: [{ op: 'remove', node: gone }], transition: 'auto' });
    await group.until('it is removed', () => leader.status.conf.voters.length === 2);
    assert.ok(!isRead);
    const [last = ''] = leader.peers;
    void leader.changeMembership({ steps: [{ op: 'remove', node: last }], transition: 'auto' });
    await group.until('the read is answered', () => isRead);
    assert.deepEqual(leader.status.conf.voters, [leader.status.leader]);
  });
});

describe('pending reads', () => {
  const make = () => {
    const asked: number[] = [];
    const reads = new Reads(
      {
        firstId: 100,
        maxTicks: 10,
        folder: '/raft',
        ask: (requestId) => void asked.push(requestId),
      },
      5,
    );
    return { reads, asked };
  };
  const outcomeOf = async (read: Promise<void>) => {
    try {
      await read;
      return 'done';
    } catch (error) {
      return (error as RaftError).code;
    }
  };

  it('are done when what they must see is applied', async () => {
    const { reads } = make();
    const [now, later] = [reads.start(), reads.start()];
    reads.answered(100, 5);
    await now;
    reads.answered(101, 7);
    reads.appliedTo(6);
    reads.appliedTo(8);
    await later;
  });

  it('are lost with the leader that has not answered, and not with one that has', async () => {
    const { reads } = make();
    const [answered, open] = [reads.start(), reads.start()];
    reads.answered(100, 7);
    reads.leaderChanged();
    assert.equal(await outcomeOf(open), 'lost');
    reads.appliedTo(7);
    assert.equal(await outcomeOf(answered), 'done');
  });

  it('are asked again on a follower, and fail in the end', async () => {
    const { reads, asked } = make();
    const read = reads.start();
    for (let tick = 1; tick <= 10; tick++) reads.tick(false);
    assert.equal(await outcomeOf(read), 'lost');
    assert.deepEqual(asked, [100, 100, 100]);
  });

  it('fail as well when they were answered, and nothing is applied', async () => {
    const { reads } = make();
    const read = reads.start();
    reads.answered(100, 9);
    for (let tick = 1; tick <= 10; tick++) reads.tick(true);
    assert.equal(await outcomeOf(read), 'lost');
  });

  it('tell of a full disk rather than of the leader that is missing for it', async () => {
    const reads = new Reads(
      { firstId: 1, maxTicks: 9, folder: '/raft', ask: () => 'no-leader' },
      0,
    );
    const code = async () => outcomeOf((async () => reads.start())());
    assert.equal(await code(), 'no-leader');
    reads.diskIsFull(true);
    assert.equal(await code(), 'full');
  });

  it('fail at once on a full disk, unless what they must see is there', async () => {
    const { reads } = make();
    const [here, missing, next] = [reads.start(), reads.start(), reads.start()];
    reads.answered(101, 6);
    reads.diskIsFull(true);
    assert.equal(await outcomeOf(missing), 'full');
    reads.answered(100, 5);
    assert.equal(await outcomeOf(here), 'done');
    reads.diskIsFull(false);
    reads.answered(102, 6);
    reads.appliedTo(6);
    assert.equal(await outcomeOf(next), 'done');
  });
});
