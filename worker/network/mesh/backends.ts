/** The mesh's part of a backend's container: replies go back by the node that a request came by. */
import { inNamespace } from '../namespace.ts';
import type { Netlink, Request } from '../netlink.ts';
import type { NetlinkSockets } from '../netlink-sockets.ts';
import { setNeighbour } from '../netlink/neighbours.ts';
import { families, familyOf, parseCidr } from '../netlink/wire.ts';
import { addTable, difference, removeTable, type Netfilter } from '../nft/index.ts';
import { interfaceName, positionOf, writeSettings } from '../container-interfaces.ts';
import type { AttachedContainer, Repair } from '../part.ts';
import type { AddressFamily } from '../balancer/index.ts';
import { egressTable, meshTable, nextHop, nodeMark, replyTable, rulePriorities } from './names.ts';
import {
  addDefaultRoute,
  addRule,
  localTable,
  mainTable,
  removeRule,
  replaceDefaultRoute,
  routeFact,
  routingFacts,
  ruleFact,
} from './routes.ts';
import { backendEgress, backendTable } from './rulesets.ts';

/** Behind any default route that somebody else sets. */
const lastMetric = 4096;
const anywhere = { ip: '0.0.0.0/0', ip6: '::/0' } as const;

interface Member {
  readonly container: AttachedContainer;
  readonly device: string;
  /** Of the device when it was set up; another one has none of it. */
  index: number;
  ownAddress: Partial<Record<AddressFamily, string>>;
}

export class MeshBackends {
  readonly #netfilter: Netfilter;
  readonly #sockets: NetlinkSockets;
  readonly #members = new Map<string, Member>();

  constructor(deps: { readonly netfilter: Netfilter; readonly sockets: NetlinkSockets }) {
    this.#netfilter = deps.netfilter;
    this.#sockets = deps.sockets;
  }

  /** Its interfaces are there. Also for one that is known: its tables are made anew in one step. */
  attach(container: AttachedContainer, networkId: string, subnets: readonly string[]): void {
    const device = interfaceName(positionOf(container.networks, networkId));
    const member: Member = { container, device, index: 0, ownAddress: {} };
    this.#setUp(member, subnets);
    this.#members.set(container.id, member);
  }

  detach(containerId: string): void {
    this.#members.delete(containerId);
  }

  /** `isQuiet`: links and routes need no look. */
  *audit(subnets: readonly string[], isQuiet: boolean): Iterable<Repair> {
    for (const member of this.#members.values()) {
      const { id } = member.container;
      const isThere = isQuiet || (yield* this.#auditRoutes(member, subnets));
      const what = isThere ? this.#fault(member, subnets) : undefined;
      if (what === undefined) continue;
      this.#writeTables(member, subnets);
      yield { kind: 'nft', what: `${what} in ${id}` };
    }
  }

  /** Whether all is there that the tables speak of, and the tables were not written just now. */
  *#auditRoutes(member: Member, subnets: readonly string[]): Generator<Repair, boolean> {
    const { container, device } = member;
    const { netnsPath, id } = container;
    const netlink = this.#sockets.of(netnsPath);
    const link = netlink.link(device);
    // The interface is another part's to repair; then all that hung on it is set anew.
    if (link === undefined) return false;
    if (link.index !== member.index) {
      this.#setUp(member, subnets);
      yield { kind: 'route', what: `replies by ${device} of ${id}` };
      return false;
    }
    for (const what of this.#setRoutes(netlink, member, subnets)) {
      yield { kind: 'route', what: `${what} of ${id}` };
    }
    return true;
  }

