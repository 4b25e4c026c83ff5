/**
 * The gateway bridge: every container gets a namespace with one interface on it, masqueraded
 * egress, and its host-mode ports. What was attached is kept in a file each under the run root,
 * which lives as long as the kernel's state does: both are gone after a reboot.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { assert } from '../../lib/assert.ts';
import type { Clock, Timer } from '../../lib/clock.ts';
import { errnoOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { PortConfig } from '../../types/index.ts';
import { HostPorts, type PortMapping } from './host-ports.ts';
import { inNamespace, Namespaces } from './namespace.ts';
import { Netlink } from './netlink.ts';
import type { Attachment, AttachRequest, NetworkDriver } from './network.ts';
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

const bridgeName = 'ts-swarm0';
const dynamicPorts = { first: 30_000, last: 32_767 } as const;
const maxPort = 65_535;
/** Namespaces made in advance: as many containers as one service often brings to a host at once. */
const sparesMax = 24;
/** They are made when no container has come for so long, one at a time. */
const spareIdleMs = 250;
const sparePaceMs = 10;

export interface BridgeNetworkOptions {
  /** Pins and attachment records go here; not shared with another daemon. */
  readonly runRoot: string;
  /** "172.20.0.0/16"; absent: the bridge's present one, or the first that overlaps no route. */
  readonly subnet?: string;
  readonly mtu?: number;
}

interface AttachmentRecord {
  readonly containerId: string;
  readonly mode: 'bridge' | 'none';
  readonly address?: string;
  readonly ports: readonly PortConfig[];
}

export class BridgeNetwork implements NetworkDriver {
  readonly #options: BridgeNetworkOptions;
  readonly #log: Logger;
  readonly #clock: Clock | undefined;
  readonly #namespaces: Namespaces;
  readonly #records = new Map<string, AttachmentRecord>();
  readonly #attaching = new Map<string, Promise<Attachment>>();
  #netlink: Netlink | undefined;
  #hostPorts: HostPorts | undefined;
  #subnet: Subnet | undefined;
  #bridgeIndex = 0;
  #mtu = 1500;
  #lastAddress = 0;
  #spareTimer: Timer | undefined;

  /** Without a clock, no namespaces are made in advance. */
  constructor(options: BridgeNetworkOptions, deps: { log: Logger; clock?: Clock }) {
    this.#options = options;
    this.#log = deps.log.child({ module: 'network' });
    this.#clock = deps.clock;
    this.#namespaces = new Namespaces(join(options.runRoot, 'netns'), setUpNamespace);
  }

