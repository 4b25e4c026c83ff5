/**
 * The gateway bridge: every container that may leave its networks has an interface on it, with
 * egress that the tables of ports/ masquerade, and its host-mode ports lead there.
 */
import { closeSync, openSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert } from '../../lib/assert.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { AttachmentRecord } from './attachments.ts';
import {
  auditInterface,
  configureInterface,
  interfaceName,
  type ContainerInterface,
  type Inside,
} from './container-interfaces.ts';
import { Netlink, type Link } from './netlink.ts';
import type { NetlinkSockets } from './netlink-sockets.ts';
import { addBridge, removeLink, setLink, setPortHairpin } from './netlink/links.ts';
import { setRoute } from './netlink/routes.ts';
import type { Repair } from './part.ts';
import { auditSettings, type Settings } from './settings.ts';
import {
  defaultLocalPools,
  firstFree,
  formatAddress,
  formatSubnet,
  macOf,
  nextAddress,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './subnet.ts';
import { errno, SyscallError } from './syscalls.ts';

export const gatewayBridgeName = 'ts-swarm0';
const bridgeName = gatewayBridgeName;
/** Containers that are looked at in one stretch: some 4 ms. */
const plugsAtOnce = 8;

export interface GatewayOptions {
  /** "172.20.0.0/16"; absent: the bridge's present one, or the first that overlaps no route. */
  readonly subnet?: string;
  readonly mtu?: number;
}

/** A container on the bridge. */
interface GatewayPlug {
  readonly netnsPath: string;
  readonly record: AttachmentRecord;
}

export class GatewayBridge {
  readonly #options: GatewayOptions;
  readonly #sockets: NetlinkSockets;
  #netlink: Netlink | undefined;
  #subnet: Subnet | undefined;
  #index = 0;
  #mtu = 1500;
  #lastAddress = 0;

  constructor(options: GatewayOptions, sockets: NetlinkSockets) {
    this.#options = options;
    this.#sockets = sockets;
  }

  /** Makes the bridge, or adopts the one that is there. */
  start(): void {
    this.#netlink = new Netlink();
    this.#prepare(this.#netlink);
  }

  /** All stays in the kernel. */
  close(): void {
    this.#netlink?.[Symbol.dispose]();
    this.#netlink = undefined;
  }

  /** Takes the bridge away. */
  clear(): void {
    this.#link.deleteLink(bridgeName);
  }

  get subnet(): string {
    return formatSubnet(this.#network);
  }

  get gateway(): string {
    return formatAddress(this.#network.base + 1);
  }

  /** With the bridge's prefix. */
  cidrOf(address: string): string {
    return `${address}/${this.#network.prefix}`;
  }

  freeAddress(records: Iterable<AttachmentRecord>): string {
    const taken = new Set([parseAddress(this.gateway)]);
    for (const { address } of records) {
      if (address !== undefined) taken.add(parseAddress(address));
    }
    const address = nextAddress(this.#network, taken, this.#lastAddress);
    if (address === undefined) {
      throw new SwarmError(
        'resource-exhausted',
        `no free address on the bridge ${bridgeName} (${this.subnet}): remove containers from ` +
          'this host or give the daemon a larger subnet',
      );
    }
    this.#lastAddress = address;
    return formatAddress(address);
  }

  /** The thread is inside the container's namespace for a part of it. */
  connect(plug: GatewayPlug): void {
    this.#connect(plug, this.#interfaceOf(plug.record));
  }

  /**
   * `plugs` may change meanwhile: others get their turn between containers. `isQuiet`: links,
   * addresses and routes need no look.
   */
  async audit(plugs: Iterable<GatewayPlug>, isQuiet: boolean): Promise<readonly Repair[]> {
    // The kernel tells nobody of settings.
    if (isQuiet) return auditSettings(hostSettings);
    const repairs = this.#auditBridge();
    const links = new Map(this.#link.links().map((link) => [link.index, link]));
    let looked = 0;
    for (const plug of plugs) {
      if (plug.record.address === undefined) continue;
      repairs.push(...this.#auditPlug(plug, links));
      looked += 1;
      if (looked % plugsAtOnce === 0) await nextTurn();
      if (this.#netlink === undefined) break;
    }
    return repairs;
  }

  #connect(plug: GatewayPlug, link: ContainerInterface): void {
    const { netnsPath, record } = plug;
    assert(record.address !== undefined, 'a container on the bridge has an address');
    const name = vethName(record.address);
    const netnsFd = openSync(netnsPath, 'r');
    const add = () =>
      this.#link.addVeth(
        name,
        { master: this.#index, mtu: this.#mtu },
        { name: link.name, mac: link.mac, netnsFd },
      );
    try {
      add();
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === errno.exists)) throw error;
      // The kernel takes its time to end a namespace: the address's last holder is still there.
      this.#link.deleteLink(name);
      add();
    } finally {
      closeSync(netnsFd);
    }
    this.#link.run(setPortHairpin(name));
    configureInterface(this.#inside(plug), link);
  }

  /** The default route of a container that is on the bridge, where it is to lead here. */
  route(plug: GatewayPlug): void {
    const { address, leavesByNetwork } = plug.record;
    if (address === undefined || leavesByNetwork === true) return;
    this.#inside(plug).netlink.run(setRoute({ destination: '0.0.0.0/0', gateway: this.gateway }));
  }

  #inside({ netnsPath }: GatewayPlug): Inside {
    return { netnsPath, netlink: this.#sockets.of(netnsPath) };
  }

  /** The container runs on without it. */
  disconnect(plug: GatewayPlug): void {
    this.#inside(plug).netlink.run(removeLink(this.#interfaceOf(plug.record).name));
  }

  #interfaceOf(record: AttachmentRecord): ContainerInterface {
    const { address = '', networks = [], bridgePosition = networks.length } = record;
    const isWay = record.leavesByNetwork !== true;
    return {
      name: interfaceName(bridgePosition),
      mac: record.bridgeMac ?? macOf(parseAddress(address)),
      mtu: this.#mtu,
      addresses: [this.cidrOf(address)],
      ...(isWay ? { gateway: this.gateway } : {}),
    };
  }

  #auditPlug(plug: GatewayPlug, links: ReadonlyMap<number, Link>): readonly Repair[] {
    const link = this.#interfaceOf(plug.record);
    const inside = auditInterface(this.#inside(plug), link);
    const { peer = 0 } = inside;
    // It may have come since the links were read.
    const port = links.get(peer) ?? this.#link.link(peer);
    const name = vethName(plug.record.address ?? '');
    if (port?.name !== name) {
      if (inside.peer !== undefined) this.#inside(plug).netlink.deleteLink(link.name);
      this.#link.run(removeLink(name));
      this.#connect(plug, link);
      return [{ kind: 'link', what: `${link.name} of a container, on ${bridgeName}` }];
    }
    if (port.master === this.#index && port.up) return inside.repairs;
    this.#link.run(setLink(port.index, { master: this.#index, up: true }));
    this.#link.run(setPortHairpin(port.index));
    return [...inside.repairs, { kind: 'link', what: port.name }];
  }

  #auditBridge(): Repair[] {
    const link = this.#link;
    const repairs: Repair[] = [];
    let bridge = link.link(bridgeName);
    // Left to itself a bridge has the lowest address of its ports': containers would send to the
    // one that the gateway had before the last of them came or went.
    const mac = macOf(parseAddress(this.gateway));
    if (bridge === undefined) {
      link.run(addBridge(bridgeName, { mac }));
      bridge = link.link(bridgeName);
      repairs.push({ kind: 'link', what: bridgeName });
    }
    assert(bridge !== undefined, 'the bridge was just made');
    this.#index = bridge.index;
    const { index } = bridge;
    if (bridge.mac !== mac) {
      link.run(setLink(index, { mac }));
      repairs.push({ kind: 'link', what: `the hardware address of ${bridgeName}` });
    }
    const cidr = this.cidrOf(this.gateway);
    if (!link.addresses().some((address) => address.linkIndex === index && address.cidr === cidr)) {
      link.addAddress(index, cidr);
      repairs.push({ kind: 'address', what: `${cidr} of ${bridgeName}` });
    }
    if (!bridge.up) {
      link.setUp(index);
      repairs.push({ kind: 'link', what: `${bridgeName} was down` });
    }
    repairs.push(...auditSettings(hostSettings));
    return repairs;
  }

  #prepare(netlink: Netlink): void {
    const links = netlink.links();
    this.#mtu = this.#options.mtu ?? mtuOfUplink(links);
    const present = links.find((link) => link.name === bridgeName);
    const presentCidr =
      present && netlink.addresses().find((address) => address.linkIndex === present.index)?.cidr;
    this.#subnet =
      presentCidr !== undefined ? parseSubnet(presentCidr) : this.#chooseSubnet(netlink);
    this.#auditBridge();
  }

  #chooseSubnet(netlink: Netlink): Subnet {
    if (this.#options.subnet !== undefined) return parseSubnet(this.#options.subnet);
    const inUse = netlink
      .routes()
      .filter((route) => !route.endsWith('/0'))
      .map(parseSubnet);
    const free = firstFree(defaultLocalPools(), inUse);
    if (free === undefined) {
      throw new SwarmError(
        'resource-exhausted',
        `every default subnet for the bridge ${bridgeName} overlaps a route of this host: start ` +
          'the daemon with --bridge-subnet',
      );
    }
    return free;
  }

  get #link(): Netlink {
    assert(this.#netlink !== undefined, 'the gateway bridge is started and not closed');
    return this.#netlink;
  }

  get #network(): Subnet {
    assert(this.#subnet !== undefined, 'the gateway bridge is started');
    return this.#subnet;
  }
}

/** Interface names hold 15 characters; the address is unique on the bridge. */
function vethName(address: string): string {
  return `veth${parseAddress(address).toString(16).padStart(8, '0')}`;
}

/** The links that containers' traffic leaves by decide how large a frame may be. */
function mtuOfUplink(links: readonly Link[]): number {
  const uplinks = links.filter((link) => link.up && /^(e|bond|wl)/.test(link.name));
  return uplinks.length === 0 ? 1500 : Math.min(...uplinks.map((link) => link.mtu));
}

const hostSettings: Settings = {
  'ipv4/ip_forward': 1,
  // Lets packets from 127.0.0.1 be translated to a container: published ports on localhost.
  [`ipv4/conf/${bridgeName}/route_localnet`]: 1,
};
