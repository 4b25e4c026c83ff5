/** The real RaftNode, on a real log over a disk in memory, in virtual time. */
import {
  encodeConfChange,
  LogError,
  MemoryDisk,
  RaftError,
  RaftNode,
  Storage,
  type ConfChange,
  type CrashMode,
  type Entry,
  type Message,
  type NodeId,
} from '../../raft/index.ts';
import { encodeCommand, Registers } from './machine.ts';
import { slowDisk } from './manager/slow-disk.ts';
import {
  raftConfig,
  type Member,
  type MemberStatus,
  type Outcome,
  type Surroundings,
} from './member.ts';
import { Violation } from './violation.ts';

const tickMs = 50;
const folder = '/raft';
/** Small, so that a full disk is felt soon. */
const segmentBytes = 4096;
const crashModes: readonly CrashMode[] = ['keep', 'lose', 'prefix', 'sectors'];

/** A life of the process: what an earlier one still has under way comes to nothing. */
interface Process {
  node: RaftNode<void> | undefined;
  tick: () => void;
}

export class NodeMember implements Member {
  readonly id: NodeId;
  readonly #around: Surroundings;
  #disk = new MemoryDisk();
  #machine = new Registers();
  #process: Process | undefined;
  #isCalm = false;
  #isFull = false;

  constructor(id: NodeId, around: Surroundings) {
    this.id = id;
    this.#around = around;
  }

