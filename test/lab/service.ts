/** A long-running process of a lab: started, watched and stopped by its pid. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { errnoOf } from '../../lib/errors.ts';
import { childrenOf, signal, startTicksOf } from './processes.ts';
import { environmentMark } from './state.ts';
import { until } from './until.ts';

interface ServiceOptions {
  readonly labId: number;
  readonly name: string;
  readonly argv: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** How many processes stand above the service's own: nsenter and unshare wait for a child. */
  readonly depth: 0 | 1;
}

export class Service {
  readonly name: string;
  readonly logFile: string;
  /** The service's own process. */
  readonly pid: number;
  readonly #startTicks: number | undefined;

  private constructor(name: string, logFile: string, pid: number) {
    this.name = name;
    this.logFile = logFile;
    this.pid = pid;
    this.#startTicks = startTicksOf(pid);
  }

  /** Starts the service in a session of its own: it outlives this process, and Ctrl-C. */
  static async start(options: ServiceOptions): Promise<Service> {
    const { name, argv, logFile, depth } = options;
    const log = openSync(logFile, 'a');
    const [command = '', ...args] = argv;
    const child = spawn(command, args, {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...options.env, [environmentMark]: String(options.labId) },
    });
    closeSync(log);
    let ended: string | undefined;
    child.on('error', (error) => (ended = error.message));
    child.on('exit', (code, signal) => (ended = `ended with ${signal ?? `code ${code}`}`));
    child.unref();
    const pid = await until(
      `the process of ${name} is there`,
      () => {
        if (ended !== undefined) return { ended };
        return depth === 0 ? child.pid : childrenOf(child.pid ?? 0)[0];
      },
      { everyMs: 3 },
    );
    if (typeof pid === 'object') {
      throw new Error(`${name} ${pid.ended}; its last lines: ${tail(logFile)}`);
    }
    return new Service(name, logFile, pid ?? 0);
  }

  /** A service that another process started. */
  static attach(name: string, logFile: string, pid: number): Service {
    return new Service(name, logFile, pid);
  }

  get isRunning(): boolean {
    return this.#startTicks !== undefined && startTicksOf(this.pid) === this.#startTicks;
  }

  /** SIGTERM, then waits until it has ended. */
  async stop(): Promise<void> {
    if (this.isRunning) signal(this.pid, 'SIGTERM');
    await this.#gone('SIGTERM');
  }

  /** SIGKILL, to this one process only. */
  async kill(): Promise<void> {
    if (this.isRunning) signal(this.pid, 'SIGKILL');
    await this.#gone('SIGKILL');
  }

  /** Waits until `probe` gives a truthy value; ends at once, with the log, if the service ends. */
  async ready(probe: () => Promise<unknown>): Promise<void> {
    try {
      await until(`${this.name} answers`, async () => (this.isRunning ? await probe() : 'ended'), {
        everyMs: 20,
      });
      if (!this.isRunning) throw new Error(`${this.name} has ended`);
    } catch (error) {
      throw new Error(`${String(error)}; its last lines: ${this.tail()}`, { cause: error });
    }
  }

  /** The last lines of the service's log. */
  tail(lines = 20): string {
    return tail(this.logFile, lines);
  }

  async #gone(sent: string): Promise<void> {
    try {
      await until(`${this.name} ends after ${sent}`, () => !this.isRunning, {
        everyMs: 5,
      });
    } catch (error) {
      throw new Error(`${String(error)}; its last lines: ${this.tail()}`, { cause: error });
    }
  }
}

function tail(path: string, lines = 20): string {
  try {
    return `\n${readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n')}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '(no log)';
    throw error;
  }
}
