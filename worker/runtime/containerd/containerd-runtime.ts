/** The Runtime port on containerd. */
import { access, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf, messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Random } from '../../../lib/random.ts';
import { LogFile } from '../logs/log-file.ts';
import { LogBudget, LogPump } from '../logs/log-pump.ts';
import { readLog } from '../logs/log-reader.ts';
import { keepsLog } from '../logs/kept-log.ts';
import { Shippers } from '../logs/remote/shippers.ts';
import { signalNumber } from '../../../lib/signals.ts';
import type { ContainerControls } from '../controls.ts';
import type { ContainerIo } from '../io.ts';
import type { Layers } from '../layers.ts';
import type {
  ContainerConfig,
  ContainerExit,
  ContainerInfo,
  LogLine,
  LogQuery,
  Runtime,
  RuntimeInfo,
} from '../runtime.ts';
import { findContainers, removeOrphans, type FoundContainer } from './adoption.ts';
import {
  createContainer,
  ignoreMissing,
  removeSnapshot,
  UserFilesCache,
  type CreationContext,
} from './creation.ts';
import { followTaskEvents } from './events.ts';
import { ExecRunner } from './exec.ts';
import { ExitNews } from './exit-news.ts';
import { infoOf, readExit, signalProcess, writeExit, type Held } from './held.ts';
import { CgroupControls, isFrozen } from './cgroup-controls.ts';
import { oomKills, removeCgroup } from './host.ts';
import { SnapshotLayers } from './snapshot-layers.ts';
import { metaOf, type Meta } from './meta.ts';
import { unmountOciBinary } from './oci-binary.ts';
import { isLetGo, openGate } from './gate.ts';
import { SeccompCache } from './seccomp-cache.ts';
import { Sessions } from './sessions.ts';
import { ShimGroups } from './shim-groups.ts';
import { shimSaid } from './shim-program.ts';

interface RuntimeSetup extends Omit<CreationContext, 'groups' | 'users' | 'seccomp' | 'openLog'> {
  readonly info: RuntimeInfo;
  /** The process ids that containerd tells are those that this process sees. */
  readonly ownsProcesses: boolean;
  /** Makes containerd run again. */
  readonly ensureContainerd: () => Promise<void>;
}

export interface RuntimeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Containers of one shim: what one crash of a shim may cost, against 1 MB a container. */
const shimGroupMax = 25;
const userFilesMax = 64;
/** A process that is still there so long after SIGKILL hangs in the kernel. */
const killTimeoutMs = 30_000;
/** A task that has ended is deleted in milliseconds, unless the host is in trouble. */
const deleteTimeoutMs = 30_000;
/** What Docker reports for a container whose exit nobody saw. */
const lostExitCode = 255;
const sigkill = 9;

export class ContainerdRuntime implements Runtime {
  readonly #setup: RuntimeSetup;
  readonly #context: CreationContext;
  readonly #deps: RuntimeDeps;
  readonly #budget: LogBudget;
  readonly #shippers: Shippers;
  readonly #execs: ExecRunner;
  readonly #sessions: Sessions;
  readonly io: ContainerIo;
  readonly controls: ContainerControls;
  readonly layers: Layers;
  readonly #held = new Map<string, Held>();
  /** Being made, and the exit that came before the making was done. */
  readonly #creating = new Map<string, { exitCode: number; atMs: number } | undefined>();
  readonly #news = new ExitNews();
  readonly #work = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #following: Promise<void> = Promise.resolve();
  #started = false;

