/**
 * What a run is like, drawn from its seed. Each run has only some of the faults: one that has all
 * of them at once gets nowhere, and so finds little.
 */
import type { Message } from '../../raft/index.ts';
import { Dice } from './dice.ts';

export interface Settings {
  readonly seed: number;
  /** Voters at first; `spares` are further nodes that may be added. */
  readonly voters: number;
  readonly spares: number;
  /** Time with faults, in ticks. */
  readonly duration: number;
  readonly raft: {
    readonly electionTicks: number;
    readonly heartbeatTicks: number;
    readonly maxAppendBytes: number;
    readonly maxInflight: number;
    readonly maxApplyBytes: number;
    readonly maxUncommittedBytes: number;
    readonly preVote: boolean;
    readonly checkQuorum: boolean;
    readonly reads: 'quorum' | 'lease';
    readonly forwardProposals: boolean;
  };
  readonly network: {
    readonly delay: number;
    readonly loss: number;
    readonly double: number;
    /** The chance that a message takes up to `lateness` ticks. */
    readonly late: number;
    readonly lateness: number;
    /** Messages of one link keep their order, as in a stream. */
    readonly ordered: boolean;
    /** What cannot be delivered waits until the link is there again, instead of being lost. */
    readonly kept: boolean;
  };
  readonly disk: {
    /** The mean time that a sync takes, ticks. */
    readonly sync: number;
    /** The chance that it takes up to fifty times as long. */
    readonly slow: number;
  };
  readonly snapshot: { readonly entries: number; readonly keep: number };
  /** Several messages may come before a node does anything about the first. */
  readonly lazy: boolean;
  /** Nodes' clocks run at different speeds, and processes stand still for a while. */
  readonly unsteady: boolean;
  /** The chance that a node crashes when it has sent a message of the kind. */
  readonly crashAfter: Readonly<Partial<Record<Message['type'], number>>>;
  /** The longest that a node stays down, ticks. */
  readonly restart: number;
  /** The chance that a node stands for election as soon as it is up again. */
  readonly hasty: number;
  /** Mean times between faults, ticks; Infinity for never. */
  readonly every: Readonly<Record<Fault, number>>;
  /** Mean time between a client's operations, and their number. */
  readonly operationEvery: number;
  readonly operations: number;
  readonly keys: number;
}

export const faults = [
  'crash',
  'crashLeader',
  'crashAll',
  'partition',
  'isolateLeader',
  'cutOneWay',
  'cutLink',
  'pause',
  'transfer',
  'membership',
  'campaign',
  'unreachable',
  'diskFull',
] as const;
export type Fault = (typeof faults)[number];

export function settingsFor(seed: number): Settings {
  const dice = new Dice(seed);
  const lease = dice.chance(0.25);
  const unsteady = !lease && dice.chance(0.5);
  return {
    seed,
    voters: dice.pick([1, 2, 3, 3, 3, 3, 3, 4, 5, 5]),
    spares: dice.pick([0, 1, 2, 2]),
    duration: dice.pick([300, 600, 1000]),
    raft: {
      electionTicks: dice.pick([5, 10]),
      heartbeatTicks: dice.pick([1, 2, 3]),
      maxAppendBytes: dice.pick([1, 64, 400, 1 << 20]),
      maxInflight: dice.pick([1, 3, 16, 256]),
      maxApplyBytes: dice.pick([1, 200, 1 << 20]),
      maxUncommittedBytes: dice.pick([100, 4096, 1 << 20]),
      preVote: dice.chance(0.75),
      checkQuorum: lease || dice.chance(0.8),
      reads: lease ? 'lease' : 'quorum',
      forwardProposals: dice.chance(0.3),
    },
    network: {
      delay: dice.pick([0.1, 0.5, 1.5]),
      loss: dice.pick([0, 0, 0.02, 0.1]),
      double: dice.pick([0, 0, 0.05]),
      late: dice.pick([0, 0.02, 0.1]),
      lateness: dice.pick([5, 30, 120]),
      ordered: dice.chance(0.3),
      kept: dice.chance(0.4),
    },
    disk: { sync: dice.pick([0, 0.2, 1, 3]), slow: dice.pick([0, 0, 0.1]) },
    snapshot: { entries: dice.pick([4, 15, 1000]), keep: dice.pick([0, 3, 10]) },
    lazy: dice.chance(0.3),
    unsteady,
    crashAfter: drawCrashes(dice),
    restart: dice.pick([2, 20, 80]),
    hasty: dice.pick([0, 0, 0.5]),
    every: drawFaults(dice, unsteady),
    operationEvery: dice.pick([1, 2, 5]),
    operations: 150,
    keys: dice.pick([1, 2, 3]),
  };
}

function drawCrashes(dice: Dice): Settings['crashAfter'] {
  const some = (most: number) => (dice.chance(0.3) ? dice.between(0, most) : 0);
  return {
    vote: some(0.3),
    'vote-reply': some(0.3),
    'append-reply': some(0.03),
    append: some(0.02),
    'timeout-now': some(0.3),
    'heartbeat-reply': some(0.02),
    snapshot: some(0.3),
  };
}

function drawFaults(dice: Dice, unsteady: boolean): Record<Fault, number> {
  const some = (probability: number, from: number, to: number) =>
    dice.chance(probability) ? dice.between(from, to) : Infinity;
  return {
    crash: some(0.6, 20, 200),
    crashLeader: some(0.4, 40, 200),
    crashAll: some(0.15, 100, 300),
    partition: some(0.4, 50, 200),
    isolateLeader: some(0.4, 50, 200),
    cutOneWay: some(0.3, 50, 200),
    cutLink: some(0.3, 30, 150),
    pause: unsteady ? some(0.7, 30, 150) : Infinity,
    transfer: some(0.4, 20, 120),
    membership: some(0.5, 10, 80),
    campaign: some(0.2, 30, 120),
    unreachable: some(0.3, 10, 60),
    diskFull: some(0.25, 60, 200),
  };
}
