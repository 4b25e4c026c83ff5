/** Schedules as cron writes them, and their ticks. A schedule knows no time but what it is told. */
import { Cron } from 'croner';
import { SwarmError } from './errors.ts';

interface CronSchedule {
  /** The first tick after the time, in milliseconds since the epoch; undefined if none comes. */
  next(afterMs: number): number | undefined;
  /** The last tick up to and including the time; undefined if there was none. */
  latest(atMs: number): number | undefined;
}

/** From which a schedule that never ticks is told from one that does. */
const someTimeMs = 1_700_000_000_000;

/**
 * Reads five fields (minute, hour, day of month, month, day of week), six with the second first, or
 * a nickname. Of a time of day that the zone's clocks pass over in spring the tick comes an hour
 * later by the clock; of one that comes twice in autumn only the first is a tick, unless hour or
 * minute are left open. Throws `invalid-argument`.
 */
export function parseCron(expression: string, timeZone: string): CronSchedule {
  checkTimeZone(timeZone);
  const fields = expression.trim().split(/\s+/);
  const isNickname = /^@[a-z]+$/.test(expression.trim());
  if (!isNickname && fields.length !== 5 && fields.length !== 6) {
    throw invalid(
      `"${expression}" is no schedule: it takes 5 fields (minute, hour, day of month, month, ` +
        'day of week), 6 with the second in front, or a name such as @hourly',
    );
  }
  const cron = read(fields.join(' '), timeZone);
  if (cron.nextRun(new Date(someTimeMs)) === null) {
    throw invalid(`the schedule "${expression}" names a time that never comes`);
  }
  return {
    next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime(),
    latest(atMs) {
      // The library's answer lies before the second that it is asked from.
      const found = cron.previousRuns(2, new Date(atMs + 1000)).map((at) => at.getTime());
      return found.find((ms) => ms <= atMs);
    },
  };
}

function read(expression: string, timezone: string): Cron {
  try {
    return new Cron(expression, { timezone, paused: true, mode: '5-or-6-parts' });
  } catch (error) {
    const what = SwarmError.from(error).message.replace(/^Cron[A-Za-z]*: /, '');
    throw invalid(`"${expression}" is no schedule: ${what}`);
  }
}

function checkTimeZone(timeZone: string): void {
  try {
    Intl.DateTimeFormat('en', { timeZone });
  } catch (error) {
    throw new SwarmError(
      'invalid-argument',
      `"${timeZone}" is no time zone; use a name such as UTC or Europe/Berlin`,
      { cause: error },
    );
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
