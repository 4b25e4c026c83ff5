/**
 * A group of nodes in virtual time, with clients and faults. The same settings give the same run.
 * After every event the nodes' own observations are checked (witness.ts); then the faults stop, and
 * all must agree and take writes again within a bound.
 */
import { everyone, isJoint, type Message, type NodeId } from '../../raft/index.ts';
import { Agenda } from './agenda.ts';
import { Dice } from './dice.ts';
import { Faults } from './faults.ts';
import { History } from './history.ts';
import type { Member, Surroundings } from './member.ts';
import { Network } from './network.ts';
import type { Settings } from './settings.ts';
import { Violation } from './violation.ts';
import { Witness } from './witness.ts';

export type MakeMember = (id: NodeId, around: Surroundings) => Member;

export interface RunResult {
  readonly committed: number;
  readonly elections: number;
  readonly operations: number;
  /** Of the operations, those that clients know to be done. */
  readonly done: number;
  /** Ticks after the end of faults until all was well. */
  readonly healed: number;
  /** Equal for equal runs. */
  readonly trace: string;
}

/** Ticks within which all must be well once faults have stopped. */
const healBound = 4_000;

export class World implements Surroundings {
  readonly settings: Settings;
  readonly agenda = new Agenda();
  readonly dice: Dice;
  readonly witness = new Witness();
  readonly founders: readonly NodeId[];
  readonly members: readonly Member[];
  readonly network: Network;
  readonly history = new History();
  /** Until when each process stands still. */
  readonly pausedUntil = new Map<NodeId, number>();
  readonly #faults: Faults;
  readonly #say: ((line: string) => void) | undefined;
  #commands = 0;
  #isHealing = false;
  #isOver = false;
  #failure: Error | undefined;
  #marker: number | undefined;
  #traceSum = 0;

  constructor(settings: Settings, make: MakeMember, say?: (line: string) => void) {
    this.settings = settings;
    this.#say = say;
    this.dice = new Dice(settings.seed ^ 0x5bd1e995);
    this.network = new Network(this.agenda, this.dice, settings.network);
    const ids = Array.from({ length: settings.voters + settings.spares }, (_, at) => `n${at + 1}`);
    this.founders = ids.slice(0, settings.voters);
    this.members = ids.map((id) => make(id, this));
    this.#faults = new Faults(this);
  }

  /** Sets the run up: whatever happens from here on is in `step`. */
  begin(): void {
    for (const member of this.members) {
      member.start();
      const period = this.settings.unsteady ? this.dice.between(0.85, 1.15) : 1;
      this.#tickEvery(member, period, this.dice.between(0, 1));
    }
    this.#operateOften();
    this.#faults.begin();
    this.agenda.after(this.settings.duration, () => this.#heal());
  }

  /** One event. False when the run is over. */
  step(): boolean {
    if (this.#isOver) return false;
    const event = this.agenda.next();
    if (event === undefined) return false;
    event.run();
    return !this.#isOver;
  }

  /** To be called after a step, when all that follows from it is done. */
  observe(): void {
    if (this.#failure !== undefined) throw this.#failure;
    for (const member of this.members) member.observe();
  }

  fail(error: Error): void {
    this.trace('', `failed: ${error.message}`);
    this.#failure ??= error;
  }

  /** To be called when the run is over. Throws Violation. */
  result(): RunResult {
    this.history.check(this.witness);
    return {
      committed: this.witness.committed,
      elections: this.witness.elections,
      operations: this.history.length,
      done: this.history.done,
      healed: this.agenda.now - this.settings.duration,
      trace: this.#traceSum.toString(16),
    };
  }

  send(message: Message, snapshotData?: Uint8Array): void {
    this.#note(() => `${message.from} > ${message.to} ${describe(message)}`);
    this.network.send(message.from, message.to, () => this.#arrive(message, snapshotData));
    this.#faults.sent(message.from, message.type);
  }

  sendSnapshot(message: Message, data: Uint8Array, done: (delivered: boolean) => void): void {
    this.#note(() => `${message.from} > ${message.to} ${describe(message)}`);
    let isDone = false;
    const finish = (delivered: boolean) => {
      if (isDone) return;
      isDone = true;
      done(delivered);
    };
    this.network.send(message.from, message.to, () => {
      this.#arrive(message, data);
      this.network.send(message.to, message.from, () => finish(true));
    });
    // A transport gives up at some time.
    this.agenda.after(30, () => finish(false));
  }

  trace(id: NodeId, what: string): void {
    this.#note(() => `${id}: ${what}`);
  }

  member(id: NodeId): Member | undefined {
    return this.members.find((member) => member.id === id);
  }

  get leaders(): Member[] {
    return this.members.filter(({ isLeader }) => isLeader);
  }

  /** The one that leads in the newest term. */
  get leader(): Member | undefined {
    return this.leaders.toSorted((a, b) => (b.status?.term ?? 0) - (a.status?.term ?? 0))[0];
  }

  #arrive(message: Message, snapshotData?: Uint8Array): void {
    this.#whenAwake(message.to, () => this.member(message.to)?.receive(message, snapshotData));
  }

  /** A process that stands still finds what came when it goes on. */
  #whenAwake(id: NodeId, work: () => void): void {
    const until = this.pausedUntil.get(id) ?? 0;
    if (until <= this.agenda.now) work();
    else this.agenda.after(until - this.agenda.now, work);
  }

  #tickEvery(member: Member, period: number, first: number): void {
    this.agenda.after(first, () => {
      const rest = (this.pausedUntil.get(member.id) ?? 0) - this.agenda.now;
      if (rest <= 0) member.tick();
      this.#askTwoLeaders();
      this.#tickEvery(member, period, Math.max(period, rest));
    });
  }

  #operateOften(): void {
    this.agenda.after(this.dice.wait(this.settings.operationEvery), () => {
      if (this.#isHealing || this.history.length >= this.settings.operations) return;
      this.#operate();
      this.#operateOften();
    });
  }

  #operate(): void {
    const { dice, leaders } = this;
    const up = this.members.filter(({ isUp }) => isUp);
    if (up.length === 0) return;
    const member = leaders.length > 0 && dice.chance(0.6) ? dice.pick(leaders) : dice.pick(up);
    if (dice.chance(0.5)) this.#write(member, this.#someKey);
    else this.#read(member, this.#someKey);
  }

