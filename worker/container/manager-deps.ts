/** What the containers of a node are made with. */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import type { NodeDevices } from '../device/index.ts';
import type { Images } from '../image/images.ts';
import type { PortPublisher } from '../network/index.ts';
import type { NetworkDriver } from '../network/network.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Volumes } from '../volume/index.ts';
import type { OwnNetworks, SwarmNetworks } from './joining.ts';
import type { TaskContainer } from './tasks.ts';

export interface ContainerManagerOptions {
  readonly dataRoot: string;
  readonly runRoot: string;
  readonly hostname: string;
  readonly cpus: number;
  /** Where the records are kept; absent: below the data root. ":memory:" for tests. */
  readonly recordsFolder?: string;
}

export interface ContainerManagerDeps {
  readonly runtime: Runtime;
  readonly images: Images;
  readonly network: NetworkDriver;
  readonly ownNetworks: OwnNetworks;
  readonly volumes: Volumes;
  readonly devices: Pick<NodeDevices, 'requested'>;
  readonly swarmNetworks: SwarmNetworks;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The tasks of the swarm on this node. */
  readonly tasks: () => Iterable<TaskContainer>;
  /** Ports of this host that lead to standalone containers; made with `dockerPorts`. */
  readonly ports: PortPublisher;
}
