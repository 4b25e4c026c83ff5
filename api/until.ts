/** The `until` filter of Docker's prunes: a moment, or how long ago it was. */
import { SwarmError } from '../lib/errors.ts';
import { parseUnixTime } from './convert/time.ts';

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** "90m", "2026-11-21", "2026-11-21T13:00:00Z" or seconds since 1970, as milliseconds since 1970. */
export function parseUntil(text: string, nowMs: number): number {
  const unixMs = parseUnixTime(text);
  if (unixMs !== undefined) return unixMs;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join('') === text) {
    const sinceMs = parts.map(([, count, unit = '']) => Number(count) * (unitMs[unit] ?? 0));
    return sinceMs.reduce((moment, ms) => moment - ms, nowMs);
  }
  const date = /^\d{4}-\d{2}-\d{2}(?:T|$)/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(date)) return date;
  throw new SwarmError('invalid-argument', `failed to parse value as time or duration: "${text}"`);
}
