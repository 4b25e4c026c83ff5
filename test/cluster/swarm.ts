/** A swarm on test hosts that the tests of one file share, and what they ask of it. */
import { strict as assert } from 'node:assert';
import { Lab, until, type Host, type SwarmOptions } from '../lab/index.ts';

/** Enough for what takes a second or two on a machine that others use as well. */
const patienceMs = 60_000;

/** A task as the API shows it, with names in place of ids. */
export interface TaskView {
  readonly id: string;
  readonly slot: number;
  /** The name of its host; empty while it has none. */
  readonly host: string;
  readonly state: string;
  readonly desired: string;
  /** Why it failed, or why it waits. */
  readonly err: string;
  readonly exitCode: number | undefined;
  readonly env: readonly string[];
  readonly image: string;
  /** The first port of the host that leads to it. */
  readonly port: number | undefined;
  readonly createdMs: number;
  /** When it came to its state. */
  readonly atMs: number;
}

interface NodeView {
  readonly id: string;
  readonly host: string;
  readonly state: string;
  readonly availability: string;
}

interface WireTask {
  readonly ID: string;
  readonly Slot?: number;
  readonly NodeID?: string;
  readonly CreatedAt: string;
  readonly DesiredState: string;
  readonly Spec: { readonly ContainerSpec: { readonly Image: string; readonly Env?: string[] } };
  readonly Status: {
    readonly Timestamp: string;
    readonly State: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ExitCode?: number };
    readonly PortStatus?: { readonly Ports?: readonly { readonly PublishedPort: number }[] };
  };
}

interface WireNode {
  readonly ID: string;
  readonly Spec: { readonly Availability: string };
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string };
}

export class TestSwarm {
  readonly lab: Lab;
  /** The one that commands are given to. */
  readonly manager: Host;

  constructor(lab: Lab, manager = lab.host('h1')) {
    this.lab = lab;
    this.manager = manager;
  }

  get hosts(): readonly Host[] {
    return this.lab.hosts;
  }

  host(name: string): Host {
    return this.lab.host(name);
  }

  /** Runs our CLI on the manager and returns what it printed. */
  cli(...args: readonly string[]): Promise<string> {
    return this.manager.cli(...args);
  }

  /** Creates a service and waits until it runs; `args` are flags, the image, and its arguments. */
  create(name: string, ...args: readonly string[]): Promise<string> {
    return this.cli('service', 'create', '--name', name, ...quickly, ...args);
  }

  /** Creates a service and does not wait for anything. */
  createDetached(name: string, ...args: readonly string[]): Promise<string> {
    return this.cli('service', 'create', '--detach', '--name', name, ...quickly, ...args);
  }

  async nodes(): Promise<readonly NodeView[]> {
    const nodes = await this.manager.api<WireNode[]>('GET', '/nodes');
    return nodes.map((node) => ({
      id: node.ID,
      host: node.Description.Hostname,
      state: node.Status.State,
      availability: node.Spec.Availability,
    }));
  }

  /** "h1 ready, h2 down": the nodes of these names, in order. */
  async nodeStates(): Promise<string> {
    const states = (await this.nodes()).map(({ host, state }) => `${host} ${state}`);
    return states.toSorted().join(', ');
  }

  /** All tasks of the service that the managers remember, by slot, the oldest first. */
  async tasks(service: string): Promise<readonly TaskView[]> {
    const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
    const [tasks, nodes] = await Promise.all([
      this.manager.api<WireTask[]>('GET', `/tasks?filters=${filters}`),
      this.nodes(),
    ]);
    const hostOf = new Map(nodes.map(({ id, host }) => [id, host]));
    return tasks
      .map((task) => viewOf(task, hostOf))
      .toSorted((a, b) => a.slot - b.slot || a.createdMs - b.createdMs);
  }

  /** The tasks that run and are meant to. */
  async running(service: string): Promise<readonly TaskView[]> {
    return (await this.tasks(service)).filter(
      ({ state, desired }) => state === 'running' && desired === 'running',
    );
  }

  /** Waits until just so many tasks run and no other is wanted. Returns them by slot. */
  runs(service: string, replicas: number, timeoutMs = patienceMs): Promise<readonly TaskView[]> {
    return this.untilTasks(
      `${replicas} tasks of ${service} run`,
      service,
      (tasks) => {
        const wanted = tasks.filter(({ desired }) => desired === 'running' || desired === 'ready');
        return wanted.length === replicas && wanted.every(({ state }) => state === 'running');
      },
      timeoutMs,
    ).then((tasks) => tasks.filter(({ desired }) => desired === 'running'));
  }

  /** Waits until the service's tasks are as `accept` wants them. */
  untilTasks(
    description: string,
    service: string,
    accept: (tasks: readonly TaskView[]) => boolean,
    timeoutMs = patienceMs,
  ): Promise<readonly TaskView[]> {
    return until(description, () => this.tasks(service), { accept, timeoutMs });
  }

  untilNodes(states: string, timeoutMs = patienceMs): Promise<string> {
    return until(`the nodes are ${states}`, () => this.nodeStates(), {
      accept: (now) => now === states,
      timeoutMs,
    });
  }

  /** What runs according to the kernel, as "host task-id pid", sorted. */
  containers(): readonly string[] {
    return this.hosts
      .filter((host) => host.isUp)
      .flatMap((host) =>
        host.containers().map(({ id, pid }) => `${host.name} ${id.split('.').at(-1)} ${pid}`),
      )
      .toSorted();
  }

  /** Waits until exactly the containers of these tasks run, on the hosts they are meant for. */
  containersAre(tasks: readonly TaskView[], timeoutMs = patienceMs): Promise<unknown> {
    const wanted = tasks.map(({ host, id }) => `${host} ${id}`).toSorted();
    return until(
      `the containers are ${wanted.join(', ') || 'none'}`,
      () => this.containers().map((line) => line.replace(/ \d+$/, '')),
      { accept: (found) => found.join() === wanted.join(), timeoutMs },
    );
  }

