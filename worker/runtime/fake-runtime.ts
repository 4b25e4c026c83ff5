/** A runtime in memory, for tests: what containers do is scripted, time is the clock's. */
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerControls } from './controls.ts';
import { allBlockLimits, FakeIo, FakeLayers, idleUsage } from './fake-parts.ts';
import { signalNumber } from '../../lib/signals.ts';
import type {
  ContainerConfig,
  ContainerExit,
  ContainerInfo,
  LogLine,
  LogQuery,
  Runtime,
  RuntimeInfo,
} from './runtime.ts';

/** What the process of a container does once it is started. */
export interface FakeProgram {
  readonly output?: readonly { readonly stream: 'stdout' | 'stderr'; readonly text: string }[];
  /** It ends by itself, at once. Absent: it runs on. */
  readonly exit?: { readonly exitCode: number; readonly oomKilled?: boolean };
  /** It does not end on the stop signal. */
  readonly ignoresSignals?: boolean;
  readonly createError?: SwarmError;
  readonly startError?: SwarmError;
}

type FakeExec = (
  id: string,
  argv: readonly string[],
) => { readonly exitCode: number; readonly output?: string };

interface Held {
  readonly config: ContainerConfig;
  readonly program: FakeProgram;
  readonly lines: LogLine[];
  readonly ended: PromiseWithResolvers<ContainerExit>;
  state: ContainerInfo['state'];
  pid: number;
  exit?: ContainerExit;
  change: PromiseWithResolvers<void>;
}

