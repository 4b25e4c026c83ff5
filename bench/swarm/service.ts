/** One replicated service, driven and watched through the Engine API of either side. */
import { until, type Host } from '../../test/lab/index.ts';

export interface TaskInfo {
  readonly ID: string;
  readonly NodeID: string;
  readonly DesiredState: string;
  readonly Status: {
    readonly State: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string };
  };
  readonly NetworksAttachments?: readonly {
    readonly Network: { readonly Spec?: { readonly Name?: string } };
    readonly Addresses?: readonly string[];
  }[];
}

/** Parts of a service's spec besides its image and how many tasks it has. */
export interface ServiceParts {
  readonly container?: object;
  /** Networks, placement, restarts. */
  readonly task?: object;
  readonly endpoint?: object;
}

interface ServiceInfo {
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly Mode: unknown };
}

interface RunningOptions {
  readonly excludedNodeId?: string;
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

const ended = ['complete', 'shutdown', 'failed', 'rejected', 'orphaned', 'remove'];

/** Longer than anything that either side takes; what takes longer is an error, not a figure. */
const timeoutMs = 180_000;
/** Fine against seconds, coarse enough that polling itself costs the two cores nothing. */
const everyMs = 25;

export class BenchService {
  readonly name: string;
  readonly #manager: Host;

  constructor(manager: Host, name: string) {
    this.#manager = manager;
    this.name = name;
  }

  async create(image: string, replicas: number, parts: ServiceParts = {}): Promise<void> {
    await this.#manager.api('POST', '/services/create', {
      Name: this.name,
      TaskTemplate: { ContainerSpec: { Image: image, ...parts.container }, ...parts.task },
      Mode: { Replicated: { Replicas: replicas } },
      ...(parts.endpoint === undefined ? {} : { EndpointSpec: parts.endpoint }),
    });
  }

  async scale(replicas: number): Promise<void> {
    const path = `/services/${this.name}`;
    const { Version, Spec } = await this.#manager.api<ServiceInfo>('GET', path);
    const spec = { ...Spec, Mode: { Replicated: { Replicas: replicas } } };
    await this.#manager.api('POST', `${path}/update?version=${Version.Index}`, spec);
  }

  async tasks(): Promise<readonly TaskInfo[]> {
    const filters = encodeURIComponent(JSON.stringify({ service: [this.name] }));
    return this.#manager.api<TaskInfo[]>('GET', `/tasks?filters=${filters}`);
  }

  /** Tasks that run and shall run. */
  async running(): Promise<readonly TaskInfo[]> {
    const tasks = await this.tasks();
    return tasks.filter(
      (task) => task.DesiredState === 'running' && task.Status.State === 'running',
    );
  }

  /** Waits until exactly this many tasks run, none of them on the excluded node. */
  async untilRunning(count: number, options: RunningOptions = {}): Promise<void> {
    const { excludedNodeId = '', ...times } = options;
    await until(
      `${count} tasks of ${this.name} run`,
      async () => {
        const tasks = await this.running();
        return tasks.filter((task) => task.NodeID !== excludedNodeId).length;
      },
      { accept: (running) => running === count, timeoutMs, everyMs, ...times },
    );
  }

  /** Waits until every task has ended. */
  async untilGone(): Promise<void> {
    await until(
      `all tasks of ${this.name} have ended`,
      async () => {
        const tasks = await this.tasks();
        return tasks.filter((task) => !ended.includes(task.Status.State)).length;
      },
      { accept: (left) => left === 0, timeoutMs, everyMs },
    );
  }
}
