/**
 * Places on networks for containers that belong to no service. Each is a task of its own, so that
 * addresses, endpoints and names follow from it as from any other; it ends with what its node says
 * of the container, or with the node.
 */
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import {
  isNodeLocal,
  isTerminal,
  type Network,
  type NetworkSubnet,
  type Task,
} from '../../types/index.ts';
import { AddressBook, contains, parseAddress, parseSubnet } from '../allocator/index.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import { networkNamed } from './service-networks.ts';

export interface AttachmentRequest {
  /** The caller's, as its certificate says. */
  readonly nodeId: string;
  /** Its id, its name, or the beginning of its id. */
  readonly network: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly aliases: readonly string[];
  /** At most one for each address family, without prefix; empty: any. */
  readonly addresses: readonly string[];
  /** Empty: as the address says. */
  readonly macAddress: string;
}

export interface NetworkAttached {
  readonly taskId: string;
  readonly networkId: string;
  readonly name: string;
  readonly driver: string;
  /** None on a network that each node makes for itself: its addresses are the node's to give. */
  readonly addresses: readonly string[];
  readonly subnets: readonly NetworkSubnet[];
}

/**
 * Attachments that the node has for the container already: who asks anew knows no more of them. In
 * an entry of its own, after which their addresses are free.
 */
export function planRelease(view: StoreView, request: AttachmentRequest): Change[] {
  const { nodeId, containerId } = request;
  const network = networkNamed(view, request.network);
  const before = [...view.tasksOfNode(nodeId)].filter(
    (task) =>
      task.attachedContainerId === containerId &&
      !isTerminal(task.status.state) &&
      task.networks?.some(({ networkId }) => networkId === network.id),
  );
  return before.map(({ id, meta }) => ({ op: 'delete', table: 'task', id, base: meta.version }));
}

/** Of one container; others are told of each. */
const namesMax = 256;
/** Names are shown on terminals. */
const namePattern = /^\P{Cc}{0,1024}$/u;
/** As nodes write it: of one interface, which an odd first byte is not. */
const macPattern = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/;

/** Nodes are not trusted: of what one says all others of the network make kernel objects. */
function refuseMalformed({ aliases, addresses, ...request }: AttachmentRequest): void {
  const { containerId, containerName, macAddress } = request;
  const names = [containerId, containerName, ...aliases];
  const isGood =
    names.length <= namesMax &&
    names.every((name) => namePattern.test(name)) &&
    addresses.length <= 2 &&
    (macAddress === '' || macPattern.test(macAddress));
  if (isGood) return;
  throw new SwarmError(
    'invalid-argument',
    `what the node says of the container ${containerName.slice(0, 64)} cannot be taken: it has ` +
      `at most ${namesMax} names, two addresses, and a MAC address such as 02:00:00:00:00:01`,
  );
}

/** The attachment and what makes it; throws in Docker's words. */
export function planAttachment(
  view: StoreView,
  request: AttachmentRequest,
  { random, nowMs }: { readonly random: Random; readonly nowMs: number },
): { readonly changes: readonly Change[]; readonly attached: NetworkAttached } {
  const { nodeId, containerId, containerName, aliases, macAddress } = request;
  refuseMalformed(request);
  const network = networkNamed(view, request.network);
  refuseUnattachable(network, request.network);
  const book = new AddressBook(view, random);
  const addresses = book.takeAsked(network, request.addresses);
  if (macAddress !== '') refuseTakenMac(view, network, { macAddress, addresses });
  const task: Task = {
    id: random.id(),
    meta: { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs },
    serviceId: '',
    slot: 0,
    nodeId,
    spec: { forceUpdate: 0, runtime: 'attachment' },
    specVersion: 0,
    name: containerName,
    serviceName: '',
    desiredState: 'running',
    status: { state: 'assigned', atMs: nowMs, message: 'attached to the network' },
    networks: [
      {
        networkId: network.id,
        addresses,
        ...(aliases.length > 0 ? { aliases } : {}),
        ...(macAddress === '' ? {} : { macAddress }),
      },
    ],
    attachedContainerId: containerId,
  };
  const { id: networkId, spec, subnets } = network;
  return {
    changes: [{ op: 'put', table: 'task', object: task, base: 0 }],
    attached: {
      taskId: task.id,
      networkId,
      name: spec.name,
      driver: spec.driver,
      addresses,
      subnets,
    },
  };
}

function refuseUnattachable({ spec }: Network, reference: string): void {
  if (spec.attachable === true) return;
  throw new SwarmError(
    'permission-denied',
    `Could not attach to network ${reference}: rpc error: code = PermissionDenied desc = network ` +
      `${reference} not manually attachable`,
  );
}

/** The first bytes of those that follow from addresses, which are the last. */
const derived = /^02:42:(..):(..):(..):(..)$/;

/** Nodes send what is for its address there: on an overlay nobody else may have it. */
function refuseTakenMac(
  view: StoreView,
  { id, spec, subnets }: Network,
  { macAddress, addresses }: Pick<AttachmentRequest, 'macAddress' | 'addresses'>,
): void {
  if (isNodeLocal(spec)) return;
  const [, ...bytes] = derived.exec(macAddress) ?? [];
  const address = bytes.map((byte) => Number.parseInt(byte, 16)).join('.');
  const parsed = parseAddress(address);
  const isOthers =
    parsed !== undefined &&
    !addresses.some((cidr) => cidr.startsWith(`${address}/`)) &&
    subnets.some(({ subnet }) => {
      const range = parseSubnet(subnet);
      return range !== undefined && contains(range, parsed);
    });
  if (isOthers) {
    throw new SwarmError(
      'invalid-argument',
      `the MAC address ${macAddress} belongs to the address ${address} of the network ` +
        `${spec.name}: ask for that address as well, or for a MAC address that does not begin ` +
        'with 02:42',
    );
  }
  for (const task of view.tasksOfNetwork(id)) {
    if (isTerminal(task.status.state)) continue;
    const place = task.networks?.find(({ networkId }) => networkId === id);
    if (place?.macAddress !== macAddress) continue;
    throw new SwarmError(
      'already-exists',
      `the MAC address ${macAddress} is in use on the network ${spec.name}: ${task.name} has it`,
    );
  }
}
