/** What a container's attachment is to be: its addresses, its interfaces, and its way out. */
import type { TaskNetwork } from '../../types/index.ts';
import type { Attachments, AttachmentRecord } from './attachments.ts';
import type { GatewayBridge } from './gateway-bridge.ts';
import type { LocalNetworks } from './local/index.ts';
import type { Attachment, AttachRequest } from './network.ts';
import type { AttachedNetwork } from './part.ts';
import type { NetworkTables } from './tables.ts';

interface RecordMakerDeps {
  readonly tables: NetworkTables;
  readonly local: LocalNetworks;
  readonly gateway: GatewayBridge;
  readonly records: Attachments;
  /** Where names are answered in a container that is on a network. */
  readonly resolver?: string;
}

export class RecordMaker {
  readonly #deps: RecordMakerDeps;

  constructor(deps: RecordMakerDeps) {
    this.#deps = deps;
  }

  /**
   * Of a container that is on nothing yet, with the ports that it asks for. Throws SwarmError where
   * something is taken or full.
   */
  first(request: AttachRequest): AttachmentRecord {
    const { containerId, mode, nameservers, ipv4Only } = request;
    const { gateway, records } = this.#deps;
    const networks = this.#addressed(containerId, request.networks ?? []);
    const onBridge = this.#needsBridge(request, networks);
    return {
      containerId,
      mode,
      ...(onBridge ? { address: gateway.freeAddress(records.all()), ...macOf(request) } : {}),
      ports: onBridge ? request.ports : [],
      ...(networks.length === 0 ? {} : { networks }),
      ...(request.isOnBridge === true ? { isOnBridge: true } : {}),
      ...this.#wayOf(request, networks, onBridge),
      ...(nameservers === undefined ? {} : { nameservers }),
      ...(ipv4Only === true ? { ipv4Only } : {}),
    };
  }

