/** The parts of the runtime in memory: streams, and writable layers. */
import { SwarmError } from '../../lib/errors.ts';
import type { BlockSupport, Usage } from './controls.ts';
import type {
  ContainerIo,
  ExecProcess,
  ExecRequest,
  OutputSink,
  StdinPipe,
  TerminalSize,
} from './io.ts';
import type { Layers } from './layers.ts';
import type { SnapshotMount } from './rootfs-file.ts';
import type { ContainerConfig, ContainerInfo, ImageRootfs } from './runtime.ts';

export const allBlockLimits: BlockSupport = {
  weight: true,
  weightDevices: true,
  readBps: true,
  writeBps: true,
  readIops: true,
  writeIops: true,
};

interface Found {
  readonly config: ContainerConfig;
  readonly state: ContainerInfo['state'];
}

export class FakeIo implements ContainerIo {
  readonly #find: (id: string) => Found;
  readonly #onExec: (
    id: string,
    argv: readonly string[],
  ) => { readonly exitCode: number; readonly output?: string };
  readonly #sinks = new Map<string, Set<OutputSink>>();
  /** What was written to containers, and that it ended, as "id text". */
  readonly input: string[] = [];
  readonly sizes: TerminalSize[] = [];
  #pids = 50_000;

  constructor(
    find: (id: string) => Found,
    onExec: (
      id: string,
      argv: readonly string[],
    ) => { readonly exitCode: number; readonly output?: string },
  ) {
    this.#find = find;
    this.#onExec = onExec;
  }

  attach(id: string, sink: OutputSink): Disposable {
    this.#find(id);
    const sinks = this.#sinks.get(id) ?? new Set();
    this.#sinks.set(id, sinks.add(sink));
    return { [Symbol.dispose]: () => sinks.delete(sink) };
  }

  stdin(id: string): StdinPipe {
    if (!this.#find(id).config.openStdin) {
      throw new SwarmError('failed-precondition', `container ${id} has no standard input`);
    }
    return this.#pipe(id);
  }

  async resize(id: string, size: TerminalSize): Promise<void> {
    this.#find(id);
    this.sizes.push(size);
  }

  async exec(id: string, request: ExecRequest, sink: OutputSink): Promise<ExecProcess> {
    if (this.#find(id).state !== 'running') {
      throw new SwarmError('failed-precondition', `container ${id} is not running`);
    }
    const { exitCode, output = '' } = this.#onExec(id, request.argv);
    await sink.write('stdout', Buffer.from(output));
    sink.end();
    return {
      pid: ++this.#pids,
      exited: Promise.resolve(exitCode),
      ...(request.stdin ? { stdin: this.#pipe(id) } : {}),
      resize: async (size) => void this.sizes.push(size),
    };
  }

  told(id: string, stream: 'stdout' | 'stderr', text: string): void {
    for (const sink of this.#sinks.get(id) ?? []) void sink.write(stream, Buffer.from(text));
  }

  ended(id: string): void {
    for (const sink of this.#sinks.get(id) ?? []) sink.end();
    this.#sinks.delete(id);
  }

  #pipe(id: string): StdinPipe {
    return {
      write: async (data) => void this.input.push(`${id} ${Buffer.from(data).toString()}`),
      end: async () => void this.input.push(`${id} end`),
    };
  }
}

export class FakeLayers implements Layers {
  readonly #keys = new Set<string>();

  async prepare(key: string, _image: ImageRootfs): Promise<void> {
    if (this.#keys.has(key)) throw new SwarmError('already-exists', `there is a layer ${key}`);
    this.#keys.add(key);
  }

  async mounts(key: string): Promise<readonly SnapshotMount[]> {
    if (!this.#keys.has(key)) throw new SwarmError('not-found', `there is no layer ${key}`);
    return [{ type: 'bind', source: `/nowhere/${key}`, options: ['rbind'] }];
  }

  async sizeBytes(): Promise<number> {
    return 0;
  }

  async remove(key: string): Promise<void> {
    this.#keys.delete(key);
  }

  async list(): Promise<readonly string[]> {
    return [...this.#keys];
  }
}

export const idleUsage: Usage = {
  cpu: { totalNs: 0, kernelNs: 0, userNs: 0, periods: 0, throttledPeriods: 0, throttledNs: 0 },
  memory: { usageBytes: 0, limitBytes: 0, stats: {} },
  pids: { current: 1 },
  block: { bytes: [], operations: [] },
  networks: [],
};
