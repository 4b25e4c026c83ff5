/**
 * Settings of the kernel below /proc/sys/net, of the namespace that the thread is in. A kernel that
 * was started with `ipv6.disable=1` has none of IPv6.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { SwarmError } from '../../lib/errors.ts';
import type { Repair } from './part.ts';

/** By their names below the folder: "ipv4/ip_forward". */
export type Settings = Readonly<Record<string, number>>;

const kernelFolder = '/proc/sys/net';

/** Whether the kernel has IPv6 at all. */
export function offersIpv6(folder = kernelFolder): boolean {
  return existsSync(`${folder}/ipv6/conf`);
}

export function writeSettings(settings: Settings, folder = kernelFolder): void {
  for (const [name, value] of Object.entries(settings)) {
    writeFileSync(`${folder}/${name}`, String(value));
  }
}

/** Undefined for one that this kernel does not have, or whose link is gone. */
function readSetting(name: string, folder: string): string | undefined {
  const path = `${folder}/${name}`;
  return existsSync(path) ? readFileSync(path, 'latin1').trim() : undefined;
}

/** Writes those that somebody else has changed. What is not there is nobody's to repair. */
export function auditSettings(settings: Settings, folder = kernelFolder): Repair[] {
  const wrong = Object.entries(settings).filter(([name, value]) => {
    const present = readSetting(name, folder);
    return present !== undefined && present !== String(value);
  });
  writeSettings(Object.fromEntries(wrong), folder);
  return wrong.map(([what]) => ({ kind: 'setting', what }));
}

/** Why a network with IPv6 cannot be had. */
export const noIpv6 =
  'its kernel was started without IPv6 (ipv6.disable=1): start it with IPv6, or make the network ' +
  'without';

/** Inside the namespace: IPv6 is off for links whose network does not have it. */
export function turnIpv6On(link: string, folder = kernelFolder): void {
  if (!offersIpv6(folder)) {
    throw new SwarmError(
      'failed-precondition',
      `networks with IPv6 cannot be had on this node: ${noIpv6}`,
    );
  }
  writeSettings({ [`ipv6/conf/${link}/disable_ipv6`]: 0 }, folder);
}

/**
 * Lets the host forward IPv6. One that forwards no longer listens to routers, unless its links are
 * told to do so still. Whether it did not forward before.
 */
export function forwardIpv6(folder = kernelFolder): boolean {
  if (readSetting('ipv6/conf/all/forwarding', folder) === '1') return false;
  const links = `${folder}/ipv6/conf`;
  for (const name of readdirSync(links)) {
    const setting = `ipv6/conf/${name}/accept_ra`;
    // A link may go at any moment.
    if (readSetting(setting, folder) === '1') auditSettings({ [setting]: 2 }, folder);
  }
  writeSettings({ 'ipv6/conf/all/forwarding': 1 }, folder);
  return true;
}
