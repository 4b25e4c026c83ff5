/** What a container's process asks for and cannot have: refused before anything is made. Pure. */
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
} from '../../lib/process-rules.ts';
import { signalNumber } from '../../lib/signals.ts';
import type { ContainerDocument, HostDocument } from '../../types/index.ts';
import { parsePort } from './port-requests.ts';

/** Throws `invalid-argument`, in Docker's words where it has any. */
export function checkProcess(config: ContainerDocument, host: HostDocument): void {
  checkCapabilities(host.capAdd ?? [], host.capDrop ?? []);
  for (const ulimit of host.ulimits ?? []) refuse(whyNoUlimit(ulimit));
  const shared = { network: host.networkMode === 'host', ipc: host.ipcMode === 'host' };
  for (const name of Object.keys(host.sysctls ?? {})) refuse(whyNoSysctl(name, shared));
  if (config.stopSignal) signalNumber(config.stopSignal);
  for (const one of [config.user, ...(host.groupAdd ?? [])]) refuse(whyNoUser(one));
  refuse(whyNoHostname(config.hostname));
  for (const entry of config.env ?? []) refuse(whyNoVariable(entry));
  for (const word of [...(config.entrypoint ?? []), ...(config.cmd ?? [])]) {
    refuse(whyNoText('command', word));
  }
  refuse(whyNoHealthTest(config.healthcheck?.test ?? []));
  config.exposedPorts?.forEach(parsePort);
  for (const { cgroupPermissions: permissions = '', pathOnHost } of host.devices ?? []) {
    if (/^[rwm]*$/.test(permissions)) continue;
    refuse(
      `the permissions "${permissions}" of the device ${pathOnHost} are not made of r, w and m`,
    );
  }
  checkNames(host);
}

/** Where it looks for names. */
function checkNames({ dns, dnsSearch, dnsOptions, extraHosts }: HostDocument): void {
  for (const server of dns ?? []) {
    if (isIP(server) === 0) refuse(`"${server}" is no address of a DNS server`);
  }
  for (const domain of dnsSearch ?? []) refuse(whyNoSearchDomain(domain));
  for (const option of dnsOptions ?? []) refuse(whyNoResolverOption(option));
  for (const entry of extraHosts ?? []) {
    const [name = '', address] = entry.split(/[:=](.*)/s, 2);
    if (name === '' || address === undefined) refuse(`bad format for add-host: "${entry}"`);
    const plain = address?.replace(/^\[(.*)\]$/, '$1') ?? '';
    if (address !== 'host-gateway' && isIP(plain) === 0) {
      refuse(`invalid IP address in add-host: "${address}"`);
    }
  }
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new SwarmError('invalid-argument', why);
}
