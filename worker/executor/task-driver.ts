/** Carries out for one task what its state machine decides. */
import { linkAbort, withAbort } from '../../lib/abort.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import {
  fileReferencesOf,
  isWanted,
  type AssignedTask,
  type PortConfig,
  type TaskStatus,
} from '../../types/index.ts';
import type { ContainerExit, ContainerInfo } from '../runtime/runtime.ts';
import {
  containerIdOf,
  decide,
  initialHealth,
  networkWishes,
  prepareTask,
  taskFiles,
  type Action,
  type Decision,
  type PreparedTask,
  type TaskFile,
  type TaskView,
} from '../task/index.ts';
import { withDevices } from '../device/index.ts';
import { checkBindSources } from '../runtime/bind-sources.ts';
import { taskContainerHexId } from '../runtime/hex-id.ts';
import type { ConnectedVolumes } from '../csi/index.ts';
import type { DriverContext } from './driver-context.ts';
import { HealthMonitor } from './health-monitor.ts';
import { devicesLetGo, pause, portsLetGo, type Holder } from './handover.ts';

const retryMs = 1000;
const defaultStopGraceMs = 10_000;

export class TaskDriver implements Holder {
  readonly containerId: string;
  readonly #context: DriverContext;
  #task: AssignedTask;
  #status: TaskStatus;
  #prepared: PreparedTask | undefined;
  #container: TaskView['container'] = 'none';
  #exit: ContainerExit | undefined;
  #failure: string | undefined;
  #monitor: HealthMonitor | undefined;
  #pid = 0;
  #ports: readonly PortConfig[] = [];
  #given: NonNullable<TaskStatus['networks']> = [];
  #attached = false;
  #loop: Promise<void> | undefined;
  #again = false;
  #removing = false;
  #ended: Promise<void> | undefined;
  /** Aborts what is being done when it is no longer wanted. */
  readonly #unwanted: AbortController & Disposable;
  #news = Promise.withResolvers<void>();

  constructor(
    task: AssignedTask,
    stored: {
      readonly status?: TaskStatus | undefined;
      readonly prepared?: PreparedTask | undefined;
    },
    context: DriverContext,
  ) {
    this.#task = task;
    this.#context = context;
    this.#status = stored.status ?? task.status;
    this.#prepared = stored.prepared;
    this.#ports = stored.status?.ports ?? [];
    this.#given = stored.status?.networks ?? [];
    this.#pid = stored.status?.container?.pid ?? 0;
    this.containerId = containerIdOf(task);
    this.#unwanted = linkAbort(context.signal);
  }

  get task(): AssignedTask {
    return this.#task;
  }
  get status(): TaskStatus {
    return this.#status;
  }
  get prepared(): PreparedTask | undefined {
    return this.#prepared;
  }
  get hasContainer(): boolean {
    return this.#container !== 'none';
  }

  get leaving(): boolean {
    return this.#removing || !isWanted(this.#task.desiredState);
  }
  get heldPorts(): readonly PortConfig[] {
    return this.#attached ? this.#ports : [];
  }
  get heldDevices(): readonly string[] {
    return this.#attached ? this.#devices : [];
  }
  get stopGraceMs(): number {
    return this.#prepared?.stopGraceMs ?? defaultStopGraceMs;
  }

  /** Resolves at the next change of status or container. */
  get news(): Promise<void> {
    return this.#news.promise;
  }

  /** Takes over what runs already, and sets the machine going. */
  adopt(info: ContainerInfo | undefined): void {
    this.#attached = info !== undefined;
    if (info !== undefined && info.exit === undefined) {
      const mounts = this.#prepared?.container.mounts ?? [];
      this.#context.volumes.adopt(this.containerId, mounts);
      this.#context.clusterVolumes.adopt(this.containerId, this.#task.volumes ?? []);
    }
    if (info?.state === 'running' || info?.state === 'paused') {
      this.#container = 'running';
      this.#pid = info.pid;
      this.#watchHealth();
    } else if (info?.state === 'created') {
      this.#container = 'created';
    } else if (info?.exit !== undefined) {
      // The machine speaks once the network has been let go.
      void this.exited(info.exit);
      return;
    }
    this.#poke();
  }

