import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import type { Message, NodeId } from '../core/index.ts';
import { MemoryDisk } from '../log/index.ts';
import { RaftNode, type Machine } from './index.ts';

/** Remembers what was applied, in order. */
class Journal implements Machine<number> {
  entries: string[] = [];

  apply(_index: number, data: Uint8Array): number {
    this.entries.push(new TextDecoder().decode(data));
    return this.entries.length;
  }

  snapshotParts(): Iterable<Uint8Array> {
    return [new TextEncoder().encode(JSON.stringify(this.entries))];
  }

  restore(_index: number, snapshot: Uint8Array): void {
    this.entries = JSON.parse(new TextDecoder().decode(snapshot)) as string[];
  }
}

/** Nodes on disks in memory, joined by direct calls; time passes when the test says so. */
class Group {
  readonly nodes = new Map<NodeId, RaftNode<number>>();
  readonly journals = new Map<NodeId, Journal>();
  readonly disks = new Map<NodeId, MemoryDisk>();
  readonly ticks = new Map<NodeId, () => void>();
  /** Messages of these kinds get lost. */
  readonly lost = new Set<Message['type']>();
  snapshotEntries = 1_000_000;

  async start(id: NodeId, bootstrap = false): Promise<RaftNode<number>> {
    const disk = this.disks.get(id) ?? new MemoryDisk();
    this.disks.set(id, disk);
    const journal = new Journal();
    this.journals.set(id, journal);
    const node = await RaftNode.open(
      {
        raft: {
          id,
          electionTicks: 10,
          heartbeatTicks: 2,
          maxAppendBytes: 64 * 1024,
          maxInflight: 64,
          maxApplyBytes: 1 << 20,
          maxUncommittedBytes: 1 << 24,
          preVote: true,
          checkQuorum: true,
          reads: 'quorum',
          forwardProposals: false,
          random: (below) => Math.floor(Math.random() * below),
        },
        storage: { folder: '/raft', disk, segmentBytes: 1 << 20 },
        bootstrap,
        tickMs: 1,
        snapshotEntries: this.snapshotEntries,
        snapshotBytes: 1 << 30,
        keepEntries: 10,
        maxProposals: 10_000,
      },
      {
        machine: journal,
        transport: {
          send: (message) => this.#deliver(message),
          sendSnapshot: (message, data) => {
            this.#deliver(message, data);
            return Promise.resolve();
          },
        },
        everyMs: (_period, callback) => {
          this.ticks.set(id, callback);
          return () => this.ticks.delete(id);
        },
        onFailure: (error) => assert.fail(error as Error),
      },
    );
    this.nodes.set(id, node);
    return node;
  }

  async stop(id: NodeId): Promise<void> {
    const node = this.nodes.get(id);
    this.nodes.delete(id);
    await node?.[Symbol.asyncDispose]();
  }

  get leader(): RaftNode<number> | undefined {
    return [...this.nodes.values()].find((node) => node.status.role === 'leader');
  }

  /** Lets time pass until the condition holds. */
  async until(what: string, condition: () => boolean): Promise<void> {
    for (let round = 0; round < 3_000; round++) {
      if (condition()) return;
      if (round % 3 === 0) for (const tick of this.ticks.values()) tick();
      await turn();
    }
    assert.fail(`${what}: did not come about`);
  }

  async three(): Promise<void> {
    const first = await this.start('a', true);
    await this.until('a leads', () => first.status.role === 'leader');
    for (const id of ['b', 'c']) {
      await this.start(id);
      const added = first.changeMembership({
        steps: [{ op: 'add-voter', node: id }],
        transition: 'auto',
      });
      let done = false;
      void added.then(() => (done = true));
      await this.until(`${id} is added`, () => done);
    }
  }

  async close(): Promise<void> {
    for (const id of this.nodes.keys()) await this.stop(id);
  }

  #deliver(message: Message, data?: Uint8Array): void {
    if (this.lost.has(message.type)) return;
    setImmediate(() => this.nodes.get(message.to)?.receive(message, data));
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);

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
});
