/** What is done to, and read of, containers that run: a task's as well as this node's own. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { withAbort } from '../../lib/abort.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Images } from '../image/images.ts';
import type { LimitChanges, Usage } from '../runtime/controls.ts';
import type { TerminalSize } from '../runtime/io.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Attachment, AttachRequest } from './streams.ts';
import type { ContainerView } from './view.ts';

const run = promisify(execFile);

const psTimeoutMs = 10_000;
const psBytesMax = 16 * 1024 * 1024;
const defaultStopSeconds = 10;
const forever = 2 ** 31 - 1;
/** Linux counts CPU time in hundredths of a second. */
const nsPerTick = 1e7;

interface ProcessTable {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

export class Inside {
  readonly #runtime: Runtime;
  readonly #images: Images;

  constructor(runtime: Runtime, images: Images) {
    this.#runtime = runtime;
    this.#images = images;
  }

  /** Bytes of the container's own layer, and of that with its image. */
  async size({ record, taskId }: ContainerView): Promise<{ layer: number; whole: number }> {
    const [layer, image] = await Promise.all([
      taskId === undefined ? this.#runtime.layers.sizeBytes(record.id) : 0,
      this.#images.get(record.imageId),
    ]);
    return { layer, whole: layer + (image?.sizeBytes ?? 0) };
  }

  usage({ runtimeId }: ContainerView): Promise<Usage> {
    return this.#runtime.controls.usage(runtimeId);
  }

  /** CPU time of the whole host, idle time included. */
  async systemCpuNs(): Promise<number> {
    const [line = ''] = (await readFile('/proc/stat', 'utf8')).split('\n', 1);
    const ticks = line.split(/\s+/).slice(1, 9).map(Number);
    return ticks.reduce((sum, count) => sum + count, 0) * nsPerTick;
  }

  resize({ runtimeId }: ContainerView, size: TerminalSize): Promise<void> {
    return this.#runtime.io.resize(runtimeId, size);
  }

  updateLimits(id: string, changes: LimitChanges): Promise<void> {
    return Object.keys(changes).length === 0
      ? Promise.resolve()
      : this.#runtime.controls.update(id, changes);
  }

  /** The host's own `ps`, of which the container's processes are left. */
  async top({ record, runtimeId, state }: ContainerView, psArgs: string): Promise<ProcessTable> {
    if (state.status !== 'running' && state.status !== 'paused') {
      throw new SwarmError('aborted', `container ${record.id} is not running`);
    }
    const pids = new Set(await this.#runtime.controls.pids(runtimeId));
    let text: string;
    try {
      const args = psArgs.split(/\s+/).filter((word) => word !== '');
      const options = { timeout: psTimeoutMs, maxBuffer: psBytesMax };
      ({ stdout: text } = await run('ps', args, options));
    } catch (error) {
      const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
      const reason = said.split('\n')[0] || 'cannot run ps: install the package procps';
      throw new SwarmError('failed-precondition', `ps: ${reason}`, { cause: error });
    }
    return tableOf(text, pids);
  }

  /** A task's: the swarm makes another in its place. */
  async stopTask(
    { runtimeId, state }: ContainerView,
    options: { readonly seconds?: number; readonly signal?: string },
  ): Promise<boolean> {
    if (state.status !== 'running' && state.status !== 'paused') return false;
    const { seconds = defaultStopSeconds, signal = 'SIGTERM' } = options;
    const graceMs = seconds < 0 ? forever : seconds * 1000;
    await this.#runtime.stop(runtimeId, { signalName: signal, graceMs });
    return true;
  }

  async killTask({ record, runtimeId, state }: ContainerView, signal: string): Promise<void> {
    if (state.status !== 'running' && state.status !== 'paused') {
      throw new SwarmError('aborted', `container ${record.id} is not running`);
    }
    await this.#runtime.kill(runtimeId, signal);
  }

  /** Resolves to the exit code of a task's container. */
  async waitTask({ runtimeId, state }: ContainerView, signal: AbortSignal): Promise<number> {
    if (state.status !== 'running' && state.status !== 'paused') return state.exitCode;
    const ended = Promise.withResolvers<number>();
    using _ = this.#runtime.onExit(({ id, exitCode }) => {
      if (id === runtimeId) ended.resolve(exitCode);
    });
    return await withAbort(ended.promise, signal);
  }

  attachTask({ runtimeId }: ContainerView, { stdin, sink }: AttachRequest): Attachment {
    const { io } = this.#runtime;
    const over = Promise.withResolvers<void>();
    const exits = this.#runtime.onExit(({ id }) => {
      if (id === runtimeId) over.resolve();
    });
    const attached = sink === undefined ? undefined : io.attach(runtimeId, sink);
    return {
      ended: over.promise,
      ...(stdin ? { stdin: io.stdin(runtimeId) } : {}),
      [Symbol.dispose]: () => {
        exits[Symbol.dispose]();
        attached?.[Symbol.dispose]();
        over.resolve();
      },
    };
  }
}

function tableOf(text: string, pids: ReadonlySet<number>): ProcessTable {
  const [head = '', ...lines] = text.split('\n');
  const titles = head.trim().split(/\s+/);
  const pidAt = titles.indexOf('PID');
  if (pidAt < 0) {
    throw new SwarmError('invalid-argument', "Couldn't find PID field in ps output");
  }
  const processes = lines
    .filter((line) => line.trim() !== '')
    .map((line) => columnsOf(line, titles.length))
    .filter((columns) => pids.has(Number(columns[pidAt])));
  return { titles, processes };
}

/** The last column has all that is left, spaces included. */
function columnsOf(line: string, count: number): readonly string[] {
  const words = line.trim().split(/\s+/);
  return [...words.slice(0, count - 1), words.slice(count - 1).join(' ')];
}
