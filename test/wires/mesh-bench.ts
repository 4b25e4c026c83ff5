/** Hosts with the routing mesh, a client outside, and a service, in one process. */
import { strict as assert } from 'node:assert';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type {
  AssignedEndpoint,
  AssignedNetwork,
  AssignedPeer,
  NetworkAssignments,
  NetworkSubnet,
  PortConfig,
} from '../../types/index.ts';
import { Mesh } from '../../worker/network/mesh/index.ts';
import { ownPlace, withMeshIpv6 } from '../../worker/network/mesh-ipv6.ts';
import { NetlinkSockets } from '../../worker/network/netlink-sockets.ts';
import { Netfilter } from '../../worker/network/nft/index.ts';
import { overlayPath } from '../../worker/network/overlay/index.ts';
import { testNetwork, Wire, type TestHost } from '../../worker/network/testing/hosts.ts';
import { Wires, type Place } from './wires.ts';

export const subnets = [
  { subnet: '10.0.0.0/24', gateway: '10.0.0.1' },
  { subnet: 'fd00:a::/64', gateway: 'fd00:a::1' },
];
export const port = { tcp: 8080, udp: 8053 } as const;
export const ports: readonly PortConfig[] = [
  { protocol: 'tcp', targetPort: 80, publishedPort: port.tcp, publishMode: 'ingress' },
  { protocol: 'udp', targetPort: 53, publishedPort: port.udp, publishMode: 'ingress' },
];

/** A host with a mesh, an overlay, and a gateway bridge as the daemon makes it. */
export class MeshNode implements AsyncDisposable {
  readonly host: TestHost;
  readonly place: Place;
  readonly #number: number;
  readonly #hasIpv6: boolean;
  readonly #wires: Wires;
  /** It carries a mesh with addresses of IPv6 that follow from the others. */
  derivesIpv6 = false;
  readonly sockets = new NetlinkSockets();
  readonly netfilter = new Netfilter();
  mesh: Mesh;
  readonly #containers = new Map<string, Parameters<Mesh['attached']>[0]>();

  constructor(number: number, host: TestHost, wires: Wires, hasIpv6: boolean) {
    this.#number = number;
    this.#hasIpv6 = hasIpv6;
    this.host = host;
    this.#wires = wires;
    this.place = { name: `h${number}`, path: host.path };
    wires.set(this.place, 'ipv6/conf/eth0/disable_ipv6', '0');
    wires.set(this.place, 'ipv4/ip_forward', '1');
    wires.ip(
      this.place,
      `addr add fd99::${number}/64 dev eth0 nodad`,
      'link add ts-swarm0 type bridge',
      'addr add 172.18.0.1/16 dev ts-swarm0',
      'link set ts-swarm0 up',
    );
    const masquerade =
      'add table ip gw; add chain ip gw post { type nat hook postrouting priority srcnat; }; ' +
      'add rule ip gw post ip saddr 172.18.0.0/16 oifname != "ts-swarm0" masquerade';
    wires.run(this.place, 'nft', masquerade);
    this.mesh = this.#open();
  }

