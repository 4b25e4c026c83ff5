/** Clients at the streams of containers, and of commands that are run inside them. */
import { rm } from 'node:fs/promises';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Random } from '../../../lib/random.ts';
import type {
  ContainerIo,
  ExecProcess,
  ExecRequest,
  OutputSink,
  StdinPipe,
  TerminalSize,
} from '../io.ts';
import { makeFifo } from '../logs/fifo.ts';
import { LogFile } from '../logs/log-file.ts';
import { LogBudget, LogPump } from '../logs/log-pump.ts';
import { sessionProcess } from '../oci/exec.ts';
import { resolveUser } from '../oci/user.ts';
import { layersOf, readRootfsFile } from '../rootfs-file.ts';
import type { ContainerdClient } from './client.ts';
import { ignoreMissing, layerKey, snapshotKey } from './creation.ts';
import type { HostFacts } from './host.ts';
import type { Held } from './held.ts';
import { json, processType } from './meta.ts';
import type { RuntimePaths } from './paths.ts';
import { FifoStdin } from './stdin-pipe.ts';

interface Setup {
  readonly client: ContainerdClient;
  readonly paths: RuntimePaths;
  readonly snapshotter: string;
  readonly host: HostFacts;
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export class Sessions implements ContainerIo {
  readonly #setup: Setup;
  readonly #deps: Deps;
  readonly #find: (id: string) => Held;
  readonly #budget: LogBudget;
  readonly #stdins = new Map<string, FifoStdin>();
  readonly #waiting = new Map<string, (exitCode: number) => void>();

  constructor(setup: Setup, deps: Deps, find: (id: string) => Held) {
    this.#setup = setup;
    this.#deps = deps;
    this.#find = find;
    this.#budget = new LogBudget(deps.clock);
  }

  attach(id: string, sink: OutputSink): Disposable {
    const { pump } = this.#find(id);
    if (pump === undefined) {
      throw new SwarmError('failed-precondition', `the output of container ${id} goes nowhere`);
    }
    return pump.attach(sink);
  }

  stdin(id: string): StdinPipe {
    const held = this.#find(id);
    const open = this.#stdins.get(id);
    if (open !== undefined) return open;
    if (!held.meta.stdin || held.exit !== undefined) {
      throw new SwarmError('failed-precondition', `container ${id} has no standard input`);
    }
    const endOfInput = held.meta.tty ? undefined : () => this.#closeIo(id, '');
    const stdin = new FifoStdin(this.#setup.paths.fifo(id, 'stdin'), endOfInput);
    this.#stdins.set(id, stdin);
    return stdin;
  }

  async resize(id: string, { width, height }: TerminalSize): Promise<void> {
    this.#find(id);
    await this.#setup.client.tasks.resizePty({ containerId: id, width, height });
  }

  /** The container has ended. */
  ended(id: string): void {
    this.#stdins.get(id)?.close();
    this.#stdins.delete(id);
  }

  /** containerd says that an executed process has ended. */
  exited(containerId: string, execId: string, exitCode: number): void {
    this.#waiting.get(`${containerId}/${execId}`)?.(exitCode);
  }

  async exec(id: string, request: ExecRequest, sink: OutputSink): Promise<ExecProcess> {
    const held = this.#find(id);
    if (held.state !== 'running') {
      throw new SwarmError('failed-precondition', `container ${id} is not running`);
    }
    const { client, paths } = this.#setup;
    const execId = `exec-${this.#deps.random.id()}`;
    const user = await this.#userOf(held, request);
    const process = sessionProcess(held.process, request, user, this.#setup.host.capabilities);
    const names = ['stdout', ...(request.tty ? [] : ['stderr'])] as ('stdout' | 'stderr')[];
    const path = (stream: string) => paths.fifo(id, `${execId}-${stream}`);
    const all = [...names, ...(request.stdin ? ['stdin'] : [])].map(path);
    for (const fifo of all) makeFifo(fifo);
    const pipes = names.map((stream) => ({ stream, path: path(stream) }));
    const { log } = this.#deps;
    const unused = new LogFile('', { maxSizeBytes: 1, maxFiles: 1 });
    const pump = new LogPump(pipes, unused, { budget: this.#budget, log, discards: true });
    pump.attach(sink);
    const ended = Promise.withResolvers<number>();
    this.#waiting.set(`${id}/${execId}`, ended.resolve);
    const letGo = async () => {
      this.#waiting.delete(`${id}/${execId}`);
      await Promise.all(all.map((fifo) => rm(fifo, { force: true })));
    };
    try {
      await client.tasks.exec({
        containerId: id,
        execId,
        stdin: request.stdin ? path('stdin') : '',
        stdout: path('stdout'),
        stderr: request.tty ? '' : path('stderr'),
        terminal: request.tty,
        spec: json(processType, process),
      });
      const pid = await this.#startExec(id, execId);
      const stdin = request.stdin
        ? new FifoStdin(path('stdin'), request.tty ? undefined : () => this.#closeIo(id, execId))
        : undefined;
      return {
        pid,
        exited: this.#end(ended.promise, { id, execId, pump, stdin, letGo }),
        ...(stdin === undefined ? {} : { stdin }),
        resize: async ({ width, height }) => {
          await client.tasks.resizePty({ containerId: id, execId, width, height });
        },
      };
    } catch (error) {
      await pump.close();
      await letGo();
      throw error;
    }
  }

  async #startExec(containerId: string, execId: string): Promise<number> {
    const { client } = this.#setup;
    try {
      return (await client.tasks.start({ containerId, execId })).pid;
    } catch (error) {
      await ignoreMissing(client.tasks.deleteProcess({ containerId, execId }));
      throw new SwarmError('invalid-argument', messageOf(error), { cause: error });
    }
  }

  async #end(
    exited: Promise<number>,
    session: {
      readonly id: string;
      readonly execId: string;
      readonly pump: LogPump;
      readonly stdin: FifoStdin | undefined;
      readonly letGo: () => Promise<void>;
    },
  ): Promise<number> {
    const { id, execId, pump, stdin, letGo } = session;
    const exitCode = await exited;
    stdin?.close();
    try {
      // The shim answers once it has carried over the last of the output.
      await ignoreMissing(this.#setup.client.tasks.deleteProcess({ containerId: id, execId }));
    } catch (error) {
      this.#deps.log.warn('a command that has ended could not be deleted', {
        containerId: id,
        error: messageOf(error),
      });
    }
    try {
      await pump.drain();
      await letGo();
    } catch (error) {
      // Its container is being removed, and the pipes with it. The command has ended all the same.
      this.#deps.log.warn('the last output of a command is lost', {
        containerId: id,
        error: messageOf(error),
      });
    }
    return exitCode;
  }

  /** Its users are those that the container has now, not those of its image. */
  async #userOf(held: Held, { user }: ExecRequest) {
    if (user === '') return undefined;
    const { client, snapshotter } = this.#setup;
    const { layer } = held.meta;
    const key = layer === undefined ? snapshotKey(held.id) : layerKey(layer);
    const { mounts } = await client.snapshots.mounts({ snapshotter, key });
    const layers = layersOf(mounts);
    const [passwd, group] = await Promise.all([
      readRootfsFile(layers, 'etc/passwd'),
      readRootfsFile(layers, 'etc/group'),
    ]);
    return resolveUser(user, [], { passwd, group });
  }

  async #closeIo(containerId: string, execId: string): Promise<void> {
    try {
      await this.#setup.client.tasks.closeIO({ containerId, execId, stdin: true });
    } catch (error) {
      // A process that has ended meanwhile reads no more; its shim has no code for that.
      if (!/not found|process already finished/.test(messageOf(error))) throw error;
    }
  }
}