  constructor(setup: RuntimeSetup, deps: RuntimeDeps) {
    this.#setup = setup;
    this.#deps = deps;
    const nonce = deps.random.id().slice(0, 8);
    let groups = 0;
    this.#context = {
      ...setup,
      users: new UserFilesCache(userFilesMax),
      seccomp: new SeccompCache(join(setup.paths.ociRoot, setup.client.namespace)),
      openLog: (config) => this.#pump(config.id, metaOf(config)),
      groups: new ShimGroups({ sizeMax: shimGroupMax, nextName: () => `${nonce}-${groups++}` }),
    };
    this.#budget = new LogBudget(deps.clock);
    this.#shippers = new Shippers(deps);
    this.#execs = new ExecRunner(setup, deps);
    const find = (id: string) => this.#get(id);
    this.#sessions = new Sessions(setup, deps, find);
    this.io = this.#sessions;
    this.controls = new CgroupControls(setup, deps.clock, find);
    this.layers = new SnapshotLayers(setup);
  }

  /** Follows containerd's events and takes over what a former daemon left. */
  async open(): Promise<void> {
    const { clock, log } = this.#deps;
    const { client, paths } = this.#setup;
    await mkdir(paths.containersData, { recursive: true, mode: 0o711 });
    await mkdir(paths.containersRun, { recursive: true, mode: 0o711 });
    const first = Promise.withResolvers<void>();
    this.#following = followTaskEvents(
      client,
      {
        exit: (containerId, processId, exitCode, atMs) => {
          if (processId === containerId) this.#exited(containerId, exitCode, atMs);
          else if (!this.#execs.exited(containerId, processId, exitCode)) {
            this.#sessions.exited(containerId, processId, exitCode);
          }
        },
        oom: (containerId) => {
          const held = this.#held.get(containerId);
          if (held !== undefined) held.oomSeen = true;
        },
        connected: async () => {
          try {
            await this.#reconcile();
            first.resolve();
          } catch (error) {
            first.reject(error);
            throw error;
          }
        },
        disconnected: () => this.#setup.ensureContainerd(),
      },
      { clock, log, signal: this.#stopping.signal },
    );
    await first.promise;
  }

  async create(
    config: ContainerConfig,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<{ pid: number }> {
    const { id } = config;
    if (this.#held.has(id) || this.#creating.has(id)) {
      throw new SwarmError('already-exists', `there is already a container named ${id}`);
    }
    this.#creating.set(id, undefined);
    try {
      const { pid, spec, shimGroup, pump } = await createContainer(config, this.#context, signal);
      const found = {
        id,
        meta: metaOf(config),
        process: spec.process,
        shimGroup,
        cgroupsPath: spec.linux.cgroupsPath,
      };
      const held = this.#hold(found, pump);
      held.pid = pid;
      const early = this.#creating.get(id);
      if (early !== undefined) this.#exited(id, early.exitCode, early.atMs);
      return { pid };
    } finally {
      this.#creating.delete(id);
    }
  }

  async start(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const held = this.#get(id);
    signal?.throwIfAborted();
    if (!(await this.#letGo(id))) {
      await this.#setup.client.tasks.start(
        { containerId: id },
        signal === undefined ? {} : { signal },
      );
    }
    if (held.state === 'created') held.state = 'running';
  }

  async kill(id: string, signal: string): Promise<void> {
    await this.#kill(this.#get(id), signalNumber(signal));
  }

  async stop(
    id: string,
    { signalName, graceMs }: { signalName: string; graceMs: number },
  ): Promise<ContainerExit> {
    const held = this.#get(id);
    if (held.exit !== undefined) return held.exit;
    if (held.state !== 'created') {
      await this.#kill(held, signalNumber(signalName));
      const exit = await this.#endedWithin(held, graceMs);
      if (exit !== undefined) return exit;
    }
    return this.#forceEnd(held);
  }

  async remove(id: string): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    if (held.exit === undefined) await this.#forceEnd(held);
    const { client, paths, snapshotter } = this.#setup;
    // Whatever a crash leaves of these is found and removed by the next daemon.
    await Promise.all([
      ignoreMissing(client.containers.delete({ id })),
      held.meta.layer === undefined ? removeSnapshot(client, snapshotter, id) : undefined,
      rm(paths.run(id), { recursive: true, force: true }),
      rm(paths.data(id), { recursive: true, force: true }),
    ]);
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
    return this.#news.listen(listener);
  }

  async exec(
    id: string,
    command: { argv: readonly string[]; timeoutMs: number },
  ): Promise<{ exitCode: number; output: string; timedOut: boolean }> {
    const held = this.#get(id);
    if (held.state !== 'running') {
      throw new SwarmError('failed-precondition', `container ${id} is not running`);
    }
    return this.#execs.run(held, command);
  }

  async *logs(
    id: string,
    query: LogQuery,
    { signal }: { signal?: AbortSignal } = {},
  ): AsyncGenerator<LogLine> {
    const held = this.#get(id);
    if (!keepsLog(held.meta.log)) {
      throw new SwarmError(
        'failed-precondition',
        'configured logging driver does not support reading',
      );
    }
    yield* readLog(held.logFile, query, signal);
  }

  info(): RuntimeInfo {
    return this.#setup.info;
  }

  /** Lets go of everything; containers run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#following;
    await Promise.allSettled(this.#work);
    for (const held of this.#held.values()) await held.pump?.close();
    await this.#shippers[Symbol.asyncDispose]();
    if (this.#held.size === 0) {
      await unmountOciBinary(this.#setup.ociRuntime, this.#setup.paths);
      await removeCgroup(this.#setup.paths.cgroupParent, this.#setup.host.cgroupVersion);
    }
  }

  #get(id: string): Held {
    const held = this.#held.get(id);
    if (held === undefined) throw new SwarmError('not-found', `No such container: ${id}`);
    return held;
  }

  #hold(
    found: Pick<Held, 'id' | 'meta' | 'process' | 'shimGroup' | 'cgroupsPath'>,
    pump?: LogPump,
  ): Held {
    const held: Held = {
      ...found,
      logFile: pump?.file ?? this.#logFile(found.id, found.meta),
      pump,
      state: 'created',
      pid: 0,
      exit: undefined,
      oomSeen: false,
      ending: false,
      ended: Promise.withResolvers<ContainerExit>(),
    };
    this.#held.set(held.id, held);
    return held;
  }

  #logFile(id: string, { log, logPath }: Meta): LogFile {
    return new LogFile(logPath ?? this.#setup.paths.logFile(id), log);
  }

  #pump(id: string, meta: Meta, file = this.#logFile(id, meta)): LogPump {
    const { paths } = this.#setup;
    const streams = meta.tty ? (['stdout'] as const) : (['stdout', 'stderr'] as const);
    const pipes = streams.map((stream) => ({ stream, path: paths.fifo(id, stream) }));
    return new LogPump(pipes, file, {
      budget: this.#budget,
      log: this.#deps.log,
      discards: !keepsLog(meta.log),
      taker: this.#shippers.takerOf(id, meta.log.remote),
      attributes: meta.log.attributes,
      ringBytes: meta.log.ringBytes,
    });
  }

  /** Lets the held process go on without the help of the OCI runtime, where that can be done. */
  async #letGo(id: string): Promise<boolean> {
    const { client, ociRuntime, ownsProcesses, paths } = this.#setup;
    if (ociRuntime !== 'crun' || !ownsProcesses) return false;
    return openGate(join(paths.ociRoot, client.namespace, id), paths.startMark(id));
  }

  async #kill(held: Held, signal: number): Promise<void> {
    if (held.exit !== undefined) return;
    if (this.#setup.ownsProcesses && (await signalProcess(held, signal))) return;
    await ignoreMissing(this.#setup.client.tasks.kill({ containerId: held.id, signal }));
  }

  async #forceEnd(held: Held): Promise<ContainerExit> {
    await this.#kill(held, sigkill);
    const exit = await this.#endedWithin(held, killTimeoutMs);
    if (exit !== undefined) return exit;
    throw new SwarmError(
      'deadline-exceeded',
      `container ${held.id} did not end within ${killTimeoutMs / 1000} s of SIGKILL`,
    );
  }

  async #endedWithin(held: Held, withinMs: number): Promise<ContainerExit | undefined> {
    const late = Promise.withResolvers<undefined>();
    const timer = this.#deps.clock.after(withinMs, () => late.resolve(undefined));
    try {
      return await Promise.race([held.ended.promise, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  #exited(id: string, exitCode: number, atMs: number): void {
    if (this.#creating.has(id)) this.#creating.set(id, { exitCode, atMs });
    const held = this.#held.get(id);
    if (held === undefined || held.ending) return;
    held.ending = true;
    const work = this.#finish(held, exitCode, atMs)
      .catch((error: unknown) => {
        this.#deps.log.error('the end of a container could not be dealt with', {
          containerId: id,
          error: messageOf(error),
        });
      })
      .finally(() => this.#work.delete(work));
    this.#work.add(work);
  }

  /** The record on disk comes first: deleting the task destroys what containerd knows. */
  async #finish(held: Held, exitCode: number, atMs: number): Promise<void> {
    const { id } = held;
    const { host, paths } = this.#setup;
    const oomKilled = held.oomSeen || (await oomKills(held.cgroupsPath, host.cgroupVersion)) > 0;
    const exit = { id, exitCode, oomKilled, atMs };
    await this.#tried(id, () => writeExit(paths.exitFile(id), exit));
    await this.#deleteTask(held);
    await this.#tried(id, () => held.pump?.drain() ?? held.logFile.end());
    held.pump = undefined;
    this.#sessions.ended(id);
    held.pid = 0;
    held.state = 'exited';
    held.exit = exit;
    held.ended.resolve(exit);
    this.#news.tell(exit);
  }

  /** A disk that is full or broken must not keep an exit from being told. */
  async #tried(containerId: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#deps.log.error('the end of a container could not be written', {
        containerId,
        error: messageOf(error),
      });
    }
  }

  /** The shim answers once it has carried over the last of the output. */
  async #deleteTask(held: Held): Promise<void> {
    await this.#context.groups.leave(held.shimGroup);
    try {
      await ignoreMissing(
        this.#setup.client.tasks.delete({ containerId: held.id }, { timeoutMs: deleteTimeoutMs }),
      );
    } catch (error) {
      this.#deps.log.warn('a task that has ended could not be deleted', {
        containerId: held.id,
        error: messageOf(error),
      });
    }
  }

  /** Brings what is held in line with what containerd has: at the start, and after each break. */
  async #reconcile(): Promise<void> {
    const found = await findContainers(this.#setup.client, this.#deps.clock.nowMs());
    for (const container of found) {
      if (this.#creating.has(container.id)) continue;
      const held = this.#held.get(container.id) ?? (await this.#adopt(container));
      await this.#settle(held, container);
    }
    if (this.#started) return;
    // Whoever asks for the list once we are open sees these as exited.
    await Promise.allSettled(this.#work);
    await removeOrphans(new Set(this.#held.keys()), this.#setup, this.#deps.log);
    this.#started = true;
  }

  async #adopt(found: FoundContainer): Promise<Held> {
    const held = this.#hold(found);
    const exit = await readExit(this.#setup.paths.exitFile(held.id));
    if (exit !== undefined) {
      held.exit = exit;
      held.ending = true;
      held.state = 'exited';
      held.ended.resolve(exit);
      await held.logFile.end();
    }
    if (found.task !== undefined) {
      const said = await shimSaid(this.#setup.paths, held.id);
      this.#context.groups.adopt(held.shimGroup, said);
      held.pid = found.task.pid;
      if (exit === undefined && (held.meta.log.driver !== 'none' || held.meta.attachable)) {
        held.pump = await this.#pumpIfThere(held);
      }
    }
    return held;
  }

  async #pumpIfThere(held: Held): Promise<LogPump | undefined> {
    try {
      await access(this.#setup.paths.fifo(held.id, 'stdout'));
      return this.#pump(held.id, held.meta, held.logFile);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#deps.log.warn('the pipes of a container are gone, and its output with them', {
        containerId: held.id,
      });
      return undefined;
    }
  }

  async #settle(held: Held, { task }: FoundContainer): Promise<void> {
    const { paths } = this.#setup;
    if (task === undefined) {
      if (held.exit === undefined) this.#exited(held.id, lostExitCode, this.#deps.clock.nowMs());
    } else if (task.state === 'stopped') {
      // Where the exit was dealt with and the task is still there, only its deletion is missing.
      if (held.exit === undefined) {
        held.state = 'running';
        this.#exited(held.id, task.exitCode, task.atMs);
      } else {
        void this.#deleteTask(held);
      }
    } else if (held.exit === undefined) {
      const started = task.state === 'created' && (await isLetGo(paths.startMark(held.id)));
      const frozen = await isFrozen(held.cgroupsPath, this.#setup.host.cgroupVersion);
      held.state = frozen ? 'paused' : started ? 'running' : task.state;
    }
  }
}
