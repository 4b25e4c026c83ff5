/** Keeps a node's addresses true when its host has moved: after a reboot, say, with another lease. */
import { networkInterfaces } from 'node:os';
import { formatAddr, parseAddr } from '../lib/grpc/index.ts';
import { candidatesOf, resolveAdvertiseAddr, type Interfaces } from './addresses.ts';
import type { Membership } from './membership.ts';

/** With the interface that has the advertised address now: it may have another one later. */
export function located(
  membership: Membership,
  interfaces: Interfaces = networkInterfaces(),
): Membership {
  const name = interfaceOf(parseAddr(membership.advertiseAddr).host, interfaces);
  if (name === undefined || name === membership.interface) return membership;
  return { ...membership, interface: name };
}

/**
 * The same where this host is where it was. `given` is what the daemon was told to advertise: an
 * address or an interface, or nothing. An address that no interface of the host ever had (another
 * machine's, that passes on to this one) stays what it is, as does one that nothing could follow: the
 * host has none at present, or several that it might be. Throws `invalid-argument` for a `given` that
 * makes no sense on this host.
 */
export function relocated(
  membership: Membership,
  given: string,
  interfaces: Interfaces = networkInterfaces(),
): Membership {
  const { host, port } = parseAddr(membership.advertiseAddr);
  if (given !== '') {
    const listenAddr = formatAddr(parseAddr(membership.listenAddr).host, port);
    return movedTo(membership, resolveAdvertiseAddr(given, listenAddr, interfaces), interfaces);
  }
  if (membership.interface === undefined || interfaceOf(host, interfaces) !== undefined) {
    return located(membership, interfaces);
  }
  const candidates = candidatesOf(interfaces);
  const same = candidates.filter(({ name }) => name === membership.interface);
  const [only, another] = same.length > 0 ? same : candidates;
  if (only === undefined || another !== undefined) return membership;
  return movedTo(membership, formatAddr(only.address, port), interfaces);
}

/** Whether this host had the advertised address once, and has it no more. */
export function isAstray(
  { advertiseAddr, interface: name }: Membership,
  interfaces: Interfaces = networkInterfaces(),
): boolean {
  return name !== undefined && interfaceOf(parseAddr(advertiseAddr).host, interfaces) === undefined;
}

/** What was the advertised address as well moves along. */
function movedTo(before: Membership, advertiseAddr: string, interfaces: Interfaces): Membership {
  if (advertiseAddr === before.advertiseAddr) return located(before, interfaces);
  const oldHost = parseAddr(before.advertiseAddr).host;
  const { host } = parseAddr(advertiseAddr);
  const listen = parseAddr(before.listenAddr);
  return located(
    {
      ...before,
      advertiseAddr,
      listenAddr: listen.host === oldHost ? formatAddr(host, listen.port) : before.listenAddr,
      dataPathAddr: before.dataPathAddr === oldHost ? host : before.dataPathAddr,
    },
    interfaces,
  );
}

function interfaceOf(host: string, interfaces: Interfaces): string | undefined {
  return Object.entries(interfaces).find(([, addresses]) =>
    addresses?.some(({ address }) => address === host),
  )?.[0];
}
