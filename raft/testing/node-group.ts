/** Real nodes for unit tests, on disks in memory. */
import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import { MemoryDisk, RaftNode, type Machine, type Message, type NodeId } from '../index.ts';

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
export class Group {
  readonly nodes = new Map<NodeId, RaftNode<number>>();
  readonly journals = new Map<NodeId, Journal>();
  readonly disks = new Map<NodeId, MemoryDisk>();
  readonly ticks = new Map<NodeId, () => void>();
  /** Messages of these kinds get lost. */
  readonly lost = new Set<Message['type']>();
  readonly problems: string[] = [];
  onMessage: (message: Message) => void = () => {};
  failSnapshots = false;
  ticksPassed = 0;
  snapshotEntries = 1_000_000;
  segmentBytes = 1 << 20;

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
        storage: { folder: '/raft', disk, segmentBytes: this.segmentBytes },
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
            if (this.failSnapshots) return Promise.reject(new Error('the link broke'));
            this.#deliver(message, data);
            return Promise.resolve();
          },
        },
        everyMs: (_period, callback) => {
          this.ticks.set(id, callback);
          return () => this.ticks.delete(id);
        },
        onProblem: (what) => this.problems.push(`${id}: ${what}`),
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
      if (round % 3 === 0) {
        this.ticksPassed += 1;
        for (const tick of this.ticks.values()) tick();
      }
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
    this.onMessage(message);
    if (this.lost.has(message.type)) return;
    setImmediate(() => this.nodes.get(message.to)?.receive(message, data));
  }
}

export const bytes = (text: string) => new TextEncoder().encode(text);
