import { withAbort } from '../../../lib/abort.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type {
  AssignedTask,
  ContainerSpec,
  DesiredState,
  NetworkAssignments,
  PortConfig,
  TaskSpec,
} from '../../../types/index.ts';
import type { Image, ImageConfig, Images } from '../../image/images.ts';
import type { Attachment, AttachRequest, NetworkDriver } from '../../network/network.ts';
import type { ImageRootfs } from '../../runtime/runtime.ts';

const imageConfig: ImageConfig = {
  entrypoint: [],
  cmd: ['serve'],
  env: [],
  workingDir: '',
  user: '',
  labels: {},
  volumes: [],
  exposedPorts: [],
};

/** Only what the executor calls; a pull ends when `release` is called, or at once. */
export class FakeImages implements Pick<Images, 'pull' | 'get'> {
  readonly pulls: string[] = [];
  running = 0;
  runningMost = 0;
  config: Partial<ImageConfig> = {};
  rootfs: ImageRootfs = { name: 'web:1', chainId: 'chain' };
  error: SwarmError | undefined;
  hold: Promise<void> = Promise.resolve();

  async pull(reference: string, { signal }: { signal?: AbortSignal } = {}): Promise<Image> {
    this.pulls.push(reference);
    this.runningMost = Math.max(this.runningMost, ++this.running);
    try {
      await withAbort(this.hold, signal);
      if (this.error !== undefined) throw this.error;
      return this.#image(reference);
    } finally {
      this.running--;
    }
  }

  async get(nameOrId: string): Promise<Image | undefined> {
    return this.#image(nameOrId.replace(/^id of /, ''));
  }

  #image(reference: string): Image {
    const manifest = { mediaType: '', digest: `digest of ${reference}`, size: 1 };
    return {
      id: `id of ${reference}`,
      repoTags: [reference],
      repoDigests: [],
      createdAt: '2024-01-01T00:00:00Z',
      sizeBytes: 1,
      platform: { os: 'linux', architecture: 'amd64' },
      config: { ...imageConfig, ...this.config },
      rootfs: this.rootfs,
      rawConfig: {},
      target: manifest,
      manifest,
    };
  }
}

export class FakeNetwork implements NetworkDriver {
  readonly attached = new Map<string, AttachRequest>();
  readonly assigned: NetworkAssignments[] = [];
  retained: ReadonlySet<string> | undefined;
  error: SwarmError | undefined;
  assignError: SwarmError | undefined;
  resolver: string | undefined;

  async attach(request: AttachRequest): Promise<Attachment> {
    if (this.error !== undefined) throw this.error;
    const ports = request.ports.map((port) => ({ publishedPort: 30_000, ...port }));
    const isTaken = ({ publishedPort }: PortConfig) =>
      ports.some((port) => port.publishedPort === publishedPort);
    for (const [owner, { ports: held }] of this.attached) {
      if (!held.some(isTaken)) continue;
      throw new SwarmError('already-exists', `a port is already published by ${owner}`);
    }
    this.attached.set(request.containerId, request);
    const resolver = this.resolver === undefined ? {} : { resolver: this.resolver };
    const netnsPath = `/netns/${request.containerId}`;
    return { netnsPath, addresses: ['172.18.0.5/16'], ports, ...resolver };
  }

  change(request: AttachRequest): Promise<Attachment> {
    return this.attach(request);
  }

  async assign(networks: NetworkAssignments): Promise<void> {
    this.assigned.push(networks);
    if (this.assignError !== undefined) throw this.assignError;
  }

  async detach(containerId: string): Promise<void> {
    this.attached.delete(containerId);
  }

  async retain(containerIds: ReadonlySet<string>): Promise<void> {
    this.retained = containerIds;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Sets of which the test cares only for the tasks. */
export const noNetworks: NetworkAssignments = { complete: false, update: [], remove: [] };

/** A task id that is as long as real ones. */
export function taskId(slot: number): string {
  return `t${slot}`.padEnd(25, 'x');
}

export function containerId(slot: number): string {
  return `web.${slot}.${taskId(slot)}`;
}

export function assignedTask(
  slot: number,
  more: {
    readonly desired?: DesiredState;
    readonly container?: Partial<ContainerSpec>;
    readonly spec?: Partial<TaskSpec>;
    readonly task?: Partial<AssignedTask>;
  } = {},
): AssignedTask {
  const id = taskId(slot);
  return {
    id,
    meta: { version: 1, createdAtMs: 0, updatedAtMs: 0 },
    serviceId: 'service1',
    slot,
    nodeId: 'node1',
    spec: { forceUpdate: 0, container: { image: 'web:1', ...more.container }, ...more.spec },
    specVersion: 1,
    name: `web.${slot}.${id}`,
    serviceName: 'web',
    desiredState: more.desired ?? 'running',
    status: { state: 'assigned', atMs: 0, message: '' },
    serviceLabels: {},
    ...more.task,
  };
}
