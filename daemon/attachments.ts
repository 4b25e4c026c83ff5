/** Containers of this node that join networks of the swarm: what the managers are asked. */
import { SwarmError } from '../lib/errors.ts';
import type { Clock } from '../lib/clock.ts';
import type { NetworkSubnet } from '../types/index.ts';
import type { JoinRequest, SwarmPlace } from '../worker/container/index.ts';
import type { SwarmNode } from './swarm-node.ts';

/** Containers that start with the daemon are there before the managers are found. */
const sessionWaitMs = 20_000;
const pollMs = 100;

/** Undefined where this node is in no swarm, or the swarm has no such network. */
export async function askForPlace(
  swarm: Pick<SwarmNode, 'part' | 'status'>,
  request: JoinRequest,
  clock: Clock,
): Promise<SwarmPlace | undefined> {
  const deadlineMs = clock.monotonicMs() + sessionWaitMs;
  for (;;) {
    const { state } = swarm.status();
    const agent = swarm.part?.agent;
    const isLate = clock.monotonicMs() > deadlineMs;
    if (state === 'inactive') return undefined;
    if (agent?.connectedTo !== undefined) {
      try {
        const { subnets, ...place } = await agent.attach({
          ...request,
          aliases: [...request.aliases],
          addresses: [...request.addresses],
        });
        const json = Buffer.from(subnets).toString('utf8');
        return { ...place, subnets: JSON.parse(json) as NetworkSubnet[] };
      } catch (thrown) {
        const error = SwarmError.from(thrown);
        if (error.code === 'not-found') return undefined;
        if (error.code !== 'unavailable' || isLate) throw error;
      }
    } else if (isLate) {
      throw new SwarmError(
        'unavailable',
        `no manager of the swarm can be asked for the network ${request.network}; try again`,
      );
    }
    await clock.sleep(pollMs);
  }
}