  #setUp(member: Member, subnets: readonly string[]): void {
    const { container, device } = member;
    const { netnsPath } = container;
    const netlink = this.#sockets.of(netnsPath);
    const link = netlink.link(device);
    if (link === undefined) throw new Error(`${device} of ${container.id} is missing`);
    inNamespace(netnsPath, () =>
      writeSettings({
        'ipv4/tcp_fwmark_accept': 1,
        // A container may ask its own service by the address of its node: the request comes back
        // to it with its own address as the sender's.
        [`ipv4/conf/${device}/accept_local`]: 1,
        [`ipv4/conf/${device}/rp_filter`]: 0,
      }),
    );
    this.#limitDefaultRoute(netlink, link.mtu);
    netlink.run(
      ...familiesOf(subnets).map((family) =>
        setNeighbour(link.index, nextHop[family], prefixMac(subnets)),
      ),
    );
    member.index = link.index;
    this.#setRoutes(netlink, member, subnets);
    member.ownAddress = ownAddresses(netlink);
    this.#writeTables(member, subnets);
  }

  #writeTables(member: Member, subnets: readonly string[]): void {
    const { device, container, ownAddress } = member;
    this.#netfilter.commit(container.netnsPath, [
      ...removeTable(meshTable),
      ...addTable(backendTable({ device, subnets, ownAddress })),
      ...removeTable(egressTable),
      ...addTable(backendEgress(device)),
    ]);
  }

  #fault(
    { container, device, ownAddress }: Member,
    subnets: readonly string[],
  ): string | undefined {
    const { netnsPath } = container;
    if (!this.#netfilter.wasTouched(netnsPath)) return undefined;
    const tables = [backendTable({ device, subnets, ownAddress }), backendEgress(device)];
    return this.#netfilter.inside(netnsPath, (socket) => {
      for (const table of tables) {
        const what = difference(socket, table, new Map());
        if (what !== undefined) return what;
      }
      this.#netfilter.settle(netnsPath);
      return undefined;
    });
  }

  /** Sets what is missing, and names it. */
  #setRoutes(netlink: Netlink, { index }: Member, subnets: readonly string[]): readonly string[] {
    const facts = routingFacts(netlink);
    const missing: string[] = [];
    const requests: Request[] = [];
    const want = (fact: string, what: string, request: Request) => {
      if (facts.has(fact)) return;
      missing.push(what);
      requests.push(request);
    };
    for (const family of familiesOf(subnets)) {
      const { reply, local } = rulePriorities;
      const route = { family, gateway: nextHop[family], linkIndex: index };
      const toReplies = { family, priority: reply, table: replyTable, inputName: 'lo' };
      want(
        routeFact(family, replyTable),
        'the route of replies',
        addDefaultRoute({ ...route, table: replyTable }),
      );
      want(
        ruleFact(family, reply),
        'the rule for replies',
        addRule({ ...toReplies, mark: nodeMark }),
      );
      want(
        ruleFact(family, local),
        'the rule for local addresses',
        addRule({ family, priority: local, table: localTable }),
      );
      // A datagram's answer needs some route before its mark can choose the right one.
      want(
        routeFact(family, mainTable),
        'the last default route',
        addDefaultRoute({ ...route, table: mainTable, metric: lastMetric }),
      );
      // Replies to the container itself, which asks by its node, would never leave it.
      if (facts.has(ruleFact(family, 0))) {
        requests.push(removeRule({ family, priority: 0, table: localTable }));
      }
    }
    netlink.run(...requests);
    return missing;
  }

  /** A datagram's answer is cut to the size of the way that it takes in the end. */
  #limitDefaultRoute(netlink: Netlink, mtu: number): void {
    const route = netlink.routeTable().find(({ destination }) => destination === anywhere.ip);
    if (route?.gateway === undefined) return;
    const { gateway, linkIndex } = route;
    netlink.run(replaceDefaultRoute({ family: 'ip', table: mainTable, gateway, linkIndex, mtu }));
  }
}

/** The address that the namespace gives to what it sends anywhere. */
function ownAddresses(netlink: Netlink): Partial<Record<AddressFamily, string>> {
  const routes = netlink.routeTable('all');
  const addresses = netlink.addresses('all');
  return Object.fromEntries(
    (['ip', 'ip6'] as const).flatMap((family) => {
      const route = routes.find(({ destination }) => destination === anywhere[family]);
      const own = addresses.find(
        ({ linkIndex, cidr }) => linkIndex === route?.linkIndex && isOf(family, cidr),
      );
      return own === undefined ? [] : [[family, own.cidr.split('/')[0] ?? '']];
    }),
  );
}

function isOf(family: AddressFamily, cidr: string): boolean {
  const number = familyOf(cidr.split('/')[0] ?? '');
  return number === (family === 'ip' ? families.inet : families.inet6);
}

function familiesOf(subnets: readonly string[]): readonly AddressFamily[] {
  return (['ip', 'ip6'] as const).filter((family) => subnets.some((cidr) => isOf(family, cidr)));
}

/** As the MACs of the network's nodes begin; the rest is filled in as a frame leaves. */
function prefixMac(subnets: readonly string[]): string {
  const { bytes } = parseCidr(subnets.find((cidr) => isOf('ip', cidr)) ?? subnets[0] ?? '');
  const first = bytes[bytes.length - 4] ?? 0;
  return `02:42:${first.toString(16).padStart(2, '0')}:00:00:00`;
}
