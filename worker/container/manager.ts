/** The containers of this node: standalone ones, which it keeps, and a view of the tasks' own. */
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Semaphore } from '../../lib/concurrency.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { ContainerDocument, CreateExtras, HostDocument } from '../../types/index.ts';
import { ContainerFiles } from '../executor/container-files.ts';
import { needsImage, pinImages } from '../image/pinned.ts';
import { checkSourcesExist } from '../runtime/bind-sources.ts';
import type { LogLine, LogQuery, PinnedMount } from '../runtime/runtime.ts';
import { keepsLog, readKeptLog } from '../runtime/logs/kept-log.ts';
import { isMountLayer, type VolumeUser } from '../volume/index.ts';
import { Archives } from './archive/archives.ts';
import { Views } from './archive/views.ts';
import { keptBlockIo } from './block-io.ts';
import { checkContainer } from './checks.ts';
import { Connections, wantedMounts } from './connections.ts';
import { ContainerEvents, NetworkEvents } from './events.ts';
import { Execs } from './execs.ts';
import { findImage } from './find-image.ts';
import { Inside } from './inside.ts';
import { Links } from './links.ts';
import { Lock } from '../../lib/lock.ts';
import type { ContainerManagerDeps, ContainerManagerOptions } from './manager-deps.ts';
import { argvOf, completedHost, mergedConfig } from './merge.ts';
import { mountsOf } from './mounts.ts';
import { freeName, renamed } from './names.ts';
import { leave, wantedNetworks } from './networking.ts';
import { portRequests, publishedBefore } from './port-requests.ts';
import { Records } from './records.ts';
import { startsWithDaemon } from './restart-policy.ts';
import { logOf } from './runtime-config.ts';
import { Standalone } from './standalone.ts';
import type { StandaloneContext } from './standalone-context.ts';
import { taskView } from './tasks.ts';
import { runtimeWarnings, warningsOf } from './warnings.ts';
import { isRunning, neverRun, type ContainerRecord, type ContainerView } from './view.ts';

export interface CreateRequest {
  /** Empty: one is made up. */
  readonly name: string;
  readonly config: ContainerDocument;
  readonly extras: CreateExtras;
  /** "linux/amd64": what the image has to be for. Empty: whatever it is. */
  readonly platform: string;
}

interface Created {
  readonly id: string;
  readonly warnings: readonly string[];
}

/** Either a container that this node keeps, or a task's, which only the swarm makes and removes. */
export type Target =
  | { readonly own: Standalone; readonly view: ContainerView }
  | { readonly own?: undefined; readonly view: ContainerView };

const probesMax = 8;

export class ContainerManager implements AsyncDisposable {
  readonly events: ContainerEvents;
  readonly networkEvents: NetworkEvents;
  readonly execs: Execs;
  readonly inside: Inside;
  readonly archives: Archives;
  readonly links: Links;
  readonly #views: Views;
  readonly #options: ContainerManagerOptions;
  readonly #deps: ContainerManagerDeps;
  readonly #records: Records;
  readonly #context: StandaloneContext;
  readonly #containers = new Map<string, Standalone>();
  readonly #creating = new Lock();
  readonly #work = new Set<Promise<void>>();
  #exits: Disposable | undefined;

  constructor(options: ContainerManagerOptions, deps: ContainerManagerDeps) {
    const log = deps.log.child({ module: 'container' });
    const { clock, random, runtime, network, ownNetworks, swarmNetworks, volumes, devices } = deps;
    this.#options = options;
    this.#deps = { ...deps, log };
    this.#records = new Records(options.recordsFolder ?? join(options.dataRoot, 'standalone'));
    this.events = new ContainerEvents(clock);
    this.networkEvents = new NetworkEvents(clock);
    const files = new ContainerFiles(join(options.runRoot, 'runtime', 'standalone'));
    this.links = new Links({
      containers: this.#containers,
      find: (nameOrId) => this.#findOwn(nameOrId),
      files,
      log,
    });
    const linkEnv = (record: ContainerRecord) => this.links.env(record);
    this.execs = new Execs({ io: runtime.io, events: this.events, linkEnv, clock, random });
    this.inside = new Inside(runtime, deps.images);
    this.#views = new Views(join(options.runRoot, 'views'), { runtime, volumes, log });
    this.archives = new Archives(this.#views, runtime);
    this.#context = {
      runtime,
      devices,
      clock,
      log,
      links: this.links,
      records: this.#records,
      events: this.events,
      probes: new Semaphore(probesMax),
      folder: join(options.dataRoot, 'standalone'),
      connections: new Connections({
        network,
        ownNetworks,
        volumes,
        swarmNetworks,
        events: this.networkEvents,
        ports: deps.ports,
        links: this.links,
        files,
        sharedWith: (nameOrId) => this.#connectionOf(nameOrId),
      }),
      pidOf: (nameOrId) => this.#running(nameOrId).view([]).state.pid,
      onOver: (container) => this.#removeLater(container),
    };
  }

