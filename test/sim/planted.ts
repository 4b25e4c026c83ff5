/**
 * Known mistakes in implementations of Raft, made from outside: each changes what goes in or out of
 * a node, or what the node knows, as if one rule of the protocol were missing.
 */
import { isJoint, type Message, type Raft, type Ready } from '../../raft/index.ts';
import { State } from '../../raft/core/state.ts';
import type { DiskRecord, ModelDisk } from './model-disk.ts';
import { honest, type Sabotage } from './sabotage.ts';
import { faults, type Settings } from './settings.ts';

export interface Planted {
  readonly name: string;
  readonly sabotage: Sabotage;
  /** What the bug needs to show at all, such as reads by lease. */
  readonly change?: (settings: Settings) => Settings;
}

const states = new WeakMap<Raft, State>();

/** What is inside: the core gives it to nobody, so it is caught when it is made. */
function make(_id: string, build: () => Raft): Raft {
  // oxlint-disable-next-line typescript/unbound-method -- put back as it was
  const original = State.prototype.becomeFollower;
  const caught: State[] = [];
  State.prototype.becomeFollower = function (this: State, term, leader) {
    caught.push(this);
    original.call(this, term, leader);
  };
  try {
    const raft = build();
    if (caught[0] !== undefined) states.set(raft, caught[0]);
    return raft;
  } finally {
    State.prototype.becomeFollower = original;
  }
}

function stateOf(raft: Raft): State {
  const state = states.get(raft);
  if (state === undefined) throw new RangeError('the node was not made here');
  return state;
}

function planted(name: string, rules: Partial<Sabotage>, change?: Planted['change']): Planted {
  const sabotage = { ...honest, make, ...rules };
  return change === undefined ? { name, sabotage } : { name, sabotage, change };
}

/** A rule for messages of one kind. */
function onMessage<T extends Message['type']>(
  type: T,
  rule: (message: Message & { type: T }, state: State, disk: ModelDisk) => Message,
): Partial<Sabotage> {
  const is = (message: Message): message is Message & { type: T } => message.type === type;
  return {
    receive: (message, raft, disk) => (is(message) ? rule(message, stateOf(raft), disk) : message),
  };
}

const never = Object.fromEntries(faults.map((fault) => [fault, Infinity])) as Settings['every'];

/** Three nodes that stand for election all the time, and crash while they do. */
const elections = (settings: Settings): Settings => ({
  ...settings,
  voters: 3,
  spares: 0,
  raft: { ...settings.raft, preVote: false, reads: 'quorum', checkQuorum: false },
  network: { ...settings.network, delay: 0.5, late: 0.2, lateness: 30, ordered: false },
  disk: { sync: 0.5, slow: 0 },
  crashAfter: { vote: 0.1, 'vote-reply': 0.3, 'append-reply': 0.01 },
  every: { ...never, campaign: 6, crashAll: 60 },
});

/** The same with disks so slow that candidates crash before anything is durable. */
const hastyElections = (settings: Settings): Settings => ({
  ...elections(settings),
  network: { ...settings.network, delay: 0.3, late: 0.3, lateness: 40, ordered: false },
  disk: { sync: 3, slow: 0 },
  crashAfter: { vote: 0.5 },
  restart: 1,
  hasty: 1,
  every: { ...never, campaign: 4 },
  operationEvery: 1,
  operations: 400,
});

/** Leaders that fall before their entries are everywhere (paper, figure 8). */
const fallingLeaders = (settings: Settings): Settings => ({
  ...settings,
  voters: dicePick(settings.seed),
  spares: 0,
  raft: { ...settings.raft, electionTicks: 5, heartbeatTicks: 1, maxAppendBytes: 1 },
  network: { ...settings.network, loss: 0.1, delay: 1.5 },
  disk: { sync: 0.2, slow: 0 },
  crashAfter: { append: 0.02 },
  every: { ...never, crashLeader: 15, isolateLeader: 20, campaign: 20 },
  operationEvery: 1,
  operations: 300,
});

function dicePick(seed: number): number {
  return seed % 2 === 0 ? 3 : 5;
}

/** Reads and writes of one register all the time, at leaders that are cut off. */
const contested =
  (reads: 'quorum' | 'lease', every: Partial<Settings['every']>) =>
  (settings: Settings): Settings => ({
    ...settings,
    voters: settings.seed % 2 === 0 ? 3 : 5,
    spares: 0,
    raft: { ...settings.raft, reads, checkQuorum: true, heartbeatTicks: 1 },
    network: { ...settings.network, delay: 0.2, loss: 0 },
    disk: { sync: 0.1, slow: 0 },
    crashAfter: {},
    restart: 1,
    unsteady: false,
    every: { ...never, ...every },
    operationEvery: 0.5,
    operations: 500,
    keys: 1,
  });

