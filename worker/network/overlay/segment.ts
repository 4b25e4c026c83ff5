/**
 * One overlay network on this node: a namespace with a bridge, a vxlan device on it, and a link to
 * each container. Nothing is learnt and nothing is flooded to other nodes: every entry is set.
 *
 * Containers share the bridge (macvlan): a packet crosses from one end to the other without being
 * queued in between, which a port of the bridge (veth) costs. Where the bridge has an address of
 * its own, on the routing mesh's network, they have ports: what shares a link cannot reach it.
 */
import { closeSync, openSync } from 'node:fs';
import { assert } from '../../../lib/assert.ts';
import {
  auditInterface,
  configureInterface,
  indexOf,
  type ContainerInterface,
  type Inside,
} from '../container-interfaces.ts';
import { KernelNews } from '../kernel-news.ts';
import { inNamespaceOf, type Namespaces } from '../namespace.ts';
import { Netlink, type ForwardingEntry, type Link } from '../netlink.ts';
import type { NetlinkSockets } from '../netlink-sockets.ts';
import { addMacvlan, addVeth, removeLink, setLink, setPortLearning } from '../netlink/links.ts';
import {
  removeForwarding,
  removeNeighbour,
  setForwarding,
  setLocal,
  setNeighbour,
} from '../netlink/neighbours.ts';
import type { Repair } from '../part.ts';
import { errno, SyscallError } from '../syscalls.ts';
import { auditDevices, auditDeviceSettings, type Devices, type DevicesWanted } from './devices.ts';
import { auditEntries } from './entries.ts';
import type { ForwardingTable } from './forwarding.ts';
import { bridgeName, vxlanName } from './names.ts';

/** A container on the network. */
interface Plug {
  readonly netnsPath: string;
  /** Of the interface within the container: eth0 is 0. */
  readonly position: number;
  readonly link: ContainerInterface;
}

const portPrefix = 'port';
/** The kernel may be busy with the namespaces of many containers that have ended at once. */
const leavingAudits = 60;
/** Indexes of links that the kernel numbers itself, such as the routing mesh's, are below. */
const firstPortIndex = 1000;

export class Segment {
  readonly id: string;
  readonly forwarding: ForwardingTable;
  #wanted: DevicesWanted;
  readonly #namespaces: Namespaces;
  /** Of the host: the vxlan device's socket belongs there. */
  readonly #host: Netlink;
  readonly #sockets: NetlinkSockets;
  readonly #plugs = new Map<string, Plug>();
  #netlink: Netlink | undefined;
  #devices: Devices = { bridge: 0, vxlan: 0 };
  #nextIndex = firstPortIndex;
  /** Indexes of the ports of containers that have one. */
  readonly #ports = new Map<string, number>();
  /** Ports of containers that have ended, and how many more audits may find them there. */
  readonly #leaving = new Map<number, number>();
  /** Indexes of links that the last audit found to be of no container. */
  #strays: readonly number[] = [];
  #suspects: ReadonlySet<number> = new Set();
  /** Of the entries in its namespace. */
  #news: KernelNews | undefined;
  /** The last audit has found all right. */
  #isSettled = false;

  constructor(
    id: string,
    wanted: DevicesWanted,
    deps: {
      readonly namespaces: Namespaces;
      readonly host: Netlink;
      readonly sockets: NetlinkSockets;
      readonly forwarding: ForwardingTable;
    },
  ) {
    this.id = id;
    this.#wanted = wanted;
    this.#namespaces = deps.namespaces;
    this.#host = deps.host;
    this.#sockets = deps.sockets;
    this.forwarding = deps.forwarding;
  }

  get wanted(): DevicesWanted {
    return this.#wanted;
  }

  get plugs(): ReadonlyMap<string, Plug> {
    return this.#plugs;
  }

  /**
   * Makes the namespace and its devices, or takes up those that are there: what is as it should be
   * is not touched. Throws SyscallError EEXIST while a device of a former namespace still has the
   * network's number.
   */
  open(): void {
    this.#namespaces.create(this.id);
    this.#openSockets();
    this.forwarding.flush();
    this.audit();
  }

