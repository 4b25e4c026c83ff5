/**
 * A cron service is a job whose labels name a schedule: Docker's API has no word for it, and labels
 * come through every client unharmed. Each tick of the schedule begins an iteration of the job.
 */
import type { ServiceMode, ServiceSpec } from './specs.ts';

const prefix = 'ts-swarm.cron.';

export const cronLabels = {
  schedule: `${prefix}schedule`,
  timeZone: `${prefix}time-zone`,
  missedRun: `${prefix}missed-run`,
  overlap: `${prefix}overlap`,
  history: `${prefix}history`,
} as const;

export const missedRunPolicies = ['run-once', 'skip'] as const;
export const overlapPolicies = ['allow', 'forbid', 'replace'] as const;

export interface CronSettings {
  /** Five fields, six with seconds in front, or a nickname such as `@hourly`. */
  readonly schedule: string;
  /** A name of the IANA time zone database. */
  readonly timeZone: string;
  /** What becomes of ticks that nobody could begin in time. */
  readonly missedRun: (typeof missedRunPolicies)[number];
  /** What becomes of a tick while the run before it still goes on. */
  readonly overlap: (typeof overlapPolicies)[number];
  /** Past runs whose tasks are kept; absent: as many as the swarm keeps tasks for each slot. */
  readonly history?: number;
}

/** The settings of a spec that is good; undefined for a service without a schedule. */
export function cronOf({ labels }: Pick<ServiceSpec, 'labels'>): CronSettings | undefined {
  const schedule = labels[cronLabels.schedule];
  if (schedule === undefined) return undefined;
  const history = labels[cronLabels.history];
  return {
    schedule,
    timeZone: labels[cronLabels.timeZone] ?? 'UTC',
    missedRun: oneOr(missedRunPolicies, labels[cronLabels.missedRun], 'run-once'),
    overlap: oneOr(overlapPolicies, labels[cronLabels.overlap], 'forbid'),
    ...(history === undefined ? {} : { history: Number(history) }),
  };
}

/** Labels that are meant for the schedule, whether there is such a setting or not. */
export function cronLabelsOf({ labels }: Pick<ServiceSpec, 'labels'>): [string, string][] {
  return Object.entries(labels).filter(([key]) => key.startsWith(prefix));
}

/** The service's tasks are to complete rather than to run on. */
export function isJobMode({ replicatedJob, globalJob }: ServiceMode): boolean {
  return replicatedJob !== undefined || globalJob !== undefined;
}

function oneOr<W extends string>(words: readonly W[], given: string | undefined, other: W): W {
  return words.find((word) => word === given) ?? other;
}
