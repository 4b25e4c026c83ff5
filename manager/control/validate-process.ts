/**
 * What a task's process asks for and cannot have on any node: Docker lets most of it pass, and its
 * tasks fail one after the other. Pure; throws `invalid-argument`, in Docker's words where it has any.
 */
import { isIP } from 'node:net';
import { checkCapabilities } from '../../lib/capabilities.ts';
import { SwarmError } from '../../lib/errors.ts';
import {
  whyNoHealthTest,
  whyNoHostname,
  whyNoResolverOption,
  whyNoSearchDomain,
  whyNoSysctl,
  whyNoText,
  whyNoUlimit,
  whyNoUser,
  whyNoVariable,
  whyNoWorkdir,
} from '../../lib/process-rules.ts';
import { signalNumber } from '../../lib/signals.ts';
import type { ContainerSpec, TaskSpec } from '../../types/index.ts';

export function validateProcess(container: ContainerSpec, task: Pick<TaskSpec, 'networks'>): void {
  const { command = [], args = [], env = [], hostname = '', user = '', groups = [] } = container;
  checkCapabilities(container.capabilityAdd ?? [], container.capabilityDrop ?? []);
  for (const ulimit of container.ulimits ?? []) refuse(whyNoUlimit(ulimit));
  const network = (task.networks ?? []).some(({ target }) => target === 'host');
  for (const name of Object.keys(container.sysctls ?? {})) refuse(whyNoSysctl(name, { network }));
  if (container.stopSignal) signalNumber(container.stopSignal);
  for (const one of [user, ...groups]) refuse(whyNoUser(one) ?? whyNoText('user', one));
  if (groups.includes('')) refuse('a group without a name cannot be added');
  refuse(whyNoWorkdir(container.dir ?? ''));
  // What nodes fill in is as long as it comes to be there.
  if (!hostname.includes('{{')) refuse(whyNoHostname(hostname));
  for (const entry of env) refuse(whyNoVariable(entry));
  for (const word of [...command, ...args]) refuse(whyNoText('command', word));
  if (command.length === 1 && command[0] === '' && args.length === 0) {
    refuse('no command specified');
  }
  refuse(whyNoHealthTest(container.healthCheck?.test ?? []));
  validateNames(container);
}

/** Where it looks for names. */
function validateNames({ dnsConfig, hosts = [] }: ContainerSpec): void {
  const { nameservers = [], search = [], options = [] } = dnsConfig ?? {};
  for (const server of nameservers) {
    if (isIP(server) === 0) refuse(`"${server}" is no address of a DNS server`);
  }
  for (const domain of search) refuse(whyNoSearchDomain(domain));
  for (const option of options) refuse(whyNoResolverOption(option));
  for (const entry of hosts) {
    const [address = '', ...names] = entry.trim().split(/\s+/);
    if (names.length === 0) {
      refuse(`bad format for add-host: "${entry}": it is an address and a name after it`);
    }
    if (address !== 'host-gateway' && isIP(address) === 0) {
      refuse(`invalid IP address in add-host: "${address}"`);
    }
  }
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new SwarmError('invalid-argument', `ContainerSpec: ${why}`);
}
