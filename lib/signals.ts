/** Signals by Docker's names: with or without SIG, or a number. */
import { SwarmError } from './errors.ts';

const numbers: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  IOT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  POLL: 29,
  PWR: 30,
  SYS: 31,
};
const realTimeMin = 34;
const realTimeMax = 64;

/** The exit code of a process that SIGKILL has ended. */
export const killedExitCode = 128 + 9;

/** Throws SwarmError `invalid-argument` for a signal that Linux does not have. */
export function signalNumber(signal: string): number {
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const known = numbers[name];
  if (known !== undefined) return known;
  const number = /^\d+$/.test(name) ? Number(name) : realTime(name);
  if (number === undefined || number < 1 || number > realTimeMax) {
    throw new SwarmError('invalid-argument', `invalid signal: ${signal}`);
  }
  return number;
}

/** `given`, where Linux has such a signal; else SIGTERM, as Docker does for what an image says. */
export function signalOrTerm(given = ''): string {
  if (given === '') return 'SIGTERM';
  try {
    signalNumber(given);
    return given;
  } catch {
    return 'SIGTERM';
  }
}

function realTime(name: string): number | undefined {
  const [, base, sign, offset] = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name) ?? [];
  if (base === undefined) return undefined;
  const start = base === 'MIN' ? realTimeMin : realTimeMax;
  const number = start + (sign === '-' ? -1 : 1) * Number(offset ?? 0);
  return number >= realTimeMin ? number : undefined;
}
