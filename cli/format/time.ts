/** Points in time as users write them and as logs and events show them. */
import { parseDurationMs } from './parse.ts';

/** For `since` and `until`: a duration back from now, RFC 3339, or seconds since the epoch. */
export function unixSeconds(text: string, nowMs: number): string {
  if (/^\d+(\.\d+)?$/.test(text)) return text;
  try {
    return ((nowMs - parseDurationMs(text)) / 1000).toFixed(3);
  } catch (error) {
    const ms = Date.parse(/T.*([zZ]|[-+]\d\d:?\d\d)$/.test(text) ? text : localTime(text));
    if (Number.isNaN(ms)) {
      throw new Error(
        `failed to parse ${JSON.stringify(text)} as a time: use a duration back from now (42m), ` +
          `RFC 3339 (2013-01-02T13:23:37Z), or seconds since the epoch`,
        { cause: error },
      );
    }
    return (ms / 1000).toFixed(3);
  }
}

/** A date alone would be read as UTC; Docker means the user's own time. */
function localTime(text: string): string {
  return /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text;
}

/** RFC 3339 with nanoseconds, in the user's time zone. */
export function localNanoTime(seconds: number, nanoseconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  const offset = -date.getTimezoneOffset();
  const sign = offset < 0 ? '-' : '+';
  const away = Math.abs(offset);
  const zone = offset === 0 ? 'Z' : `${sign}${two(Math.floor(away / 60))}:${two(away % 60)}`;
  return `${day}T${time}.${String(nanoseconds).padStart(9, '0')}${zone}`;
}
