/** Examines the host that it runs on. Reads and tries; changes nothing that stays. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { inNamespace } from '../network/namespace.ts';
import { Netlink } from '../network/netlink.ts';
import { meshLink } from '../network/mesh/index.ts';
import { bridgeName } from '../network/overlay/index.ts';
import type { AttachedContainer } from '../network/part.ts';
import type { NetworkTables } from '../network/tables.ts';
import { echoesOf, judgeDataPath, waysToPeers, type Way } from './data-path.ts';
import { examineEgress } from './egress.ts';
import { finding, type Finding } from './finding.ts';
import type { Needed, NeededPort } from './firewall.ts';
import { examineRules, type ForwardingLinks } from './forwarding.ts';
import { gatewayBridgeName } from '../network/gateway-bridge.ts';
import { echoAll } from './icmp.ts';
import { examineKernel, judgeSctp, sctpFacts } from './kernel.ts';
import { examinePorts, type PublishedPort } from './ports.ts';
import { judgeConnections, judgeRepairs, judgeSwarm, type SwarmFacts } from './swarm.ts';

export interface DoctorParts {
  readonly runRoot: string;
  readonly tables: NetworkTables;
  /** Those that are on networks of the swarm. */
  readonly containers: () => readonly AttachedContainer[];
  /** Ports that containers of this node have taken of it. */
  readonly hostPorts: () => readonly PublishedPort[];
  /** Links of bridge networks of this node from which containers get out, by the packets' family. */
  readonly bridges: () => ForwardingLinks;
  /** Why networks of the swarm cannot be had on this node: a sentence for each. */
  readonly obstacles: () => readonly string[];
  /** What audits have put right, by kind. */
  readonly repairs: () => ReadonlyMap<string, number>;
  readonly swarm: () => SwarmFacts;
  /** What people call a node; its id where this node does not know. */
  readonly nameOf: (nodeId: string) => string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Where managers listen: whether a host is there at all shows at any port, open or closed. */
const alivePort = 2377;
const aliveWaitMs = 1_500;
const mtuDefault = 1_450;

export class Doctor {
  readonly #parts: DoctorParts;

  constructor(parts: DoctorParts) {
    this.#parts = parts;
  }

