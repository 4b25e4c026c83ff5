/** Objects for tests of the store and of what stands on it. */
import {
  swarmSpec,
  type Cluster,
  type ClusterVolume,
  type FileObject,
  type Network,
  type Node,
  type Service,
  type ServiceSpec,
  type Task,
  type TaskSpec,
} from '../../types/index.ts';

const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };

export function makeService(id: string, overrides: Partial<Service> = {}): Service {
  const spec: ServiceSpec = {
    name: id,
    labels: {},
    task: { container: { image: 'web:1' }, forceUpdate: 0 },
    mode: { replicated: { replicas: 1 } },
  };
  return { id, meta, spec, specVersion: 1, ...overrides };
}

/** A task of the service, at its present spec. */
export function makeTask(
  id: string,
  service: Pick<Service, 'id' | 'spec' | 'specVersion'>,
  overrides: Partial<Task> = {},
): Task {
  return {
    id,
    meta,
    serviceId: service.id,
    slot: 1,
    nodeId: '',
    spec: service.spec.task,
    specVersion: service.specVersion,
    name: `${service.spec.name}.1.${id}`,
    serviceName: service.spec.name,
    desiredState: 'running',
    status: { state: 'new', atMs: 0, message: 'created' },
    ...overrides,
  };
}

export function makeNode(id: string, overrides: Partial<Node> = {}): Node {
  return {
    id,
    meta,
    spec: { labels: {}, role: 'worker', availability: 'active' },
    role: 'worker',
    status: { state: 'ready', message: '', addr: '10.0.0.1', atMs: 0 },
    ...overrides,
  };
}

/** One with a driver of cluster volumes, `d`, which also makes them. */
export function makeVolumeNode(id: string, state: Node['status']['state'] = 'ready'): Node {
  return makeNode(id, {
    status: { state, message: '', addr: '', atMs: 0 },
    description: {
      hostname: id,
      platform: { os: 'linux', architecture: 'x86_64' },
      resources: { nanoCpus: 0, memoryBytes: 0 },
      engine: { version: '', labels: {}, plugins: [] },
      csi: [{ driver: 'd', nodeId: `csi-${id}`, maxVolumes: 0, isController: true }],
    },
  });
}

export function makeNetwork(id: string, overrides: Partial<Network> = {}): Network {
  return {
    id,
    meta,
    spec: { name: id, labels: {}, driver: 'overlay', scope: 'swarm' },
    vni: 4096,
    subnets: [{ subnet: '10.9.0.0/24', gateway: '10.9.0.1' }],
    ...overrides,
  };
}

/** A swarm with nothing set, and with addresses for its networks. */
export function makeCluster(id: string, overrides: Partial<Cluster> = {}): Cluster {
  return {
    id,
    meta,
    spec: swarmSpec.decode({}, ''),
    rootCa: { certPem: '', keyPem: '', joinTokens: { worker: '', manager: '' } },
    dataPathPort: 4789,
    defaultAddressPools: ['10.0.0.0/8'],
    subnetSize: 24,
    removedNodes: {},
    ...overrides,
  };
}

/** A secret or a config. */
export function makeFile(id: string, overrides: Partial<FileObject> = {}): FileObject {
  return { id, meta, spec: { name: id, labels: {}, data: 'eA==' }, revision: 1, ...overrides };
}

/** The service with these secrets, each at a place of its id. */
export function withSecrets(service: Service, ...ids: readonly string[]): Service {
  const secrets = ids.map((id) => ({
    secretId: id,
    secretName: id,
    file: { name: id, uid: '0', gid: '0', mode: 0o444 },
  }));
  const task: TaskSpec = { ...service.spec.task, container: { image: 'web:1', secrets } };
  return { ...service, spec: { ...service.spec, task } };
}

/** A task spec that reserves. */
export function makeTaskSpec(nanoCpus: number, memoryBytes: number): TaskSpec {
  return {
    container: { image: 'web:1' },
    resources: { reservations: { nanoCpus, memoryBytes } },
    forceUpdate: 0,
  };
}

/** A cluster volume of the driver `d`, for one task at a time. */
export function makeVolume(id: string, overrides: Partial<ClusterVolume> = {}): ClusterVolume {
  const accessMode = { scope: 'single', sharing: 'none', mountVolume: {} } as const;
  const cluster = { accessMode, availability: 'active' } as const;
  const spec = { name: id, labels: {}, driver: { name: 'd' }, cluster };
  return { id, meta, spec, publishStatus: [], ...overrides };
}
