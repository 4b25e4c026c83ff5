/** Runs the daemon's program: in front, or as a process of its own that outlives this one. */
import { spawn } from 'node:child_process';
import { openSync, closeSync, fstatSync, readSync } from 'node:fs';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf, SwarmError } from '../../lib/errors.ts';
import { makeFoldersSync } from '../../lib/folders.ts';
import { Client } from '../client/index.ts';
import { silentExit } from '../command/errors.ts';

const startTimeoutMs = 60_000;
const pollMs = 50;
const pingTimeoutMs = 2000;
const shownLogBytes = 4096;
const shownLogLines = 15;

const extension = extname(import.meta.filename);
const cliFile = join(import.meta.dirname, '..', `main${extension}`);
/** Beside the CLI, in one file once it is built; the two meet nowhere in their imports. */
const daemonFile = join(
  import.meta.dirname,
  '../..',
  extension === '.js' ? 'bundle/daemon.js' : 'daemon/main.ts',
);

/** Runs the daemon in this process until it ends. */
export async function runDaemonInFront(argv: readonly string[]): Promise<void> {
  const program = (await import(pathToFileURL(daemonFile).href)) as DaemonProgram;
  const exitCode = await program.main(argv);
  if (exitCode !== 0) throw silentExit(exitCode);
}

interface DaemonProgram {
  /** Resolves to the exit code when the daemon has ended. */
  main(argv: readonly string[]): Promise<number>;
}

export interface StartOptions {
  readonly host: string;
  readonly runRoot: string;
  /** Flags for the daemon. */
  readonly argv: readonly string[];
  readonly clock: Clock;
}

/** Starts the daemon unless one answers on the socket. Returns whether it did. */
export async function ensureDaemon(options: StartOptions): Promise<boolean> {
  const client = new Client(options.host);
  if (await answers(client)) return false;
  if (!options.host.startsWith('unix://')) {
    throw new SwarmError(
      'unavailable',
      `no daemon answers at ${options.host}: only one on a unix socket of this host can be started`,
    );
  }
  await startDaemon(client, options);
  return true;
}

async function answers(client: Client): Promise<boolean> {
  try {
    await client.ping({ timeoutMs: pingTimeoutMs });
    return true;
  } catch (error) {
    const cause = error instanceof SwarmError ? error.cause : undefined;
    if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(errnoOf(cause) ?? '')) return false;
    throw error;
  }
}

async function startDaemon(client: Client, options: StartOptions): Promise<void> {
  const logPath = join(options.runRoot, 'daemon.log');
  const log = openLog(options.runRoot, logPath);
  const startSize = fstatSync(log).size;
  const child = spawn(
    process.execPath,
    [
      // What this process was begun with suits the daemon as well.
      ...process.execArgv,
      cliFile,
      'daemon',
      `--host=${options.host}`,
      ...options.argv,
    ],
    { detached: true, stdio: ['ignore', log, log], cwd: '/' },
  );
  closeSync(log);
  let ended: string | undefined;
  child.on('exit', (code, signal) => (ended = signal ?? `exit code ${code}`));
  child.on('error', (error) => (ended = messageOf(error)));
  child.unref();
  const deadlineMs = options.clock.monotonicMs() + startTimeoutMs;
  while (!(await answers(client))) {
    if (ended !== undefined) {
      throw new SwarmError(
        'unavailable',
        `the daemon ended before it answered (${ended}). The end of ${logPath}:\n${tail(logPath, startSize)}`,
      );
    }
    if (options.clock.monotonicMs() > deadlineMs) {
      throw new SwarmError(
        'deadline-exceeded',
        `the daemon (process ${child.pid}) runs, but does not answer at ${options.host} after ` +
          `${startTimeoutMs / 1000} seconds. The end of ${logPath}:\n${tail(logPath, startSize)}`,
      );
    }
    await options.clock.sleep(pollMs);
  }
}

function openLog(runRoot: string, path: string): number {
  try {
    makeFoldersSync(runRoot, 0o711);
    return openSync(path, 'a', 0o640);
  } catch (error) {
    throw new SwarmError(
      'permission-denied',
      `${path} cannot be written (${messageOf(error)}): start the daemon as root, or choose another --run-root`,
      { cause: error },
    );
  }
}

/** The last lines that were written after `startSize`. */
function tail(path: string, startSize: number): string {
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    const from = Math.max(startSize, size - shownLogBytes);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    readSync(file, buffer, 0, buffer.length, from);
    const lines = buffer.toString('utf8').trimEnd().split('\n').slice(-shownLogLines);
    return lines.map((line) => `  ${line}`).join('\n');
  } finally {
    closeSync(file);
  }
}
