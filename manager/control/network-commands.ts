/** Commands on the networks of the whole swarm, as plans on the present state. */
import { SwarmError } from '../../lib/errors.ts';
import { isActive, type Network, type NetworkSpec } from '../../types/index.ts';
import { allocateNetwork } from '../allocator/index.ts';
import type { Change } from '../store/change.ts';
import { publishesIngress, type StoreView } from '../store/view.ts';
import type { Random } from '../../lib/random.ts';

export function planNewNetwork(
  view: StoreView,
  { id, spec }: Pick<Network, 'id' | 'spec'>,
  { random, nowMs }: { readonly random: Random; readonly nowMs: number },
): Change[] {
  const cluster = view.cluster();
  if (cluster === undefined) {
    throw new SwarmError('unavailable', 'the swarm is not initialised yet; try again');
  }
  refuseTaken(view, spec);
  const hosts = [...view.nodes()].map(({ status }) => status.addr);
  const networks = view.networks();
  const allocation = allocateNetwork(spec, { cluster, networks, hosts, random });
  const meta = { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs };
  return [{ op: 'put', table: 'network', object: { id, meta, spec, ...allocation }, base: 0 }];
}

export function planRemovedNetwork(view: StoreView, id: string): Change[] {
  const network = view.network(id);
  if (network === undefined) throw new SwarmError('not-found', `network ${id} not found`);
  const use = useOf(view, network);
  if (use !== undefined) throw new SwarmError('failed-precondition', use);
  return [{ op: 'delete', table: 'network', id, base: network.meta.version }];
}

/** Those of the networks that are there and that nobody uses; never the routing mesh's. */
export function unusedNetworks(view: StoreView, ids: readonly string[]): Network[] {
  return ids.flatMap((id) => {
    const network = view.network(id);
    if (network === undefined || network.spec.ingress === true) return [];
    return useOf(view, network) === undefined ? [network] : [];
  });
}

function refuseTaken(view: StoreView, spec: NetworkSpec): void {
  const ingress = spec.ingress === true ? view.ingressNetwork() : undefined;
  if (ingress !== undefined) {
    throw new SwarmError('already-exists', `ingress network (${ingress.id}) is already present`);
  }
  if (view.networkByName(spec.name) === undefined) return;
  throw new SwarmError('already-exists', `network with name ${spec.name} already exists`);
}

/** Who uses the network, in Docker's words. Tasks that are told to stop use it no more. */
function useOf(view: StoreView, { id, spec }: Network): string | undefined {
  for (const service of view.servicesOfNetwork(id)) {
    return spec.ingress === true && publishesIngress(service.spec)
      ? `ingress network cannot be removed because service ${service.id} depends on it`
      : `network ${id} is in use by service ${service.id}`;
  }
  for (const task of view.tasksOfNetwork(id)) {
    const isLeft = task.serviceId !== '' && view.service(task.serviceId) === undefined;
    if (isActive(task) && !isLeft) return `network ${id} is in use by task ${task.id}`;
  }
  return undefined;
}
