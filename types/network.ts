/** Networks of the swarm, and what a node is told of those that its tasks are on. */
import { boolean, list, optional, record, required, string, struct, type TypeOf } from './codec.ts';
import type { Meta } from './objects.ts';
import type { PortConfig } from './specs.ts';

const ipamConfig = struct({
  /** "10.0.9.0/24", or an IPv6 prefix. */
  subnet: optional('Subnet', string),
  /** Addresses are given out of this part of the subnet. */
  ipRange: optional('IPRange', string),
  gateway: optional('Gateway', string),
  /** Addresses that are never given out, by a name that only people use. */
  auxiliaryAddresses: optional('AuxiliaryAddresses', record(string)),
});
export type IpamConfig = TypeOf<typeof ipamConfig>;

/** Docker's NetworkCreateRequest (Engine API v1.50). */
export const networkSpec = struct({
  name: required('Name', string, ''),
  labels: required('Labels', record(string), {}),
  /** `overlay`, `bridge`, `macvlan`, `ipvlan`; empty: bridge, as in Docker. */
  driver: required('Driver', string, ''),
  /** `swarm`, `local`, or empty: what the driver is by its nature. */
  scope: optional('Scope', string),
  options: optional('Options', record(string)),
  /** Absent: it has. Networks of the whole swarm always have. */
  enableIpv4: optional('EnableIPv4', boolean),
  enableIpv6: optional('EnableIPv6', boolean),
  /** No way out of the network. */
  internal: optional('Internal', boolean),
  /** Containers that belong to no service may join. */
  attachable: optional('Attachable', boolean),
  /** The routing mesh's own network. */
  ingress: optional('Ingress', boolean),
  configOnly: optional('ConfigOnly', boolean),
  configFrom: optional('ConfigFrom', struct({ network: required('Network', string, '') })),
  ipam: optional(
    'IPAM',
    struct({
      driver: optional('Driver', string),
      configs: optional('Config', list(ipamConfig)),
      options: optional('Options', record(string)),
    }),
  ),
});
export type NetworkSpec = TypeOf<typeof networkSpec>;

/** A subnet as the network has it, nothing left open. */
export interface NetworkSubnet {
  /** "10.0.1.0/24" or "fd00:1::/64". */
  readonly subnet: string;
  /** "10.0.1.1": never given to a task. */
  readonly gateway: string;
  readonly ipRange?: string;
  readonly reserved?: readonly string[];
}

/** A network of the whole swarm. */
export interface Network {
  readonly id: string;
  readonly meta: Meta;
  readonly spec: NetworkSpec;
  /** VXLAN network identifier, 4096 to 2^24 − 1; absent for drivers that are local to a node. */
  readonly vni?: number;
  /** One for each address family at most twice: IPv4 first. Empty for drivers without addresses. */
  readonly subnets: readonly NetworkSubnet[];
}

/** A task on a network. Held until the task has ended or is gone. */
export interface TaskNetwork {
  readonly networkId: string;
  /** One for each address family that the network has, with its prefix: "10.0.1.5/24". */
  readonly addresses: readonly string[];
  readonly aliases?: readonly string[];
  readonly driverOpts?: Readonly<Record<string, string>>;
  /** The default route leads by the network with the highest; absent: 0. */
  readonly gwPriority?: number;
  /** Of its interface there, where it was chosen; absent: as the address says. */
  readonly macAddress?: string;
  /** Addresses that the container chose itself, beside those: "169.254.7.7/16". */
  readonly linkLocal?: readonly string[];
  /** What this container alone calls others there: their names, by those that it has for them. */
  readonly links?: Readonly<Record<string, string>>;
}

/** Whether each node makes the network for itself, with addresses that it gives itself. */
export function isNodeLocal({ driver }: Pick<NetworkSpec, 'driver'>): boolean {
  return driver !== 'overlay';
}

const ipv6Switches = ['all', 'default', 'eth0'].map((link) => `net.ipv6.conf.${link}.disable_ipv6`);

/** Whether a container with such settings of the kernel goes without IPv6. */
export function turnsIpv6Off(sysctls: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(sysctls).some(
    ([name, value]) => ipv6Switches.includes(name.replaceAll('/', '.')) && value.trim() !== '0',
  );
}