  /** The machine's pid of the task's process 1. */
  pidOf(task: TaskView): number {
    const found = this.host(task.host)
      .containers()
      .find(({ id }) => id.endsWith(task.id));
    assert.ok(found, `no container of task ${task.id} on ${task.host}`);
    return found.pid;
  }

  /**
   * What the task's web server says at this path, on its port of its host. Waits for it: a container
   * runs a moment before its server listens.
   */
  answer(task: TaskView, path = '/'): Promise<string> {
    assert.ok(task.port !== undefined, `task ${task.id} tells no port`);
    const url = `http://${this.host(task.host).address}:${task.port}${path}`;
    return until(`task ${task.id} answers`, async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
      return (await response.text()).trim();
    });
  }

  /** Switches on what is off, and takes back what was done to links. */
  async repair(): Promise<void> {
    for (const host of this.hosts) {
      if (host.isUp) await host.restoreLink();
      else await host.boot();
    }
    await until('all nodes are ready', () => this.nodes(), {
      accept: (nodes) => nodes.every(({ state }) => state === 'ready'),
      timeoutMs: patienceMs,
    });
  }

  /** Removes every service, and waits until nothing of them is left anywhere. */
  async clear(): Promise<void> {
    const names = (await this.cli('service', 'ls', '-q')).split('\n').filter(Boolean);
    if (names.length > 0) await this.cli('service', 'rm', ...names);
    const left = async () => {
      for (const host of this.hosts) host.endDeafTasks();
      const tasks = await this.manager.api<WireTask[]>('GET', '/tasks');
      return tasks.map(
        ({ ID, NodeID, DesiredState, Status }) =>
          `${ID} on ${NodeID ?? 'no node'}: ${Status.State}, ${DesiredState} wanted`,
      );
    };
    const accept = (tasks: readonly string[]) => tasks.length === 0;
    await until('no task is left', left, { accept, timeoutMs: patienceMs, everyMs: 100 });
    await this.containersAre([]);
  }
}

/** Docker's five seconds of watching after each change would be most of the tests' time. */
const quickly = ['--update-monitor', '300ms'];

interface TestSwarmOptions extends SwarmOptions {
  readonly hosts: number;
  /** Names of recipes, such as "web:1", that are in the registry before the tests begin. */
  readonly images: readonly string[];
  /**
   * Nodes may be silent for four times as long; 10 seconds unless told, so that no node is lost to
   * a busy machine. `ownHeartbeat` is for tests that lose hosts.
   */
  readonly heartbeat?: string;
}

/** Docker's default, for which the swarm takes what suits its size: nodes are down after 3 s. */
export const ownHeartbeat = '5s';

/**
 * In a `describe`: a swarm for all of its tests. Each test ends with all hosts up and no service
 * left, and fails when containers or tasks outlive theirs. Returns how to get at the swarm.
 */
export function useSwarm(options: TestSwarmOptions): () => TestSwarm {
  const { hosts, images, heartbeat = '10s', ...rest } = options;
  let swarm: TestSwarm | undefined;
  const get = (): TestSwarm => {
    assert.ok(swarm, 'the swarm is there only while tests run');
    return swarm;
  };
  before(async () => {
    const lab = await Lab.create({ hosts });
    swarm = new TestSwarm(lab);
    try {
      await Promise.all([lab.startSwarm(rest), ...images.map((image) => lab.image(image))]);
      if (heartbeat !== ownHeartbeat) {
        await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', heartbeat);
      }
    } catch (error) {
      throw withDaemonLogs(error, lab);
    }
  });
  afterEach(async function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, get().lab);
    try {
      await get().repair();
      await get().clear();
    } catch (error) {
      throw withDaemonLogs(error, get().lab);
    }
  });
  after(async () => {
    await swarm?.lab.close();
  });
  return get;
}

/** The words of a command line in which nothing is quoted. */
export function words(line: string): readonly string[] {
  return line.split(' ').filter(Boolean);
}

/** The full reference of an image that was pushed to the lab's registry. */
export function imageOf(swarm: TestSwarm, reference: string): string {
  return `${swarm.lab.registry.address}/${reference}`;
}

/** Adds to an error what the daemons have complained of, and their last lines. */
export function withDaemonLogs(error: unknown, lab: Lab): unknown {
  if (!(error instanceof Error)) return error;
  const tails = lab.hosts.map((host) => {
    const lines = host.daemonTail(400).trim().split('\n');
    const last = lines.splice(-3);
    const complaints = lines.filter((line) => !line.includes('"level":"info"')).slice(-12);
    return [`--- ${host.name}`, ...complaints, ...last].join('\n');
  });
  error.message += `\n${tails.join('\n')}`;
  error.stack = `${error.message}\n${error.stack ?? ''}`;
  return error;
}

function viewOf(task: WireTask, hostOf: ReadonlyMap<string, string>): TaskView {
  const { Status: status, Spec: spec } = task;
  return {
    id: task.ID,
    slot: task.Slot ?? 0,
    host: hostOf.get(task.NodeID ?? '') ?? '',
    state: status.State,
    desired: task.DesiredState,
    err: status.Err ?? '',
    exitCode: status.ContainerStatus?.ExitCode,
    env: spec.ContainerSpec.Env ?? [],
    image: spec.ContainerSpec.Image.replace(/@.*/, ''),
    port: status.PortStatus?.Ports?.[0]?.PublishedPort,
    createdMs: Date.parse(task.CreatedAt),
    atMs: Date.parse(status.Timestamp),
  };
}