  /** While one has lost the leadership without knowing it, clients meet both. */
  #askTwoLeaders(): void {
    const { dice, history, leaders, settings } = this;
    if (leaders.length < 2 || this.#isHealing) return;
    if (history.length >= 1.5 * settings.operations || !dice.chance(0.5)) return;
    const key = this.#someKey;
    const { leader } = this;
    if (leader !== undefined && dice.chance(0.5)) this.#write(leader, key);
    else this.#read(dice.pick(leaders), key);
  }

  get #someKey(): string {
    return `k${this.dice.below(this.settings.keys)}`;
  }

  #read(member: Member, key: string): void {
    const id = ++this.#commands;
    const answered = this.history.call('read', id, key, '');
    member.read(key, (how, value) => {
      this.#note(() => `read ${id} of ${key} at ${member.id}: ${how} '${value}'`);
      answered(how, value);
    });
  }

  #write(member: Member, key: string, done?: () => void): number {
    const id = ++this.#commands;
    const value = `v${id}`;
    const answered = this.history.call('write', id, key, value);
    member.write({ id, key, value }, (how) => {
      this.#note(() => `write ${id} of ${key} at ${member.id}: ${how}`);
      answered(how);
      if (how === 'done') done?.();
    });
    return id;
  }

  /** The end of faults: everybody runs, and everything is well connected. */
  #heal(): void {
    this.#isHealing = true;
    this.#faults.end();
    this.network.calm();
    this.pausedUntil.clear();
    for (const member of this.members) {
      member.calm();
      if (!member.isUp) member.start();
    }
    this.trace('', 'faults have stopped');
    this.#look();
  }

  #look(): void {
    this.agenda.after(10, () => {
      if (this.#isWell()) {
        this.#isOver = true;
        return;
      }
      if (this.agenda.now > this.settings.duration + healBound) {
        throw new Violation('liveness', `${healBound} ticks after the faults: ${this.#picture()}`);
      }
      const { leader } = this;
      if (leader !== undefined) {
        const conf = leader.status?.conf;
        if (conf !== undefined && isJoint(conf) && !conf.autoLeave) {
          leader.changeMembership({ steps: [], transition: 'auto' });
        }
        this.#write(leader, 'k0', () => {
          this.#marker = leader.status?.appliedIndex;
        });
      }
      this.#look();
    });
  }

  /** A write was taken after the faults, and all members have it and agree. */
  #isWell(): boolean {
    const { leader } = this;
    const marker = this.#marker;
    if (leader?.status === undefined || marker === undefined) return false;
    const { conf } = leader.status;
    if (isJoint(conf)) return false;
    const states = everyone(conf).map((id) => this.member(id));
    return states.every(
      (member) =>
        (member?.status?.appliedIndex ?? 0) >= marker &&
        JSON.stringify(member?.status?.conf) === JSON.stringify(conf),
    );
  }

  #picture(): string {
    return this.members
      .map(({ id, status }) => {
        if (status === undefined) return `${id} is down`;
        const { role, term, committed, appliedIndex, firstIndex, lastIndex, conf } = status;
        const members = `${conf.voters.join()}|${conf.outgoing.join()}|${conf.learners.join()}`;
        const log = `${firstIndex}..${lastIndex}, committed ${committed}, applied ${appliedIndex}`;
        return `${id} ${role} of ${term}, log ${log}, conf ${members}`;
      })
      .join('; ');
  }

  #note(line: () => string): void {
    this.#traceSum = (Math.imul(this.#traceSum, 31) + this.agenda.now * 1e6) | 0;
    this.#say?.(`${this.agenda.now.toFixed(3)} ${line()}`);
  }
}

function describe(message: Message): string {
  const { type, term } = message;
  if (type === 'append') {
    const { prevIndex, prevTerm, entries, commit } = message;
    const list = entries.map((entry) => `${entry.index}@${entry.term}`).join(' ');
    return `append ${term}: behind ${prevIndex}@${prevTerm} [${list}] commit ${commit}`;
  }
  if (type === 'snapshot') return `snapshot ${term}: ${message.snapshot.index}`;
  const { from: _from, to: _to, type: _type, term: _term, ...rest } = message;
  return `${type} ${term} ${JSON.stringify(rest)}`;
}