export class FakeRuntime implements Runtime {
  readonly #clock: Clock;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Set<(exit: ContainerExit) => void>();
  readonly io = new FakeIo(
    (id) => this.#get(id),
    (id, argv) => this.onExec(id, argv),
  );
  readonly layers = new FakeLayers();
  readonly controls: ContainerControls = {
    pause: async (id) => this.#move(id, 'running', 'paused'),
    resume: async (id) => this.#move(id, 'paused', 'running'),
    update: async (id, changes) => {
      this.#get(id);
      this.calls.push(`update ${id} ${JSON.stringify(changes)}`);
    },
    pids: async (id) => [this.#get(id).pid],
    usage: async (id) => {
      this.#get(id);
      return idleUsage;
    },
  };
  #pids = 1000;
  /** Replace these to script what happens. */
  program: (config: ContainerConfig) => FakeProgram = () => ({});
  onExec: FakeExec = () => ({ exitCode: 0 });
  /** Every call, as "create web.1", in order. */
  readonly calls: string[] = [];

  constructor(options: { readonly clock: Clock }) {
    this.#clock = options.clock;
  }

  async create(config: ContainerConfig): Promise<{ pid: number }> {
    this.calls.push(`create ${config.id}`);
    if (this.#held.has(config.id)) {
      throw new SwarmError('already-exists', `there is already a container named ${config.id}`);
    }
    const program = this.program(config);
    if (program.createError !== undefined) throw program.createError;
    const pid = ++this.#pids;
    this.#held.set(config.id, {
      config,
      program,
      lines: [],
      ended: Promise.withResolvers<ContainerExit>(),
      state: 'created',
      pid,
      change: Promise.withResolvers<void>(),
    });
    return { pid };
  }

  async start(id: string): Promise<void> {
    this.calls.push(`start ${id}`);
    const held = this.#get(id);
    if (held.program.startError !== undefined) throw held.program.startError;
    held.state = 'running';
    for (const { stream, text } of held.program.output ?? []) this.write(id, stream, text);
    const { exit } = held.program;
    if (exit !== undefined) this.exit(id, exit.exitCode, exit.oomKilled ?? false);
  }

  async kill(id: string, signal: string): Promise<void> {
    this.calls.push(`kill ${id} ${signal}`);
    const number = signalNumber(signal);
    const held = this.#get(id);
    if (held.exit !== undefined) return;
    if (number === 9 || !held.program.ignoresSignals) this.exit(id, 128 + number);
  }

  async stop(
    id: string,
    { signalName, graceMs }: { signalName: string; graceMs: number },
  ): Promise<ContainerExit> {
    this.calls.push(`stop ${id} ${signalName} ${graceMs}`);
    const held = this.#get(id);
    if (held.exit !== undefined) return held.exit;
    if (held.state === 'created' || !held.program.ignoresSignals) {
      this.exit(id, held.state === 'created' ? 137 : 128 + signalNumber(signalName));
    } else {
      this.#clock.after(graceMs, () => this.exit(id, 137));
    }
    return held.ended.promise;
  }

  async remove(id: string): Promise<void> {
    this.calls.push(`remove ${id}`);
    const held = this.#held.get(id);
    if (held === undefined) return;
    if (held.exit === undefined) this.exit(id, 137);
    this.#held.delete(id);
  }

  async list(): Promise<readonly ContainerInfo[]> {
    return [...this.#held.values()].map(infoOf);
  }

  async inspect(id: string): Promise<ContainerInfo | undefined> {
    const held = this.#held.get(id);
    return held === undefined ? undefined : infoOf(held);
  }

  onExit(listener: (exit: ContainerExit) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  async exec(
    id: string,
    command: { argv: readonly string[]; timeoutMs: number },
  ): Promise<{ exitCode: number; output: string; timedOut: boolean }> {
    this.calls.push(`exec ${id}`);
    if (this.#get(id).state !== 'running') {
      throw new SwarmError('failed-precondition', `container ${id} is not running`);
    }
    const { exitCode, output = '' } = this.onExec(id, command.argv);
    return { exitCode, output: output.slice(0, 4096), timedOut: false };
  }

  async *logs(
    id: string,
    query: LogQuery,
    { signal }: { signal?: AbortSignal } = {},
  ): AsyncGenerator<LogLine> {
    const held = this.#get(id);
    const wanted = (line: LogLine) =>
      (line.stream === 'stdout' ? query.stdout : query.stderr) &&
      line.timeNs >= BigInt(query.sinceMs ?? 0) * 1_000_000n &&
      (query.untilMs === undefined || line.timeNs <= BigInt(query.untilMs) * 1_000_000n);
    let next = held.lines.length;
    const past = held.lines.filter(wanted);
    yield* query.tail === undefined ? past : past.slice(past.length - query.tail);
    while (query.follow && held.exit === undefined) {
      signal?.throwIfAborted();
      const { change } = held;
      if (next === held.lines.length) await change.promise;
      for (; next < held.lines.length; next++) {
        const line = held.lines[next];
        if (line !== undefined && wanted(line)) yield line;
      }
    }
  }

  info(): RuntimeInfo {
    return {
      containerdVersion: 'fake',
      ociRuntime: 'crun',
      ociRuntimeVersion: 'fake',
      cgroupVersion: 2,
      blockSupport: allBlockLimits,
      cpuLists: { cpus: '0-1', mems: '0' },
      snapshotter: 'fake',
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
  }

  /** The container's process ends. */
  exit(id: string, exitCode: number, oomKilled = false): void {
    const held = this.#get(id);
    if (held.exit !== undefined) return;
    const exit = { id, exitCode, oomKilled, atMs: this.#clock.nowMs() };
    held.exit = exit;
    held.state = 'exited';
    held.pid = 0;
    held.ended.resolve(exit);
    held.change.resolve();
    this.io.ended(id);
    for (const listener of this.#listeners) listener(exit);
  }

  /** The container's process writes. */
  write(id: string, stream: 'stdout' | 'stderr', text: string): void {
    const held = this.#get(id);
    const timeNs = BigInt(this.#clock.nowMs()) * 1_000_000n + BigInt(held.lines.length);
    held.lines.push({ timeNs, stream, data: Buffer.from(text) });
    this.io.told(id, stream, text);
    held.change.resolve();
    held.change = Promise.withResolvers<void>();
  }

  /** As configured, for assertions. */
  #move(id: string, from: ContainerInfo['state'], to: ContainerInfo['state']): void {
    this.calls.push(`${to} ${id}`);
    const held = this.#get(id);
    if (held.state !== from) {
      throw new SwarmError('failed-precondition', `container ${id} is not ${from}`);
    }
    held.state = to;
  }

  config(id: string): ContainerConfig {
    return this.#get(id).config;
  }

  #get(id: string): Held {
    const held = this.#held.get(id);
    if (held === undefined) throw new SwarmError('not-found', `No such container: ${id}`);
    return held;
  }
}

function infoOf(held: Held): ContainerInfo {
  return {
    id: held.config.id,
    labels: held.config.labels,
    state: held.state,
    pid: held.pid,
    ...(held.exit === undefined ? {} : { exit: held.exit }),
  };
}
