/** What makes a schedule a good one: the labels that a cron service is told by. */
import { parseCron } from '../../lib/cron.ts';
import { SwarmError } from '../../lib/errors.ts';
import {
  cronLabels,
  cronLabelsOf,
  cronOf,
  isJobMode,
  missedRunPolicies,
  overlapPolicies,
  type ServiceSpec,
} from '../../types/index.ts';

const maxHistory = 1000;

/** Throws `invalid-argument` for the first thing that is wrong. */
export function validateCron(spec: ServiceSpec): void {
  const given = cronLabelsOf(spec);
  const known: readonly string[] = Object.values(cronLabels);
  for (const [key] of given) {
    if (!known.includes(key)) {
      throw invalid(`the label ${key} is no setting of a schedule; there are ${known.join(', ')}`);
    }
  }
  const cron = cronOf(spec);
  if (cron === undefined) {
    const [first] = given;
    if (first === undefined) return;
    throw invalid(`the label ${first[0]} needs a schedule; set ${cronLabels.schedule} as well`);
  }
  if (!isJobMode(spec.mode)) {
    throw invalid(
      'only a job can have a schedule; use the mode cron, replicated-job or global-job',
    );
  }
  parseCron(cron.schedule, cron.timeZone);
  oneOf(spec, cronLabels.missedRun, missedRunPolicies);
  oneOf(spec, cronLabels.overlap, overlapPolicies);
  const history = spec.labels[cronLabels.history];
  if (history !== undefined && !(/^\d+$/.test(history) && Number(history) <= maxHistory)) {
    throw invalid(`the history of runs, "${history}", is no number from 0 to ${maxHistory}`);
  }
  const { maxConcurrent = 1, totalCompletions = maxConcurrent } = spec.mode.replicatedJob ?? {};
  if (cron.overlap === 'allow' && maxConcurrent < totalCompletions) {
    throw invalid(
      'runs that may overlap begin all their tasks at once; ' +
        'leave max-concurrent out, or let runs not overlap',
    );
  }
}

function oneOf(spec: ServiceSpec, label: string, words: readonly string[]): void {
  const word = spec.labels[label];
  if (word === undefined || words.includes(word)) return;
  throw invalid(`the label ${label} is "${word}", and can be ${words.join(', ')}`);
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
