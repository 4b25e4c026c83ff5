/** How a command fails: a SwarmError whose details may carry the exit code. */
import { SwarmError } from '../../lib/errors.ts';

const exitCodeKey = 'exitCode';

/** Wrong flags: Docker ends with 125 and points at --help. */
export function usageError(message: string): SwarmError {
  return new SwarmError('invalid-argument', message, { details: { [exitCodeKey]: 125 } });
}

/** The command itself was understood, and cannot be done as asked. Ends with 1. */
export function commandError(message: string): SwarmError {
  return new SwarmError('failed-precondition', message);
}

/** Ends the process with this code and prints nothing more. */
export function silentExit(exitCode: number): SwarmError {
  return new SwarmError('failed-precondition', '', { details: { [exitCodeKey]: exitCode } });
}

export function exitCodeOf(error: SwarmError): number {
  const code = error.details[exitCodeKey];
  return typeof code === 'number' ? code : 1;
}
