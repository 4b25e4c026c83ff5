/** Child processes with a time limit, and errors that say what the command said. */
import { spawn, spawnSync } from 'node:child_process';

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** A minute and a half unless told. The command is killed then. */
  readonly timeoutMs?: number;
  readonly input?: string | Uint8Array;
  /** On top of this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

class RunError extends Error {
  override readonly name = 'RunError';
  readonly result: RunResult;

  constructor(argv: readonly string[], result: RunResult) {
    const said = (result.stderr || result.stdout).trim().slice(-2000);
    super(`'${argv.join(' ')}' ended with code ${result.code}: ${said}`);
    this.result = result;
  }
}

/** Runs a command to its end, whatever its exit code. Rejects when it does not start or end. */
export function runResult(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { timeoutMs = 90_000, input, env, cwd } = options;
  const [command = '', ...args] = argv;
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const child = spawn(command, args, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: env === undefined ? process.env : { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  // A command that ends without reading its input says so by its exit code.
  child.stdin?.on('error', (error) => err.push(Buffer.from(`(input: ${error.message})`)));
  child.stdin?.end(input);
  const result = (code: number): RunResult => ({
    code,
    stdout: Buffer.concat(out).toString(),
    stderr: Buffer.concat(err).toString(),
  });
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    // A grandchild may hold the pipes open; the command's own end is what counts.
    child.stdout?.destroy();
    child.stderr?.destroy();
    const { stdout, stderr } = result(-1);
    const said = `${stdout}${stderr}`.trim().slice(-2000);
    reject(new Error(`'${argv.join(' ')}' did not end within ${timeoutMs} ms: ${said}`));
  }, timeoutMs);
  child.on('error', (error) => {
    clearTimeout(timer);
    reject(new Error(`'${command}' does not start: ${error.message}`));
  });
  child.on('close', (code, signal) => {
    clearTimeout(timer);
    resolve(result(code ?? (signal === null ? -1 : 128)));
  });
  return promise;
}

/** Runs a command to its end; returns what it printed. Throws RunError on a code other than 0. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  return printed(argv, await runResult(argv, options));
}

/** What the command printed. Throws RunError on a code other than 0. */
export function printed(argv: readonly string[], result: RunResult): string {
  if (result.code !== 0) throw new RunError(argv, result);
  return result.stdout;
}

/** The same, blocking: for clean-up while the process ends. */
export function runSync(argv: readonly string[], input = ''): string {
  const [command = '', ...args] = argv;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    input,
    encoding: 'utf8',
    timeout: 90_000,
  });
  if (error !== undefined) throw new Error(`'${command}' does not run: ${error.message}`);
  if (status !== 0) throw new RunError(argv, { code: status ?? -1, stdout, stderr });
  return stdout;
}
