/**
 * Random runs of a small cluster in virtual time: messages that are delayed, lost, doubled and
 * reordered, links that are cut, disks that lose what was not synced, crashes. After every step the
 * safety properties of the paper (figure 3) are checked. The same seed gives the same run.
 */
import { invariant } from './assert.ts';
import {
  emptyConf,
  Raft,
  type Entry,
  type HardState,
  type Message,
  type NodeId,
  type Ready,
} from './index.ts';

export interface RunOptions {
  readonly seed: number;
  readonly steps: number;
  readonly nodes: number;
}

export interface RunResult {
  readonly committed: number;
  readonly elections: number;
  readonly crashes: number;
}

interface Disk {
  hardState: HardState;
  entries: Entry[];
}

interface Member {
  readonly id: NodeId;
  readonly disk: Disk;
  raft: Raft | undefined;
  /** Taken and not yet durable, oldest first. */
  writing: Ready[];
  applied: number;
}

const payload = new TextEncoder();

export function randomRun({ seed, steps, nodes }: RunOptions): RunResult {
  const run = new RandomRun(seed, nodes);
  for (let step = 0; step < steps; step++) run.step();
  run.heal();
  return run.result;
}

class RandomRun {
  readonly #random: () => number;
  readonly #members: Member[];
  #wire: { message: Message; due: number }[] = [];
  #now = 0;
  #cut = new Set<string>();
  #proposals = 0;
  /** What was committed at each index, by whoever applied it first. */
  readonly #chosen: Entry[] = [];
  readonly #leaders = new Map<number, NodeId>();
  #crashes = 0;

