/** The mesh's part of this node: from the host's ports through a wire into the mesh's network. */
import { closeSync, openSync } from 'node:fs';
import { assert } from '../../../lib/assert.ts';
import { inNamespace } from '../namespace.ts';
import { Netlink } from '../netlink.ts';
import type { NetlinkSockets } from '../netlink-sockets.ts';
import { addAddress } from '../netlink/addresses.ts';
import { addVeth, removeLink, setLink } from '../netlink/links.ts';
import {
  addElements,
  addTable,
  difference,
  forget,
  removeElements,
  removeTable,
  type Netfilter,
  type SetElement,
} from '../nft/index.ts';
import { bridgeName } from '../overlay/names.ts';
import type { Repair } from '../part.ts';
import { auditSettings, forwardIpv6, type Settings } from '../settings.ts';
import {
  addressFamilies,
  diceName,
  elementRequests,
  type AddressFamily,
  type Dice,
  type DiceContents,
} from '../balancer/index.ts';
import { hostLink, innerLink, meshTable, replyTable, rulePriorities, wire } from './names.ts';
import { portElements, portKey, type PortsChange, type PublishedPort } from './ports.ts';
import { addDefaultRoute, addLocalhostRoute, addRule, isNew, mainTable } from './routes.ts';
import { hostTable, ingressDice, ingressTable, publishedSets } from './rulesets.ts';

const none: ReadonlyMap<string, never> = new Map<string, never>();
/** Whatever the devices on both sides carry goes through the wire. */
const wireMtu = 65_535;
/** Of IPv6. */
const smallestMtu = 1280;
const anyPrefix = (family: AddressFamily, end: 'host' | 'inner') =>
  `${wire[family][end]}/${wire[family].prefix}`;

export interface GateWanted {
  /** The namespace of the mesh's network. */
  readonly networkPath: string;
  readonly families: readonly AddressFamily[];
  /** What backends see of clients on localhost. */
  readonly self: Partial<Record<AddressFamily, string>>;
}

/** The ports of this host that lead into the mesh, by the client's family. */
export type Published = Readonly<Record<AddressFamily, Iterable<PublishedPort>>>;

export class MeshGate {
  readonly #netfilter: Netfilter;
  readonly #sockets: NetlinkSockets;
  /** Empty: the daemon's own namespace is the host's. */
  readonly #hostPath: string;
  readonly #wanted: GateWanted;
  readonly #dice = new Map<string, Dice>();
  #host: Netlink | undefined;
  /** Of the mesh's network, when it was last looked at. */
  #mtu = smallestMtu;

  constructor(
    wanted: GateWanted,
    deps: {
      readonly netfilter: Netfilter;
      readonly sockets: NetlinkSockets;
      readonly hostPath: string;
    },
  ) {
    this.#wanted = wanted;
    this.#netfilter = deps.netfilter;
    this.#sockets = deps.sockets;
    this.#hostPath = deps.hostPath;
  }

  /** Everything stays in the kernel. */
  close(): void {
    this.#host?.[Symbol.dispose]();
    this.#host = undefined;
  }

  /** Takes everything away but what is in the mesh's network, which goes as a whole. */
  remove(): void {
    this.#netfilter.commit(this.#hostPath, removeTable(meshTable));
    this.#onHost.run(removeLink(hostLink));
    this.#netfilter.forget(this.#wanted.networkPath);
    this.#sockets.forget(this.#wanted.networkPath);
    this.close();
  }

  /** Makes the wire and the tables; those that are there are taken over without a gap. */
  open(contents: DiceContents, published: Published): void {
    this.#layWire();
    this.#writeInner(contents);
    this.#writeHost(published);
  }