  /** Names of what this node keeps that the runtime and the network know: not a task's. */
  owns(runtimeId: string): boolean {
    return this.#containers.has(runtimeId) || /^[0-9a-f]{64}$/.test(runtimeId);
  }

  /** Takes over the containers of a former daemon, and starts those that are to run. */
  async open(): Promise<void> {
    const { runtime, log } = this.#deps;
    for (const { record, state } of this.#records.load()) {
      this.#containers.set(record.id, new Standalone(record, state, this.#context));
    }
    await this.#views.start();
    const found = new Map((await runtime.list()).map((info) => [info.id, info]));
    await this.#deps.ports.adopt(
      [...this.#containers.values()].flatMap(({ id, state }) => {
        const lives = found.get(id)?.exit === undefined && found.has(id);
        const { published } = state;
        if (!lives || !isRunning(state) || published === undefined) return [];
        return [{ id, ...publishedBefore(published) }];
      }),
    );
    this.#exits = runtime.onExit((exit) => void this.#containers.get(exit.id)?.exited(exit));
    const toStart: Standalone[] = [];
    for (const container of this.#containers.values()) {
      const before = container.state;
      await container.adopt(found.get(container.id));
      if (container.state.status === 'dead') void this.#removeLater(container);
      const { wasStopped, startedAtMs } = container.state;
      const policy = container.record.host.restartPolicy;
      const restarts =
        before.status === 'restarting' ||
        startsWithDaemon(policy, { wasStopped, hasRun: startedAtMs > 0 });
      if (restarts && !isRunning(container.state)) toStart.push(container);
    }
    this.#startLater(toStart);
    for (const id of found.keys()) {
      if (this.owns(id) && !this.#containers.has(id)) await runtime.remove(id);
    }
    for (const key of await runtime.layers.list()) {
      if (!this.#containers.has(key) && !isMountLayer(key)) await runtime.layers.remove(key);
    }
    log.info('standalone containers are taken up again', { containers: this.#containers.size });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#exits?.[Symbol.dispose]();
    for (const container of this.#containers.values()) await container.close();
    await Promise.all(this.#work);
    await this.#deps.ports[Symbol.asyncDispose]();
    this.#records[Symbol.dispose]();
  }

  /** Throws `not-found` "No such image: x:latest", which makes clients pull it. */
  create(request: CreateRequest): Promise<Created> {
    return this.#creating.run(() => this.#create(request));
  }

  async #create({ name, config, extras, platform }: CreateRequest): Promise<Created> {
    const { runtime, images, random, clock, volumes } = this.#deps;
    const { hostConfig } = extras;
    // Before the image is looked for: a client would pull it, and be refused after.
    this.check(config, hostConfig);
    const image = await findImage(images, config.image, platform);
    const id = createHash('sha256').update(random.id()).update(random.id()).digest('hex');
    const ownName = this.#freeName(name);
    const { blockSupport, cgroupVersion, ociRuntime } = runtime.info();
    const { kept, warnings } = keptBlockIo(hostConfig, blockSupport);
    const host = completedHost(kept, cgroupVersion);
    const merged = mergedConfig(
      config,
      image.config,
      { id, hostname: this.#options.hostname },
      host.networkMode,
    );
    const argv = argvOf(merged);
    if (argv.length === 0) throw new SwarmError('invalid-argument', 'no command specified');
    const mounts = await pinImages(mountsOf(merged, host, this.#mountsFrom(host)), (name) =>
      findImage(images, name, ''),
    );
    // Those of -v are made when it is started.
    await checkSourcesExist(mounts.filter(({ bindOptions }) => !bindOptions?.createMountpoint));
    portRequests(merged, host);
    logOf({ host });
    const record: ContainerRecord = {
      id,
      name: ownName,
      createdAtMs: clock.nowMs(),
      config: merged,
      host,
      imageId: image.id,
      rootfs: image.rootfs,
      argv,
      networks: wantedNetworks(host.networkMode, config, extras),
      ...this.links.of(host.networkMode, hostConfig.links ?? []),
      mounts: await volumes.make({ containerId: id, mounts, image: image.rootfs }),
    };
    await mkdir(join(this.#context.folder, id), { recursive: true, mode: 0o710 });
    await runtime.layers.prepare(id, image.rootfs);
    this.#records.put(record, neverRun);
    this.#containers.set(id, new Standalone(record, neverRun, this.#context));
    this.events.tell('create', record);
    const others = [...warningsOf(record), ...runtimeWarnings(hostConfig, ociRuntime)];
    return { id, warnings: [...warnings, ...others] };
  }

  /** Throws `invalid-argument` or `unimplemented` for what no container of this node can have. */
  check(config: ContainerDocument, host: HostDocument): void {
    const { cpuLists } = this.#deps.runtime.info();
    checkContainer(config, host, { cpus: this.#options.cpus, cpuLists });
  }

  /** Throws `not-found`, or `invalid-argument` for the start of more than one id. */
  async find(nameOrId: string): Promise<Target> {
    const own = this.#findOwn(nameOrId);
    if (own !== undefined) return { own, view: own.view(this.execs.of(own.id)) };
    const tasks = await this.#taskViews();
    const matches = (test: (view: ContainerView) => boolean) => tasks.find(test);
    const bare = nameOrId.replace(/^\//, '');
    const view =
      matches(({ record }) => record.id === nameOrId) ??
      matches(({ record }) => record.name === bare) ??
      (/^[0-9a-f]+$/.test(nameOrId)
        ? matches(({ record }) => record.id.startsWith(nameOrId))
        : undefined);
    if (view !== undefined) return { view };
    throw new SwarmError('not-found', `No such container: ${nameOrId}`);
  }

  /** Newest first. */
  async list(): Promise<readonly ContainerView[]> {
    const own = [...this.#containers.values()].map((container) =>
      container.view(this.execs.of(container.id)),
    );
    const all = [...own, ...(await this.#taskViews())];
    return all.toSorted((a, b) => b.record.createdAtMs - a.record.createdAtMs);
  }

  /** The containers of people, with their volumes. */
  *volumeUsers(): Iterable<VolumeUser> {
    for (const { id, record } of this.#containers.values()) {
      yield { id, mounts: wantedMounts(record) };
    }
  }

  /** The name of a container that needs the image, if there is one. */
  imageUser(imageId: string): string | undefined {
    const users = [...this.#containers.values()].filter(({ record }) =>
      needsImage({ imageId: record.imageId, mounts: wantedMounts(record) }, imageId),
    );
    return (users.find(({ state }) => isRunning(state)) ?? users[0])?.id;
  }

  async rename(target: Target, name: string): Promise<void> {
    const own = ownOf(target, 'renamed');
    if (name === '') {
      throw new SwarmError('invalid-argument', 'Neither old nor new names may be empty');
    }
    const bare = name.replace(/^\//, '');
    if (bare === own.record.name) {
      throw new SwarmError(
        'invalid-argument',
        'Renaming a container with the same name as its current name',
      );
    }
    const oldName = own.record.name;
    const wanted = renamed(() => this.#freeName(name));
    own.change((record) => ({ ...record, name: wanted }));
    this.events.tell('rename', own.record, { oldName: `/${oldName}` });
  }

  /** Throws `aborted` in Docker's words for one that runs, unless forced. */
  async remove(
    target: Target,
    { force, volumes = false }: { readonly force: boolean; readonly volumes?: boolean },
  ): Promise<void> {
    const { view } = target;
    const { record, state } = view;
    if (isRunning(state) && !force) {
      const advice =
        state.status === 'paused'
          ? 'container is paused and must be unpaused first'
          : `container is ${state.status}: stop the container before removing or force remove`;
      throw new SwarmError('aborted', `cannot remove container "/${record.name}": ${advice}`);
    }
    if (target.own === undefined) {
      // The swarm notices, and makes another.
      const { runtime } = this.#deps;
      if (isRunning(state)) await runtime.kill(view.runtimeId, 'SIGKILL');
      else await runtime.remove(view.runtimeId);
      return;
    }
    if (state.status === 'removing') {
      throw new SwarmError('aborted', `removal of container ${record.id} is already in progress`);
    }
    await this.#remove(target.own, volumes);
  }

  /** The managers have taken a place on a network away: whoever has it leaves. */
  lost(taskId: string): void {
    for (const one of this.#containers.values()) {
      void this.#track(leave(one, taskId), 'a container could not leave a network', one.id);
    }
  }

  logs(
    { own, view }: Target,
    query: LogQuery,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<LogLine> {
    const { runtime } = this.#deps;
    if (own === undefined) return runtime.logs(view.runtimeId, query, options);
    const limits = logOf(own.record);
    if (!keepsLog(limits)) {
      throw new SwarmError('unimplemented', 'configured logging driver does not support reading');
    }
    return isRunning(own.state) && own.state.status !== 'restarting'
      ? runtime.logs(own.id, query, options)
      : readKeptLog(own.logPath, limits, query, options.signal);
  }

  async #remove(container: Standalone, withVolumes: boolean): Promise<void> {
    await container.remove();
    await rm(container.folder, { recursive: true, force: true });
    this.#records.delete(container.id);
    this.#containers.delete(container.id);
    this.execs.forget(container.id);
    if (withVolumes) await this.#deps.volumes.removeOwnedBy(container.id);
    this.events.tell('destroy', container.record);
    container.gone();
  }

  /** As in Docker, `--rm` takes anonymous volumes along. */
  #removeLater(container: Standalone): Promise<void> {
    const { autoRemove } = container.record.host;
    return this.#track(
      this.#remove(container, autoRemove),
      'a container could not be removed',
      container.id,
    );
  }

  /** What a container has links to is started before it. */
  #startLater(containers: readonly Standalone[]): void {
    const started = new Map<string, Promise<void>>();
    const start = (container: Standalone): Promise<void> => {
      const known = started.get(container.id);
      if (known !== undefined) return known;
      const work = async () => {
        const targets = this.links.targetsOf(container.record);
        await Promise.all(targets.filter((one) => containers.includes(one)).map(start));
        await container.start();
      };
      const message = 'a container could not be started again';
      const starting = this.#track(work(), message, container.id);
      started.set(container.id, starting);
      return starting;
    };
    for (const container of containers) void start(container);
  }

  /** Resolves when the work is over, also where it failed. */
  #track(work: Promise<void>, message: string, containerId: string): Promise<void> {
    const tracked = work
      .catch((error: unknown) =>
        this.#deps.log.error(message, { containerId, error: messageOf(error) }),
      )
      .finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
    return tracked;
  }

  #freeName(given: string): string {
    const names = [...this.#containers.values()].map(
      ({ id, record }) => [record.name, id] as const,
    );
    return freeName(given, new Map(names), this.#deps.random);
  }

  #findOwn(nameOrId: string): Standalone | undefined {
    const exact = this.#containers.get(nameOrId);
    if (exact !== undefined) return exact;
    const bare = nameOrId.replace(/^\//, '');
    if (bare.includes('/')) return this.links.find(bare);
    const all = [...this.#containers.values()];
    const named = all.find(({ record }) => record.name === bare);
    if (named !== undefined) return named;
    if (!/^[0-9a-f]+$/.test(nameOrId)) return undefined;
    const starting = all.filter(({ id }) => id.startsWith(nameOrId));
    if (starting.length < 2) return starting[0];
    throw new SwarmError(
      'invalid-argument',
      `multiple IDs found with provided prefix: ${nameOrId}`,
    );
  }

  #mountsFrom({ volumesFrom }: CreateExtras['hostConfig']): readonly PinnedMount[] {
    return (volumesFrom ?? []).flatMap((entry) => {
      const [name = '', mode = 'rw'] = entry.split(':');
      if (!['rw', 'ro', 'z', 'Z'].includes(mode)) {
        throw new SwarmError('invalid-argument', `invalid mode: ${mode}`);
      }
      const other = this.#findOwn(name);
      // Not "not found", which clients take for the image, and pull it.
      if (other === undefined) {
        throw new SwarmError('invalid-argument', `No such container: ${name}`);
      }
      return wantedMounts(other.record).map((mount) =>
        mode === 'ro' ? { ...mount, readOnly: true } : mount,
      );
    });
  }

  #running(nameOrId: string): Standalone {
    const other = this.#findOwn(nameOrId);
    if (other === undefined) throw new SwarmError('not-found', `No such container: ${nameOrId}`);
    if (isRunning(other.state)) return other;
    throw new SwarmError('aborted', `cannot join network of a non running container: ${other.id}`);
  }

  #connectionOf(nameOrId: string) {
    const other = this.#running(nameOrId);
    const connection = this.#context.connections.of(other.id);
    if (connection === undefined) {
      throw new SwarmError('aborted', `container ${other.id} has no network to be shared`);
    }
    return { ...connection, pid: other.state.pid };
  }

  async #taskViews(): Promise<readonly ContainerView[]> {
    const { runtime, tasks, volumes } = this.#deps;
    const infos = new Map((await runtime.list()).map((info) => [info.id, info]));
    const { cgroupVersion } = runtime.info();
    return [...tasks()].flatMap((task) => {
      const info = infos.get(task.containerId);
      if (info === undefined) return [];
      const { containerId } = task;
      const folder = join(this.#options.dataRoot, 'containers', containerId);
      const logPath = join(folder, `${containerId}-json.log`);
      const view = taskView(task, info, { logPath, cgroupVersion, execIds: [], volumes });
      return [{ ...view, execIds: this.execs.of(view.record.id) }];
    });
  }
}

/** Throws for a task's container, which the swarm would only make again as it was. */
export function ownOf({ own, view }: Target, done: string): Standalone {
  if (own !== undefined) return own;
  throw new SwarmError(
    'aborted',
    `container ${view.record.name} belongs to a task of the swarm and cannot be ${done}: change ` +
      'its service',
  );
}