  /** Worst first. Takes some seconds where nodes do not answer. */
  async examine(): Promise<readonly Finding[]> {
    const { swarm, repairs } = this.#parts;
    const checks: Record<string, () => Promise<readonly Finding[]> | readonly Finding[]> = {
      swarm: () => judgeSwarm(swarm()),
      kernel: () => examineKernel(),
      sctp: () => [judgeSctp(sctpFacts(), this.#publishedPorts())],
      'data-path': () => this.#dataPath(),
      ports: () => examinePorts(this.#publishedPorts(), process.pid),
      repairs: () => judgeRepairs(repairs()),
      networks: () => this.#parts.obstacles().map((text) => finding('networks', 'error', text)),
      limits: connections,
      forwarding: () => examineRules(this.#links(), this.#needed()),
      egress: () => examineEgress(),
    };
    const found = await Promise.all(
      Object.entries(checks).map(async ([check, run]) => {
        try {
          return await run();
        } catch (error) {
          return [finding(check, 'error', `this could not be examined: ${messageOf(error)}`)];
        }
      }),
    );
    const weight = { error: 0, warning: 1, ok: 2 } as const;
    return found.flat().toSorted((a, b) => weight[a.level] - weight[b.level]);
  }

  /** The mesh's counts where anything is published by it. */
  #links(): ForwardingLinks {
    const { tables } = this.#parts;
    const isPublished = [...tables.networks()]
      .filter(({ ingress }) => ingress)
      .some(({ id }) => [...tables.servicesOf(id)].some(({ ports }) => ports.length > 0));
    const mesh = isPublished ? [meshLink] : [];
    const { ip, ip6 } = this.#parts.bridges();
    return { ip: [gatewayBridgeName, ...mesh, ...ip], ip6: [...mesh, ...ip6] };
  }

  /** Nothing where this is the only node. */
  #needed(): Needed {
    const { tables, swarm } = this.#parts;
    const { nodeId, listensOn } = swarm();
    const own = tables.peer(nodeId)?.dataPath;
    const family = own?.address.includes(':') === true ? 'ip6' : 'ip';
    if ([...tables.peers()].every(({ id }) => id === nodeId)) return { family, ports: [] };
    const overlays = [...tables.networks()].filter(({ driver }) => driver === 'overlay');
    const vxlan = new Set(overlays.map(({ dataPathPort }) => dataPathPort));
    const isEncrypted = overlays.some(({ encrypted }) => encrypted);
    const need = 'containers are not reached from other nodes';
    const ports: readonly (NeededPort | undefined)[] = [
      ...[...vxlan].map((port): NeededPort => ({ protocol: 'udp', port, need })),
      isEncrypted && own?.wireguard !== undefined
        ? { protocol: 'udp', port: own.wireguard.port, need: `${need} over encrypted networks` }
        : undefined,
      listensOn === undefined
        ? undefined
        : { protocol: 'tcp', port: listensOn, need: 'other nodes do not reach this manager' },
    ];
    return { family, ports: ports.filter((port) => port !== undefined) };
  }

  async #dataPath(): Promise<readonly Finding[]> {
    const { runRoot, tables, swarm, containers, nameOf, clock, log } = this.#parts;
    const ownId = swarm().nodeId;
    const around = { ownId, runRoot, tables, containers: containers() };
    const { ways, untried } = waysToPeers(around);
    const mtus = new Map<string, number>();
    const echoes = echoesOf(ways, (way) => mtuOf(way, mtus));
    const answered = await echoAll(echoes, { clock, log });
    const outcomes = await Promise.all(
      ways.map(async (way, index) => {
        const small = answered[2 * index] === true;
        return {
          way,
          largeBytes: echoes[2 * index + 1]?.bytes ?? 0,
          small,
          large: answered[2 * index + 1] === true,
          isAlive: small || (await isAlive(way.dataPathAddr)),
        };
      }),
    );
    return judgeDataPath(outcomes, untried, nameOf);
  }

  #publishedPorts(): readonly PublishedPort[] {
    const { tables, hostPorts } = this.#parts;
    const mesh = [...tables.networks()].find(({ ingress }) => ingress);
    const services = mesh === undefined ? [] : [...tables.servicesOf(mesh.id)];
    const ingress = services.flatMap(({ names, ports }) =>
      ports.flatMap(({ publishedPort, protocol }) =>
        publishedPort === undefined
          ? []
          : [{ protocol, port: publishedPort, owner: `service ${names[0] ?? ''}` }],
      ),
    );
    return [...ingress, ...hostPorts()];
  }
}

/** The largest packet that the networks' own links take. */
function mtuOf({ netnsPath }: Way, known: Map<string, number>): number {
  const before = known.get(netnsPath);
  if (before !== undefined) return before;
  const links = inNamespace(netnsPath, () => {
    using netlink = new Netlink();
    return netlink.links().filter(({ up, name }) => up && name !== 'lo');
  });
  const bridge = links.find(({ name }) => name === bridgeName);
  const mtus = (bridge === undefined ? links : [bridge]).map(({ mtu }) => mtu);
  const mtu = mtus.length === 0 ? mtuDefault : Math.min(...mtus);
  known.set(netnsPath, mtu);
  return mtu;
}

/** A host that refuses a connection is there as well. */
function isAlive(host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port: alivePort, timeout: aliveWaitMs });
  socket.once('connect', () => resolve(true));
  socket.once('timeout', () => resolve(false));
  socket.once('error', (error) => resolve(errnoOf(error) === 'ECONNREFUSED'));
  return promise.finally(() => socket.destroy());
}

async function connections(): Promise<readonly Finding[]> {
  const [count, max] = await Promise.all(['count', 'max'].map(readLimit));
  return judgeConnections(count ?? 0, max ?? 0);
}

/** Not there while nothing on this host follows connections. */
async function readLimit(name: string): Promise<number> {
  try {
    return Number(await readFile(`/proc/sys/net/netfilter/nf_conntrack_${name}`, 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
