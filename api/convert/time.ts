/** Times as Docker writes them: RFC 3339 in UTC. Pure: the calendar is computed here. */

const dayMs = 86_400_000;
/** What Go's zero time is written as. */
export const zeroTime = '0001-01-01T00:00:00Z';

/** RFC3339Nano, as Go writes it: the fraction's trailing zeros are left out. */
export function timeText(ms: number): string {
  const whole = Math.floor(ms / 1000);
  const fraction = Math.floor(ms - whole * 1000);
  const digits = fraction === 0 ? '' : `.${pad(fraction, 3)}`.replace(/0+$/, '');
  return `${secondsText(whole)}${digits}Z`;
}

/** With all nine digits of the fraction, so that columns line up: as in logs. */
export function fixedTimeText(ns: bigint): string {
  const whole = ns / 1_000_000_000n;
  return `${secondsText(Number(whole))}.${pad(ns % 1_000_000_000n, 9)}Z`;
}

/** Seconds and fraction since the epoch ("1136073600.000000001"), as milliseconds. */
export function parseUnixTime(text: string): number | undefined {
  if (!/^-?\d{1,12}(?:\.\d{1,9})?$/.test(text)) return undefined;
  return Number(text) * 1000;
}

function secondsText(seconds: number): string {
  const ms = seconds * 1000;
  const days = Math.floor(ms / dayMs);
  const { year, month, day } = dateOf(days);
  const rest = seconds - days * 86_400;
  const clock = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60];
  const time = clock.map((part) => pad(part, 2)).join(':');
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${time}`;
}

/**
 * The Gregorian date of a day counted from 1970-01-01. Years are taken to begin in March, so that
 * the leap day comes last; 400 of them are always 146,097 days.
 */
function dateOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leapDays =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1;
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function pad(value: number | bigint, length: number): string {
  return String(value).padStart(length, '0');
}
