/** What is said of a container that could not be started: clients read Docker's words for it. */
import { SwarmError } from '../../lib/errors.ts';

interface StartFailure {
  readonly failure: SwarmError;
  /** A shell's: 126 for what cannot be executed, 127 for what is not there. */
  readonly exitCode: number;
}

export const noBlockWeights = 'this kernel has no weights of block I/O: leave them out';

const mixedUp =
  'Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host ' +
  'path exists and is the expected type';
const prefix =
  'failed to create task for container: failed to create shim task: OCI runtime create failed: ' +
  'unable to start container process';

export function startFailure(error: unknown, argv: readonly string[]): StartFailure {
  const known = SwarmError.from(error);
  if (isOfBlockWeights(known.message)) {
    const failure = new SwarmError('unimplemented', noBlockWeights, { cause: error });
    return { failure, exitCode: 128 };
  }
  if (/\bmount(?:ing)? .*: not a directory/i.test(known.message)) {
    const failure = new SwarmError('invalid-argument', `${known.message}: ${mixedUp}`, {
      cause: error,
    });
    return { failure, exitCode: 127 };
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

interface CommandFailure {
  readonly reason: string;
  readonly exitCode: number;
}

interface CommandTrouble {
  /** What crun or runc says; its first group is what it names. */
  readonly said: RegExp;
  readonly failure: (command: string, named: string) => CommandFailure;
}

/** In the order of asking: the words of the OCI runtimes for what is wrong with a command. */
const commandTroubles: readonly CommandTrouble[] = [
  {
    said: /(?:executable file [`'"][^`'"]*[`'"] not found in \$PATH|exec: ".*?": (?:executable file not found in \$PATH|stat .*: no such file or directory))/i,
    failure: notFound,
  },
  {
    said: /\bchdir (?:to cwd )?[(`'"]+([^`'")]+)[)`'"]+.*?: no such file or directory/i,
    failure: (_, folder) => ({
      reason: noFolder(folder, 'no such file or directory'),
      exitCode: 127,
    }),
  },
  {
    said: /\bchdir (?:to cwd )?[(`'"]+([^`'")]+)[)`'"]+.*?: not a directory/i,
    failure: (_, folder) => ({ reason: noFolder(folder, 'not a directory'), exitCode: 126 }),
  },
  {
    said: /\bchdir (?:to cwd )?[(`'"]+([^`'")]+)[)`'"]+.*?: permission denied/i,
    failure: (_, folder) => ({ reason: noFolder(folder, 'permission denied'), exitCode: 126 }),
  },
  {
    said: /(?:open executable: (?:permission denied|operation not permitted)|exec: ".*?": (?:is a directory: )?permission denied)/i,
    failure: (command) => ({ reason: `exec: "${command}": permission denied`, exitCode: 126 }),
  },
  {
    said: /(?:open executable|exec container process .*|\bexec \S+): no such file or directory/i,
    failure: (command) => ({
      reason: `exec ${command}: no such file or directory`,
      exitCode: 127,
    }),
  },
  {
    said: /(?:exec container process .*|\bexec \S+): exec format error/i,
    failure: (command) => ({ reason: `exec ${command}: exec format error`, exitCode: 126 }),
  },
];

function notFound(command: string): CommandFailure {
  const reason = command.includes('/')
    ? `stat ${command}: no such file or directory`
    : 'executable file not found in $PATH';
  return { reason: `exec: "${command}": ${reason}`, exitCode: 127 };
}

function noFolder(folder: string, why: string): string {
  return `chdir to cwd ("${folder}") set in config.json failed: ${why}`;
}

/** Of an OCI runtime that could not execute the command; others are the host's own troubles. */
export function commandFailure(message: string, command: string): CommandFailure | undefined {
  if (command === '') return notFound(command);
  for (const { said, failure } of commandTroubles) {
    const found = said.exec(message);
    if (found !== null) return failure(command, found[1] ?? '');
  }
  return undefined;
}
