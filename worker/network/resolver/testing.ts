/** Objects of networks for the resolver's tests, with what matters given and the rest filled in. */
import type {
  AssignedEndpoint,
  AssignedNetwork,
  AssignedServiceEndpoint,
  NetworkAssignments,
} from '../../../types/index.ts';

export function network(id: string, other: Partial<AssignedNetwork> = {}): AssignedNetwork {
  return {
    id,
    name: `${id}-net`,
    driver: 'overlay',
    vni: 4096,
    subnets: [{ subnet: '10.0.1.0/24', gateway: '10.0.1.1' }],
    internal: false,
    ingress: false,
    encrypted: false,
    dataPathPort: 4789,
    options: {},
    ...other,
  };
}

export function endpoint(
  networkId: string,
  task: string,
  addresses: readonly string[],
  other: Partial<AssignedEndpoint> = {},
): AssignedEndpoint {
  return {
    id: `${networkId}/${task}`,
    networkId,
    taskId: task,
    serviceId: task.split('.')[0] ?? '',
    nodeId: 'n1',
    addresses,
    names: [task],
    aliases: [],
    active: true,
    ...other,
  };
}

export function service(
  networkId: string,
  name: string,
  virtualIps: readonly string[],
  other: Partial<AssignedServiceEndpoint> = {},
): AssignedServiceEndpoint {
  return {
    id: `${networkId}/${name}`,
    networkId,
    serviceId: name,
    names: [name],
    mode: virtualIps.length > 0 ? 'vip' : 'dnsrr',
    virtualIps,
    ports: [],
    ...other,
  };
}

export function completeSet(objects: {
  readonly networks: readonly AssignedNetwork[];
  readonly endpoints?: readonly AssignedEndpoint[];
  readonly services?: readonly AssignedServiceEndpoint[];
}): NetworkAssignments {
  const { networks, endpoints = [], services = [] } = objects;
  return {
    complete: true,
    update: [
      ...networks.map((object) => ({ type: 'network' as const, object })),
      ...services.map((object) => ({ type: 'service-endpoint' as const, object })),
      ...endpoints.map((object) => ({ type: 'endpoint' as const, object })),
    ],
    remove: [],
  };
}
