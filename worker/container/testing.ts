/** Standalone containers on a made-up host, for tests. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Random } from '../../lib/random.ts';
import { NodeDevices } from '../device/index.ts';
import type { Images } from '../image/images.ts';
import type { NetworkDriver } from '../network/network.ts';
import { unruledPorts } from '../network/ports/testing.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { noSwarmNetworks } from './joining.ts';
import { ContainerManager } from './manager.ts';
import { dockerPorts } from './port-requests.ts';
import { testVolumes } from '../volume/testing.ts';
import type { Volumes } from '../volume/index.ts';
import type { TaskContainer } from './tasks.ts';

class FakeNetwork implements NetworkDriver {
  readonly attached = new Set<string>();
  #last = 1;

  async attach({ containerId, mode }: Parameters<NetworkDriver['attach']>[0]) {
    this.attached.add(containerId);
    const netnsPath = `/nowhere/${containerId}`;
    if (mode === 'none') return { netnsPath, addresses: [], ports: [] };
    const bridgeAddress = `172.18.0.${++this.#last}/16`;
    return { netnsPath, addresses: [bridgeAddress], bridgeAddress, ports: [] };
  }

  change(request: Parameters<NetworkDriver['attach']>[0]) {
    return this.attach(request);
  }

  async detach(containerId: string): Promise<void> {
    this.attached.delete(containerId);
  }

  async assign(): Promise<void> {}

  async retain(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface TestContainers {
  readonly manager: ContainerManager;
  readonly runtime: FakeRuntime;
  readonly network: FakeNetwork;
  readonly volumes: Volumes;
  /** Below it are the folders of containers: the caller's to remove. */
  readonly dataRoot: string;
  tasks: readonly TaskContainer[];
}

export function testContainers(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly images: Images;
  readonly recordsFolder?: string;
  readonly runtime?: FakeRuntime;
}): TestContainers {
  const { clock, random, images, recordsFolder = ':memory:' } = deps;
  const runtime = deps.runtime ?? new FakeRuntime({ clock });
  const network = new FakeNetwork();
  const dataRoot = join(tmpdir(), `ts-swarm-containers-${process.pid}`);
  const volumes = testVolumes({ folder: join(dataRoot, 'volumes'), clock, random });
  const made: TestContainers = {
    manager: new ContainerManager(
      { dataRoot, runRoot: dataRoot, hostname: 'h1', cpus: 2, recordsFolder },
      {
        clock,
        random,
        images,
        runtime,
        network,
        volumes,
        devices: new NodeDevices({ own: [], cdiFolders: [] }, silentLogger),
        ownNetworks: {
          get: () => undefined,
          reserve: () => [],
          release: () => undefined,
          provide: () => Promise.resolve([]),
        },
        swarmNetworks: noSwarmNetworks,
        log: silentLogger,
        tasks: () => made.tasks,
        ports: unruledPorts().publisher(dockerPorts),
      },
    ),
    runtime,
    network,
    volumes,
    dataRoot,
    tasks: [],
  };
  volumes.attach({ users: () => made.manager.volumeUsers(), shownId: (id) => id });
  return made;
}