  /** With the networks of the request; what it keeps stays as it is, down to the interfaces. */
  next(before: AttachmentRecord, request: AttachRequest): AttachmentRecord {
    const { containerId, mode, isOnBridge } = request;
    const { gateway, records } = this.#deps;
    const present = (before.networks ?? []).map((network, index): AttachedNetwork => ({
      ...network,
      position: network.position ?? index,
    }));
    const wanted = request.networks ?? [];
    const kept = present.filter(({ networkId }) => isAmong(wanted, networkId));
    const come = wanted.filter(({ networkId }) => !isAmong(present, networkId));
    const { address, bridgePosition = present.length, ports, nameservers, ipv4Only } = before;
    const onBridge = this.#needsBridge(request, wanted);
    const used = new Set(kept.map(({ position = 0 }) => position));
    if (onBridge && address !== undefined) used.add(bridgePosition);
    const networks = [
      ...kept,
      ...this.#addressed(containerId, come).map((network) => ({
        ...network,
        position: lowestFree(used),
      })),
    ];
    const bridge = {
      address: address ?? (onBridge ? gateway.freeAddress(records.all()) : ''),
      bridgePosition: onBridge && address === undefined ? lowestFree(used) : bridgePosition,
      ...macOf(address === undefined ? request : before),
    };
    return {
      containerId,
      mode,
      ...(onBridge ? bridge : {}),
      ports,
      ...(networks.length === 0 ? {} : { networks }),
      ...(isOnBridge === true ? { isOnBridge } : {}),
      ...this.#wayOf(request, networks, onBridge),
      ...(nameservers === undefined ? {} : { nameservers }),
      ...(ipv4Only === true ? { ipv4Only } : {}),
    };
  }

  describe(record: AttachmentRecord, netnsPath: string): Attachment {
    const { address, networks = [], ports } = record;
    const { gateway, local, resolver } = this.#deps;
    const bridgeAddress = address === undefined ? undefined : gateway.cidrOf(address);
    const leavesByBridge = bridgeAddress !== undefined && record.leavesByNetwork !== true;
    const waysOut = leavesByBridge ? [bridgeAddress] : this.#waysOut(networks);
    const gatewayAddress = leavesByBridge
      ? gateway.gateway
      : (local.gatewayOf(networks) ?? local.gatewayOf(networks, 'ipv6'));
    return {
      netnsPath,
      addresses: [
        ...networks.flatMap(({ addresses }) => addresses),
        ...(bridgeAddress === undefined ? [] : [bridgeAddress]),
      ],
      ...(bridgeAddress === undefined ? {} : { bridgeAddress }),
      ...(waysOut.length === 0 ? {} : { waysOut }),
      ...(gatewayAddress === undefined ? {} : { gateway: gatewayAddress }),
      ...(networks.length === 0 || resolver === undefined ? {} : { resolver }),
      given: networks
        .filter(({ networkId }) => this.#deps.tables.network(networkId)?.local !== undefined)
        .map(({ networkId, addresses }) => ({ networkId, addresses })),
      ports,
    };
  }

  /** The addresses by which a container leaves that does not leave by the bridge. */
  #waysOut(networks: readonly TaskNetwork[]): readonly string[] {
    return (['ipv4', 'ipv6'] as const).flatMap((family) => {
      const way = this.#deps.local.wayOf(networks, family);
      const place = networks.find(({ networkId }) => networkId === way?.id);
      const isOfFamily = (cidr: string) => cidr.includes(':') === (family === 'ipv6');
      return place?.addresses.find(isOfFamily) ?? [];
    });
  }

  /** Networks of this node come before the bridge only where their priority is higher. */
  #wayOf(
    { bridgePriority = 0, isOnBridge = false }: AttachRequest,
    networks: readonly TaskNetwork[],
    onBridge: boolean,
  ): { readonly leavesByNetwork?: true } {
    const { local } = this.#deps;
    const isLocal = ({ networkId }: TaskNetwork) => local.has(networkId);
    const way = local.wayOf(networks);
    if (!onBridge || way === undefined) return {};
    const priorities = networks.filter((one) => !isLocal(one)).map(priorityOf);
    const own = priorityOf(networks.find(({ networkId }) => networkId === way.id));
    const others = [...(isOnBridge ? [bridgePriority] : []), ...priorities];
    // What is on the bridge for the sake of its ports alone leaves by it, as their answers do.
    return others.length > 0 && own > Math.max(...others) ? { leavesByNetwork: true } : {};
  }

  #needsBridge(
    { mode, isOnBridge = false, ports }: AttachRequest,
    networks: readonly TaskNetwork[],
  ) {
    if (mode === 'none') return false;
    // Networks that the node itself makes have a way out of their own.
    const leaves = ({ networkId }: TaskNetwork) => {
      const network = this.#deps.tables.network(networkId);
      return network?.internal === false && network.local === undefined;
    };
    return networks.length === 0 || isOnBridge || ports.length > 0 || networks.some(leaves);
  }

  /** On networks of this node addresses are given here; on the swarm's, the managers gave them. */
  #addressed(containerId: string, networks: readonly TaskNetwork[]): readonly TaskNetwork[] {
    const { local } = this.#deps;
    try {
      return networks.map((network) => {
        const { networkId, addresses } = network;
        if (addresses.length > 0 || !local.has(networkId)) return network;
        return { ...network, addresses: local.reserve(networkId, containerId) };
      });
    } catch (error) {
      for (const { networkId } of networks) local.release(networkId, containerId);
      throw error;
    }
  }
}

function macOf({ bridgeMac }: Pick<AttachmentRecord, 'bridgeMac'>) {
  return bridgeMac === undefined ? {} : { bridgeMac };
}

function priorityOf(network: TaskNetwork | undefined): number {
  return network?.gwPriority ?? 0;
}

function isAmong(networks: readonly TaskNetwork[], networkId: string): boolean {
  return networks.some((network) => network.networkId === networkId);
}

/** Marked as used from then on. */
function lowestFree(used: Set<number>): number {
  let position = 0;
  while (used.has(position)) position++;
  used.add(position);
  return position;
}
