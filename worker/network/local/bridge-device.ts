/** A bridge of this host, with a pair of links to each container. */
import { createHash } from 'node:crypto';
import { assert } from '../../../lib/assert.ts';
import { hasIpv6, macOfAddresses } from '../container-interfaces.ts';
import type { Link, Netlink } from '../netlink.ts';
import { addAddress } from '../netlink/addresses.ts';
import { addBridge, addVeth, removeLink, setLink, setPortHairpin } from '../netlink/links.ts';
import { canonicalCidr } from '../netlink/wire.ts';
import type { Repair } from '../part.ts';
import { auditSettings, forwardIpv6, turnIpv6On } from '../settings.ts';
import { Device, type Plug } from './device.ts';

interface BridgeWanted {
  readonly name: string;
  readonly mtu: number;
  /** The host's own, with prefixes: the containers' gateways. */
  readonly addresses: readonly string[];
}

export class BridgeDevice extends Device {
  readonly #wanted: BridgeWanted;
  #index = 0;
  /** The host's links, as they were when the network was looked at last. */
  #links: ReadonlyMap<number, Link> = new Map();

  constructor(wanted: BridgeWanted, host: Netlink) {
    super(host);
    this.#wanted = wanted;
  }

  open(): readonly Repair[] {
    const { name, mtu, addresses } = this.#wanted;
    const repairs: Repair[] = [];
    this.#links = new Map(this.host.links().map((link) => [link.index, link]));
    let bridge = [...this.#links.values()].find((link) => link.name === name);
    // One of its own: else it has that of a port, and another one as containers come and go.
    const mac = addresses.length === 0 ? undefined : macOfAddresses(addresses);
    if (bridge === undefined) {
      this.host.run(addBridge(name, { mtu, up: true, ...(mac === undefined ? {} : { mac }) }));
      bridge = this.host.link(name);
      repairs.push({ kind: 'link', what: name });
    }
    assert(bridge !== undefined, 'the bridge was just made');
    this.#index = bridge.index;
    if (!bridge.up) {
      this.host.run(setLink(bridge.index, { up: true }));
      repairs.push({ kind: 'link', what: `${name} was down` });
    }
    if (mac !== undefined && bridge.mac !== mac) {
      this.host.run(setLink(bridge.index, { mac }));
      repairs.push({ kind: 'link', what: `the hardware address of ${name}` });
    }
    const isIpv6 = hasIpv6(addresses);
    if (isIpv6 && repairs.length > 0) turnIpv6On(name);
    if (isIpv6 && forwardIpv6())
      repairs.push({ kind: 'setting', what: 'ipv6/conf/all/forwarding' });
    const present = this.host.addresses(isIpv6 ? 'all' : 'ipv4');
    for (const cidr of addresses) {
      const wanted = canonicalCidr(cidr);
      if (present.some((one) => one.linkIndex === this.#index && one.cidr === wanted)) continue;
      this.host.run(addAddress(this.#index, cidr));
      repairs.push({ kind: 'address', what: `${cidr} of ${name}` });
    }
    // Lets packets from 127.0.0.1 be translated to a container: published ports on localhost.
    const onLocalhost = { [`ipv4/conf/${name}/route_localnet`]: 1 };
    repairs.push(...auditSettings({ 'ipv4/ip_forward': 1, ...onLocalhost }));
    return repairs;
  }

  remove(): void {
    this.host.run(removeLink(this.#wanted.name));
  }

  protected addLink(plug: Plug, netnsFd: number): void {
    const { name, mac, mtu } = plug.link;
    const end = { name: endName(plug), master: this.#index };
    this.host.run(addVeth(end, { name, mac, netnsFd }, mtu));
    this.host.run(setPortHairpin(end.name));
  }

  protected auditEnd(plug: Plug, peer: number): readonly Repair[] | 'gone' {
    const name = endName(plug);
    const end = this.#links.get(peer) ?? this.host.link(peer);
    if (end?.name !== name) return 'gone';
    if (end.master === this.#index && end.up) return [];
    this.host.run(setLink(end.index, { master: this.#index, up: true }));
    this.host.run(setPortHairpin(end.index));
    return [{ kind: 'link', what: name }];
  }

  protected override clean(plug: Plug): void {
    this.host.run(removeLink(endName(plug)));
  }
}

/** Names of links hold 15 characters; the same container on the same network has the same one. */
function endName({ containerId, inside, link }: Plug): string {
  const digest = createHash('sha256').update(`${containerId} ${inside.netnsPath} ${link.name}`);
  return `vl${digest.digest('hex').slice(0, 12)}`;
}