  #open(): Mesh {
    const { host, sockets, netfilter } = this;
    return new Mesh({
      tables: host.tables,
      netfilter,
      sockets,
      node: () => ({ id: host.id, dataPathAddr: host.address }),
      networkPath: () => this.networkPath,
      hostPath: host.path,
      clock: realClock,
      log: silentLogger,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh[Symbol.asyncDispose]();
    this.netfilter[Symbol.dispose]();
    this.sockets[Symbol.dispose]();
  }

  /** The namespace of the mesh's own network. */
  get networkPath(): string {
    return overlayPath(this.host.runRoot, 'ingress');
  }

  get peer(): AssignedPeer {
    const { dataPath, ...peer } = this.host.peer;
    return {
      ...peer,
      dataPath: { ...dataPath, ...(this.derivesIpv6 ? { ipv6: true } : {}) },
      ingressAddresses: addressesOf(this.#number, this.#hasIpv6),
    };
  }

  async assign(set: NetworkAssignments): Promise<void> {
    const delta = this.host.tables.apply(this.#said(set));
    await this.host.overlay.changed(delta);
    await this.mesh.changed(delta);
  }

  /** `number` is the last part of its addresses; on no network of the swarm without `onMesh`. */
  async attach(number: number, onMesh = true): Promise<Place> {
    const id = `c${number}`;
    const own = { networkId: 'ingress', addresses: addressesOf(number, this.#hasIpv6) };
    const known = this.host.tables.network('ingress');
    const networks = onMesh ? [ownPlace(own, known, false)] : [];
    const path = await this.host.attach(id, networks);
    const place = { name: id, path };
    const device = onMesh ? 'eth1' : 'eth0';
    this.#wires.wire(place, device, this.place, `gw${number}`);
    this.#wires.ip(this.place, `link set gw${number} master ts-swarm0`);
    this.#wires.ip(
      place,
      `addr add 172.18.0.${number}/16 dev ${device}`,
      `route add default via 172.18.0.1`,
    );
    if (onMesh) {
      const container = { id, netnsPath: path, networks };
      this.#containers.set(id, container);
      await this.mesh.attached(container);
    }
    return place;
  }

  /** As a daemon that was killed: what it knew comes again, while the kernel goes on. */
  async restart(set: NetworkAssignments): Promise<void> {
    await this[Symbol.asyncDispose]();
    await this.host.restart(this.#said(set));
    this.mesh = this.#open();
    for (const container of this.#containers.values()) await this.mesh.attached(container);
    const delta = this.host.tables.apply(this.#said(set));
    await this.mesh.changed(delta);
  }

  #said(set: NetworkAssignments): NetworkAssignments {
    const self = { id: this.host.id, carriesIpv6: this.derivesIpv6 };
    return withMeshIpv6(set, this.host.tables, self);
  }
}

const addressesOf = (number: number, hasIpv6: boolean) => [
  `10.0.0.${number}/24`,
  ...(hasIpv6 ? [`fd00:a::${number}/64`] : []),
];

export class MeshBench implements AsyncDisposable {
  readonly wire = new Wire();
  readonly wires = new Wires();
  readonly nodes: readonly MeshNode[];
  /** Neither a node nor a container. */
  readonly outside: Place;
  readonly #endpoints = new Map<number, AssignedEndpoint>();

  readonly #subnets: readonly NetworkSubnet[];

  constructor(count: number, mtu = 1500, subnetsOfMesh: readonly NetworkSubnet[] = subnets) {
    this.#subnets = subnetsOfMesh;
    this.nodes = Array.from({ length: count }, (_, index) => {
      const number = index + 2;
      return new MeshNode(
        number,
        this.wire.addHost(number, mtu),
        this.wires,
        subnetsOfMesh.length > 1,
      );
    });
    const host = this.wire.addHost(100);
    this.outside = { name: 'outside', path: host.path };
    this.wires.set(this.outside, 'ipv6/conf/eth0/disable_ipv6', '0');
    this.wires.ip(this.outside, 'addr add fd99::100/64 dev eth0 nodad');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node[Symbol.asyncDispose]();
    await this.wires[Symbol.asyncDispose]();
    await this.wire[Symbol.asyncDispose]();
  }

  node(index: number): MeshNode {
    const node = this.nodes[index];
    assert.ok(node);
    return node;
  }

  get network(): AssignedNetwork {
    return testNetwork('ingress', 4096, { ingress: true, subnets: this.#subnets });
  }

  everything(): NetworkAssignments {
    return {
      complete: true,
      remove: [],
      update: [
        { type: 'network', object: this.network },
        ...this.nodes.map(({ peer }) => ({ type: 'peer' as const, object: peer })),
        {
          type: 'service-endpoint',
          object: {
            id: 'ingress/web',
            networkId: 'ingress',
            serviceId: 'web',
            names: ['web'],
            mode: 'vip',
            virtualIps: [],
            ports,
          },
        },
        ...[...this.#endpoints.values()].map((object) => ({ type: 'endpoint' as const, object })),
      ],
    };
  }

  async assign(set: NetworkAssignments = this.everything()): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.assign(set)));
  }

  endpoint(number: number, node: MeshNode, active = true): AssignedEndpoint {
    return {
      id: `ingress/t${number}`,
      networkId: 'ingress',
      taskId: `t${number}`,
      serviceId: 'web',
      nodeId: node.host.id,
      addresses: addressesOf(number, this.#subnets.length > 1),
      names: [],
      aliases: [],
      active,
    };
  }

  async tell(number: number, node: MeshNode, active = true): Promise<void> {
    const object = this.endpoint(number, node, active);
    this.#endpoints.set(number, object);
    await this.assign({ complete: false, update: [{ type: 'endpoint', object }], remove: [] });
  }

  /** Its task is gone. */
  async drop(number: number): Promise<void> {
    const id = `ingress/t${number}`;
    this.#endpoints.delete(number);
    await this.assign({ complete: false, update: [], remove: [{ type: 'endpoint', id }] });
  }

  /** A container of the service, which says its number and who asked. */
  async addServer(number: number, node: MeshNode, address = '::'): Promise<Place> {
    const place = await node.attach(number);
    this.wires.serve(place, { address, port: 80 }, (socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(`${number} ${plain(socket.remoteAddress)}`);
    });
    const family = address.includes(':') ? 6 : 4;
    const udp = this.wires.udp(place, family, { address, port: 53 });
    udp.on('message', (_, from) =>
      udp.send(`${number} ${plain(from.address)}`, from.port, from.address),
    );
    await this.tell(number, node);
    return place;
  }
}

/** A socket of both families writes IPv4 addresses as IPv6 ones. */
const plain = (address = '') => address.replace('::ffff:', '');
