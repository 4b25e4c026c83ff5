/** The TaskExecutor of a node: keeps its assignments, and a driver for each of its tasks. */
import { join } from 'node:path';
import type { Clock, Timer } from '../../lib/clock.ts';
import { Semaphore } from '../../lib/concurrency.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import {
  compareStates,
  isTerminal,
  type AssignedTask,
  type Mount,
  type TaskStatus,
} from '../../types/index.ts';
import { noClusterVolumes, type TaskVolumes } from '../csi/index.ts';
import type { Images } from '../image/images.ts';
import { needsImage } from '../image/pinned.ts';
import type { NetworkDriver } from '../network/network.ts';
import type { ContainerExit, LogLine, LogQuery, Runtime } from '../runtime/runtime.ts';
import type { NodeFacts } from '../task/index.ts';
import { ContainerFiles } from './container-files.ts';
import type { AttachmentExecutor, TaskAssignments, TaskExecutor } from './executor.ts';
import { FileMounts } from './file-mounts.ts';
import { FileVault } from './file-vault.ts';
import { ImagePulls } from './image-pulls.ts';
import { LocalCopy, type Progress } from './local-copy.ts';
import type { DriverContext } from './driver-context.ts';
import { TaskDriver } from './task-driver.ts';

/** A task and its container, as the node's own view of its containers needs them. */
type TaskContainer = Pick<TaskDriver, 'containerId' | 'task' | 'status' | 'prepared'>;

export interface TaskRunnerOptions {
  /** The local copy goes into `tasks` below it. */
  readonly dataRoot: string;
  /**
   * The files that are made for containers go into `runtime/tasks` below it: the runtime keeps that
   * folder in memory where it can.
   */
  readonly runRoot: string;
  /** How many containers are started at once; 16 where absent. */
  readonly startsMax?: number;
}

export interface TaskRunnerDeps {
  readonly images: Images;
  readonly network: NetworkDriver;
  readonly runtime: Runtime;
  readonly volumes: DriverContext['volumes'];
  readonly devices: DriverContext['devices'];
  /** Absent where this host has no place for them. */
  readonly clusterVolumes?: TaskVolumes;
  /** Absent where no container but tasks' own can be on the swarm's networks. */
  readonly attachments?: AttachmentExecutor;
  /** What placeholders in specs may name. The id is known once the node has joined a swarm. */
  readonly node: () => NodeFacts;
  /** Told each time that a task's container becomes healthy, or ceases to be. */
  readonly onHealth?: DriverContext['onHealth'];
  readonly clock: Clock;
  readonly log: Logger;
}

const startsMaxDefault = 16;
const removalsMax = 16;
const probesMax = 8;
/** Progress is written this long after the first change that is not. */
const saveDelayMs = 50;
/** After a failure: the disk is full, or broken. */
const saveRetryMs = 5_000;

export class TaskRunner implements TaskExecutor {
  readonly #deps: TaskRunnerDeps;
  readonly #clusterVolumes: TaskVolumes;
  readonly #copy: LocalCopy;
  readonly #context: DriverContext;
  readonly #drivers = new Map<string, TaskDriver>();
  readonly #byContainer = new Map<string, TaskDriver>();
  readonly #listeners = new Set<(taskId: string, status: TaskStatus) => void>();
  readonly #unsaved = new Map<string, Progress>();
  readonly #removals = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #saving: Timer | undefined;
  #exits: Disposable | undefined;