/** Those that such a container has of them: without any of IPv4 it keeps what it was given. */
export function withoutIpv6(addresses: readonly string[]): readonly string[] {
  const rest = addresses.filter((cidr) => !cidr.includes(':'));
  return rest.length === 0 ? addresses : rest;
}

/** A service's virtual address on a network: one for each address family of the network. */
export interface VirtualIp {
  readonly networkId: string;
  /** With the network's prefix: "10.0.1.2/24". */
  readonly address: string;
}

/** How a node takes part in overlays, as it says of itself. */
export interface DataPath {
  /** Where its VXLAN packets are to be sent. */
  readonly address: string;
  /** For encrypted networks. The private key never leaves the node. */
  readonly wireguard?: { readonly publicKey: string; readonly port: number };
  /** It can take part in a routing mesh whose IPv6 addresses follow from the IPv4 ones. */
  readonly ipv6?: boolean;
}

/** A network as a node gets it that has a task on it, or takes part in the routing mesh. */
export interface AssignedNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly vni: number;
  readonly subnets: readonly NetworkSubnet[];
  readonly internal: boolean;
  readonly ingress: boolean;
  readonly encrypted: boolean;
  /** A node whose key was made before this rotation makes a new one; absent: 0. */
  readonly keyRotation?: number;
  /** UDP port of VXLAN. */
  readonly dataPathPort: number;
  readonly options: Readonly<Record<string, string>>;
  /** What the node is to make for itself; absent for overlays. */
  readonly local?: NetworkSpec;
}

/** A node that the networks of this node reach; sent to a node also of itself. */
export interface AssignedPeer {
  /** The node's id. */
  readonly id: string;
  readonly dataPath: DataPath;
  /** The node's own addresses on the routing mesh's network: "10.0.0.2/24". */
  readonly ingressAddresses: readonly string[];
}

/** One task on one network, wherever it runs, from its assignment until it is gone. */
export interface AssignedEndpoint {
  /** `<network id>/<task id>`. */
  readonly id: string;
  readonly networkId: string;
  readonly taskId: string;
  /** Empty for a container that belongs to no service. */
  readonly serviceId: string;
  readonly nodeId: string;
  readonly addresses: readonly string[];
  /** Where one was chosen; absent: as the address says. */
  readonly macAddress?: string;
  /** IPv6 is off in the container, as its spec wants it. */
  readonly ipv4Only?: true;
  /** Names that are this endpoint's alone: the task's name, the container's id. */
  readonly names: readonly string[];
  /** Names that it shares with others. */
  readonly aliases: readonly string[];
  /** Runs, is healthy, is not about to stop, its node is heard of: names and VIPs lead to it. */
  readonly active: boolean;
}

/** One service on one network. */
export interface AssignedServiceEndpoint {
  /** `<network id>/<service id>`. */
  readonly id: string;
  readonly networkId: string;
  readonly serviceId: string;
  /** The service's name, and further ones that the network attachment gives it. */
  readonly names: readonly string[];
  readonly mode: 'vip' | 'dnsrr';
  /** Without prefix; empty for `dnsrr`. */
  readonly virtualIps: readonly string[];
  /** Ports of the routing mesh; only on its own network. */
  readonly ports: readonly PortConfig[];
}

/** What a node is told of networks, by the type that names it on the wire. */
export interface NetworkObjects {
  readonly network: AssignedNetwork;
  readonly peer: AssignedPeer;
  readonly endpoint: AssignedEndpoint;
  readonly 'service-endpoint': AssignedServiceEndpoint;
}
export type NetworkObjectType = keyof NetworkObjects;
export const networkObjectTypes = ['network', 'peer', 'service-endpoint', 'endpoint'] as const;

/** A part of an assignment set. `complete`: what is not named in `update` is gone. */
export interface NetworkAssignments {
  readonly complete: boolean;
  readonly update: readonly {
    readonly [T in NetworkObjectType]: { readonly type: T; readonly object: NetworkObjects[T] };
  }[NetworkObjectType][];
  readonly remove: readonly { readonly type: NetworkObjectType; readonly id: string }[];
}
