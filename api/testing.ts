/** A backend for tests of the API: a real store and real commands, on a made-up host. */
import { VirtualClock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import { seededRandom } from '../lib/random.ts';
import { newIngressNetwork } from '../manager/allocator/index.ts';
import { Control } from '../manager/control/index.ts';
import { encodeBackup, Store, type Change } from '../manager/store/index.ts';
import { MemoryLog } from '../manager/store/memory-log.ts';
import { makeCluster } from '../manager/store/testing.ts';
import type { Cluster, ImageEvent, Node, Task } from '../types/index.ts';
import { testContainers } from '../worker/container/testing.ts';
import type { Image, Images } from '../worker/image/images.ts';
import { allBlockLimits } from '../worker/runtime/fake-parts.ts';
import type { LogLine, LogQuery } from '../worker/runtime/runtime.ts';
import type {
  Backend,
  HostInfo,
  InitOptions,
  JoinOptions,
  ManagerBackend,
  RestoreOptions,
  SwarmStatus,
} from './backend.ts';

export const testHost: HostInfo = {
  engineId: '7f2ab0ee-6bd7-4c5f-8cf2-6b0d8b0cb8b1',
  hostname: 'h1',
  kernelVersion: '6.18.0',
  operatingSystem: 'Debian GNU/Linux 12 (bookworm)',
  architecture: 'x86_64',
  cpus: 2,
  memoryBytes: 2 ** 31,
  containers: { running: 1, stopped: 2 },
  images: 1,
  containerdVersion: '1.6.20',
  ociRuntime: 'crun',
  cgroupVersion: 1,
  blockSupport: { ...allBlockLimits, weight: false, weightDevices: false },
  snapshotter: 'overlayfs',
  labels: [],
  volumeDrivers: ['local'],
  logDrivers: ['json-file', 'local', 'none', 'syslog'],
  genericResources: [],
  cdiFolders: [],
  cdiDevices: ['vendor.com/gpu=0'],
  insecureRegistries: ['10.99.0.254:5000', '10.0.0.0/8'],
};

const testManifest = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${'ac'.repeat(32)}`,
  size: 529,
  platform: { architecture: 'amd64', os: 'linux' },
};

export const testImage: Image = {
  id: `sha256:${'ab'.repeat(32)}`,
  repoTags: ['10.99.0.254:5000/web:1'],
  repoDigests: [`10.99.0.254:5000/web@sha256:${'cd'.repeat(32)}`],
  createdAt: '2026-01-02T03:04:05.678Z',
  sizeBytes: 1_234_567,
  platform: { architecture: 'amd64', os: 'linux' },
  config: {
    entrypoint: [],
    cmd: ['sleep', '1000'],
    env: ['PATH=/bin'],
    workingDir: '',
    user: '',
    labels: { tier: 'web' },
    volumes: [],
    exposedPorts: [],
  },
  rootfs: { name: '10.99.0.254:5000/web:1', chainId: `sha256:${'ef'.repeat(32)}` },
  rawConfig: {
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['sleep', '1000'], Env: ['PATH=/bin'], Labels: { tier: 'web' } },
    rootfs: { type: 'layers', diff_ids: [`sha256:${'01'.repeat(32)}`] },
    history: [
      { created: '2026-01-02T03:04:05Z', created_by: 'ADD busybox /bin' },
      { created: '2026-01-02T03:04:06Z', created_by: 'CMD sleep', empty_layer: true },
    ],
  },
  target: testManifest,
  manifest: testManifest,
};

type LogEntry = { task: Task; line: LogLine } | { notice: string };

/** Everything that a test may want to decide, or to look at. */
export class FakeBackend implements Backend {
  readonly clock = new VirtualClock();
  readonly random = seededRandom(1);
  readonly store = new Store(new MemoryLog());
  readonly initCalls: InitOptions[] = [];
  readonly joinCalls: JoinOptions[] = [];
  readonly restoreCalls: RestoreOptions[] = [];
  readonly unlockCalls: string[] = [];
  readonly leaveCalls: boolean[] = [];
  /** Whoever listens to what happens to images. */
  readonly imageListeners = new Set<(event: ImageEvent) => void>();
  logEntries: (query: LogQuery, signal: AbortSignal) => AsyncIterable<LogEntry> = nothing;
  logQueries: LogQuery[] = [];
  /** What a node serves to managers. */
  reach: ManagerBackend['reach'] = (nodeId) => {
    return Promise.reject(new SwarmError('unavailable', `node ${nodeId} is down`));
  };
  /** The nodes that were given the lead. */
  leads: string[] = [];
  status: SwarmStatus = {
    state: 'inactive',
    error: '',
    nodeId: '',
    nodeAddr: '',
    isManager: false,
    remoteManagers: [],
  };
  imageUser: (imageId: string) => string | undefined = () => undefined;
  pullImage: Images['pull'] = async () => testImage;

  readonly system: Backend['system'] = {
    version: '0.1.0',
    dataRoot: '/var/lib/ts-swarm',
    info: async () => testHost,
    onImageEvent: (listener) => {
      this.imageListeners.add(listener);
      return { [Symbol.dispose]: () => this.imageListeners.delete(listener) };
    },
    imageUser: (imageId) => this.imageUser(imageId),
  };

  readonly swarm: Backend['swarm'] = {
    init: async (options) => {
      this.initCalls.push(options);
      return this.becomeManager();
    },
    join: async (options) => void this.joinCalls.push(options),
    restore: async (options) => {
      this.restoreCalls.push(options);
      return this.becomeManager();
    },
    leave: async ({ force }) => void this.leaveCalls.push(force),
    unlock: async ({ unlockKey }) => void this.unlockCalls.push(unlockKey),
    status: () => this.status,
  };

  readonly images: Images = {
    pull: (...args) => this.pullImage(...args),
    push: async (name, options = {}) => {
      options.onProgress?.({ status: `The push refers to repository [${name}]` });
    },
    tags: async () => ['1', '2'],
    get: async (name, { platform = 'linux/amd64' } = {}) => {
      if (!isNamed(name)) return undefined;
      if (platform === 'linux/amd64') return testImage;
      throw new SwarmError('not-found', `not for (${platform})`);
    },
    manifests: async () => [
      {
        descriptor: testManifest,
        isAvailable: true,
        kind: 'image',
        contentBytes: 600,
        unpackedBytes: 4000,
        platform: testManifest.platform,
        imageId: testImage.id,
      },
    ],
    list: async () => [testImage],
    tag: async () => undefined,
    remove: async (name, { inUse, force, platforms }) => {
      if (!isNamed(name)) throw new SwarmError('not-found', `No such image: ${name}`);
      if (platforms !== undefined) return platforms.map((deleted) => ({ deleted }));
      const user = inUse(testImage.id);
      if (user !== undefined && !force) {
        throw new SwarmError('already-exists', `image is being used by container ${user}`);
      }
      return [{ untagged: name }, { deleted: testImage.id }];
    },
    prune: async ({ wanted }) => ({
      removed: wanted(testImage) ? [{ deleted: testImage.id }] : [],
      reclaimedBytes: wanted(testImage) ? 7 : 0,
    }),
    commit: async () => testImage.id,
    login: async (_domain, { password }) => {
      if (password !== 'right') throw new SwarmError('unauthenticated', 'unauthorized: wrong');
    },
    search: async (domain) => [
      { name: `${domain}/a`, description: 'd', stars: 5, isOfficial: true, isAutomated: false },
      { name: `${domain}/b`, description: '', stars: 1, isOfficial: false, isAutomated: false },
    ],
    save: async (names, { platform = '' } = {}) => {
      const missing = names.find((name) => !isNamed(name));
      if (missing !== undefined) throw new SwarmError('not-found', `No such image: ${missing}`);
      return (async function* archive() {
        yield Buffer.from(names.join() + platform);
      })();
    },
    load: async (archive, { platform = '' } = {}) => {
      let bytes = 0;
      for await (const chunk of archive) bytes += chunk.length;
      return [`loaded${platform}/${bytes}:1`];
    },
    import: async (tarball) => {
      for await (const chunk of tarball) void chunk;
      return testImage.id;
    },
    distribution: async () => ({
      digest: `sha256:${'cd'.repeat(32)}`,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      sizeBytes: 529,
      platforms: [{ architecture: 'amd64', os: 'linux' }],
    }),
  };

  readonly made = testContainers({ clock: this.clock, random: this.random, images: this.images });
  readonly containers = this.made.manager;
  readonly volumes = this.made.volumes;

  readonly #control = new Control({
    store: this.store,
    clock: this.clock,
    random: this.random,
    makeUnlockKey: () => 'SWMKEY-1-key',
    makeJoinToken: () => `SWMTKN-1-${'0'.repeat(50)}-${this.random.id()}`,
    checkDemotion: () => undefined,
  });

  readonly #manager: ManagerBackend = {
    control: this.#control,
    lead: (nodeId) => {
      this.leads.push(nodeId);
      return Promise.resolve();
    },
    read: () => this.store.read(),
    history: () => this.store.history,
    examine: () => Promise.resolve([]),
    reach: (...args) => this.reach(...args),
    watch: (options) => this.store.watch({ ...options }),
    backup: ({ passphrase }) => {
      const { store, clock } = this;
      const info = { clusterId: store.cluster()?.id ?? '', createdAtMs: clock.nowMs() };
      const snapshot = store.snapshotParts();
      const parts = encodeBackup({ ...info, index: store.index }, snapshot, passphrase);
      return Promise.resolve({ encrypted: passphrase !== undefined, parts });
    },
    logs: (_target, query, { signal }) => {
      this.logQueries.push(query);
      return this.logEntries(query, signal);
    },
  };

  manager(): ManagerBackend {
    if (!this.status.isManager) {
      throw new SwarmError(
        'unavailable',
        "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster " +
          'state. Please run this command on a manager node or promote the current node to a manager.',
      );
    }
    return this.#manager;
  }

  /** Makes a swarm of this node, and returns the node's id. */
  async becomeManager(cluster: Partial<Cluster> = {}): Promise<string> {
    await this.store.open();
    const id = this.random.id();
    const own = makeCluster(this.random.id(), {
      rootCa: {
        certPem: '',
        keyPem: '',
        joinTokens: { worker: 'SWMTKN-1-worker', manager: 'SWMTKN-1-manager' },
      },
      ...cluster,
    });
    const ingress = newIngressNetwork(own, this.random);
    await this.propose([
      { op: 'put', table: 'cluster', object: own, base: 0 },
      { op: 'put', table: 'node', object: makeManagerNode(id), base: 0 },
      { op: 'put', table: 'network', object: ingress, base: 0 },
    ]);
    this.status = {
      ...this.status,
      state: 'active',
      nodeId: id,
      nodeAddr: '10.99.0.1',
      isManager: true,
      remoteManagers: [{ nodeId: id, addr: '10.99.0.1:2377' }],
    };
    return id;
  }

  async propose(changes: readonly Change[]): Promise<void> {
    const result = await this.store.propose(changes, { atMs: this.clock.nowMs() });
    if (!result.applied) throw new Error(result.conflict);
  }
}

function makeManagerNode(id: string): Node {
  return {
    id,
    meta: { version: 0, createdAtMs: 0, updatedAtMs: 0 },
    spec: { labels: {}, role: 'manager', availability: 'active' },
    role: 'manager',
    description: {
      hostname: 'h1',
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 2e9, memoryBytes: 2 ** 31 },
      engine: { version: '0.1.0', labels: {}, plugins: [{ type: 'Network', name: 'bridge' }] },
    },
    status: { state: 'ready', message: '', addr: '10.99.0.1', atMs: 0 },
    manager: { addr: '10.99.0.1:2377', leader: true },
  };
}

function isNamed(name: string): boolean {
  return [testImage.id, ...testImage.repoTags].includes(name);
}

async function* nothing(): AsyncIterable<LogEntry> {}