  constructor(options: TaskRunnerOptions, deps: TaskRunnerDeps) {
    const { clock, devices, images, network, runtime, volumes } = deps;
    this.#clusterVolumes = deps.clusterVolumes ?? noClusterVolumes;
    const log = deps.log.child({ module: 'executor' });
    this.#deps = { ...deps, log };
    this.#copy = new LocalCopy(join(options.dataRoot, 'tasks'));
    this.#context = {
      node: deps.node,
      clock,
      log,
      network,
      runtime,
      volumes,
      clusterVolumes: this.#clusterVolumes,
      devices,
      pulls: new ImagePulls(images),
      files: new ContainerFiles(join(options.runRoot, 'runtime', 'tasks')),
      vault: new FileVault(),
      fileMounts: new FileMounts(join(options.runRoot, 'runtime', 'files')),
      holders: () => this.#byContainer.values(),
      starts: new Semaphore(options.startsMax ?? startsMaxDefault),
      removals: new Semaphore(removalsMax),
      probes: new Semaphore(probesMax),
      onProgress: (driver, statusChanged) => this.#progress(driver, statusChanged),
      onHealth: deps.onHealth ?? (() => undefined),
      signal: this.#stopping.signal,
    };
  }

  async start(): Promise<void> {
    const { network, runtime } = this.#deps;
    const stored = this.#copy.load();
    for (const { task, status, prepared } of stored) this.#add(task, { status, prepared });
    const containers = await runtime.list();
    const live = containers.filter(
      ({ id, exit }) => this.#byContainer.has(id) && exit === undefined,
    );
    await network.assign(this.#copy.loadNetworks());
    await network.retain(new Set(live.map(({ id }) => id)));
    this.#exits = runtime.onExit((exit) => this.#exited(exit));
    const infoById = new Map(containers.map((info) => [info.id, info]));
    for (const driver of this.#drivers.values()) driver.adopt(infoById.get(driver.containerId));
    for (const { id } of containers) if (!this.#byContainer.has(id)) this.#removeStray(id);
    this.#deps.log.info('tasks are taken up again', {
      tasks: stored.length,
      containers: live.length,
    });
  }

  async assign(assignments: TaskAssignments): Promise<void> {
    const { complete, networks, files, volumes, kept = [] } = assignments;
    if (files !== undefined) this.#context.vault.assign(files);
    if (volumes !== undefined) this.#clusterVolumes.assign(volumes);
    const { attachments = [], tasks = [] } = Object.groupBy(assignments.update, (task) =>
      task.attachedContainerId === undefined ? 'tasks' : 'attachments',
    );
    const update = tasks.map((task) => this.#latest(task));
    const named = new Set([...kept, ...update.map(({ id }) => id)]);
    const remove = [
      ...assignments.remove.filter((id) => this.#drivers.has(id)),
      ...(complete ? [...this.#drivers.keys()].filter((id) => !named.has(id)) : []),
    ];
    this.#keep(() => this.#copy.assign(update, remove));
    this.#keep(() => this.#copy.assignNetworks(networks));
    try {
      await this.#deps.network.assign(networks);
    } finally {
      for (const task of update) {
        const driver = this.#drivers.get(task.id);
        if (driver === undefined) this.#add(task, {}).adopt(undefined);
        else driver.update(task);
      }
      for (const id of new Set(remove)) this.#remove(id);
      const gone = { complete, kept, remove: assignments.remove };
      this.#deps.attachments?.assign({ ...gone, update: attachments });
    }
  }

  /**
   * A node whose disk takes nothing is of use still: its containers run, and can be stopped. To end
   * its session would have them replaced elsewhere.
   */
  #keep(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#deps.log.error('what is assigned could not be written, and is tried again', {
        path: this.#copy.path,
        error: messageOf(error),
      });
      this.#saving ??= this.#deps.clock.after(saveRetryMs, () => this.#save());
    }
  }

  /** What is to stop stays so: a new leader may not know yet what the one before it has said. */
  #latest(task: AssignedTask): AssignedTask {
    const known = this.#drivers.get(task.id)?.task.desiredState;
    if (known === undefined || compareStates(known, task.desiredState) <= 0) return task;
    return { ...task, desiredState: known };
  }

  statuses(): ReadonlyMap<string, TaskStatus> {
    const { attachments } = this.#deps;
    const own = [...this.#drivers].map(([id, driver]) => [id, driver.status] as const);
    return new Map([...own, ...(attachments?.statuses() ?? [])]);
  }

  onStatus(listener: (taskId: string, status: TaskStatus) => void): Disposable {
    this.#listeners.add(listener);
    const attachments = this.#deps.attachments?.onStatus(listener);
    return {
      [Symbol.dispose]: () => {
        attachments?.[Symbol.dispose]();
        this.#listeners.delete(listener);
      },
    };
  }

  onReleased(listener: (volumeId: string, publication: string) => void): Disposable {
    return this.#clusterVolumes.onReleased(listener);
  }

  /** Every task of this node that may have a container. */
  *containers(): Iterable<TaskContainer> {
    for (const { containerId, task, status, prepared } of this.#byContainer.values()) {
      yield { containerId, task, status, prepared };
    }
  }

  /** What volumes the tasks' containers have, also those that are to be made. */
  *volumeUsers(): Iterable<{ containerId: string; mounts: readonly Mount[] }> {
    for (const { containerId, status, prepared, hasContainer } of this.#byContainer.values()) {
      if (prepared === undefined || (isTerminal(status.state) && !hasContainer)) continue;
      yield { containerId, mounts: prepared.container.mounts };
    }
  }

  /** The name of a container that needs the image, if there is one. */
  imageUser(imageId: string): string | undefined {
    const users = [...this.#byContainer.values()].filter(({ prepared }) => {
      if (prepared === undefined) return false;
      const { mounts } = prepared.container;
      return needsImage({ imageId: prepared.imageId, mounts }, imageId);
    });
    const live = users.find(({ status }) => !isTerminal(status.state));
    return (live ?? users.find(({ hasContainer }) => hasContainer))?.containerId;
  }

  async *logs(
    taskId: string,
    query: LogQuery,
    { signal }: { signal: AbortSignal },
  ): AsyncGenerator<LogLine> {
    const driver = this.#drivers.get(taskId);
    if (driver === undefined) {
      throw new SwarmError('not-found', `task ${taskId} is not on this node`);
    }
    // A follower may come before the container does.
    while (!driver.hasContainer) {
      if (!query.follow || isTerminal(driver.status.state)) return;
      if (this.#drivers.get(taskId) !== driver) return;
      const aborted = Promise.withResolvers<void>();
      const onAbort = () => aborted.resolve();
      signal.addEventListener('abort', onAbort, { once: true });
      await Promise.race([driver.news, aborted.promise]);
      signal.removeEventListener('abort', onAbort);
      signal.throwIfAborted();
    }
    yield* this.#deps.runtime.logs(driver.containerId, query, { signal });
  }

  async clear(): Promise<void> {
    const networks = { complete: true, update: [], remove: [] };
    const files = { complete: true, update: [], remove: [] };
    const volumes = { complete: true, update: [], remove: [] };
    await this.assign({ complete: true, update: [], remove: [], networks, files, volumes });
    while (this.#removals.size > 0) await Promise.all(this.#removals);
    await this.#clusterVolumes.settled();
    this.#save();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#exits?.[Symbol.dispose]();
    this.#stopping.abort(new SwarmError('cancelled', 'the daemon ends'));
    for (const driver of this.#drivers.values()) await driver.close();
    await Promise.all(this.#removals);
    await this.#context.pulls.settled();
    this.#save();
    this.#saving?.cancel();
    this.#copy[Symbol.dispose]();
  }

  #add(task: AssignedTask, stored: ConstructorParameters<typeof TaskDriver>[1]): TaskDriver {
    const driver = new TaskDriver(task, stored, this.#context);
    this.#drivers.set(task.id, driver);
    this.#byContainer.set(driver.containerId, driver);
    return driver;
  }

  #remove(id: string): void {
    const driver = this.#drivers.get(id);
    if (driver === undefined) return;
    this.#drivers.delete(id);
    this.#unsaved.delete(id);
    this.#track(
      driver.remove().finally(() => {
        // The task may have been assigned again meanwhile: the container is then the new driver's.
        const { containerId } = driver;
        if (this.#byContainer.get(containerId) === driver) this.#byContainer.delete(containerId);
      }),
    );
  }

  /** A container whose task was taken away while no daemon ran, or that a crash left. */
  #removeStray(containerId: string): void {
    const { log, network, runtime } = this.#deps;
    log.info('a container that belongs to no task is removed', { containerId });
    const work = async () => {
      try {
        await this.#context.removals.run(async () => {
          await runtime.remove(containerId);
          await network.detach(containerId);
          await this.#context.files.remove(containerId);
          await this.#context.volumes.disconnect(containerId);
          await this.#context.volumes.removeOwnedBy(containerId);
          await this.#context.fileMounts.remove(containerId);
        });
      } catch (error) {
        log.error('a stray container could not be removed', {
          containerId,
          error: messageOf(error),
        });
      }
    };
    this.#track(work());
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#removals.delete(tracked));
    this.#removals.add(tracked);
  }

  #exited(exit: ContainerExit): void {
    void this.#byContainer.get(exit.id)?.exited(exit);
  }

  #progress(driver: TaskDriver, statusChanged: boolean): void {
    const { id } = driver.task;
    if (this.#drivers.get(id) !== driver) return;
    this.#unsaved.set(id, { status: driver.status, prepared: driver.prepared });
    this.#saving ??= this.#deps.clock.after(saveDelayMs, () => this.#save());
    if (!statusChanged) return;
    for (const listener of this.#listeners) listener(id, driver.status);
  }

  #save(): void {
    this.#saving?.cancel();
    this.#saving = undefined;
    try {
      this.#copy.save(this.#unsaved);
      this.#unsaved.clear();
    } catch (error) {
      this.#deps.log.error('the progress of tasks could not be written, and is tried again', {
        path: this.#copy.path,
        tasks: this.#unsaved.size,
        error: messageOf(error),
      });
      this.#saving = this.#deps.clock.after(saveRetryMs, () => this.#save());
    }
  }
}
