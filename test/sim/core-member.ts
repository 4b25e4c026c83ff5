/**
 * The bare core, driven as raft/node does it: messages leave at once but for those that wait for a
 * write, Readies overlap, and the commit index is written when HardStateWriter says so.
 */
import {
  ConfChangeError,
  emptyConf,
  encodeConfChange,
  HardStateWriter,
  Raft,
  type ConfChange,
  type Entry,
  type Message,
  type MessageOf,
  type NodeId,
  type Ready,
} from '../../raft/index.ts';
import { encodeCommand, decodeCommand, Registers } from './machine.ts';
import {
  raftConfig,
  type Member,
  type MemberStatus,
  type Outcome,
  type Surroundings,
} from './member.ts';
import { ModelDisk, type DiskRecord } from './model-disk.ts';
import { honest, type Sabotage } from './sabotage.ts';

interface Waiter {
  readonly term: number;
  readonly done: (how: Outcome) => void;
}

interface Writing {
  readonly ready: Ready;
  done: boolean;
}

interface Read {
  readonly key: string;
  readonly done: (how: Outcome, value: string) => void;
  index: number | undefined;
}

/** What a process knows, and loses when it ends. */
interface Process {
  readonly raft: Raft;
  readonly machine: Registers;
  readonly hardState: HardStateWriter;
  readonly writing: Writing[];
  /** Of proposals made as leader, by index; of those sent on, by command. */
  readonly waiters: Map<number, Waiter>;
  readonly forwarded: Map<number, (how: Outcome) => void>;
  readonly reads: Map<number, Read>;
  readonly snapshots: WeakMap<object, Uint8Array>;
  applied: number;
  lastSnapshot: number;
  isSnapshotting: boolean;
  seenCommit: number;
  isDriveDue: boolean;
}

export class CoreMember implements Member {
  readonly id: NodeId;
  readonly #around: Surroundings;
  readonly #disk: ModelDisk;
  readonly #sabotage: Sabotage;
  #process: Process | undefined;
  /** Answers to a former life's reads must not be taken for answers to this one's. */
  #reads = 0;
  #isCalm = false;

