/** Standalone containers beside the tasks: who sees which on the shared runtime and network. */
import type { Clock } from '../lib/clock.ts';
import { SwarmError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Random } from '../lib/random.ts';
import {
  ContainerManager,
  NetworkLender,
  SwarmAttachments,
  TaskEvents,
  TaskNetworkEvents,
  taskContainerHexId,
  type JoinRequest,
  type OwnNetworks,
  type SwarmPlace,
  type TaskContainer,
} from '../worker/container/index.ts';
import type { NodeDevices } from '../worker/device/index.ts';
import type { Images } from '../worker/image/images.ts';
import type { ContainerNetwork, NetworkDriver, PortPublisher } from '../worker/network/index.ts';
import type { Runtime } from '../worker/runtime/index.ts';
import type { Volumes, VolumeUser } from '../worker/volume/index.ts';
import { hostnameOf, type HostFacts } from './host-facts.ts';
import type { DaemonOptions } from './options.ts';

interface ContainersParts {
  readonly runtime: Runtime;
  readonly network: ContainerNetwork;
  readonly ports: PortPublisher;
  readonly images: Images;
  readonly volumes: Volumes;
  readonly devices: NodeDevices;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

type AskForPlace = (request: JoinRequest) => Promise<SwarmPlace | undefined>;

/** The tasks' side of the node's containers. */
interface TaskContainers {
  containers(): Iterable<TaskContainer>;
  volumeUsers(): Iterable<{ readonly containerId: string; readonly mounts: VolumeUser['mounts'] }>;
}

interface NodeContainers {
  readonly manager: ContainerManager;
  /** Tells what is done by `taskRuntime`, until it is disposed of. */
  readonly taskEvents: TaskEvents;
  /** Without standalone containers: the tasks' executor removes what it does not know. */
  readonly taskRuntime: Runtime;
  /** The network on which the executor's clearing up spares standalone containers. */
  readonly taskNetwork: NetworkDriver;
  /** What the tasks' executor is to be told of them. */
  readonly attachments: SwarmAttachments;
  /** For the steps of builds. */
  readonly lender: NetworkLender;
  attach(executor: TaskContainers, askForPlace: AskForPlace): void;
}

export function nodeContainers(
  { dataRoot, runRoot, ...given }: DaemonOptions,
  { cpus }: HostFacts,
  parts: ContainersParts,
): NodeContainers {
  const { network } = parts;
  let tasks: () => Iterable<TaskContainer> = () => [];
  let ask: AskForPlace = () => Promise.resolve(undefined);
  const attachments = new SwarmAttachments({
    ask: (request) => ask(request),
    onLost: (taskId) => manager.lost(taskId),
    clock: parts.clock,
  });
  // The networks of the swarm among them come from the managers, which takes a moment.
  const ownNetworks = changed<OwnNetworks>(network.local, {
    provide: (networkId) => network.provide(networkId),
  });
  const manager: ContainerManager = new ContainerManager(
    { dataRoot, runRoot, hostname: hostnameOf(given), cpus },
    { ...parts, ownNetworks, swarmNetworks: attachments, tasks: () => tasks() },
  );
  const lender = new NetworkLender({
    network,
    ownNetworks,
    swarmNetworks: attachments,
    running: async (nameOrId) => {
      const { view } = await manager.find(nameOrId);
      if (view.state.pid > 0) return view;
      const { name } = view.record;
      throw new SwarmError('failed-precondition', `container ${name} is not running`);
    },
  });
  return {
    manager,
    attachments,
    lender,
    ...toldTasks(manager, parts, () => tasks()),
    attach(executor, askForPlace) {
      tasks = () => executor.containers();
      ask = askForPlace;
      parts.volumes.attach({
        users: function* users() {
          yield* manager.volumeUsers();
          for (const { containerId, mounts } of executor.volumeUsers()) {
            yield { id: taskContainerHexId(containerId), mounts };
          }
        },
        // Those of people have such ids anyway.
        shownId: (id) => (/^[0-9a-f]{64}$/.test(id) ? id : taskContainerHexId(id)),
      });
    },
  };
}

/** What tasks' containers run by, of which it is told. */
function toldTasks(
  manager: ContainerManager,
  { clock, network, runtime }: ContainersParts,
  tasks: () => Iterable<TaskContainer>,
): Pick<NodeContainers, 'taskEvents' | 'taskRuntime' | 'taskNetwork'> {
  const spared = async () =>
    (await runtime.list()).map(({ id }) => id).filter((id) => manager.owns(id));
  const networksTold = new TaskNetworkEvents(network, {
    events: manager.networkEvents,
    tasks,
  });
  const told = new TaskEvents(runtime, {
    events: manager.events,
    tasks,
    clock,
  });
  return {
    taskEvents: told,
    taskRuntime: changed(runtime, {
      list: async () => (await runtime.list()).filter(({ id }) => !manager.owns(id)),
      create: (config, options) => told.create(config, options),
      start: (id, options) => {
        networksTold.started(id);
        return told.start(id, options);
      },
      kill: (id, signal) => told.kill(id, signal),
      stop: (id, options) => told.stop(id, options),
      async remove(id) {
        await told.remove(id);
        networksTold.gone(id);
      },
    }),
    taskNetwork: changed<NetworkDriver>(network, {
      assign: (networks) => networksTold.assign(networks),
      attach: (request, options) => networksTold.attach(request, options),
      detach: (id) => networksTold.detach(id),
      retain: async (ids) => network.retain(new Set([...ids, ...(await spared())])),
    }),
  };
}

/** The same object but for some methods; the others see the private fields of their class. */
function changed<T extends object>(whole: T, methods: Partial<T>): T {
  return new Proxy(whole, {
    get(target, name) {
      const own = methods[name as keyof T];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
