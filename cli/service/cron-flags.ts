/** The flags of a cron service: each is a label of the service. */
import { oneOf, text, unsigned, type Flag } from '../command/flags.ts';
import { cronLabels, missedRunPolicies, overlapPolicies } from '../../types/index.ts';
import { scalar, type SpecFlag } from './spec-flag.ts';

export const schedule = text(
  'schedule',
  'When a run begins: 5 fields as in crontab, 6 with seconds in front, or @hourly and the like',
);

export const cronFlags: readonly SpecFlag[] = [
  labelled(schedule, 'schedule'),
  labelled(
    text('time-zone', 'Time zone of the schedule, such as Europe/Berlin', { shownDefault: 'UTC' }),
    'timeZone',
  ),
  labelled(
    oneOf(
      'missed-run',
      'What becomes of ticks that no manager could begin ("run-once", "skip")',
      missedRunPolicies,
      { shownDefault: '"run-once"' },
    ),
    'missedRun',
  ),
  labelled(
    oneOf(
      'overlap',
      'What becomes of a tick while a run goes on ("forbid", "allow", "replace")',
      overlapPolicies,
      { shownDefault: '"forbid"' },
    ),
    'overlap',
  ),
  labelled(unsigned('run-history', 'Number of past runs whose tasks are kept'), 'history'),
];

function labelled(flag: Flag<string> | Flag<number>, key: keyof typeof cronLabels): SpecFlag {
  return scalar<string | number>(flag, (spec, value) => {
    spec.labels = { ...spec.labels, [cronLabels[key]]: String(value) };
  });
}