/** What a leader sent before it was cut off comes when there is another. */
const lateLeaders = (given: Settings): Settings => {
  const settings = contested('quorum', { isolateLeader: 25, partition: 40 })(given);
  const network = { ...settings.network, delay: 0.5, late: 0.2, lateness: 30, kept: true };
  return { ...settings, network: { ...network, ordered: false }, operations: 200 };
};

/** All that takes time happens between two heartbeats. */
const hurried =
  (change: (settings: Settings) => Settings) =>
  (given: Settings): Settings => {
    const settings = change(given);
    return {
      ...settings,
      voters: 3,
      raft: { ...settings.raft, electionTicks: 10, heartbeatTicks: 7 },
      network: { ...settings.network, delay: 0.05, late: 0 },
      disk: { sync: 0.01, slow: 0 },
      crashAfter: { 'heartbeat-reply': 0.4 },
      restart: 0.2,
      operationEvery: 6,
      operations: 500,
      duration: 300,
    };
  };

/** Snapshots that come late, and nodes that crash after them. */
const lateSnapshots = (settings: Settings): Settings => ({
  ...settings,
  network: { ...settings.network, late: 0.3, lateness: 60, double: 0.1, ordered: false },
  snapshot: { entries: 4, keep: 0 },
  crashAfter: { 'append-reply': 0.02 },
  restart: 20,
});

const withMembership = (settings: Settings): Settings => ({
  ...settings,
  voters: 3,
  spares: 2,
  restart: 20,
  raft: { ...settings.raft, electionTicks: 5, heartbeatTicks: 1 },
  every: { ...never, membership: 12, partition: 25, crash: 40 },
});

/** Joint memberships that last, and majorities that cannot reach each other. */
const longJoint = (settings: Settings): Settings => ({
  ...withMembership(settings),
  network: { ...settings.network, delay: 1.5, loss: 0.02, ordered: false },
  disk: { sync: 0.5, slow: 0 },
  every: { ...never, membership: 8, partition: 12, crash: 60 },
});

/** Readies whose messages do not wait for the write when they are of that type. */
function sendEarly(ready: Ready, types: readonly Message['type'][]): Ready {
  const early = ready.messagesAfterPersist.filter(({ type }) => types.includes(type));
  return {
    ...ready,
    messages: [...ready.messages, ...early],
    messagesAfterPersist: ready.messagesAfterPersist.filter(({ type }) => !types.includes(type)),
  };
}

function withState(
  records: readonly DiskRecord[],
  change: (record: Extract<DiskRecord, { kind: 'state' }>) => DiskRecord,
): readonly DiskRecord[] {
  return records.map((record) => (record.kind === 'state' ? change(record) : record));
}

/** The highest index that a majority of either set alone has. */
function countedIndex(state: State): number {
  const matches = state.conf.voters.map((node) => state.progress.get(node)?.match ?? 0);
  return matches.toSorted((a, b) => b - a)[Math.floor(matches.length / 2)] ?? 0;
}

function answerAtOnce(state: State, requestId: number, from: string): void {
  const { id, term, log } = state;
  const index = log.committed;
  if (from === id) state.readyReads.push({ requestId, index });
  else state.send({ type: 'read-index-reply', from: id, to: from, term, requestId, index });
}

const aboutVotes: Planted[] = [
  planted(
    'votes are not persisted',
    {
      records: (records) =>
        withState(records, ({ kind, state }) => ({ kind, state: { ...state, vote: '' } })),
    },
    elections,
  ),
  planted(
    'votes are granted to logs that are behind',
    onMessage('vote', (message) => ({ ...message, lastIndex: 1e9, lastTerm: 1e9 })),
  ),
  planted(
    'a node votes twice in a term',
    onMessage('vote', (message, state) => {
      if (message.term === state.term && state.role !== 'leader') {
        state.vote = '';
        state.leader = '';
      }
      return message;
    }),
  ),
  planted(
    'votes of earlier terms are counted',
    onMessage('vote-reply', (message, state) => ({ ...message, term: state.term })),
    elections,
  ),
  planted(
    'votes are granted before they are durable',
    {
      ready: (ready) => sendEarly(ready, ['vote-reply']),
    },
    elections,
  ),
  planted(
    'votes are asked for before the term is durable',
    {
      ready: (ready) => sendEarly(ready, ['vote']),
    },
    hastyElections,
  ),
];