  /** Backends first, then what leads there; the other way round for what goes. */
  change(change: PortsChange): void {
    const { opened, closed, opened6, closed6 } = change;
    const missing = change.dice.filter((dice) => !this.#dice.has(diceName(dice)));
    const { networkPath } = this.#wanted;
    this.#netfilter.commit(networkPath, [
      ...missing.flatMap((dice) => ingressDice.requests(dice)),
      ...elementRequests(meshTable, { removed: portElements(closed), added: none }),
      ...elementRequests(meshTable, change),
      ...elementRequests(meshTable, { added: portElements(opened) }),
    ]);
    for (const dice of missing) this.#dice.set(diceName(dice), dice);
    this.#netfilter.commit(this.#hostPath, [
      ...removeElements(meshTable, publishedSets.ip.name, closed.map(elementOf)),
      ...addElements(meshTable, publishedSets.ip.name, opened.map(elementOf)),
      ...removeElements(meshTable, publishedSets.ip6.name, closed6.map(elementOf)),
      ...addElements(meshTable, publishedSets.ip6.name, opened6.map(elementOf)),
    ]);
    this.#forgetUntranslated('ip', opened, closed);
    this.#forgetUntranslated('ip6', opened6, closed6);
  }

  /**
   * Clients that had no answer ask again from the same port, and datagrams have no end: what was
   * known of them does not fit any more. A TCP client was refused, and comes from another port.
   */
  #forgetUntranslated(
    family: AddressFamily,
    opened: readonly PublishedPort[],
    closed: readonly PublishedPort[],
  ): void {
    if (!this.#wanted.families.includes(family)) return;
    const asked = opened.filter(({ protocol }) => protocol !== 'tcp');
    const ended = closed.filter(({ protocol }) => protocol === 'udp');
    if (asked.length + ended.length === 0) return;
    this.#netfilter.inside(this.#hostPath, (socket) => {
      for (const { protocol, port } of asked) {
        forget(socket, { family, protocol, asked: { port }, unanswered: true });
      }
      for (const { protocol, port } of ended) {
        forget(socket, { family, protocol, asked: { port }, server: wire[family].inner });
      }
    });
  }

  /** `isQuiet`: the wire needs no look; settings do, of which the kernel does not tell. */
  audit(
    contents: () => DiceContents,
    published: () => Published,
    isQuiet: boolean,
  ): readonly Repair[] {
    const repairs = isQuiet ? this.#auditSettings() : this.#layWire();
    const { networkPath, families, self } = this.#wanted;
    const inner = this.#fault(networkPath, () => {
      const { added } = contents();
      const dice = [...this.#dice.values()].map((one) => ingressDice.chain(one));
      const table = { ...ingressTable, chains: [...ingressTable.chains, ...dice] };
      return { table, elements: added };
    });
    if (inner !== undefined) {
      this.#writeInner(contents());
      repairs.push({ kind: 'nft', what: `${inner} in the routing mesh's network` });
    }
    const host = this.#fault(this.#hostPath, () => ({
      table: hostTable(families, self),
      elements: publishedElements(published()),
    }));
    if (host !== undefined) {
      this.#writeHost(published());
      repairs.push({ kind: 'nft', what: `${host} in the host's table of published ports` });
    }
    return repairs;
  }

  #fault(
    path: string,
    wanted: () => {
      readonly table: Parameters<typeof difference>[1];
      readonly elements: Parameters<typeof difference>[2];
    },
  ): string | undefined {
    if (!this.#netfilter.wasTouched(path)) return undefined;
    const { table, elements } = wanted();
    const what = this.#netfilter.inside(path, (socket) => difference(socket, table, elements));
    if (what === undefined) this.#netfilter.settle(path);
    return what;
  }

  #writeInner({ added, dice }: DiceContents): void {
    this.#netfilter.commit(this.#wanted.networkPath, [
      ...removeTable(meshTable),
      ...addTable(ingressTable),
      ...dice.flatMap((one) => ingressDice.requests(one)),
      ...elementRequests(meshTable, { added }),
    ]);
    this.#dice.clear();
    for (const one of dice) this.#dice.set(diceName(one), one);
  }

  #writeHost(published: Published): void {
    const { families, self } = this.#wanted;
    this.#netfilter.commit(this.#hostPath, [
      ...removeTable(meshTable),
      ...addTable(hostTable(families, self)),
      ...elementRequests(meshTable, { added: publishedElements(published) }),
    ]);
  }

  /** What is as it should be is not touched. */
  #layWire(): Repair[] {
    const { networkPath, families } = this.#wanted;
    const host = this.#onHost;
    const inside = this.#sockets.of(networkPath);
    const repairs: Repair[] = [];
    const outer = host.link(hostLink);
    const inner = inside.link(innerLink);
    this.#mtu = Math.max(smallestMtu, inside.link(bridgeName)?.mtu ?? smallestMtu);
    // Both ends must be those of one wire.
    if (outer === undefined || inner === undefined || outer.peer !== inner.index) {
      host.run(removeLink(hostLink));
      inside.run(removeLink(innerLink));
      this.#addWire();
      repairs.push({ kind: 'link', what: hostLink });
    }
    const ends = [
      { netlink: host, path: this.#hostPath, name: hostLink, end: 'host' },
      { netlink: inside, path: networkPath, name: innerLink, end: 'inner' },
    ] as const;
    for (const { netlink, path, name, end } of ends) {
      const link = netlink.link(name);
      assert(link !== undefined, 'both ends of the wire were just made');
      // Those of the addresses must be right before the link is up.
      repairs.push(...inNetns(path, () => auditEnd(end, families, this.#mtu)));
      if (!link.up) {
        netlink.run(setLink(link.index, { up: true }));
        repairs.push({ kind: 'link', what: name });
      }
      for (const family of families) {
        if (isNew(netlink, addAddress(link.index, anyPrefix(family, end)))) {
          repairs.push({ kind: 'address', what: `${anyPrefix(family, end)} of ${name}` });
        }
        if (end === 'host' && family === 'ip6' && isNew(netlink, addLocalhostRoute(link.index))) {
          repairs.push({ kind: 'route', what: `replies to ::1 by ${name}` });
        }
        if (end === 'inner' && this.#addWayBack(netlink, family, link.index)) {
          repairs.push({ kind: 'route', what: "replies out of the routing mesh's network" });
        }
      }
    }
    return repairs;
  }

  /** Clients may have addresses that are also in the mesh's own subnet. */
  #addWayBack(netlink: Netlink, family: AddressFamily, linkIndex: number): boolean {
    const route = { family, gateway: wire[family].host, linkIndex };
    const added = [
      isNew(netlink, addDefaultRoute({ ...route, table: mainTable })),
      isNew(netlink, addDefaultRoute({ ...route, table: replyTable })),
      isNew(
        netlink,
        addRule({
          family,
          priority: rulePriorities.local,
          table: replyTable,
          inputName: bridgeName,
        }),
      ),
    ];
    return added.includes(true);
  }

  #auditSettings(): Repair[] {
    const { networkPath, families } = this.#wanted;
    return [
      ...inNetns(this.#hostPath, () => auditEnd('host', families, this.#mtu)),
      ...inNetns(networkPath, () => auditEnd('inner', families, this.#mtu)),
    ];
  }

  #addWire(): void {
    const netnsFd = openSync(this.#wanted.networkPath, 'r');
    try {
      this.#onHost.run(addVeth({ name: hostLink }, { name: innerLink, netnsFd }, wireMtu));
    } finally {
      closeSync(netnsFd);
    }
  }

  get #onHost(): Netlink {
    if (this.#hostPath !== '') return this.#sockets.of(this.#hostPath);
    this.#host ??= new Netlink();
    return this.#host;
  }
}

function inNetns<T>(path: string, work: () => T): T {
  return path === '' ? work() : inNamespace(path, work);
}

function settingsOf(end: 'host' | 'inner', families: readonly AddressFamily[]): Settings {
  const name = end === 'host' ? hostLink : innerLink;
  return {
    'ipv4/ip_forward': 1,
    [`ipv4/conf/${name}/rp_filter`]: 0,
    // Lets packets from 127.0.0.1 be translated: published ports on localhost.
    ...(end === 'host' ? { [`ipv4/conf/${name}/route_localnet`]: 1 } : {}),
    ...(families.includes('ip6')
      ? {
          [`ipv6/conf/${name}/disable_ipv6`]: 0,
          [`ipv6/conf/${name}/accept_dad`]: 0,
          [`ipv6/conf/${name}/accept_ra`]: 0,
        }
      : {}),
  };
}

function auditEnd(
  end: 'host' | 'inner',
  families: readonly AddressFamily[],
  mtu: number,
): readonly Repair[] {
  const repairs = auditSettings(settingsOf(end, families));
  if (!families.includes('ip6')) return repairs;
  if (forwardIpv6()) repairs.push({ kind: 'setting', what: 'ipv6/conf/all/forwarding' });
  // No router on the way cuts packets of IPv6: what is too large for the mesh's own devices must be
  // cut, or refused, by the host itself. The kernel forgets it whenever the link comes up, which is
  // nobody's damage.
  if (end === 'host') auditSettings({ [`ipv6/conf/${hostLink}/mtu`]: mtu });
  return repairs;
}

function publishedElements(published: Published): ReadonlyMap<string, readonly SetElement[]> {
  return new Map(
    addressFamilies.map((family) => [
      publishedSets[family].name,
      [...published[family]].map(elementOf),
    ]),
  );
}

function elementOf(port: PublishedPort): { readonly key: Buffer } {
  return { key: portKey(port) };
}
