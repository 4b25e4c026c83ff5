/** The examination of this host, with what the daemon knows of it. */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { Doctor } from '../worker/doctor/index.ts';
import { bridgesOf } from '../worker/network/local/index.ts';
import type { ContainerNetwork } from '../worker/network/index.ts';
import type { SwarmNode } from './swarm-node.ts';

export function newDoctor(
  { runRoot }: { readonly runRoot: string },
  parts: {
    readonly network: ContainerNetwork;
    readonly swarm: SwarmNode;
    readonly clock: Clock;
    readonly log: Logger;
  },
): Doctor {
  const { network, swarm, clock, log } = parts;
  return new Doctor({
    runRoot,
    tables: network.tables,
    containers: () => network.containers(),
    hostPorts: () =>
      network.ports
        .owners()
        .map(({ owner, ...port }) => ({ ...port, owner: `container ${owner}` })),
    bridges: () => bridgesOf(network.local.list()),
    obstacles: () => network.obstacles(),
    repairs: () => network.repairs,
    swarm: () => swarm.facts(),
    nameOf: (nodeId) => swarm.nameOf(nodeId),
    clock,
    log: log.child({ module: 'doctor' }),
  });
}
