/** All networks that a user of this node may name: everybody's, the node's own, the swarm's. */
import { SwarmError } from '../lib/errors.ts';
import type { StoreView } from '../manager/store/view.ts';
import type {
  AssignedEndpoint,
  AssignedNetwork,
  Network,
  NetworkSpec,
  NetworkSubnet,
} from '../types/index.ts';
import type { LocalNetwork } from '../worker/network/local/index.ts';
import type { Backend } from './backend.ts';
import { builtIns, type BuiltInNetwork } from './convert/network.ts';

interface Common {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly scope: 'swarm' | 'local';
  readonly labels: Readonly<Record<string, string>>;
  /** Something is on it, or may be at any time. */
  readonly inUse: boolean;
}

/** Ids of containers, with their addresses. */
type Users = ReadonlyMap<string, readonly string[]>;

export type ListedNetwork = Common &
  (
    | {
        readonly kind: 'built-in';
        readonly network: BuiltInNetwork;
        /** The bridge's. */
        readonly subnets: readonly Pick<NetworkSubnet, 'subnet' | 'gateway'>[];
      }
    | { readonly kind: 'local'; readonly network: LocalNetwork; readonly users: Users }
    | { readonly kind: 'swarm'; readonly network: Network }
    /** The swarm's, as a worker knows it. */
    | {
        readonly kind: 'assigned';
        readonly network: AssignedNetwork;
        readonly endpoints: readonly AssignedEndpoint[];
      }
  );

/** The tables, where this node is a manager. */
export async function swarmView(backend: Backend): Promise<StoreView | undefined> {
  const { isManager, state } = backend.swarm.status();
  return isManager && state === 'active' ? backend.manager().read() : undefined;
}

/** The swarm's first, as Docker lists them. */
export function listNetworks(backend: Backend, view: StoreView | undefined): ListedNetwork[] {
  const { networks } = backend;
  const assigned = view === undefined ? [...(networks?.tables.networks() ?? [])] : [];
  return [
    ...[...(view?.networks() ?? [])].map((network) => swarmNetwork(network, view!)),
    ...assigned.map((network) => {
      const { nodeId } = backend.swarm.status();
      const all = [...(networks?.tables.endpointsOf(network.id) ?? [])];
      return assignedNetwork(
        network,
        // Those of no service are people's containers, of which the node knows more itself.
        all.filter((endpoint) => endpoint.nodeId === nodeId && endpoint.serviceId !== ''),
      );
    }),
    ...(networks?.local.list() ?? []).map((network) =>
      localNetwork(network, networks!.local.users(network.id)),
    ),
    ...builtIns.map((network) => ({
      ...builtInNetwork(network, 'local'),
      subnets: network.driver === 'bridge' && networks !== undefined ? [networks.bridge] : [],
    })),
  ];
}

/** Those that are asked for with the scope of the swarm only: a service's tasks may be on them. */
export function predefinedOfSwarm(): ListedNetwork[] {
  return builtIns.map((network) => builtInNetwork(network, 'swarm'));
}

export function isPredefined(name: string): boolean {
  return builtIns.some((one) => one.name === name);
}

/** By id, name, or the beginning of an id. Throws Docker's errors. */
export function findNetwork(networks: readonly ListedNetwork[], input: string): ListedNetwork {
  const exact = networks.find(({ id }) => id === input);
  if (exact !== undefined) return exact;
  const named = networks.filter(({ name }) => name === input);
  const found =
    named.length > 0 || input === '' ? named : networks.filter(({ id }) => id.startsWith(input));
  const [first] = found;
  if (first === undefined) throw new SwarmError('not-found', `network ${input} not found`);
  if (found.length > 1) {
    const basis = named.length > 0 ? 'name' : 'ID prefix';
    throw new SwarmError(
      'invalid-argument',
      `network ${input} is ambiguous (${found.length} matches found based on ${basis})`,
    );
  }
  return first;
}

function builtInNetwork(network: BuiltInNetwork, scope: Common['scope']) {
  const { name, driver } = network;
  const common = { id: name, name, driver, scope, labels: {}, inUse: true };
  return { kind: 'built-in' as const, network, subnets: [], ...common };
}

function swarmNetwork(network: Network, view: StoreView): ListedNetwork {
  const isUsed = (objects: Iterable<unknown>) => !Iterator.from(objects).next().done;
  const inUse =
    isUsed(view.servicesOfNetwork(network.id)) || isUsed(view.tasksOfNetwork(network.id));
  return { kind: 'swarm', network, ...ofSpec(network), scope: 'swarm', inUse };
}

function localNetwork(network: LocalNetwork, users: Users): ListedNetwork {
  const inUse = users.size > 0;
  return { kind: 'local', network, users, ...ofSpec(network), scope: 'local', inUse };
}

function ofSpec({ id, spec }: { readonly id: string; readonly spec: NetworkSpec }) {
  return { id, name: spec.name, driver: spec.driver, labels: spec.labels };
}

/** `endpoints`: of this node. */
function assignedNetwork(
  network: AssignedNetwork,
  endpoints: readonly AssignedEndpoint[],
): ListedNetwork {
  const { id, name, driver } = network;
  const common = { id, name, driver, scope: 'swarm' as const, labels: {}, inUse: true };
  return { kind: 'assigned', network, endpoints, ...common };
}
