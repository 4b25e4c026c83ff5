/** What is said of a container that could not be started: clients read Docker's words for it. */
import { SwarmError } from '../../lib/errors.ts';

interface StartFailure {
  readonly failure: SwarmError;
  /** A shell's: 126 for what cannot be executed, 127 for what is not there. */
  readonly exitCode: number;
}

export const noBlockWeights = 'this kernel has no weights of block I/O: leave them out';

const prefix =
  'failed to create task for container: failed to create shim task: OCI runtime create failed: ' +
  'unable to start container process';

export function startFailure(error: unknown, argv: readonly string[]): StartFailure {
  const known = SwarmError.from(error);
  if (isOfBlockWeights(known.message)) {
    const failure = new SwarmError('unimplemented', noBlockWeights, { cause: error });
    return { failure, exitCode: 128 };
  }
  const found = commandFailure(known.message, argv[0] ?? '');
  if (found === undefined) return { failure: known, exitCode: 128 };
  const message = `${prefix}: ${found.reason}: unknown`;
  return {
    failure: new SwarmError('invalid-argument', message, { cause: error }),
    exitCode: found.exitCode,
  };
}

/** The OCI runtime names the file of the cgroup that it could not write. */
export function isOfBlockWeights(message: string): boolean {
  return /\b(?:blk)?io\.(?:bfq\.)?weight/.test(message);
}

/** Of an OCI runtime that could not execute the command; others are the host's own troubles. */
export function commandFailure(
  message: string,
  command: string,
): { readonly reason: string; readonly exitCode: number } | undefined {
  if (/executable file.*not found in \$PATH/i.test(message)) {
    return {
      reason: `exec: "${command}": executable file not found in $PATH`,
      exitCode: 127,
    };
  }
  const isCommand = message.includes(command) || /exec|chdir|cwd/i.test(message);
  if (!isCommand) return undefined;
  if (/no such file or directory/i.test(message) && !/mount|bind source/i.test(message)) {
    return {
      reason: `exec: "${command}": stat ${command}: no such file or directory`,
      exitCode: 127,
    };
  }
  if (/permission denied|open executable: operation not permitted/i.test(message)) {
    return { reason: `exec: "${command}": permission denied`, exitCode: 126 };
  }
  return undefined;
}
