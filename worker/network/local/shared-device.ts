/** macvlan: containers share a link of this host, and are on its network themselves. */
import { assert } from '../../../lib/assert.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { ContainerInterface } from '../container-interfaces.ts';
import type { Link, Netlink } from '../netlink.ts';
import { addBridge, addMacvlan, removeLink, setLink, type MacvlanMode } from '../netlink/links.ts';
import type { Repair } from '../part.ts';
import { errno, SyscallError } from '../syscalls.ts';
import { Device, makeLink, missingParent, type Plug } from './device.ts';
import { addIpvlan, addVlan, askForIpvlan, type IpvlanKind } from './links.ts';

export type SharedKind =
  | { readonly name: 'macvlan'; readonly mode: MacvlanMode }
  | ({ readonly name: 'ipvlan' } & IpvlanKind);

export interface SharedWanted {
  /** A link of this host, or one that is made: with a VLAN tag behind a dot, or leading nowhere. */
  readonly parent: string;
  readonly leadsNowhere: boolean;
  readonly kind: SharedKind;
}

export class SharedDevice extends Device {
  readonly #wanted: SharedWanted;
  /** Whether the parent was made for this network: then it goes with it. */
  readonly #ownsParent: boolean;
  #parent: Link | undefined;

  constructor(wanted: SharedWanted, host: Netlink, { ownsParent }: { ownsParent: boolean }) {
    super(host);
    this.#wanted = wanted;
    this.#ownsParent = ownsParent;
  }

  open(): readonly Repair[] {
    const { parent, kind } = this.#wanted;
    if (kind.name === 'ipvlan' && this.#parent === undefined) assertIpvlan(this.host);
    const found = this.host.link(parent);
    if (found !== undefined) {
      this.#parent = found;
      if (found.up || !this.#ownsParent) return [];
      this.host.run(setLink(found.index, { up: true }));
      return [{ kind: 'link', what: `${parent} was down` }];
    }
    this.#makeParent();
    this.#parent = this.host.link(parent);
    return [{ kind: 'link', what: parent }];
  }

  #makeParent(): void {
    const { parent, leadsNowhere } = this.#wanted;
    if (leadsNowhere) {
      // A bridge without ports leads nowhere, and every kernel with containers has bridges.
      makeLink(this.host, addBridge(parent, { up: true }), 'bridge');
      return;
    }
    const [, base = '', tag = ''] = /^(.+)\.(\d{1,4})$/.exec(parent) ?? [];
    const below = this.host.link(base);
    if (below === undefined || !this.#ownsParent) throw missingParent(parent);
    makeLink(this.host, addVlan(parent, below.index, Number(tag)), 'vlan');
  }

  remove(): void {
    if (this.#ownsParent) this.host.run(removeLink(this.#wanted.parent));
  }

  protected addLink({ link }: Plug, netnsFd: number): void {
    const { index: parent } = this.#shared;
    const { name, mac, mtu } = link;
    const { kind } = this.#wanted;
    if (kind.name === 'ipvlan') {
      makeLink(this.host, addIpvlan({ name, parent, mtu }, kind, netnsFd), 'ipvlan');
      return;
    }
    const { mode } = kind;
    try {
      makeLink(this.host, addMacvlan({ name, parent, mtu, mac, mode, netnsFd }), 'macvlan');
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === errno.addressInUse)) throw error;
      throw new SwarmError(
        'already-exists',
        `the MAC address ${mac} is in use on ${this.#wanted.parent}: choose another one`,
        { cause: error },
      );
    }
  }

  /** It goes with the link that it shares, and has no end of its own there. */
  protected auditEnd(): readonly Repair[] {
    return [];
  }

  /** Packets cannot be larger than those of the shared link; of ipvlan its MAC is everybody's. */
  protected override fit(link: ContainerInterface): ContainerInterface {
    const { mac, mtu } = this.#shared;
    const own = this.#wanted.kind.name === 'ipvlan' ? { mac } : {};
    return { ...link, ...own, mtu: Math.min(link.mtu, mtu) };
  }

  get #shared(): Link {
    assert(this.#parent !== undefined, 'the shared link is there once the network is open');
    return this.#parent;
  }
}

/** Throws `failed-precondition` where the kernel has no ipvlan: as soon as a network is made of it. */
export function assertIpvlan(host: Pick<Netlink, 'run'>): void {
  try {
    makeLink(host, askForIpvlan(), 'ipvlan');
  } catch (error) {
    // It has: a link of that kind is asked for on another one.
    if (!(error instanceof SyscallError && error.errno === errno.invalid)) throw error;
  }
}