  /** The devices go with the namespace; the vxlan device at once, for its number may be needed. */
  remove(): void {
    try {
      this.#netlink?.run(removeLink(vxlanName));
    } finally {
      this.close();
      this.#namespaces.remove(this.id);
    }
  }

  /** Everything stays in the kernel. */
  close(): void {
    this.#netlink?.[Symbol.dispose]();
    this.#netlink = undefined;
    this.#news?.[Symbol.dispose]();
    this.#news = undefined;
  }

  /** Takes effect with the next audit. */
  change(wanted: DevicesWanted): void {
    this.#wanted = wanted;
    for (const [id, plug] of this.#plugs) {
      this.#plugs.set(id, { ...plug, link: { ...plug.link, mtu: wanted.underlay.mtu } });
    }
  }

  /** Connects a container; one that is connected already only gets the addresses that it lacks. */
  plug(containerId: string, { link, ...rest }: Plug): void {
    const known = this.#plugs.get(containerId);
    if (known !== undefined) {
      if (known.link.addresses.join() === link.addresses.join()) return;
      this.#plugs.set(containerId, {
        ...known,
        link: { ...known.link, addresses: link.addresses },
      });
      this.audit();
      return;
    }
    const plug = { ...rest, link: { ...link, mtu: this.#wanted.underlay.mtu } };
    try {
      this.#keepPort(containerId, this.#connect(plug, indexOf(plug.position)));
      this.#plugs.set(containerId, plug);
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === errno.exists)) throw error;
      // It was connected before the daemon began.
      this.#plugs.set(containerId, plug);
      const { port } = this.#auditPlug(plug, this.#link.links(), []);
      this.#keepPort(containerId, port);
    }
  }

  /** Its link goes with its namespace, where the container does not run on. */
  unplug(containerId: string, { runsOn = false }: { readonly runsOn?: boolean } = {}): void {
    this.#isSettled = false;
    const plug = this.#plugs.get(containerId);
    if (runsOn && plug !== undefined) this.#inside(plug).netlink.run(removeLink(plug.link.name));
    const port = this.#ports.get(containerId);
    if (port !== undefined && !runsOn) this.#leaving.set(port, leavingAudits);
    this.#ports.delete(containerId);
    this.#plugs.delete(containerId);
    if (plug === undefined || port !== undefined) return;
    const { mac } = plug.link;
    if ([...this.#plugs.values()].some(({ link }) => link.mac === mac)) return;
    this.#netlink?.run(removeForwarding(this.#devices.bridge, mac, 'own'));
  }

  /** Tells the kernel what has changed about endpoints on other nodes. */
  forward(): void {
    this.#isSettled = false;
    const { gone, set } = this.forwarding.flush();
    const { vxlan } = this.#devices;
    this.#link.run(
      ...gone.flatMap(({ mac, addresses }) => [
        removeForwarding(vxlan, mac, 'own'),
        removeForwarding(vxlan, mac, 'bridge'),
        ...addresses.map((address) => removeNeighbour(vxlan, address)),
      ]),
      ...set.flatMap(({ former }) => former.map((address) => removeNeighbour(vxlan, address))),
      ...set.flatMap(({ mac, destination, addresses }) => [
        setForwarding(vxlan, mac, destination),
        ...addresses.map((address) => setNeighbour(vxlan, address, mac)),
      ]),
    );
  }

  /**
   * Where links, addresses and routes are as the last audit found them: whether its pin or entries
   * have changed since, or that one had something to do or could not end.
   */
  needsAudit(): boolean {
    const hasNews = this.#news?.heard() ?? true;
    return hasNews || !this.#isSettled || !this.#namespaces.isPinned(this.id);
  }

  /** Compares everything with the kernel, and puts right what differs. */
  audit(): readonly Repair[] {
    this.#news?.heard();
    this.#isSettled = false;
    const repairs = this.#auditAll();
    this.#isSettled = repairs.length + this.#strays.length + this.#leaving.size === 0;
    return repairs;
  }

  /** Where nothing else needs a look. */
  auditSettings(): readonly Repair[] {
    return auditDeviceSettings({ ...this.#wanted, netnsFd: this.#namespaces.fd(this.id) });
  }

  #auditAll(): readonly Repair[] {
    const repairs: Repair[] = [];
    if (this.#namespaces.repin(this.id)) repairs.push({ kind: 'namespace', what: 'its pin' });
    const netlink = this.#link;
    const wanted = { ...this.#wanted, netnsFd: this.#namespaces.fd(this.id) };
    const devices = auditDevices(wanted, { inside: netlink, host: this.#host });
    repairs.push(...devices.repairs);
    this.#devices = devices;
    const { links } = devices;
    this.#nextIndex = Math.max(this.#nextIndex, ...links.map(({ index }) => index + 1));
    const entries = netlink.forwarding();
    const differing = auditEntries(this.forwarding.applied, devices.vxlan, {
      entries,
      neighbours: netlink.neighbours(),
    });
    netlink.run(...differing.requests);
    repairs.push(...differing.repairs);
    const used = new Set<number>();
    const macs = new Set<string>();
    for (const [containerId, plug] of this.#plugs) {
      const { port, found } = this.#auditPlug(plug, links, entries);
      this.#keepPort(containerId, port);
      if (port === undefined) macs.add(plug.link.mac);
      else used.add(port);
      repairs.push(...found);
    }
    if (this.#isShared) repairs.push(...this.#forgetLocal(macs, links, entries));
    this.#strays = links
      .filter(({ kind, name }) => kind === 'veth' && name.startsWith(portPrefix))
      .map(({ index }) => index)
      .filter((index) => !used.has(index) && !this.#leaving.has(index));
    this.#forgetLeft(new Set(links.map(({ index }) => index)));
    return repairs;
  }

  /** Ports that have gone with their containers, or that the kernel keeps for too long. */
  #forgetLeft(present: ReadonlySet<number>): void {
    for (const [port, audits] of this.#leaving) {
      if (audits > 0 && present.has(port)) this.#leaving.set(port, audits - 1);
      else this.#leaving.delete(port);
    }
  }

  /**
   * Removes links that are of no container, and were not at the last call: the kernel takes its
   * time with the namespace of a container that has ended. Only once all containers that run have
   * been plugged in.
   */
  removeStrays(): readonly Repair[] {
    const lasting = this.#strays.filter((index) => this.#suspects.has(index));
    this.#suspects = new Set(this.#strays);
    this.#link.run(...lasting.map((index) => removeLink(index)));
    return lasting.map((index) => ({ kind: 'link', what: `stray ${portPrefix}${index}` }));
  }

  /** What the bridge keeps of containers that have ended; its own address is the kernel's matter. */
  #forgetLocal(
    macs: ReadonlySet<string>,
    links: readonly Link[],
    entries: readonly ForwardingEntry[],
  ): readonly Repair[] {
    const { bridge } = this.#devices;
    const own = new Set(links.map(({ mac }) => mac));
    const stale = entries
      .filter((entry) => isLocalOf(bridge, entry))
      .map(({ mac }) => mac)
      .filter((mac) => !macs.has(mac) && !own.has(mac));
    this.#link.run(...stale.map((mac) => removeForwarding(bridge, mac, 'own')));
    return stale.map((mac) => ({ kind: 'fdb', what: `${mac} that no container has` }));
  }

  /** `port` absent: the container shares the bridge. */
  #auditPlug(
    plug: Plug,
    links: readonly Link[],
    entries: readonly ForwardingEntry[],
  ): { readonly port: number | undefined; readonly found: readonly Repair[] } {
    const { name, mac, mtu } = plug.link;
    const inside = auditInterface(this.#inside(plug), plug.link);
    const { peer } = inside;
    const { bridge } = this.#devices;
    if (inside.kind === 'macvlan' && peer === bridge) {
      const found = [...inside.repairs];
      if (!entries.some((entry) => isLocalOf(bridge, entry) && entry.mac === mac)) {
        found.push({ kind: 'fdb', what: `${mac} at ${bridgeName}` });
        this.#link.run(setLocal(bridge, mac));
      }
      return { port: undefined, found };
    }
    const port = links.find(({ index, kind }) => index === peer && kind === 'veth');
    if (port === undefined) {
      // A link by this name that leads elsewhere is none of ours.
      if (peer !== undefined) this.#inside(plug).netlink.deleteLink(name);
      const made = this.#connect(plug, inside.freeIndex);
      return { port: made, found: [{ kind: 'link', what: `${name} of a container` }] };
    }
    const found = [...inside.repairs];
    if (port.master !== bridge || !port.up || port.mtu !== mtu) {
      found.push({ kind: 'link', what: port.name });
      const change = { master: bridge, mtu, up: true };
      this.#link.run(setLink(port.index, change), setPortLearning(port.index, false));
    }
    if (!entries.some((entry) => isStaticAt(port.index, entry) && entry.mac === mac)) {
      found.push({ kind: 'fdb', what: `${mac} at ${port.name}` });
      this.#link.run(setForwarding(port.index, mac));
    }
    return { port: port.index, found };
  }

  /** Returns the index of the container's port; absent: it shares the bridge. */
  #connect(plug: Plug, insideIndex: number): number | undefined {
    const { netnsPath, link } = plug;
    const fd = openSync(netnsPath, 'r');
    try {
      if (this.#isShared && this.#share(plug, insideIndex, fd)) return undefined;
      const index = this.#nextIndex++;
      this.#link.run(
        addVeth(
          { name: `${portPrefix}${index}`, index, master: this.#devices.bridge },
          { name: link.name, index: insideIndex, mac: link.mac, netnsFd: fd },
          link.mtu,
        ),
        setPortLearning(index, false),
        setForwarding(index, link.mac),
      );
      configureInterface(this.#inside(plug), link, insideIndex);
      return index;
    } finally {
      closeSync(fd);
    }
  }

  /**
   * False where a container that had the address before is still being taken apart: two on one
   * bridge cannot both have it, while a port can.
   */
  #share(plug: Plug, index: number, netnsFd: number): boolean {
    const { name, mac, mtu } = plug.link;
    const { bridge: parent } = this.#devices;
    this.#link.run(addMacvlan({ name, parent, mac, mode: 'bridge', mtu, netnsFd, index }));
    try {
      configureInterface(this.#inside(plug), plug.link, index);
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === errno.addressInUse)) throw error;
      this.#inside(plug).netlink.run(removeLink(index));
      return false;
    }
    this.#link.run(setLocal(parent, mac));
    return true;
  }

  /** Whether containers can share the bridge. */
  get #isShared(): boolean {
    return this.#wanted.bridgeAddresses.length === 0;
  }

  #keepPort(containerId: string, port: number | undefined): void {
    if (port === undefined) this.#ports.delete(containerId);
    else this.#ports.set(containerId, port);
  }

  #inside({ netnsPath }: Plug): Inside {
    return { netnsPath, netlink: this.#sockets.of(netnsPath) };
  }

  #openSockets(): void {
    if (this.#netlink !== undefined) return;
    const fd = this.#namespaces.fd(this.id);
    inNamespaceOf(fd, () => {
      this.#netlink = new Netlink();
      this.#news = KernelNews.ofNeighbours();
    });
    this.#sockets.include(fd);
  }

  get #link(): Netlink {
    assert(this.#netlink !== undefined, 'the overlay network is open');
    return this.#netlink;
  }
}

function isLocalOf(bridge: number, { linkIndex, ofBridge, isLocal }: ForwardingEntry): boolean {
  return linkIndex === bridge && ofBridge && isLocal;
}

function isStaticAt(port: number, { linkIndex, ofBridge, isStatic }: ForwardingEntry): boolean {
  return linkIndex === port && ofBridge && isStatic;
}
