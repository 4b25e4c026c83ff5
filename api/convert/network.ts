/** Networks, and what is on them, as the Docker Engine API writes them. */
import { parseAddress } from '../../manager/allocator/index.ts';
import { withoutPrefix } from '../../manager/store/view.ts';
import type {
  AssignedEndpoint,
  IpamConfig,
  Network,
  NetworkSpec,
  NetworkSubnet,
  Node,
  Service,
  Task,
  TaskNetwork,
} from '../../types/index.ts';
import type { JsonObject } from './json.ts';
import { metaJson } from './meta.ts';
import { timeText, zeroTime } from './time.ts';

const vniOption = 'com.docker.network.driver.overlay.vxlanid_list';

/** The networks that every node has. Their names are their ids, as services name them. */
export interface BuiltInNetwork {
  readonly name: string;
  readonly driver: string;
}

export const builtIns: readonly BuiltInNetwork[] = [
  { name: 'bridge', driver: 'bridge' },
  { name: 'host', driver: 'host' },
  { name: 'none', driver: 'null' },
];

/** `subnets`: of the bridge. */
export function builtInNetworkJson(
  { name, driver }: BuiltInNetwork,
  scope: string,
  subnets: readonly Pick<NetworkSubnet, 'subnet' | 'gateway'>[] = [],
  containers: JsonObject = {},
): JsonObject {
  const isLocal = scope === 'local';
  return {
    ...headJson({ name, id: name, created: zeroTime, scope, driver }),
    IPAM: {
      Driver: isLocal ? 'default' : '',
      Options: null,
      Config: subnets.map(({ subnet, gateway }) => ({ Subnet: subnet, Gateway: gateway })),
    },
    ...traitsJson({}),
    Containers: isLocal ? containers : null,
    Options: isLocal ? {} : null,
    Labels: isLocal ? {} : { 'com.docker.swarm.predefined': 'true' },
  };
}

/** A network as far as its JSON goes, whoever it belongs to. */
interface NetworkFacts {
  readonly id: string;
  readonly createdAtMs?: number;
  readonly scope: 'swarm' | 'local';
  readonly spec: NetworkSpec;
  readonly subnets: readonly NetworkSubnet[];
  readonly vni?: number;
}

/** What is on the network; left out where only the network itself is shown. */
interface NetworkUse {
  /** The tasks of this node. */
  readonly containers?: JsonObject;
  readonly peers?: readonly JsonObject[];
  /** With `verbose`. */
  readonly services?: JsonObject;
}

export function networkJson(network: NetworkFacts, use: NetworkUse = {}): JsonObject {
  const { id, spec, subnets, scope, createdAtMs } = network;
  const created = createdAtMs === undefined ? zeroTime : timeText(createdAtMs);
  const isThere = use.containers !== undefined || scope === 'local';
  const options = driverOptions(network);
  const isEmpty = Object.keys(options).length === 0;
  return {
    ...headJson({ name: spec.name, id, created, scope, driver: spec.driver }),
    EnableIPv4: spec.enableIpv4 ?? true,
    EnableIPv6: spec.enableIpv6 ?? false,
    IPAM: {
      Driver: subnets.length === 0 && scope === 'swarm' ? '' : spec.ipam?.driver || 'default',
      Options: filled(spec.ipam?.options) ?? null,
      Config: subnets.map((subnet) => subnetJson(subnet, spec)),
    },
    ...traitsJson(spec),
    // Go's null: the network is not in use on this node.
    Containers: isThere ? (use.containers ?? {}) : null,
    Options: isEmpty && !isThere ? null : options,
    Labels: Object.keys(spec.labels).length === 0 && !isThere ? null : spec.labels,
    Peers: use.peers === undefined || use.peers.length === 0 ? undefined : use.peers,
    Services: use.services,
  };
}

function headJson(head: {
  readonly name: string;
  readonly id: string;
  readonly created: string;
  readonly scope: string;
  readonly driver: string;
}): JsonObject {
  return {
    Name: head.name,
    Id: head.id,
    Created: head.created,
    Scope: head.scope,
    Driver: head.driver,
    // The host's own and none at all have no addresses that anybody here gives.
    EnableIPv4: head.driver !== 'host' && head.driver !== 'null',
    EnableIPv6: false,
  };
}

function traitsJson(spec: Partial<NetworkSpec>): JsonObject {
  return {
    Internal: spec.internal ?? false,
    Attachable: spec.attachable ?? false,
    Ingress: spec.ingress ?? false,
    ConfigFrom: { Network: spec.configFrom?.network ?? '' },
    ConfigOnly: spec.configOnly ?? false,
  };
}

