/** The mesh's part of a backend's container: replies go back by the node that a request came by. */
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { inNamespace } from '../namespace.ts';
import type { Netlink, Request } from '../netlink.ts';
import type { NetlinkSockets } from '../netlink-sockets.ts';
import { addAddress } from '../netlink/addresses.ts';
import { setNeighbour } from '../netlink/neighbours.ts';
import { parseCidr } from '../netlink/wire.ts';
import { addElements, addTable, difference, removeTable, type Netfilter } from '../nft/index.ts';
import { interfaceName, positionOf } from '../container-interfaces.ts';
import type { AttachedContainer, Repair } from '../part.ts';
import { auditSettings, writeSettings, type Settings } from '../settings.ts';
import { familyOf, withoutPrefix, type AddressFamily } from '../balancer/index.ts';
import {
  egressTable,
  meshTable,
  nextHop,
  nodeMark,
  relayedFrom,
  replyTable,
  rulePriorities,
} from './names.ts';
import type { Target } from './ports.ts';
import { Relays } from './relays.ts';
import {
  addDefaultRoute,
  addRule,
  isNew,
  localTable,
  mainTable,
  removeRule,
  replaceDefaultRoute,
  routeFact,
  routingFacts,
  ruleFact,
} from './routes.ts';
import { backendEgress, backendTable, relaySet } from './rulesets.ts';

/** Behind any default route that somebody else sets. */
const lastMetric = 4096;
const anywhere = { ip: '0.0.0.0/0', ip6: '::/0' } as const;

interface BackendsDeps {
  readonly netfilter: Netfilter;
  readonly sockets: NetlinkSockets;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Member {
  readonly container: AttachedContainer;
  readonly device: string;
  /** Of the mesh's network, of those families that the container has addresses of. */
  readonly subnets: readonly string[];
  /** Where the container has both families. */
  readonly relays: Relays | undefined;
  /** Of the device when it was set up; another one has none of it. */
  index: number;
  ownAddress: Partial<Record<AddressFamily, string>>;
}

export class MeshBackends {
  readonly #deps: BackendsDeps;
  readonly #netfilter: Netfilter;
  readonly #sockets: NetlinkSockets;
  readonly #members = new Map<string, Member>();

  constructor(deps: BackendsDeps) {
    this.#deps = deps;
    this.#netfilter = deps.netfilter;
    this.#sockets = deps.sockets;
  }

  /** All sockets are closed; the rest stays in the kernel. */
  [Symbol.dispose](): void {
    for (const id of this.#members.keys()) this.detach(id);
  }

  /** Its interfaces are there. Also for one that is known: its tables are made anew in one step. */
  attach(
    container: AttachedContainer,
    networkId: string,
    given: { readonly subnets: readonly string[]; readonly targets: readonly Target[] },
  ): void {
    const device = interfaceName(positionOf(container.networks, networkId));
    const place = container.networks.find((network) => network.networkId === networkId);
    const addresses = (place?.addresses ?? []).map(withoutPrefix);
    const subnets = given.subnets.filter((subnet) =>
      addresses.some((address) => familyOf(address) === familyOf(subnet)),
    );
    const relays = this.#relaysOf(container, addresses);
    relays?.follow(given.targets);
    const member: Member = { container, device, subnets, relays, index: 0, ownAddress: {} };
    this.#setUp(member);
    this.#members.set(container.id, member);
  }

  /** The ports at which the container is asked have changed. */
  retarget(containerId: string, targets: readonly Target[]): void {
    const member = this.#members.get(containerId);
    if (member?.relays?.follow(targets) === true) this.#writeTables(member);
  }

  detach(containerId: string): void {
    this.#members.get(containerId)?.relays?.[Symbol.dispose]();
    this.#members.delete(containerId);
  }

  /** `isQuiet`: links and routes need no look. */
  *audit(isQuiet: boolean): Iterable<Repair> {
    for (const member of this.#members.values()) {
      const { container, device } = member;
      const { netnsPath, id } = container;
      const settings = settingsOf(device);
      // The kernel tells nobody of these.
      for (const { kind, what } of inNamespace(netnsPath, () => auditSettings(settings))) {
        yield { kind, what: `${what} of ${id}` };
      }
      const isThere = isQuiet || (yield* this.#auditRoutes(member));
      const what = isThere ? this.#fault(member) : undefined;
      if (what === undefined) continue;
      this.#writeTables(member);
      yield { kind: 'nft', what: `${what} in ${id}` };
    }
  }

  /** Whether all is there that the tables speak of, and the tables were not written just now. */
  *#auditRoutes(member: Member): Generator<Repair, boolean> {
    const { container, device } = member;
    const { netnsPath, id } = container;
    const netlink = this.#sockets.of(netnsPath);
    const link = netlink.link(device);
    // The interface is another part's to repair; then all that hung on it is set anew.
    if (link === undefined) return false;
    if (link.index !== member.index) {
      this.#setUp(member);
      yield { kind: 'route', what: `replies by ${device} of ${id}` };
      return false;
    }
    if (member.relays !== undefined && isNew(netlink, relayAddress)) {
      yield { kind: 'address', what: `${relayedFrom} of ${id}` };
    }
    for (const what of this.#setRoutes(netlink, member)) {
      yield { kind: 'route', what: `${what} of ${id}` };
    }
    return true;
  }

  #relaysOf(
    { id, netnsPath }: AttachedContainer,
    addresses: readonly string[],
  ): Relays | undefined {
    const before = this.#members.get(id)?.relays;
    const ipv4 = addresses.find((address) => familyOf(address) === 'ip');
    const ipv6 = addresses.find((address) => familyOf(address) === 'ip6');
    if (ipv4 === undefined || ipv6 === undefined) {
      before?.[Symbol.dispose]();
      return undefined;
    }
    if (before !== undefined) return before;
    const { clock, log } = this.#deps;
    return new Relays({ netnsPath, ipv4, ipv6, clock, log });
  }

