/**
 * Whether packets get from this node to the others and back, over the very networks that containers
 * use: what is blocked or too large on the way shows nowhere else.
 */
import type { Echo } from './icmp.ts';
import { finding, type Finding } from './finding.ts';
import { overlayPath } from '../network/overlay/index.ts';
import type { AttachedContainer } from '../network/part.ts';
import type { NetworkTables } from '../network/tables.ts';

/** A way to another node that an echo can go. */
export interface Way {
  readonly peerId: string;
  /** Where the node's VXLAN packets are sent. */
  readonly dataPathAddr: string;
  readonly port: number;
  readonly netnsPath: string;
  readonly address: string;
}

/** What came of it. */
export interface Outcome {
  readonly way: Way;
  /** Of the large packet, in bytes. */
  readonly largeBytes: number;
  readonly small: boolean;
  readonly large: boolean;
  /** Whether the node answers outside of networks; looked at only where it does not within. */
  readonly isAlive: boolean;
}

export const smallBytes = 84;

interface Surroundings {
  readonly ownId: string;
  readonly runRoot: string;
  readonly tables: NetworkTables;
  readonly containers: readonly AttachedContainer[];
}

/** One way to each node where there is one; the routing mesh's network leads to all. */
export function waysToPeers(around: Surroundings): {
  readonly ways: readonly Way[];
  /** Nodes that share nothing with this one that an echo could go over. */
  readonly untried: readonly string[];
} {
  const ways: Way[] = [];
  const untried: string[] = [];
  for (const peer of around.tables.peers()) {
    if (peer.id === around.ownId) continue;
    const found = overMesh(around, peer) ?? overContainers(around, peer.id);
    if (found === undefined) untried.push(peer.id);
    else ways.push({ peerId: peer.id, dataPathAddr: peer.dataPath.address, ...found });
  }
  return { ways, untried };
}

type Found = Pick<Way, 'port' | 'netnsPath' | 'address'>;

function overMesh(
  { tables, runRoot, ownId }: Surroundings,
  { ingressAddresses }: { readonly ingressAddresses: readonly string[] },
): Found | undefined {
  const mesh = [...tables.networks()].find(({ ingress }) => ingress);
  const [cidr] = ingressAddresses;
  const own = tables.peer(ownId)?.ingressAddresses ?? [];
  if (mesh === undefined || cidr === undefined || own.length === 0) return undefined;
  return {
    port: mesh.dataPathPort,
    netnsPath: overlayPath(runRoot, mesh.id),
    address: withoutPrefix(cidr),
  };
}

function overContainers({ tables, containers }: Surroundings, peerId: string): Found | undefined {
  for (const { netnsPath, networks } of containers) {
    for (const { networkId } of networks) {
      const network = tables.network(networkId);
      if (network?.driver !== 'overlay') continue;
      for (const { nodeId, active, addresses } of tables.endpointsOf(networkId)) {
        const [cidr] = addresses;
        if (nodeId !== peerId || !active || cidr === undefined) continue;
        return { port: network.dataPathPort, netnsPath, address: withoutPrefix(cidr) };
      }
    }
  }
  return undefined;
}

/** A small and a large one each: what a link on the way cannot carry, it often drops in silence. */
export function echoesOf(ways: readonly Way[], mtuOf: (way: Way) => number): readonly Echo[] {
  return ways.flatMap((way) => {
    const { netnsPath, address } = way;
    return [smallBytes, mtuOf(way)].map((bytes) => ({ netnsPath, address, bytes }));
  });
}

export function judgeDataPath(
  outcomes: readonly Outcome[],
  untried: readonly string[],
  nameOf: (nodeId: string) => string,
): readonly Finding[] {
  const wrong = outcomes.flatMap((outcome) => judge(outcome, nameOf(outcome.way.peerId)));
  const silent = untried.map((id) =>
    finding(
      'data-path',
      'ok',
      `the way to node ${nameOf(id)} was not tried: no container there shares a network with this node`,
    ),
  );
  if (wrong.length > 0 || outcomes.length === 0) return [...wrong, ...silent];
  const largest = Math.min(...outcomes.map(({ largeBytes }) => largeBytes));
  const whom = outcomes.length === 1 ? 'the other node' : `all ${outcomes.length} other nodes`;
  const text = `packets of up to ${largest} bytes get to ${whom} and back over VXLAN`;
  return [finding('data-path', 'ok', text), ...silent];
}

function judge(outcome: Outcome, name: string): readonly Finding[] {
  const { way, small, large, largeBytes, isAlive } = outcome;
  const whom = `node ${name} (${way.dataPathAddr})`;
  if (small && large) return [];
  if (small) {
    const text =
      `packets of ${largeBytes} bytes do not get to ${whom} and back, though small ones do: a link ` +
      'on the way carries less than this node believes; lower the MTU of the device that carries ' +
      'the data path, or start the daemons with --mtu';
    return [finding('data-path', 'error', text)];
  }
  const text = isAlive
    ? `${whom} answers, but VXLAN does not get there and back: open UDP port ${way.port} between ` +
      'the two nodes, in both directions'
    : `${whom} does not answer at all, over VXLAN or otherwise: look at the link between the two ` +
      'nodes, and whether the data-path address is right';
  return [finding('data-path', 'error', text)];
}

function withoutPrefix(cidr: string): string {
  return cidr.split('/')[0] ?? cidr;
}