function driverOptions({ spec, vni }: NetworkFacts): Record<string, string> {
  return { ...(vni === undefined ? {} : { [vniOption]: String(vni) }), ...spec.options };
}

function subnetJson({ subnet, gateway, ipRange }: NetworkSubnet, spec: NetworkSpec): JsonObject {
  return {
    Subnet: subnet,
    IPRange: ipRange,
    Gateway: gateway === '' ? undefined : gateway,
    AuxiliaryAddresses: configOf(subnet, spec)?.auxiliaryAddresses,
  };
}

function configOf(subnet: string, spec: NetworkSpec): IpamConfig | undefined {
  return spec.ipam?.configs?.find((config) => config.subnet === subnet);
}

interface UseFacts {
  readonly network: Network;
  /** Those that hold an address on it. */
  readonly tasks: Iterable<Task>;
  readonly services: Iterable<Service>;
  readonly nodes: Iterable<Node>;
  /** This node's. */
  readonly nodeId: string;
  /** A container as clients know it: hexadecimal digits in the place of a name. */
  readonly containerIdOf: (name: string) => string;
}

/** What of the swarm is on the network. Docker tells of a node's own containers only; so do we. */
export function networkUse(facts: UseFacts, verbose: boolean): NetworkUse {
  const { network, nodeId } = facts;
  const tasks = [...facts.tasks];
  const nodes = [...facts.nodes];
  const isIngress = network.spec.ingress === true;
  const onIt = new Set(tasks.map((task) => task.nodeId));
  const members = nodes.filter(({ id, ingressAddresses = [] }) =>
    isIngress ? ingressAddresses.length > 0 : onIt.has(id),
  );
  const own = members.find(({ id }) => id === nodeId);
  return {
    ...(own === undefined ? {} : { containers: containersJson(facts, tasks, own) }),
    peers: members.map((node) => ({ Name: node.id.slice(0, 12), IP: hostIp(node) })),
    ...(verbose ? { services: servicesJson(facts, tasks, nodes) } : {}),
  };
}

function containersJson(
  { network, containerIdOf }: UseFacts,
  tasks: readonly Task[],
  own: Node,
): JsonObject {
  const running = tasks.filter(
    ({ nodeId, status, attachedContainerId }) =>
      nodeId === own.id && status.container !== undefined && attachedContainerId === undefined,
  );
  const containers = running.map((task) => [
    containerIdOf(task.status.container?.containerId ?? task.name),
    {
      Name: task.name,
      EndpointID: endpointId(network, task.id),
      ...addressesJson(addressesOf(task, network)),
    },
  ]);
  const { ingressAddresses = [] } = own;
  if (network.spec.ingress === true && ingressAddresses.length > 0) {
    const EndpointID = endpointId(network, own.id);
    containers.push([
      'ingress-sbox',
      { Name: 'ingress-endpoint', EndpointID, ...addressesJson(ingressAddresses) },
    ]);
  }
  return Object.fromEntries(containers) as JsonObject;
}

function servicesJson(
  { network, services }: UseFacts,
  tasks: readonly Task[],
  nodes: readonly Node[],
): JsonObject {
  const nodeById = new Map(nodes.map((node) => [node.id, node]));
  const byService = Map.groupBy(tasks, ({ serviceId }) => serviceId);
  const entries = [...services].map((service) => {
    const vip = service.virtualIps?.find(({ networkId }) => networkId === network.id);
    const ports = network.spec.ingress === true ? (service.ports ?? []) : [];
    const own = byService.get(service.id) ?? [];
    return [
      service.spec.name,
      {
        // As Go writes an address that is not there.
        VIP: vip === undefined ? '<nil>' : withoutPrefix(vip.address),
        Ports: ports
          .filter(({ publishMode }) => publishMode === 'ingress')
          .map((port) => `Target: ${port.targetPort}, Publish: ${port.publishedPort ?? 0}`),
        LocalLBIndex: 0,
        Tasks: own.map((task) => ({
          Name: task.name,
          EndpointID: endpointId(network, task.id),
          EndpointIP: withoutPrefix(addressesOf(task, network)[0] ?? ''),
          Info: { 'Host IP': hostIp(nodeById.get(task.nodeId)) },
        })),
      },
    ];
  });
  return Object.fromEntries(entries) as JsonObject;
}