  update(task: AssignedTask): void {
    this.#task = task;
    if (!isWanted(task.desiredState)) this.#unwanted.abort();
    this.#poke();
  }

  /** Its container has ended. The network is let go first: another task may wait for the ports. */
  exited(exit: ContainerExit): Promise<void> {
    this.#ended ??= this.#end(exit);
    return this.#ended;
  }

  /** Stops and removes all that there is of the task. Nothing is reported any more. */
  async remove(): Promise<void> {
    this.#removing = true;
    this.#unwanted.abort();
    this.#monitor?.stop();
    await this.#loop;
    await this.#until(async () => {
      if (this.#container === 'running') await this.#stopContainer();
      await this.#context.removals.run(() => this.#discard());
      // Those that nobody has named go with the container, as in Docker.
      await this.#context.volumes.removeOwnedBy(this.containerId);
    });
    this.#unwanted[Symbol.dispose]();
    this.#tell();
  }

  /** Resolves when nothing is being done: the executor ends, and containers run on. */
  async close(): Promise<void> {
    this.#removing = true;
    this.#monitor?.stop();
    await this.#loop;
    this.#unwanted[Symbol.dispose]();
    this.#tell();
  }

  #poke(): void {
    this.#again = true;
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined;
    });
  }

  async #run(): Promise<void> {
    // Callers get to the end of what they do before the machine speaks.
    await Promise.resolve();
    while (this.#again && !this.#removing) {
      this.#again = false;
      for (;;) {
        const { status, action } = decide(this.#view());
        if (status !== undefined) this.#setStatus(status);
        if (action !== undefined) await this.#perform(action);
        if ((status === undefined && action === undefined) || this.#removing) break;
      }
    }
  }

  #view(): TaskView {
    const check = this.#prepared?.healthCheck;
    return {
      desired: this.#task.desiredState,
      state: this.#status.state,
      prepared: this.#prepared !== undefined,
      container: this.#container,
      ...(this.#exit === undefined ? {} : { exit: this.#exit }),
      health: check === undefined ? 'unchecked' : (this.#monitor?.health ?? 'starting'),
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
    };
  }

  async #perform(action: Action): Promise<void> {
    switch (action) {
      case 'prepare':
        return this.#attempt('', () => this.#prepare());
      case 'start':
        return this.#attempt('starting container failed: ', async () => {
          await this.#handedOver();
          const given = await this.#givenFiles();
          await this.#startWith(given, await this.#givenVolumes());
        });
      case 'stop':
        return this.#until(() => this.#stop());
    }
  }

  /** A failure that comes of the task's being called off is none. */
  async #attempt(prefix: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#unwanted.signal.aborted) return;
      this.#failure = `${prefix}${messageOf(error)}`;
    }
  }

  async #prepare(): Promise<void> {
    const { devices, node, onProgress, pulls, volumes } = this.#context;
    const image = await pulls.get(this.#task, this.#unwanted.signal);
    await devices.refresh();
    const given = devices.given(this.#task.genericResources ?? []);
    const prepared = prepareTask(this.#task, image, node(), taskContainerHexId);
    const container = withDevices(prepared.container, given);
    await checkBindSources(container.mounts);
    const wanted = await pulls.pin(this.#task, container.mounts, this.#unwanted.signal);
    const mounts = await volumes.provide(this.containerId, wanted);
    await this.#givenFiles();
    this.#prepared = { ...prepared, container: { ...container, mounts } };
    // Of a daemon that was killed before this was written; the container it started runs already.
    if (this.#container === 'running') this.#watchHealth();
    onProgress(this, false);
  }

  /** Its secrets and configs, as soon as a manager has told them. */
  async #givenFiles(): Promise<readonly TaskFile[]> {
    const { node, vault } = this.#context;
    const references = fileReferencesOf(this.#task.spec);
    const files = await vault.get(references, this.#unwanted.signal);
    return taskFiles(this.#task, files, node());
  }

  /** Waits until they are published to this node: that may take long, and holds up nobody else. */
  #givenVolumes(): Promise<ConnectedVolumes> {
    const { mounts } = this.#prepared!.container;
    const { volumes = [] } = this.#task;
    const { signal } = this.#unwanted;
    return this.#context.clusterVolumes.connect(this.containerId, mounts, volumes, signal);
  }

  async #startWith(given: readonly TaskFile[], volumes: ConnectedVolumes): Promise<void> {
    const { starts, clusterVolumes } = this.#context;
    try {
      await starts.run(() => this.#start(given, volumes), this.#unwanted.signal);
    } catch (error) {
      if (this.#container === 'none') clusterVolumes.disconnect(this.containerId);
      throw error;
    }
  }

  get #devices(): readonly string[] {
    return this.#context.devices.identitiesOf(this.#task.genericResources ?? []);
  }

  async #handedOver(): Promise<void> {
    const { clock, holders } = this.#context;
    const waiting = { clock, holders, signal: this.#unwanted.signal };
    await devicesLetGo(this.#devices, waiting);
    await portsLetGo(this.#hostPorts(), waiting);
  }

  #hostPorts(): readonly PortConfig[] {
    return (this.#task.ports ?? []).filter(({ publishMode }) => publishMode === 'host');
  }

  async #start(given: readonly TaskFile[], shared: ConnectedVolumes): Promise<void> {
    const { runtime } = this.#context;
    const { signal } = this.#unwanted;
    const id = this.containerId;
    signal.throwIfAborted();
    await runtime.remove(id);
    this.#container = 'none';
    try {
      const config = await this.#connected(given, shared);
      const { pid } = await runtime.create(config, { signal });
      this.#container = 'created';
      this.#pid = pid;
      await runtime.start(id, { signal });
    } catch (error) {
      if (this.#ended === undefined) await this.#discard();
      throw error;
    }
    if (this.#ended !== undefined) return;
    this.#container = 'running';
    this.#watchHealth();
  }

  /** The configuration with its network and the files that name the network's addresses. */
  async #connected(given: readonly TaskFile[], shared: ConnectedVolumes) {
    const { fileMounts, files, network, volumes } = this.#context;
    const prepared = this.#prepared!;
    const { networkMode, container } = prepared;
    const { networks = [], spec } = this.#task;
    const attachment =
      networkMode === 'host'
        ? undefined
        : await network.attach(
            {
              containerId: container.id,
              mode: networkMode,
              ports: this.#hostPorts(),
              ...(networks.length === 0 ? {} : { networks }),
              ...networkWishes(spec.container),
            },
            { signal: this.#unwanted.signal },
          );
    this.#ports = attachment?.ports ?? [];
    this.#given = attachment?.given ?? [];
    this.#attached = true;
    const onNetworks = [...networks, ...this.#given].flatMap(({ addresses }) => addresses);
    const { image, more } = container;
    const { mounts, devices } = shared;
    return {
      ...container,
      ...(devices.length === 0
        ? {}
        : { more: { ...more, devices: [...(more?.devices ?? []), ...devices] } }),
      mounts: await volumes.connect({ containerId: container.id, mounts, image }),
      network:
        attachment === undefined
          ? { kind: 'host' as const }
          : { kind: 'path' as const, path: attachment.netnsPath },
      files: [
        ...(await files.write({
          containerId: container.id,
          hostname: container.hostname,
          networkMode,
          // The bridge's is only the way out: nobody finds the container by it.
          addresses: onNetworks.length > 0 ? onNetworks : (attachment?.addresses ?? []),
          ...(attachment?.resolver === undefined ? {} : { resolver: attachment.resolver }),
          ...(attachment?.gateway === undefined ? {} : { gateway: attachment.gateway }),
          spec: spec.container,
        })),
        ...(await fileMounts.write(container.id, given)),
      ],
    };
  }

  async #stop(): Promise<void> {
    if (this.#container === 'created') await this.#discard();
    else await this.#stopContainer();
  }

  /** The executor's end does not wait for the grace: the next one sends the signal again. */
  async #stopContainer(): Promise<void> {
    const { runtime, signal } = this.#context;
    const stopped = runtime.stop(this.containerId, {
      signalName: this.#prepared?.container.stopSignal ?? 'SIGTERM',
      graceMs: this.stopGraceMs,
    });
    try {
      await this.exited(await withAbort(stopped, signal));
    } catch (error) {
      if (!(error instanceof SwarmError) || error.code !== 'not-found') throw error;
      await this.#discard();
    }
  }

  async #discard(): Promise<void> {
    const { clusterVolumes, fileMounts, files, network, runtime, volumes } = this.#context;
    await runtime.remove(this.containerId);
    await network.detach(this.containerId);
    this.#attached = false;
    await files.remove(this.containerId);
    await volumes.disconnect(this.containerId);
    clusterVolumes.disconnect(this.containerId);
    await fileMounts.remove(this.containerId);
    this.#container = 'none';
    this.#tell();
  }

  async #end(exit: ContainerExit): Promise<void> {
    this.#monitor?.stop();
    await this.#until(() => this.#context.network.detach(this.containerId));
    await this.#until(() => this.#context.fileMounts.remove(this.containerId));
    this.#attached = false;
    await this.#until(() => this.#context.volumes.disconnect(this.containerId));
    this.#context.clusterVolumes.disconnect(this.containerId);
    this.#exit = exit;
    this.#container = 'exited';
    this.#tell();
    this.#poke();
  }

  /** What has to happen in the end is tried until it does, or the executor ends. */
  async #until(work: () => Promise<void>): Promise<void> {
    const { log, signal } = this.#context;
    while (!signal.aborted) {
      try {
        await work();
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.warn('clearing up after a task failed, and is tried again', {
          taskId: this.#task.id,
          error: messageOf(error),
        });
      }
      await pause(retryMs, this.#context);
    }
  }

  #watchHealth(): void {
    const check = this.#prepared?.healthCheck;
    if (check === undefined) return;
    const initial = initialHealth(this.#context.clock.nowMs());
    this.#monitor = new HealthMonitor(
      {
        containerId: this.containerId,
        check,
        // One that was running before a restart of the daemon has been healthy already.
        initial: this.#status.state === 'running' ? { ...initial, health: 'healthy' } : initial,
        onChange: (health) => {
          this.#context.onHealth(this.containerId, health);
          this.#poke();
        },
      },
      this.#context,
    );
  }

  #setStatus({ state, message, err }: NonNullable<Decision['status']>): void {
    const { container, message: lastMessage, err: lastErr } = this.#status;
    const exitCode = this.#exit?.exitCode;
    const error = err ?? lastErr;
    this.#status = {
      state,
      atMs: this.#context.clock.nowMs(),
      message: message ?? lastMessage,
      ...(error === undefined ? {} : { err: error }),
      ...(this.#pid === 0
        ? container === undefined
          ? {}
          : { container }
        : {
            container: {
              containerId: this.containerId,
              pid: this.#pid,
              ...(exitCode === undefined ? {} : { exitCode }),
            },
          }),
      ...(this.#ports.length === 0 ? {} : { ports: this.#ports }),
      ...(this.#given.length === 0 ? {} : { networks: this.#given }),
    };
    this.#context.onProgress(this, true);
    this.#tell();
  }

  #tell(): void {
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers<void>();
    resolve();
  }
}
