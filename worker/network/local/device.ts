/** What a network of this node is in the kernel: a bridge, or a link that containers share. */
import { closeSync, openSync } from 'node:fs';
import { SwarmError } from '../../../lib/errors.ts';
import {
  auditInterface,
  configureInterface,
  type ContainerInterface,
  type Inside,
} from '../container-interfaces.ts';
import type { Netlink, Request } from '../netlink.ts';
import { removeLink } from '../netlink/links.ts';
import { setRoute } from '../netlink/routes.ts';
import type { Repair } from '../part.ts';
import { errno, SyscallError } from '../syscalls.ts';

/** A container on the network. */
export interface Plug {
  readonly containerId: string;
  readonly inside: Inside;
  readonly link: ContainerInterface;
  /** The default route of IPv6, which the interface itself does not know of. */
  readonly gateway6?: string;
}

export abstract class Device {
  protected readonly host: Netlink;

  constructor(host: Netlink) {
    this.host = host;
  }

  /** Makes the network's own links, or puts right those that are there. */
  abstract open(): readonly Repair[];
  /** Takes away what `open` made. */
  abstract remove(): void;
  /** Makes the container's link, and leaves the rest to be configured. */
  protected abstract addLink(plug: Plug, netnsFd: number): void;
  /** Of the link's end on this host; where it has none, nothing. */
  protected abstract auditEnd(plug: Plug, peer: number): readonly Repair[] | 'gone';

  /** One that is connected already is left as it is, but for what is wrong. */
  connect(given: Plug): void {
    const plug = { ...given, link: this.fit(given.link) };
    const netnsFd = openSync(plug.inside.netnsPath, 'r');
    try {
      this.addLink(plug, netnsFd);
    } catch (error) {
      if (!(error instanceof SyscallError && error.errno === errno.exists)) throw error;
      this.audit(plug);
      this.#routeIpv6(plug);
      return;
    } finally {
      closeSync(netnsFd);
    }
    configureInterface(plug.inside, plug.link);
    this.#routeIpv6(plug);
  }

  audit(given: Plug): readonly Repair[] {
    const plug = { ...given, link: this.fit(given.link) };
    const { inside, link } = plug;
    const found = auditInterface(inside, link);
    const end = found.peer === undefined ? 'gone' : this.auditEnd(plug, found.peer);
    if (end !== 'gone') return [...found.repairs, ...end];
    inside.netlink.run(removeLink(link.name));
    this.clean(plug);
    this.connect(plug);
    return [{ kind: 'link', what: `${link.name} of container ${plug.containerId}` }];
  }

  disconnect({ inside, link }: Plug): void {
    inside.netlink.run(removeLink(link.name));
  }

  /** A container's interface as this kind of network can have it. */
  protected fit(link: ContainerInterface): ContainerInterface {
    return link;
  }

  /** Before the container's link is made anew. */
  protected clean(_plug: Plug): void {}

  #routeIpv6({ inside, gateway6 }: Plug): void {
    if (gateway6 === undefined) return;
    inside.netlink.run(setRoute({ destination: '::/0', gateway: gateway6 }));
  }
}

/** What a kernel is built with that has links of the kind. */
const kernelOptions = {
  bridge: 'CONFIG_BRIDGE',
  ipvlan: 'CONFIG_IPVLAN',
  macvlan: 'CONFIG_MACVLAN',
  veth: 'CONFIG_VETH',
  vlan: 'CONFIG_VLAN_8021Q',
} as const;
type LinkKind = keyof typeof kernelOptions;

/** Makes a link; throws `failed-precondition` where this kernel has none of that kind. */
export function makeLink(host: Pick<Netlink, 'run'>, request: Request, kind: LinkKind): void {
  try {
    host.run(request);
  } catch (error) {
    if (!(error instanceof SyscallError && error.errno === errno.notSupported)) throw error;
    throw new SwarmError(
      'failed-precondition',
      `the kernel does not offer links of the kind ${kind} (${kernelOptions[kind]}): load the ` +
        `module ${kind === 'vlan' ? '8021q' : kind}, or use another driver`,
      { cause: error },
    );
  }
}

export function missingParent(name: string): SwarmError {
  return new SwarmError(
    'failed-precondition',
    `the parent link ${name} does not exist on this host: name one that "ip link" shows`,
  );
}