/** Tasks of this node on a network of the swarm, as a worker knows them. */
export function endpointsJson(
  endpoints: readonly AssignedEndpoint[],
  containerIdOf: (name: string) => string,
): JsonObject {
  return Object.fromEntries(
    endpoints.map(({ id, names, addresses }) => [
      // The container's comes last, where it is another than the task's.
      containerIdOf(names.at(-1) ?? ''),
      { Name: names[0], EndpointID: id, ...addressesJson(addresses) },
    ]),
  );
}

function hostIp(node: Node | undefined): string {
  return node?.description?.dataPath?.address ?? node?.status.addr ?? '';
}

function endpointId(network: Network, id: string): string {
  return `${network.id}/${id}`;
}

/** Those that its node gave, where the managers give none. */
function addressesOf({ networks, status }: Task, { id }: Network): readonly string[] {
  const isOnIt = ({ networkId }: TaskNetwork) => networkId === id;
  return (status.networks?.find(isOnIt) ?? networks?.find(isOnIt))?.addresses ?? [];
}

function addressesJson(addresses: readonly string[]): JsonObject {
  const [first = ''] = addresses;
  return {
    MacAddress: macOf(withoutPrefix(first)),
    IPv4Address: addresses.find((address) => !address.includes(':')) ?? '',
    IPv6Address: addresses.find((address) => address.includes(':')) ?? '',
  };
}

/** 02:42, then the last four bytes of the address: as containers' interfaces have it. */
function macOf(address: string): string {
  const value = parseAddress(address)?.value ?? 0n;
  const bytes = [24n, 16n, 8n, 0n].map((shift) =>
    ((value >> shift) & 0xffn).toString(16).padStart(2, '0'),
  );
  return ['02', '42', ...bytes].join(':');
}

/** Thousands of tasks are on one network: it is written out once. */
const encodedNetworks = new WeakMap<Network, JsonObject>();

/** A task's networks, the routing mesh's first; those that are gone since are left out. */
export function attachmentsJson(
  { networks = [], status }: Pick<Task, 'networks'> & Partial<Pick<Task, 'status'>>,
  networkOf: (id: string) => Network | undefined,
): JsonObject[] | undefined {
  const found = networks.flatMap(({ networkId, addresses }) => {
    const network = networkOf(networkId);
    const given = status?.networks?.find((one) => one.networkId === networkId)?.addresses;
    return network === undefined ? [] : [{ network, addresses: given ?? addresses }];
  });
  if (found.length === 0) return undefined;
  const isIngress = ({ spec }: Network) => spec.ingress === true;
  return [
    ...found.filter(({ network }) => isIngress(network)),
    ...found.filter(({ network }) => !isIngress(network)),
  ].map(({ network, addresses }) => ({ Network: swarmNetworkJson(network), Addresses: addresses }));
}

function swarmNetworkJson(network: Network): JsonObject {
  const known = encodedNetworks.get(network);
  if (known !== undefined) return known;
  const { spec, subnets, id } = network;
  const json: JsonObject = {
    ID: id,
    ...metaJson(network.meta),
    Spec: {
      Name: spec.name,
      Labels: spec.labels,
      DriverConfiguration: { Name: spec.driver, Options: filled(spec.options) },
      IPv6Enabled: spec.enableIpv6 === true ? true : undefined,
      Internal: spec.internal === true ? true : undefined,
      Attachable: spec.attachable === true ? true : undefined,
      Ingress: spec.ingress === true ? true : undefined,
      IPAMOptions: spec.ipam === undefined ? undefined : ipamOptionsJson(spec.ipam),
      Scope: 'swarm',
    },
    DriverState: { Name: spec.driver, Options: driverOptions({ ...network, scope: 'swarm' }) },
    IPAMOptions: {
      Driver: { Name: spec.ipam?.driver || 'default' },
      Configs: subnets.map((one) => configJson(one.subnet, one.ipRange, one.gateway)),
    },
  };
  encodedNetworks.set(network, json);
  return json;
}

/** Go leaves an empty map out. */
function filled(options: Readonly<Record<string, string>> | undefined) {
  return options === undefined || Object.keys(options).length === 0 ? undefined : options;
}

function ipamOptionsJson(ipam: NonNullable<NetworkSpec['ipam']>): JsonObject {
  const configs = (ipam.configs ?? []).map((one) =>
    configJson(one.subnet, one.ipRange, one.gateway),
  );
  return {
    Driver: { Name: ipam.driver || undefined, Options: filled(ipam.options) },
    Configs: configs.length === 0 ? undefined : configs,
  };
}

function configJson(
  subnet: string | undefined,
  range: string | undefined,
  gateway: string | undefined,
): JsonObject {
  return { Subnet: subnet || undefined, Range: range || undefined, Gateway: gateway || undefined };
}