  #setUp(member: Member): void {
    const { container, device, subnets, relays } = member;
    const { netnsPath } = container;
    const netlink = this.#sockets.of(netnsPath);
    const link = netlink.link(device);
    if (link === undefined) throw new Error(`${device} of ${container.id} is missing`);
    inNamespace(netnsPath, () => writeSettings(settingsOf(device)));
    if (relays !== undefined) isNew(netlink, relayAddress);
    this.#limitDefaultRoute(netlink, link.mtu);
    netlink.run(
      ...familiesOf(subnets).map((family) =>
        setNeighbour(link.index, nextHop[family], prefixMac(subnets)),
      ),
    );
    member.index = link.index;
    this.#setRoutes(netlink, member);
    member.ownAddress = ownAddresses(netlink);
    this.#writeTables(member);
  }

  #writeTables(member: Member): void {
    const { device, container, relays } = member;
    this.#netfilter.commit(container.netnsPath, [
      ...removeTable(meshTable),
      ...addTable(backendTable(member)),
      ...addElements(meshTable, relaySet.name, relays?.elements ?? []),
      ...removeTable(egressTable),
      ...addTable(backendEgress(device)),
    ]);
  }

  #fault(member: Member): string | undefined {
    const { container, device, relays } = member;
    const { netnsPath } = container;
    if (!this.#netfilter.wasTouched(netnsPath)) return undefined;
    const elements = new Map([[relaySet.name, relays?.elements ?? []]]);
    return this.#netfilter.inside(netnsPath, (socket) => {
      const what =
        difference(socket, backendTable(member), elements) ??
        difference(socket, backendEgress(device), new Map());
      if (what === undefined) this.#netfilter.settle(netnsPath);
      return what;
    });
  }

  /** Sets what is missing, and names it. */
  #setRoutes(netlink: Netlink, { index, subnets }: Member): readonly string[] {
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

const loopback = 1;
const relayAddress = addAddress(loopback, `${relayedFrom}/32`);

function settingsOf(device: string): Settings {
  return {
    'ipv4/tcp_fwmark_accept': 1,
    // A container may ask its own service by the address of its node: the request comes back to it
    // with its own address as the sender's.
    [`ipv4/conf/${device}/accept_local`]: 1,
    [`ipv4/conf/${device}/rp_filter`]: 0,
  };
}

/** The address that the namespace gives to what it sends anywhere. */
function ownAddresses(netlink: Netlink): Partial<Record<AddressFamily, string>> {
  const routes = netlink.routeTable('all');
  const addresses = netlink.addresses('all');
  return Object.fromEntries(
    (['ip', 'ip6'] as const).flatMap((family) => {
      const route = routes.find(({ destination }) => destination === anywhere[family]);
      const own = addresses.find(
        ({ linkIndex, cidr }) => linkIndex === route?.linkIndex && familyOf(cidr) === family,
      );
      return own === undefined ? [] : [[family, own.cidr.split('/')[0] ?? '']];
    }),
  );
}

function familiesOf(subnets: readonly string[]): readonly AddressFamily[] {
  return (['ip', 'ip6'] as const).filter((family) =>
    subnets.some((cidr) => familyOf(cidr) === family),
  );
}

/** As the MACs of the network's nodes begin; the rest is filled in as a frame leaves. */
function prefixMac(subnets: readonly string[]): string {
  const { bytes } = parseCidr(subnets.find((cidr) => familyOf(cidr) === 'ip') ?? subnets[0] ?? '');
  const first = bytes[bytes.length - 4] ?? 0;
  return `02:42:${first.toString(16).padStart(2, '0')}:00:00:00`;
}