  /**
   * Makes the bridge, or adopts the one that is there with all its containers. Must come before the
   * runtime's start: containerd sees only pins made after the folder became a shared mount.
   */
  async start(): Promise<void> {
    this.#namespaces.prepare();
    mkdirSync(this.#recordFolder, { recursive: true, mode: 0o700 });
    this.#netlink = new Netlink();
    this.#loadRecords();
    this.#prepareBridge(this.#netlink);
    enableForwarding();
    this.#hostPorts = new HostPorts({ bridge: bridgeName, subnet: formatSubnet(this.#network) });
    await this.#hostPorts.replace([...this.#records.values()].flatMap(mappingsOf));
    this.#log.info('bridge is up', {
      subnet: formatSubnet(this.#network),
      adopted: this.#records.size,
    });
    this.#makeSparesLater();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#spareTimer?.cancel();
    this.#namespaces.dropSpares();
    this.#netlink?.[Symbol.dispose]();
    this.#netlink = undefined;
    await Promise.allSettled(this.#attaching.values());
  }

  attach(request: AttachRequest): Promise<Attachment> {
    const present = this.#attaching.get(request.containerId);
    if (present !== undefined) return present;
    const attaching = this.#attach(request).finally(() => {
      this.#attaching.delete(request.containerId);
      this.#makeSparesLater();
    });
    this.#attaching.set(request.containerId, attaching);
    return attaching;
  }

  async detach(containerId: string): Promise<void> {
    await this.#attaching.get(containerId)?.catch((error: unknown) => {
      this.#log.debug('detached what had failed to attach', { containerId, error });
    });
    const record = this.#records.get(containerId);
    this.#namespaces.remove(containerId);
    if (record === undefined) return;
    // The namespace's end takes the veth pair along; its ports must not outlive it.
    await this.#ports.remove(mappingsOf(record));
    this.#records.delete(containerId);
    rmSync(this.#recordPath(containerId), { force: true });
  }

  async retain(containerIds: ReadonlySet<string>): Promise<void> {
    const known = new Set([...this.#records.keys(), ...this.#namespaces.names()]);
    for (const id of known) {
      if (containerIds.has(id)) continue;
      this.#log.info('removing a leftover attachment', { containerId: id });
      await this.detach(id);
    }
  }

  /** Takes everything away: bridge, rules, pins. For a host that leaves for good. */
  async clear(): Promise<void> {
    await this.retain(new Set());
    await this.#ports.clear();
    this.#link.deleteLink(bridgeName);
    this.#namespaces.clear();
  }

  async #attach(request: AttachRequest): Promise<Attachment> {
    const known = this.#records.get(request.containerId);
    if (known !== undefined && this.#namespaces.isAlive(request.containerId)) {
      return this.#attachment(known);
    }
    const record: AttachmentRecord = {
      containerId: request.containerId,
      mode: request.mode,
      ...(request.mode === 'bridge' ? { address: this.#freeAddress() } : {}),
      ports: request.mode === 'bridge' ? this.#choosePorts(request) : [],
    };
    // Taken from here on: the steps below give other attachments a turn.
    this.#records.set(record.containerId, record);
    try {
      await Promise.all(record.ports.map((port) => assertPortFree(port)));
      this.#connect(record);
      await this.#ports.add(mappingsOf(record));
      this.#saveRecord(record);
    } catch (error) {
      this.#records.delete(record.containerId);
      this.#namespaces.remove(record.containerId);
      throw error;
    }
    return this.#attachment(record);
  }

  /** Synchronous: the thread is inside the new namespace for a part of it. */
  #connect(record: AttachmentRecord): void {
    const path = this.#namespaces.create(record.containerId);
    if (record.address === undefined) return;
    const address = parseAddress(record.address);
    const netnsFd = openSync(path, 'r');
    try {
      this.#link.addVeth(
        vethName(address),
        { master: this.#bridgeIndex, mtu: this.#mtu },
        { name: 'eth0', mac: macOf(address), netnsFd },
      );
    } finally {
      closeSync(netnsFd);
    }
    inNamespace(path, () => {
      using inside = new Netlink();
      const eth0 = inside.link('eth0');
      assert(eth0 !== undefined, 'the veth end arrived in the namespace');
      inside.addAddress(eth0.index, `${record.address}/${this.#network.prefix}`);
      inside.setUp(eth0.index);
      inside.addDefaultRoute(this.#gateway);
    });
  }

  #makeSparesLater(delayMs = spareIdleMs): void {
    this.#spareTimer?.cancel();
    this.#spareTimer = undefined;
    if (this.#netlink === undefined || this.#namespaces.spares >= sparesMax) return;
    this.#spareTimer = this.#clock?.after(delayMs, () => {
      try {
        this.#namespaces.addSpare();
      } catch (error) {
        this.#log.warn('a spare network namespace could not be made', { error });
        return;
      }
      this.#makeSparesLater(sparePaceMs);
    });
  }

  #attachment(record: AttachmentRecord): Attachment {
    const netnsPath = this.#namespaces.path(record.containerId);
    if (record.address === undefined) return { netnsPath, addresses: [], ports: [] };
    return {
      netnsPath,
      addresses: [`${record.address}/${this.#network.prefix}`],
      gateway: this.#gateway,
      ports: record.ports,
    };
  }

  #freeAddress(): string {
    const taken = new Set([parseAddress(this.#gateway)]);
    for (const record of this.#records.values()) {
      if (record.address !== undefined) taken.add(parseAddress(record.address));
    }
    const address = nextAddress(this.#network, taken, this.#lastAddress);
    if (address === undefined) {
      throw new SwarmError(
        'resource-exhausted',
        `no free address on the bridge ${bridgeName} (${formatSubnet(this.#network)}): remove ` +
          'containers from this host or give the daemon a larger subnet',
      );
    }
    this.#lastAddress = address;
    return formatAddress(address);
  }

  #choosePorts(request: AttachRequest): readonly PortConfig[] {
    const owners = new Map<string, string>();
    for (const record of this.#records.values()) {
      for (const mapping of mappingsOf(record)) {
        owners.set(`${mapping.protocol}/${mapping.hostPort}`, record.containerId);
      }
    }
    return request.ports.map((port) => {
      const publishedPort = port.publishedPort || freeDynamicPort(port.protocol, owners);
      const key = `${port.protocol}/${publishedPort}`;
      const owner = owners.get(key);
      if (owner !== undefined) {
        throw new SwarmError(
          'already-exists',
          `port ${publishedPort}/${port.protocol} of this host is already published by ${owner}`,
        );
      }
      owners.set(key, request.containerId);
      return { ...port, publishedPort };
    });
  }

  #prepareBridge(netlink: Netlink): void {
    const links = netlink.links();
    this.#mtu = this.#options.mtu ?? mtuOfUplink(links);
    const present = links.find((link) => link.name === bridgeName);
    const presentCidr =
      present && netlink.addresses().find((address) => address.linkIndex === present.index)?.cidr;
    this.#subnet =
      presentCidr !== undefined ? parseSubnet(presentCidr) : this.#chooseSubnet(netlink);
    if (present === undefined) netlink.addBridge(bridgeName);
    const bridge = present ?? netlink.link(bridgeName);
    assert(bridge !== undefined, 'the bridge was just made');
    this.#bridgeIndex = bridge.index;
    if (presentCidr === undefined) {
      netlink.addAddress(bridge.index, `${this.#gateway}/${this.#network.prefix}`);
    }
    netlink.setUp(bridge.index);
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

  get #recordFolder(): string {
    return join(this.#options.runRoot, 'attachments');
  }

  #recordPath(containerId: string): string {
    return join(this.#recordFolder, `${containerId}.json`);
  }

  #saveRecord(record: AttachmentRecord): void {
    const path = this.#recordPath(record.containerId);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  #loadRecords(): void {
    for (const name of readdirSync(this.#recordFolder)) {
      if (!name.endsWith('.json')) continue;
      const record = JSON.parse(
        readFileSync(join(this.#recordFolder, name), 'utf8'),
      ) as AttachmentRecord;
      if (this.#namespaces.isAlive(record.containerId)) {
        this.#records.set(record.containerId, record);
      } else {
        rmSync(join(this.#recordFolder, name), { force: true });
      }
    }
  }

  get #link(): Netlink {
    assert(this.#netlink !== undefined, 'the network driver is started and not disposed');
    return this.#netlink;
  }

  get #ports(): HostPorts {
    assert(this.#hostPorts !== undefined, 'the network driver is started');
    return this.#hostPorts;
  }

  get #network(): Subnet {
    assert(this.#subnet !== undefined, 'the network driver is started');
    return this.#subnet;
  }

  get #gateway(): string {
    return formatAddress(this.#network.base + 1);
  }
}

function setUpNamespace(): void {
  // IPv6 off until a network has it, as Docker does: no address detection, no router discovery.
  writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
  using inside = new Netlink();
  const loopback = inside.link('lo');
  assert(loopback !== undefined, 'every namespace has a loopback link');
  inside.setUp(loopback.index);
}

function mappingsOf(record: AttachmentRecord): readonly PortMapping[] {
  const { address } = record;
  if (address === undefined) return [];
  return record.ports.map((port) => ({
    protocol: port.protocol,
    hostPort: port.publishedPort ?? 0,
    address,
    containerPort: port.targetPort,
  }));
}

/** Interface names hold 15 characters; the address is unique on the bridge. */
function vethName(address: number): string {
  return `veth${address.toString(16).padStart(8, '0')}`;
}

function freeDynamicPort(protocol: string, owners: ReadonlyMap<string, string>): number {
  for (let port = dynamicPorts.first; port <= dynamicPorts.last; port++) {
    if (!owners.has(`${protocol}/${port}`)) return port;
  }
  throw new SwarmError(
    'resource-exhausted',
    `every port from ${dynamicPorts.first} to ${dynamicPorts.last} of this host is published`,
  );
}

/** The links that containers' traffic leaves by decide how large a frame may be. */
function mtuOfUplink(links: readonly { name: string; mtu: number; up: boolean }[]): number {
  const uplinks = links.filter((link) => link.up && /^(e|bond|wl)/.test(link.name));
  return uplinks.length === 0 ? 1500 : Math.min(...uplinks.map((link) => link.mtu));
}

function enableForwarding(): void {
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  // Lets packets from 127.0.0.1 be translated to a container: published ports on localhost.
  writeFileSync(`/proc/sys/net/ipv4/conf/${bridgeName}/route_localnet`, '1');
}

/** A program of this host that listens on the port would silently lose its traffic. */
async function assertPortFree(port: PortConfig): Promise<void> {
  const number = port.publishedPort ?? 0;
  assert(number > 0 && number <= maxPort, 'a published port has been chosen');
  if (port.protocol === 'sctp') return;
  try {
    await (port.protocol === 'tcp' ? probeTcp(number) : probeUdp(number));
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error;
    throw new SwarmError(
      'already-exists',
      `port ${number}/${port.protocol} of this host is in use by another program: stop it or ` +
        'publish another port',
      { cause: error },
    );
  }
}

function probeTcp(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const server = createServer();
  server.once('error', reject);
  server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve()));
  return promise;
}

function probeUdp(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = createSocket('udp4');
  socket.once('error', reject);
  socket.bind({ port, address: '0.0.0.0', exclusive: true }, () => socket.close(() => resolve()));
  return promise;
}