const aboutTheLog: Planted[] = [
  planted(
    'a leader of an earlier term is obeyed',
    {
      receive: (message, raft) => {
        const { role, term } = stateOf(raft);
        const isLate = message.term < term && role !== 'leader';
        const isLeaders = message.type === 'append' || message.type === 'heartbeat';
        return isLeaders && isLate ? { ...message, term } : message;
      },
    },
    lateLeaders,
  ),
  planted(
    'entries of earlier terms are committed by counting',
    {
      after: (raft) => {
        const state = stateOf(raft);
        const index = countedIndex(state);
        if (state.role === 'leader' && index > state.log.committed) state.log.commitTo(index);
      },
    },
    fallingLeaders,
  ),
  planted('appends are acknowledged before they are durable', {
    ready: (ready) => sendEarly(ready, ['append-reply']),
  }),
  planted(
    'a stale append cuts off what came after it',
    onMessage('append', (message, state, disk) => {
      const { log } = state;
      const last = message.prevIndex + message.entries.length;
      const fits = message.term === state.term && log.matches(message.prevIndex, message.prevTerm);
      if (fits && state.role !== 'leader' && last >= log.firstIndex) disk.cutAfter(last);
      return message;
    }),
  ),
  planted('entries are applied before they are committed', {
    ready: (ready, applied) => {
      const last = ready.committed.at(-1)?.index ?? applied;
      const early = ready.entries.filter(({ index }) => index > last);
      const follows = early[0]?.index === last + 1 && early.every(({ kind }) => kind === 'normal');
      return follows ? { ...ready, committed: [...ready.committed, ...early] } : ready;
    },
  }),
  planted(
    'a snapshot that is older than the log is taken',
    onMessage('snapshot', (message, state, disk) => {
      const { snapshot } = message;
      if (snapshot.index < state.log.committed) disk.forgetAfter(snapshot.index);
      return message;
    }),
    lateSnapshots,
  ),
];

const aboutReads: Planted[] = [
  planted(
    'reads are answered without asking a quorum',
    {
      after: (raft) => {
        const state = stateOf(raft);
        for (const read of state.pendingReads) answerAtOnce(state, read.requestId, read.from);
        state.pendingReads = [];
      },
    },
    contested('quorum', { isolateLeader: 40 }),
  ),
  planted('a new leader answers reads before it has committed in its term', {
    after: (raft) => {
      const state = stateOf(raft);
      if (state.role !== 'leader') return;
      for (const read of state.postponedReads) answerAtOnce(state, read.requestId, read.from);
      state.postponedReads = [];
    },
  }),
  planted(
    'a leader reads by a lease that has run out',
    {
      after: (raft) => {
        const state = stateOf(raft);
        state.roundStarts = [{ round: 0, tick: state.leaderTicks }];
      },
    },
    contested('lease', { isolateLeader: 40 }),
  ),
  planted(
    'a node that restarts forgets the lease that it gave',
    {
      make: (id, build) => {
        const raft = make(id, build);
        stateOf(raft).sinceLeader = 1e9;
        return raft;
      },
    },
    hurried(contested('lease', { cutLink: 25 })),
  ),
  planted(
    'a leader reads by its lease while it hands over the leadership',
    {
      after: (raft) => {
        stateOf(raft).isLeaseGone = false;
      },
    },
    contested('lease', { transfer: 10, isolateLeader: 20 }),
  ),
];

const aboutMembership: Planted[] = [
  planted(
    'a membership change begins before the last one is in force',
    {
      beforeConfChange: (raft) => {
        stateOf(raft).pendingConfIndex = 0;
      },
    },
    withMembership,
  ),
  planted(
    'a joint membership needs the majority of the new voters only',
    {
      make: (id, build) => {
        const raft = make(id, build);
        const state = stateOf(raft);
        Object.defineProperty(state, 'voters', {
          get: () => ({ incoming: new Set(state.conf.voters), outgoing: new Set() }),
        });
        return raft;
      },
    },
    longJoint,
  ),
  planted(
    'a joint membership needs the majority of the old voters only',
    {
      make: (id, build) => {
        const raft = make(id, build);
        const state = stateOf(raft);
        Object.defineProperty(state, 'voters', {
          get: () => {
            const { voters, outgoing } = state.conf;
            const set = new Set(isJoint(state.conf) ? outgoing : voters);
            return { incoming: set, outgoing: new Set() };
          },
        });
        return raft;
      },
    },
    withMembership,
  ),
];

export const plantedBugs: readonly Planted[] = [
  ...aboutVotes,
  ...aboutTheLog,
  ...aboutReads,
  ...aboutMembership,
];
