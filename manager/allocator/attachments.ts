/** Services, their tasks and nodes on networks: which those are, and their addresses there. */
import { attachmentsOf, publishesIngress, type StoreView } from '../store/view.ts';
import type {
  Network,
  NetworkAttachment,
  Node,
  Service,
  Task,
  TaskNetwork,
  VirtualIp,
} from '../../types/index.ts';
import type { AddressBook } from './address-book.ts';

type NetworksView = Pick<StoreView, 'network' | 'ingressNetwork'>;

/** In Docker's words. */
export const noIngress = 'service needs ingress network, but no ingress network is present';

interface Attached {
  readonly network: Network;
  /** Absent for the routing mesh's network, which no spec names. */
  readonly attachment?: NetworkAttachment;
}

/** The networks of a service's tasks, the routing mesh's last; or why there are none to be had. */
function networksFor(
  view: NetworksView,
  spec: Task['spec'],
  service: Pick<Service, 'spec'>,
): Attached[] | string {
  const found: Attached[] = [];
  for (const attachment of attachmentsOf(spec)) {
    const network = view.network(attachment.target);
    if (network === undefined) return `network ${attachment.target} not found`;
    found.push({ network, attachment });
  }
  if (!publishesIngress(service.spec)) return found;
  const network = view.ingressNetwork();
  return network === undefined ? noIngress : [...found, { network }];
}

/** Most services ask for none of the cluster's numbers, and have none. */
export function asksNothing({ spec, ports, virtualIps }: Service): boolean {
  return (
    spec.endpoint === undefined &&
    spec.task.networks === undefined &&
    ports === undefined &&
    virtualIps === undefined
  );
}

/** Neither the service nor its tasks are, or have been, on any network. */
function isApart({ spec, virtualIps }: Service): boolean {
  return virtualIps === undefined && spec.task.networks === undefined && !publishesIngress(spec);
}

interface VipAllocation {
  /** The service with its virtual addresses; the same object where nothing changes. */
  readonly service: Service;
  /** Why some are missing; the service's tasks wait until they are there. */
  readonly reason?: string;
}

/** A service keeps its virtual addresses for as long as it is on their networks. */
export function allocateVips(
  view: NetworksView,
  service: Service,
  book: AddressBook,
): VipAllocation {
  if (isApart(service)) return { service };
  const networks = networksFor(view, service.spec.task, service);
  if (typeof networks === 'string') return { service, reason: networks };
  const before = service.virtualIps ?? [];
  if (service.spec.endpoint?.mode === 'dnsrr') return { service: withVips(service, before, []) };
  const vips: VirtualIp[] = [];
  const taken: { readonly networkId: string; readonly addresses: readonly string[] }[] = [];
  for (const { network } of networks) {
    const { id: networkId } = network;
    const kept = before.filter((vip) => vip.networkId === networkId);
    if (kept.length > 0 || network.subnets.length === 0) {
      vips.push(...kept);
      continue;
    }
    const addresses = book.take(network);
    if (addresses === undefined) {
      for (const one of taken) book.giveBack(one.networkId, one.addresses);
      return { service, reason: book.explain(network) };
    }
    taken.push({ networkId, addresses });
    vips.push(...addresses.map((address) => ({ networkId, address })));
  }
  return { service: withVips(service, before, vips) };
}

function withVips(
  service: Service,
  before: readonly VirtualIp[],
  vips: readonly VirtualIp[],
): Service {
  const isSame =
    before.length === vips.length &&
    before.every(({ networkId, address }, number) => {
      const vip = vips[number];
      return vip?.networkId === networkId && vip.address === address;
    });
  if (isSame) return service;
  const { virtualIps: _, ...rest } = service;
  return vips.length === 0 ? rest : { ...rest, virtualIps: vips };
}

/** Why the task could not be given its addresses now, wherever it is placed. */
export function whyUnattachable(
  view: NetworksView,
  task: Task,
  service: Service,
  book: AddressBook,
): string | undefined {
  if (task.spec.networks === undefined && !publishesIngress(service.spec)) return undefined;
  const networks = networksFor(view, task.spec, service);
  if (typeof networks === 'string') return networks;
  const full = networks.find(({ network }) => book.isFull(network));
  return full === undefined ? undefined : book.explain(full.network);
}

/** The task with its addresses, or why it gets none. */
export function attachTask(
  view: NetworksView,
  task: Task,
  service: Service,
  book: AddressBook,
): Task | string {
  if (task.spec.networks === undefined && !publishesIngress(service.spec)) return task;
  const networks = networksFor(view, task.spec, service);
  if (typeof networks === 'string') return networks;
  if (networks.length === 0) return task;
  const attached: TaskNetwork[] = [];
  for (const { network, attachment } of networks) {
    const addresses = book.take(network);
    if (addresses === undefined) {
      for (const one of attached) book.giveBack(one.networkId, one.addresses);
      return book.explain(network);
    }
    const { aliases, driverOpts } = attachment ?? {};
    attached.push({
      networkId: network.id,
      addresses,
      ...(aliases === undefined ? {} : { aliases }),
      ...(driverOpts === undefined ? {} : { driverOpts }),
    });
  }
  return { ...task, networks: attached };
}

interface NodeAllocation {
  /** Absent where they are as they should be. */
  readonly addresses?: readonly string[];
  readonly reason?: string;
}

/** A node has addresses on the routing mesh's network for as long as there is one. */
export function allocateNodeAddresses(
  view: NetworksView,
  node: Node,
  book: AddressBook,
): NodeAllocation {
  const { ingressAddresses = [] } = node;
  const network = view.ingressNetwork();
  if (network === undefined) return ingressAddresses.length === 0 ? {} : { addresses: [] };
  if (book.fits(network, ingressAddresses)) return {};
  const addresses = book.take(network);
  if (addresses !== undefined) return { addresses };
  const reason = book.explain(network);
  return ingressAddresses.length === 0 ? { reason } : { addresses: [], reason };
}
