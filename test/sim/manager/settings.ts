/** What a run is like, drawn from its seed. Only some faults each, or it would get nowhere. */
import { Dice } from '../dice.ts';

export const faults = [
  'killManager',
  'killLeader',
  'killAllManagers',
  'pauseManager',
  'isolateLeader',
  'partition',
  'cutOneWay',
  'transfer',
  'diskFull',
  'replaceManager',
  'killHost',
  'killDaemon',
  'cutHost',
  'exitContainer',
] as const;
export type Fault = (typeof faults)[number];

export interface Settings {
  readonly seed: number;
  readonly managers: number;
  readonly hosts: number;
  /** Time with faults, milliseconds. */
  readonly durationMs: number;
  readonly network: {
    readonly delayMs: number;
    readonly loss: number;
    readonly double: number;
    /** The chance that a message takes up to `lateMs`. */
    readonly late: number;
    readonly lateMs: number;
  };
  /** The mean time of a sync, and the chance that it takes up to fifty times as long. */
  readonly disk: { readonly syncMs: number; readonly slow: number };
  readonly snapshotEntries: number;
  readonly keepEntries: number;
  /** Managers' wall clocks differ by up to this. */
  readonly skewMs: number;
  readonly commandEveryMs: number;
  /** One host does not come back when the faults stop. */
  readonly losesHost: boolean;
  /** Mean times between faults, milliseconds; Infinity for never. */
  readonly everyMs: Readonly<Record<Fault, number>>;
}

export function settingsFor(seed: number): Settings {
  const dice = new Dice(seed ^ 0x3c6ef372);
  return {
    seed,
    managers: dice.pick([3, 3, 3, 5]),
    hosts: dice.pick([3, 4]),
    durationMs: dice.pick([20_000, 30_000, 50_000]),
    network: {
      delayMs: dice.pick([0.5, 2, 15]),
      loss: dice.pick([0, 0, 0.02, 0.1]),
      double: dice.pick([0, 0, 0.05]),
      late: dice.pick([0, 0.02, 0.1]),
      lateMs: dice.pick([50, 500, 3_000]),
    },
    disk: { syncMs: dice.pick([0.5, 3, 10]), slow: dice.pick([0, 0, 0.05]) },
    snapshotEntries: dice.pick([10, 60, 1_000]),
    keepEntries: dice.pick([0, 5, 30]),
    skewMs: dice.pick([0, 50, 5_000]),
    commandEveryMs: dice.pick([400, 1_500, 4_000]),
    losesHost: dice.chance(0.3),
    everyMs: drawFaults(dice),
  };
}

function drawFaults(dice: Dice): Record<Fault, number> {
  const some = (probability: number, fromMs: number, toMs: number) =>
    dice.chance(probability) ? dice.between(fromMs, toMs) : Infinity;
  return {
    killManager: some(0.5, 3_000, 15_000),
    killLeader: some(0.4, 4_000, 15_000),
    killAllManagers: some(0.15, 10_000, 25_000),
    pauseManager: some(0.3, 3_000, 15_000),
    isolateLeader: some(0.4, 5_000, 15_000),
    partition: some(0.3, 5_000, 15_000),
    cutOneWay: some(0.3, 4_000, 15_000),
    transfer: some(0.3, 2_000, 10_000),
    diskFull: some(0.25, 5_000, 15_000),
    replaceManager: some(0.3, 6_000, 20_000),
    killHost: some(0.4, 4_000, 15_000),
    killDaemon: some(0.4, 3_000, 12_000),
    cutHost: some(0.4, 3_000, 12_000),
    exitContainer: some(0.4, 800, 5_000),
  };
}