  constructor(id: NodeId, around: Surroundings, sabotage: Sabotage = honest) {
    this.id = id;
    this.#around = around;
    this.#sabotage = sabotage;
    this.#disk = new ModelDisk(around.agenda, () => this.#syncTime());
    const { founders } = around;
    if (!founders.includes(id)) return;
    const first = founders.map((node, position): Entry => {
      const data = encodeConfChange({ steps: [{ op: 'add-voter', node }], transition: 'auto' });
      return { index: position + 1, term: 1, kind: 'config', data };
    });
    this.#disk.preload(first, { term: 1, vote: '', commit: first.length });
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  get isLeader(): boolean {
    return this.#process?.raft.status.role === 'leader';
  }

  get status(): MemberStatus | undefined {
    const process = this.#process;
    return process && { ...process.raft.status, appliedIndex: process.applied };
  }

  get digest(): string {
    return this.#process?.machine.digest ?? '';
  }

  start(): void {
    const loaded = this.#disk.load();
    const hardState = loaded?.hardState ?? { term: 0, vote: '', commit: 0 };
    const snapshot = loaded?.snapshot;
    const machine = new Registers();
    if (snapshot !== undefined) machine.load(snapshot.data);
    const entries = loaded?.entries ?? [];
    const config = this.#sabotage.config(raftConfig(this.id, this.#around));
    const raft = this.#sabotage.make(
      this.id,
      () =>
        new Raft(config, {
          hardState,
          entries,
          ...(snapshot === undefined ? { conf: emptyConf() } : { snapshot: snapshot.meta }),
        }),
    );
    const applied = snapshot?.meta.index ?? 0;
    this.#around.witness.sawEntries(this.id, entries, raft.termOf(applied));
    this.#process = {
      raft,
      machine,
      hardState: new HardStateWriter(hardState),
      writing: [],
      waiters: new Map(),
      forwarded: new Map(),
      reads: new Map(),
      snapshots: new WeakMap(),
      applied,
      lastSnapshot: applied,
      isSnapshotting: false,
      seenCommit: applied,
      isDriveDue: false,
    };
    this.#drive(this.#process);
  }

  crash(): void {
    this.#process = undefined;
    this.#disk.crash(this.#around.dice);
  }

  tick(): void {
    this.#do(({ raft }) => raft.tick());
  }

  receive(message: Message, snapshotData?: Uint8Array): void {
    this.#do(({ raft, snapshots }) => {
      const taken = this.#sabotage.receive(message, raft, this.#disk);
      if (taken === undefined) return;
      if (taken.type === 'snapshot' && snapshotData !== undefined) {
        snapshots.set(taken.snapshot, snapshotData);
      }
      raft.step(taken);
    });
  }

  write(command: { id: number; key: string; value: string }, done: (how: Outcome) => void): void {
    if (this.#process === undefined) return done('refused');
    this.#do(({ raft, waiters, forwarded }) => {
      const isLeader = raft.status.role === 'leader';
      const dropped = raft.propose(encodeCommand({ ...command, forwarded: !isLeader }));
      if (dropped !== undefined) return done('refused');
      const { lastIndex, term } = raft.status;
      if (isLeader) waiters.set(lastIndex, { term, done });
      else forwarded.set(command.id, done);
    });
  }

  read(key: string, done: (how: Outcome, value: string) => void): void {
    if (this.#process === undefined) return done('refused', '');
    this.#do((process) => {
      const requestId = ++this.#reads;
      process.reads.set(requestId, { key, done, index: undefined });
      if (process.raft.readIndex(requestId) === undefined) return;
      process.reads.delete(requestId);
      done('refused', '');
    });
  }

  changeMembership(change: ConfChange): void {
    this.#do(({ raft }) => {
      this.#sabotage.beforeConfChange(raft);
      try {
        raft.proposeConfChange(change);
      } catch (error) {
        if (!(error instanceof ConfChangeError)) throw error;
      }
    });
  }

  transfer(to: NodeId): void {
    this.#do(({ raft }) => {
      if (raft.status.conf.voters.includes(to)) raft.transferLeadership(to);
    });
  }

  campaign(): void {
    this.#do(({ raft }) => raft.campaign());
  }

  reportUnreachable(id: NodeId): void {
    this.#do(({ raft }) => raft.reportUnreachable(id));
  }

  fillDisk(isFull: boolean): void {
    this.#disk.isFull = isFull;
  }

  calm(): void {
    this.#isCalm = true;
    this.#disk.isFull = false;
  }

  /** What there is to see was seen when it happened. */
  observe(): void {}

  #syncTime(): number {
    const { settings, dice } = this.#around;
    if (this.#isCalm) return 0.1;
    const { sync, slow } = settings.disk;
    return dice.between(0, 2 * sync) * (dice.chance(slow) ? dice.between(1, 50) : 1);
  }

  /** Calls into the core; what follows from it is done now, or with what comes in meanwhile. */
  #do(work: (process: Process) => void): void {
    const process = this.#process;
    if (process === undefined) return;
    work(process);
    this.#sabotage.after(process.raft);
    const { settings, dice, agenda } = this.#around;
    if (settings.lazy && !this.#isCalm && dice.chance(0.5)) {
      if (process.isDriveDue) return;
      process.isDriveDue = true;
      agenda.after(dice.between(0, 1), () => {
        process.isDriveDue = false;
        this.#drive(process);
      });
    } else {
      this.#drive(process);
    }
  }

  #drive(process: Process): void {
    while (process === this.#process && process.raft.hasReady) {
      const ready = this.#sabotage.ready(process.raft.ready(), process.applied);
      this.#handle(process, ready);
      this.#sabotage.after(process.raft);
    }
    if (process === this.#process) this.#observe(process);
  }

  #observe({ raft }: Process): void {
    const { witness } = this.#around;
    const process = this.#process as Process;
    const { role, term, committed } = raft.status;
    for (let index = process.seenCommit + 1; index <= committed; index++) {
      witness.sawCommit(this.id, index, raft.termOf(index), term);
    }
    process.seenCommit = Math.max(process.seenCommit, committed);
    if (role === 'leader') witness.sawLeader(this.id, term, (index) => this.#termOf(raft, index));
  }

  /** What was compacted away was committed, and is known to be right. */
  #termOf(raft: Raft, index: number): number | undefined {
    if (index >= raft.status.firstIndex - 1) return raft.termOf(index);
    return this.#around.witness.termAt(index);
  }

  #handle(process: Process, ready: Ready): void {
    const { witness } = this.#around;
    const { softState, snapshot, entries } = ready;
    if (softState !== undefined) {
      this.#around.trace(this.id, `${softState.role} of ${process.raft.status.term}`);
      if (softState.role !== 'leader') {
        for (const { done } of process.waiters.values()) done('unknown');
        process.waiters.clear();
      }
    }
    const [first] = entries;
    if (first !== undefined) {
      witness.sawEntries(this.id, entries, process.raft.termOf(first.index - 1));
    }
    this.#send(process, ready.messages);
    const records: DiskRecord[] = [];
    if (snapshot !== undefined) {
      const data = process.snapshots.get(snapshot) as Uint8Array;
      process.machine.load(data);
      process.applied = snapshot.index;
      process.lastSnapshot = snapshot.index;
      process.seenCommit = Math.max(process.seenCommit, snapshot.index);
      witness.sawRestore(this.id, snapshot.index, process.machine.digest);
      records.push({ kind: 'snapshot', snapshot: { meta: snapshot, data } });
      records.push({ kind: 'restart', index: snapshot.index });
    }
    for (const entry of ready.committed) this.#apply(process, entry);
    for (const entry of entries) records.push({ kind: 'entry', entry });
    const state = process.hardState.next(ready);
    if (state !== undefined) records.push({ kind: 'state', state });
    this.#persist(process, ready, this.#sabotage.records(records));
    for (const { requestId, index } of ready.reads) {
      const read = process.reads.get(requestId);
      if (read !== undefined) read.index = index;
    }
    this.#answerReads(process);
    this.#maybeSnapshot(process);
  }

  #persist(process: Process, ready: Ready, records: readonly DiskRecord[]): void {
    const writing: Writing = { ready, done: false };
    process.writing.push(writing);
    const finish = () => {
      if (process !== this.#process) return;
      writing.done = true;
      while (process.writing[0]?.done) {
        const { ready: durable } = process.writing.shift() as Writing;
        this.#send(process, durable.messagesAfterPersist);
        process.raft.persisted(durable.number);
      }
    };
    if (records.length === 0) {
      finish();
      return;
    }
    this.#disk.write(records, () => {
      finish();
      if (process === this.#process) this.#drive(process);
    });
  }

  #apply(process: Process, entry: Entry): void {
    const { index, term, kind, data } = entry;
    process.applied = index;
    if (kind === 'normal' && data.length > 0) process.machine.apply(index, data);
    this.#around.witness.sawApply(this.id, entry, process.machine.digest);
    const waiter = process.waiters.get(index);
    if (waiter !== undefined) {
      process.waiters.delete(index);
      waiter.done(waiter.term === term ? 'done' : 'refused');
    }
    if (kind === 'config') this.#around.trace(this.id, `applied ${Buffer.from(data).toString()}`);
    if (kind === 'config' || data.length === 0) return;
    const { id } = decodeCommand(data);
    process.forwarded.get(id)?.('done');
    process.forwarded.delete(id);
  }

  #answerReads(process: Process): void {
    for (const [requestId, { key, done, index }] of process.reads) {
      if (index === undefined || index > process.applied) continue;
      process.reads.delete(requestId);
      done('done', process.machine.get(key));
    }
  }

  #send(process: Process, messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type === 'snapshot') this.#sendSnapshot(process, message);
      else this.#around.send(message);
    }
  }

  #sendSnapshot(process: Process, message: MessageOf<'snapshot'>): void {
    const newest = this.#disk.newestSnapshot;
    const report = (delivered: boolean) => {
      if (process !== this.#process) return;
      this.#do(({ raft }) => raft.reportSnapshot(message.to, delivered));
    };
    if (newest === undefined || (!this.#isCalm && this.#around.dice.chance(0.05))) {
      this.#around.agenda.after(0.1, () => report(false));
      return;
    }
    const actual = { ...message, snapshot: newest.meta };
    this.#around.sendSnapshot(actual, newest.data, report);
  }

  #maybeSnapshot(process: Process): void {
    const { entries, keep } = this.#around.settings.snapshot;
    if (process.isSnapshotting || process.applied - process.lastSnapshot < entries) return;
    const { raft, applied: index } = process;
    const term = raft.termOf(index);
    if (term === undefined) return;
    const meta = { index, term, conf: raft.status.conf };
    process.isSnapshotting = true;
    process.lastSnapshot = index;
    this.#disk.saveSnapshot({ meta, data: process.machine.save() }, () => {
      process.isSnapshotting = false;
      const compactTo = Math.max(0, index - keep);
      raft.compact(meta, compactTo);
      this.#disk.compact(compactTo);
    });
  }
}
