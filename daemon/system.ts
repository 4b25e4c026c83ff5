/** What this host and its engine are, for the API and for the managers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostInfo, SystemBackend } from '../api/index.ts';
import { assert } from '../lib/assert.ts';
import { errnoOf } from '../lib/errors.ts';
import type { Random } from '../lib/random.ts';
import {
  logDrivers,
  type ImageEvent,
  type NodeDescription,
  type Platform,
} from '../types/index.ts';
import type { TaskRunner } from '../worker/executor/index.ts';
import type { NodeFacts } from '../worker/task/index.ts';
import type { NodeImages } from '../worker/image/index.ts';
import { hasJournal, type Runtime } from '../worker/runtime/index.ts';
import { cdiFolders, type NodeDevices } from '../worker/device/index.ts';
import type { CsiDrivers } from '../worker/csi/index.ts';
import type { Volumes } from '../worker/volume/index.ts';
import { hostnameOf, type HostFacts } from './host-facts.ts';
import type { DaemonOptions } from './options.ts';
import type { SwarmNode } from './swarm-node.ts';
import { version } from './version.ts';

interface SystemParts {
  readonly runtime: Runtime;
  readonly nodeImages: NodeImages;
  readonly volumes: Pick<Volumes, 'driverNames' | 'refreshDrivers' | 'stayingNames' | 'onNews'>;
  readonly devices: NodeDevices;
  readonly csi: Pick<CsiDrivers, 'infos' | 'refresh' | 'onChange'>;
  readonly random: Random;
}

/** Also the facts that templates in specs may name: {{.Node.ID}}, {{.Node.Hostname}}. */
export class System implements SystemBackend, NodeFacts {
  readonly version = version;
  readonly dataRoot: string;
  readonly #options: DaemonOptions;
  readonly #host: HostFacts;
  readonly #parts: SystemParts;
  readonly #engineId: string;
  #executor: TaskRunner | undefined;
  #swarm: SwarmNode | undefined;

  constructor(options: DaemonOptions, host: HostFacts, parts: SystemParts) {
    this.dataRoot = options.dataRoot;
    this.#options = options;
    this.#host = host;
    this.#parts = parts;
    this.#engineId = engineId(join(options.dataRoot, 'engine-id'), parts.random);
  }

  /** The parts that themselves need to know what this host is. */
  attach({ executor, swarm }: { executor: TaskRunner; swarm: SwarmNode }): void {
    const { csi, devices, volumes } = this.#parts;
    csi.onChange = () => swarm.redescribe();
    volumes.onNews = () => swarm.redescribe();
    devices.onChange = () => swarm.redescribe();
    this.#executor = executor;
    this.#swarm = swarm;
  }

  /** What this node tells the managers about itself. */
  async describe(): Promise<NodeDescription> {
    const { csi, devices, volumes } = this.#parts;
    await Promise.all([volumes.refreshDrivers(), devices.refresh(), csi.refresh()]);
    const csiInfos = csi.infos();
    const genericResources = devices.resources();
    const stayingVolumes = volumes.stayingNames();
    const { cpus, memoryBytes } = this.#host;
    return {
      hostname: this.hostname,
      platform: this.platform,
      resources: {
        nanoCpus: cpus * 1e9,
        memoryBytes,
        ...(genericResources.length === 0 ? {} : { genericResources }),
      },
      engine: {
        version,
        labels: this.#options.labels,
        plugins: [
          ...volumes.driverNames.map((name) => ({ type: 'Volume', name })),
          ...['bridge', 'host', 'null'].map((name) => ({ type: 'Network', name })),
          ...(await this.#logDrivers()).map((name) => ({ type: 'Log', name })),
        ],
      },
      ...(stayingVolumes.length === 0 ? {} : { volumes: stayingVolumes }),
      ...(csiInfos.length === 0 ? {} : { csi: csiInfos }),
    };
  }

  /** A journal is not on every host. */
  async #logDrivers(): Promise<readonly string[]> {
    const isThere = await hasJournal();
    return logDrivers.filter((name) => name !== 'journald' || isThere).toSorted();
  }

  /** Empty while this host is in no swarm. */
  get id(): string {
    return this.#swarm?.status().nodeId ?? '';
  }

  get hostname(): string {
    return hostnameOf(this.#options);
  }

  get platform(): Required<Platform> {
    return { architecture: this.#host.architecture, os: 'linux' };
  }

  async info(): Promise<HostInfo> {
    const { csi, devices, runtime, nodeImages, volumes } = this.#parts;
    await Promise.all([volumes.refreshDrivers(), devices.refresh(), csi.refresh()]);
    const runtimeInfo = runtime.info();
    const [containers, images] = await Promise.all([runtime.list(), nodeImages.images.list()]);
    const running = containers.filter(({ state }) => state === 'running').length;
    return {
      ...this.#host,
      engineId: this.#engineId,
      hostname: this.hostname,
      containers: { running, stopped: containers.length - running },
      images: images.length,
      containerdVersion: runtimeInfo.containerdVersion,
      ociRuntime: runtimeInfo.ociRuntime,
      cgroupVersion: runtimeInfo.cgroupVersion,
      blockSupport: runtimeInfo.blockSupport,
      snapshotter: runtimeInfo.snapshotter,
      volumeDrivers: volumes.driverNames,
      logDrivers: await this.#logDrivers(),
      genericResources: devices.resources(),
      cdiFolders,
      cdiDevices: devices.names(),
      labels: Object.entries(this.#options.labels).map(([key, value]) => `${key}=${value}`),
      insecureRegistries: this.#options.insecureRegistries,
    };
  }

  imageUser(imageId: string): string | undefined {
    assert(this.#executor !== undefined, 'the API is served only once the executor runs');
    return this.#executor.imageUser(imageId);
  }

  onImageEvent(listener: (event: ImageEvent) => void): Disposable {
    return this.#parts.nodeImages.onEvent(listener);
  }
}

/** Chosen once for a data root, and kept: Docker's `ID` of an engine. */
function engineId(path: string, random: Random): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const id = random.id();
  writeFileSync(path, `${id}\n`, { mode: 0o644 });
  return id;
}
