/** Runs a command inside a running container: what health checks need. */
import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Random } from '../../../lib/random.ts';
import { makeFifo, readFifo } from '../logs/fifo.ts';
import { execProcess } from '../oci/spec.ts';
import type { ContainerdClient } from './client.ts';
import { ignoreMissing } from './creation.ts';
import type { Held } from './held.ts';
import { json, processType } from './meta.ts';
import type { RuntimePaths } from './paths.ts';

const outputBytesMax = 4096;
/** After SIGKILL; a process that does not end then hangs in the kernel. */
const killTimeoutMs = 5_000;
/** What a shell reports for a command that cannot be executed. */
const notExecutable = 126;

interface ExecResult {
  readonly exitCode: number;
  readonly output: string;
  readonly timedOut: boolean;
}

export class ExecRunner {
  readonly #client: ContainerdClient;
  readonly #paths: RuntimePaths;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Logger;
  readonly #waiting = new Map<string, (exitCode: number) => void>();
  /** Output beyond what is kept is read and dropped, so one buffer does for all. */
  readonly #buffer = Buffer.alloc(outputBytesMax);

  constructor(
    context: { readonly client: ContainerdClient; readonly paths: RuntimePaths },
    deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
  ) {
    this.#client = context.client;
    this.#paths = context.paths;
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#log = deps.log;
  }

  /** containerd says that an executed process has ended. False where it is none of these. */
  exited(containerId: string, execId: string, exitCode: number): boolean {
    const waiting = this.#waiting.get(`${containerId}/${execId}`);
    waiting?.(exitCode);
    return waiting !== undefined;
  }

  async run(
    held: Held,
    command: { readonly argv: readonly string[]; readonly timeoutMs: number },
  ): Promise<ExecResult> {
    const execId = `exec-${this.#random.id()}`;
    const fifo = this.#paths.fifo(held.id, execId);
    const key = `${held.id}/${execId}`;
    const ended = Promise.withResolvers<number>();
    this.#waiting.set(key, ended.resolve);
    makeFifo(fifo);
    const output = new Output(fifo, this.#buffer, this.#log);
    try {
      const spec = json(processType, execProcess(held.process, command.argv));
      const containerId = held.id;
      await this.#client.tasks.exec({ containerId, execId, stdout: fifo, stderr: fifo, spec });
      try {
        await this.#client.tasks.start({ containerId, execId });
      } catch (error) {
        await ignoreMissing(this.#client.tasks.deleteProcess({ containerId, execId }));
        return { exitCode: notExecutable, output: messageOf(error), timedOut: false };
      }
      const outcome = await this.#outcome(ended.promise, containerId, execId, command.timeoutMs);
      // The shim answers once it has carried over the last of the output.
      await ignoreMissing(this.#client.tasks.deleteProcess({ containerId, execId }));
      return { ...outcome, output: await output.end() };
    } finally {
      this.#waiting.delete(key);
      output.close();
      await rm(fifo, { force: true });
    }
  }

  async #outcome(
    ended: Promise<number>,
    containerId: string,
    execId: string,
    timeoutMs: number,
  ): Promise<{ exitCode: number; timedOut: boolean }> {
    const first = await this.#within(ended, timeoutMs);
    if (first !== undefined) return { exitCode: first, timedOut: false };
    await ignoreMissing(this.#client.tasks.kill({ containerId, execId, signal: 9 }));
    const exitCode = await this.#within(ended, killTimeoutMs);
    if (exitCode === undefined) {
      throw new SwarmError(
        'deadline-exceeded',
        `a command in container ${containerId} did not end after SIGKILL`,
      );
    }
    return { exitCode, timedOut: true };
  }

  async #within(ended: Promise<number>, timeoutMs: number): Promise<number | undefined> {
    const late = Promise.withResolvers<undefined>();
    const timer = this.#clock.after(timeoutMs, () => late.resolve(undefined));
    try {
      return await Promise.race([ended, late.promise]);
    } finally {
      timer.cancel();
    }
  }
}

class Output {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #reads = 0;

  constructor(fifo: string, buffer: Uint8Array, log: Logger) {
    this.#socket = readFifo(fifo, buffer, (bytes) => {
      const kept = Buffer.from(bytes.subarray(0, Math.max(0, outputBytesMax - this.#bytes)));
      this.#bytes += kept.length;
      this.#reads++;
      if (kept.length > 0) this.#chunks.push(kept);
      return true;
    });
    this.#socket.on('error', (error) => {
      log.warn('reading the output of a command failed', { fifo, error: error.message });
    });
    this.#socket.resume();
  }

  /** What is in the pipe now is read within a turn of the event loop, or a few. */
  async end(): Promise<string> {
    let reads: number;
    do {
      reads = this.#reads;
      await nextTurn();
    } while (this.#reads !== reads && this.#bytes < outputBytesMax);
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  close(): void {
    this.#socket.destroy();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    // Once around: the poll for input lies between two immediates.
    setImmediate(() => setImmediate(resolve));
  });
}