  constructor(seed: number, nodes: number) {
    this.#random = mulberry(seed);
    const ids = Array.from({ length: nodes }, (_, index) => `n${index + 1}`);
    this.#members = ids.map((id) => ({
      id,
      disk: { hardState: { term: 0, vote: '', commit: 0 }, entries: [] },
      raft: undefined,
      writing: [],
      applied: 0,
    }));
    for (const member of this.#members) this.#start(member);
  }

  get result(): RunResult {
    return {
      committed: this.#chosen.length,
      elections: this.#leaders.size,
      crashes: this.#crashes,
    };
  }

  step(): void {
    this.#now += 1;
    const dice = this.#random();
    if (dice < 0.004) this.#crash(this.#pick(this.#members));
    else if (dice < 0.012) this.#members.filter((m) => !m.raft).forEach((m) => this.#start(m));
    else if (dice < 0.016) this.#cut = this.#randomCut();
    else if (dice < 0.022) this.#cut = new Set();
    else if (dice < 0.2) this.#propose();
    else if (dice < 0.205) this.#transfer();
    for (const member of this.#members) if (this.#random() < 0.3) member.raft?.tick();
    this.#deliver(0.03);
    for (const member of this.#members) this.#drive(member, this.#random() < 0.5);
  }

  /** Faults end; then everyone must agree on everything that was committed, and go on. */
  heal(): void {
    this.#cut = new Set();
    for (const member of this.#members) if (member.raft === undefined) this.#start(member);
    const before = this.#chosen.length;
    for (let step = 0; step < 2_000; step++) {
      this.#now += 1;
      if (step % 20 === 0) this.#propose();
      for (const member of this.#members) if (step % 3 === 0) member.raft?.tick();
      this.#deliver(0);
      for (const member of this.#members) this.#drive(member, true);
    }
    invariant(this.#chosen.length > before, 'the cluster goes on once faults have stopped');
    const behind = this.#members.filter((m) => m.applied < this.#chosen.length - 50);
    invariant(behind.length === 0, `${behind.map((m) => m.id).join()} did not catch up`);
  }

  #start(member: Member): void {
    const { disk } = member;
    member.raft = new Raft(
      {
        id: member.id,
        electionTicks: 10,
        heartbeatTicks: 2,
        maxAppendBytes: 64,
        maxInflight: 4,
        maxApplyBytes: 1024,
        maxUncommittedBytes: 4096,
        preVote: true,
        checkQuorum: true,
        reads: 'quorum',
        forwardProposals: true,
        random: (below) => Math.floor(this.#random() * below),
      },
      {
        hardState: disk.hardState,
        entries: disk.entries,
        conf: emptyConf(this.#members.map((other) => other.id)),
      },
    );
    member.applied = 0;
  }

  /** What was not synced is gone, or a part of it is there: a prefix of what was being written. */
  #crash(member: Member): void {
    if (member.raft === undefined) return;
    this.#crashes += 1;
    const kept = Math.floor(this.#random() * (member.writing.length + 1));
    for (const ready of member.writing.slice(0, kept)) write(member.disk, ready);
    member.writing = [];
    member.raft = undefined;
  }

  #drive(member: Member, sync: boolean): void {
    const { raft } = member;
    if (raft === undefined) return;
    while (raft.hasReady) {
      const ready = raft.ready();
      for (const message of ready.messages) this.#post(message);
      for (const entry of ready.committed) this.#apply(member, entry);
      member.writing.push(ready);
    }
    if (raft.status.role === 'leader') this.#sawLeader(raft.status.term, member.id);
    if (!sync) return;
    for (const ready of member.writing.splice(0)) {
      write(member.disk, ready);
      for (const message of ready.messagesAfterPersist) this.#post(message);
      raft.persisted(ready.number);
    }
  }

  #apply(member: Member, entry: Entry): void {
    invariant(entry.index === member.applied + 1, `${member.id} applies in order`);
    member.applied = entry.index;
    const chosen = this.#chosen[entry.index - 1];
    if (chosen === undefined) {
      invariant(this.#chosen.length === entry.index - 1, 'entries are chosen in order');
      this.#chosen.push(entry);
      return;
    }
    const same = chosen.term === entry.term && Buffer.from(chosen.data).equals(entry.data);
    invariant(same, `${member.id} applied another entry at ${entry.index} (state machine safety)`);
  }

  #sawLeader(term: number, id: NodeId): void {
    const known = this.#leaders.get(term);
    invariant(known === undefined || known === id, `two leaders in term ${term} (election safety)`);
    if (known === undefined) this.#checkCompleteness(id, term);
    this.#leaders.set(term, id);
  }

  /** A leader has every entry that was chosen in an earlier term. */
  #checkCompleteness(id: NodeId, term: number): void {
    const member = this.#members.find((candidate) => candidate.id === id);
    const last = this.#chosen.findLast((entry) => entry.term < term);
    if (last === undefined || member?.raft === undefined) return;
    const has = member.raft.status.lastIndex >= last.index;
    invariant(has, `leader ${id} of term ${term} lacks entry ${last.index} (leader completeness)`);
  }

  #post(message: Message): void {
    const copies = this.#random() < 0.02 ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delay = this.#random() < 0.1 ? this.#random() * 30 : this.#random() * 3;
      this.#wire.push({ message, due: this.#now + delay });
    }
  }

  #deliver(loss: number): void {
    const due = this.#wire.filter((item) => item.due <= this.#now);
    this.#wire = this.#wire.filter((item) => item.due > this.#now);
    for (const { message } of due) {
      const isCut = this.#cut.has(`${message.from}>${message.to}`);
      if (isCut || this.#random() < loss) continue;
      this.#members.find((member) => member.id === message.to)?.raft?.step(message);
    }
  }

  #propose(): void {
    const running = this.#members.filter((member) => member.raft !== undefined);
    if (running.length === 0) return;
    this.#proposals += 1;
    this.#pick(running).raft?.propose(payload.encode(`p${this.#proposals}`));
  }

  #transfer(): void {
    const leader = this.#members.find((member) => member.raft?.status.role === 'leader');
    leader?.raft?.transferLeadership(this.#pick(this.#members).id);
  }

  /** Some links one way, some both ways. */
  #randomCut(): Set<string> {
    const cut = new Set<string>();
    for (const a of this.#members) {
      for (const b of this.#members) if (this.#random() < 0.3) cut.add(`${a.id}>${b.id}`);
    }
    return cut;
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

function write(disk: Disk, ready: Ready): void {
  const first = ready.entries[0];
  if (first !== undefined) {
    disk.entries = [...disk.entries.slice(0, first.index - 1), ...ready.entries];
  }
  if (ready.hardState !== undefined) disk.hardState = ready.hardState;
}

function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
