/** Ports that are held but lead nowhere, for tests. */
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { HostPorts } from './host-ports.ts';
import type { PortLead } from './ruleset.ts';

/** `leads`: what netfilter would be told of, kept up to date, each as its text. */
export function unruledPorts(
  leads: { readonly texts: Set<string>; textOf(lead: PortLead): string } = {
    texts: new Set(),
    textOf: ({ protocol, hostIp, hostPort }) => `${protocol} ${hostIp} ${hostPort}`,
  },
  hasIpv6 = true,
): HostPorts {
  const { texts } = leads;
  const rules = {
    open: () => undefined,
    replace: (all: Iterable<PortLead>) => {
      texts.clear();
      for (const lead of all) texts.add(leads.textOf(lead));
    },
    change: (gone: readonly PortLead[], come: readonly PortLead[]) => {
      for (const lead of gone) texts.delete(leads.textOf(lead));
      for (const lead of come) texts.add(leads.textOf(lead));
    },
    check: () => [],
    clear: () => texts.clear(),
    [Symbol.dispose]: () => undefined,
  };
  return new HostPorts({ rules, clock: realClock, log: silentLogger, hasIpv6 });
}
