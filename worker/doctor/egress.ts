/** Whether what containers send beyond the swarm can leave this host at all. */
import { readFile } from 'node:fs/promises';
import { Netlink } from '../network/netlink.ts';
import { finding, type Finding } from './finding.ts';

export interface EgressFacts {
  readonly forwards: boolean;
  /** Destinations of this host's IPv4 routes; "0.0.0.0/0" is the default route's. */
  readonly routes: readonly string[];
}

const defaultRoute = '0.0.0.0/0';

export async function examineEgress(): Promise<readonly Finding[]> {
  const forwards = (await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim() === '1';
  using netlink = new Netlink();
  return judgeEgress({ forwards, routes: netlink.routes() });
}

export function judgeEgress({ forwards, routes }: EgressFacts): readonly Finding[] {
  if (!forwards) {
    const text =
      'this host forwards no packets (net.ipv4.ip_forward is 0): containers have no way out, and ' +
      'published ports lead nowhere; set it to 1 with sysctl, and look for a file in ' +
      '/etc/sysctl.d that sets it to 0';
    return [finding('egress', 'error', text)];
  }
  if (!routes.includes(defaultRoute)) {
    // Hosts that are kept apart are many: a warning that is always there is read by nobody.
    const text =
      'this host has no default route: its containers reach what is on its own links and nothing ' +
      'beyond; should they, add one';
    return [finding('egress', 'ok', text)];
  }
  return [finding('egress', 'ok', 'what containers send beyond the swarm has a way out')];
}
