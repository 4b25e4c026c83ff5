/** Networks of this node as what answers names knows them: in the words of the swarm's. */
import { hostOf } from '../resolver/addresses.ts';
import type { KeptNetwork } from './network-files.ts';
import { driverOf } from './plan.ts';

export function assigned({ id, spec, subnets }: KeptNetwork) {
  return {
    type: 'network' as const,
    object: {
      id,
      name: spec.name,
      driver: driverOf(spec),
      vni: 0,
      subnets,
      internal: spec.internal ?? false,
      ingress: false,
      encrypted: false,
      dataPathPort: 0,
      options: spec.options ?? {},
    },
  };
}

/** Reverse lookups give the first alias: a container's own name. */
export function endpoint(
  networkId: string,
  containerId: string,
  addresses: readonly string[],
  aliases: readonly string[],
) {
  const [name] = aliases;
  return {
    type: 'endpoint' as const,
    object: {
      id: `${networkId}/${containerId}`,
      networkId,
      taskId: containerId,
      serviceId: '',
      nodeId: '',
      addresses: addresses.map(hostOf),
      names: [...(name === undefined ? [] : [name]), containerId],
      aliases: aliases.slice(1),
      active: true,
    },
  };
}