  /** Founders have the group's first membership in their logs. To be awaited before the start. */
  async prepare(): Promise<void> {
    const { founders } = this.#around;
    if (!founders.includes(this.id)) return;
    const first = founders.map((node, position): Entry => {
      const data = encodeConfChange({ steps: [{ op: 'add-voter', node }], transition: 'auto' });
      return { index: position + 1, term: 1, kind: 'config', data };
    });
    await using storage = await Storage.open({ folder, disk: this.#disk, segmentBytes });
    await storage.write(first, { term: 1, vote: '', commit: first.length });
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  get isLeader(): boolean {
    return this.#process?.node?.status.role === 'leader';
  }

  get status(): MemberStatus | undefined {
    return this.#process?.node?.status;
  }

  get digest(): string {
    return this.#machine.digest;
  }

  start(): void {
    const process: Process = { node: undefined, tick: () => {} };
    this.#process = process;
    this.#machine = new Registers();
    this.#disk.capacityBytes = this.#isFull ? 0 : Infinity;
    this.#open(process).then(
      (node) => {
        if (process === this.#process) process.node = node;
      },
      (error: unknown) => this.#startFailed(process, error),
    );
  }

  crash(): void {
    const { dice } = this.#around;
    this.#process = undefined;
    this.#disk = this.#disk.crash(dice.pick(crashModes), () => dice.float());
  }

  tick(): void {
    this.#process?.tick();
  }

  receive(message: Message, snapshotData?: Uint8Array): void {
    this.#process?.node?.receive(message, snapshotData);
  }

  write(command: { id: number; key: string; value: string }, done: (how: Outcome) => void): void {
    const node = this.#process?.node;
    if (node === undefined) return done('refused');
    node.propose(encodeCommand({ ...command, forwarded: false })).then(
      () => done('done'),
      (error: unknown) => done(this.#outcome(error)),
    );
  }

  read(key: string, done: (how: Outcome, value: string) => void): void {
    const node = this.#process?.node;
    if (node === undefined) return done('refused', '');
    const machine = this.#machine;
    node.readBarrier().then(
      () => done('done', machine.get(key)),
      (error: unknown) => {
        this.#outcome(error);
        done('refused', '');
      },
    );
  }

  changeMembership(change: ConfChange): void {
    this.#process?.node
      ?.changeMembership(change)
      .catch((error: unknown) => void this.#outcome(error));
  }

  transfer(to: NodeId): void {
    this.#try((node) => node.transferLeadership(to));
  }

  campaign(): void {
    this.#try((node) => node.campaign());
  }

  reportUnreachable(id: NodeId): void {
    this.#try((node) => node.reportUnreachable(id));
  }

  fillDisk(isFull: boolean): void {
    this.#isFull = isFull;
    this.#disk.capacityBytes = isFull ? 0 : Infinity;
  }

  calm(): void {
    this.#isCalm = true;
    this.fillDisk(false);
  }

  observe(): void {
    const status = this.status;
    if (status?.role === 'leader') this.#around.witness.sawLeader(this.id, status.term);
  }

  #open(process: Process): Promise<RaftNode<void>> {
    const { settings, agenda } = this.#around;
    const { snapshot } = settings;
    const raft = { ...raftConfig(this.id, this.#around), forwardProposals: false };
    const pause = () => this.#pause(process);
    return RaftNode.open<void>(
      {
        raft,
        storage: { folder, disk: slowDisk(this.#disk, pause), segmentBytes },
        bootstrap: false,
        tickMs,
        snapshotEntries: snapshot.entries,
        snapshotBytes: 1 << 20,
        keepEntries: snapshot.keep,
        maxProposals: 1000,
      },
      {
        machine: this.#makeMachine(process),
        transport: {
          send: (message) => {
            if (process === this.#process) this.#send(message);
          },
          sendSnapshot: (message, data) => this.#sendSnapshot(process, message, data),
        },
        everyMs: (_periodMs, callback) => {
          process.tick = callback;
          return () => {
            process.tick = () => {};
          };
        },
        monotonicMs: () => agenda.now * tickMs,
        onLeadership: ({ role }) => this.#around.trace(this.id, role),
        onProblem: (what) => this.#around.trace(this.id, what),
        onFailure: (error) => {
          if (process === this.#process)
            this.#around.fail(new Violation('no failure', String(error)));
        },
      },
    );
  }

  #startFailed(process: Process, error: unknown): void {
    if (process !== this.#process) return;
    const isFull = error instanceof LogError && error.code === 'full';
    if (!isFull) {
      this.#around.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#around.agenda.after(5, () => {
      // As a supervisor would; what was half done is as a kill leaves it.
      if (process !== this.#process) return;
      this.crash();
      this.start();
    });
  }

  #makeMachine(process: Process) {
    const machine = this.#machine;
    const { witness } = this.#around;
    return {
      apply: (index: number, data: Uint8Array) => {
        if (process !== this.#process) return;
        machine.apply(index, data);
        witness.sawApply(this.id, { index, term: 0, kind: 'normal', data }, machine.digest);
      },
      snapshotParts: () => [machine.save()],
      restore: (index: number, data: Uint8Array) => {
        machine.load(data);
        witness.sawRestore(this.id, index, machine.digest);
      },
    };
  }

  #pause(process: Process): Promise<void> {
    const { settings, dice, agenda } = this.#around;
    const { sync, slow } = settings.disk;
    const long = dice.chance(slow) ? dice.between(1, 50) : 1;
    const time = this.#isCalm ? 0.1 : dice.between(0, 2 * sync) * long;
    const { promise, resolve } = Promise.withResolvers<void>();
    agenda.after(time, () => {
      if (process === this.#process) resolve();
    });
    return promise;
  }

  #send(message: Message): void {
    if (message.type === 'append') {
      this.#around.witness.sawEntries(this.id, message.entries, message.prevTerm);
    }
    this.#around.send(message);
  }

  #sendSnapshot(process: Process, message: Message, data: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (process === this.#process) {
      this.#around.sendSnapshot(message, data, (delivered) => {
        if (delivered) resolve();
        else reject(new Error('the snapshot did not arrive'));
      });
    }
    return promise;
  }

  #try(work: (node: RaftNode<void>) => void): void {
    const node = this.#process?.node;
    if (node === undefined) return;
    try {
      work(node);
    } catch (error) {
      this.#outcome(error);
    }
  }

  /** Whatever is not an operating error is a bug. */
  #outcome(error: unknown): Outcome {
    if (!(error instanceof RaftError)) {
      this.#around.fail(error instanceof Error ? error : new Error(String(error)));
      return 'unknown';
    }
    const isUnknown = ['lost', 'failed', 'closed'].includes(error.code);
    return isUnknown ? 'unknown' : 'refused';
  }
}
