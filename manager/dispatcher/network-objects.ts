/** What nodes are told of networks, made from the store's objects. Pure. */
import {
  isNodeLocal,
  isWanted,
  turnsIpv6Off,
  withoutIpv6,
  type AssignedEndpoint,
  type AssignedNetwork,
  type AssignedPeer,
  type AssignedServiceEndpoint,
  type Cluster,
  type Network,
  type Node,
  type Service,
  type Task,
} from '../../types/index.ts';
import { attachmentsOf, holdsAddresses, publishesIngress, withoutPrefix } from '../store/view.ts';

/** VXLAN's registered port, where the swarm was given none. */
const vxlanPort = 4789;

export function assignedNetwork(network: Network, cluster: Cluster | undefined): AssignedNetwork {
  const { id, spec, subnets } = network;
  const options = spec.options ?? {};
  return {
    id,
    name: spec.name,
    driver: spec.driver,
    vni: network.vni ?? 0,
    subnets,
    internal: spec.internal ?? false,
    ingress: spec.ingress ?? false,
    ...keysOf(isEncrypted(options['encrypted']), cluster),
    dataPathPort: (cluster?.dataPathPort ?? 0) || vxlanPort,
    options,
    ...(isNodeLocal(spec) ? { local: spec } : {}),
  };
}

function keysOf(encrypted: boolean, cluster: Cluster | undefined) {
  const { networkKeyRotation: keyRotation } = cluster ?? {};
  return encrypted && keyRotation !== undefined ? { encrypted, keyRotation } : { encrypted };
}

/** `--opt encrypted` stands for true; only a word of refusal takes it back. */
function isEncrypted(option: string | undefined): boolean {
  return option !== undefined && !['false', 'f', '0'].includes(option.toLowerCase());
}

/** Nothing for a node that has not said yet where packets for it are to be sent. */
export function assignedPeer({ id, ...node }: Node): AssignedPeer | undefined {
  const dataPath = node.description?.dataPath;
  if (dataPath === undefined) return undefined;
  return { id, dataPath, ingressAddresses: node.ingressAddresses ?? [] };
}

/** The networks that the service is on by its spec; `ingressId` is the routing mesh's. */
export function networksOfService({ spec }: Service, ingressId: string | undefined): Set<string> {
  const ids = new Set(attachmentsOf(spec.task).map(({ target }) => target));
  if (ingressId !== undefined && publishesIngress(spec)) ids.add(ingressId);
  return ids;
}

export function assignedServiceEndpoint(
  service: Service,
  network: Pick<Network, 'id' | 'spec'>,
): AssignedServiceEndpoint {
  const { task, name, endpoint } = service.spec;
  const attachments = attachmentsOf(task).filter(({ target }) => target === network.id);
  // Without an address of its own a service is known by those of its tasks.
  const mode = isNodeLocal(network.spec) ? 'dnsrr' : (endpoint?.mode ?? 'vip');
  const ports = network.spec.ingress === true ? (service.ports ?? []) : [];
  return {
    id: `${network.id}/${service.id}`,
    networkId: network.id,
    serviceId: service.id,
    names: [...new Set([name, ...attachments.flatMap(({ aliases }) => aliases ?? [])])],
    mode,
    virtualIps:
      mode === 'dnsrr'
        ? []
        : (service.virtualIps ?? [])
            .filter(({ networkId }) => networkId === network.id)
            .map(({ address }) => withoutPrefix(address)),
    ports: ports.filter(({ publishMode }) => publishMode === 'ingress'),
  };
}

export function isOn(task: Task, networkId: string): boolean {
  return (task.networks ?? []).some((network) => network.networkId === networkId);
}

/** Whether the task itself is fit for requests: it runs, is healthy, and is not about to stop. */
export function serves(task: Task): boolean {
  return holdsAddresses(task) && task.status.state === 'running' && isWanted(task.desiredState);
}

/**
 * `suspect`: not heard of for a moment, the node's endpoints are passed over where there are others.
 * `gone`: its tasks are being replaced. One that a new leader has not heard of yet is trusted.
 */
export function standing(node: Node | undefined): 'good' | 'suspect' | 'gone' {
  const state = node?.status.state;
  if (state === 'ready' || state === 'unknown') return 'good';
  return state === 'disconnected' ? 'suspect' : 'gone';
}

/** The task on that network; nothing where it is not on it, or not any more. */
export function assignedEndpoint(
  task: Task,
  networkId: string,
  active: boolean,
): AssignedEndpoint | undefined {
  if (!holdsAddresses(task)) return undefined;
  const on = task.networks?.find((network) => network.networkId === networkId);
  if (on === undefined) return undefined;
  const { id, serviceId, nodeId, name, spec } = task;
  const given = task.status.networks?.find((network) => network.networkId === networkId);
  const containerId = task.status.container?.containerId;
  const addresses = given?.addresses ?? on.addresses;
  const ipv4Only = turnsIpv6Off(spec.container?.sysctls);
  return {
    id: `${networkId}/${id}`,
    networkId,
    taskId: id,
    serviceId,
    nodeId,
    addresses: ipv4Only ? withoutIpv6(addresses) : addresses,
    ...(on.macAddress === undefined ? {} : { macAddress: on.macAddress }),
    ...(ipv4Only ? { ipv4Only } : {}),
    names: isOwnName(task, containerId) ? [name, containerId] : [name],
    // A service's aliases are its own: they lead to its virtual address.
    aliases: serviceId === '' ? (on.aliases ?? []) : [],
    active,
  };
}

/** A node that names a container as it likes would have others take it for another service's. */
function isOwnName(
  { id, name, attachedContainerId }: Task,
  containerId: string | undefined,
): containerId is string {
  if (containerId === undefined || containerId === name) return false;
  return [id, attachedContainerId].includes(containerId) || containerId.endsWith(`.${id}`);
}
