/** Addresses as users give them to init and join, and as they are used. */
import { isIP } from 'node:net';
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { SwarmError } from '../lib/errors.ts';
import { defaultClusterPort, formatAddr, parseAddr } from '../lib/grpc/index.ts';

export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/**
 * "0.0.0.0:2377", "10.0.0.1", "eth0:2377": the address to listen on. An interface stands for its
 * first address. Throws SwarmError `invalid-argument`.
 */
export function resolveListenAddr(
  text: string,
  interfaces: Interfaces = networkInterfaces(),
): string {
  return resolve('listen', text === '' ? `0.0.0.0:${defaultClusterPort}` : text, interfaces);
}

/**
 * The address that other nodes are told. Where none is given, it is that of the listening address,
 * or the only address of this host; with several, somebody must choose.
 */
export function resolveAdvertiseAddr(
  text: string,
  listenAddr: string,
  interfaces: Interfaces = networkInterfaces(),
): string {
  const { host: listenHost, port } = parseAddr(listenAddr);
  if (text !== '') {
    const addr = resolve('advertise', text, interfaces, port);
    if (isUnspecified(parseAddr(addr).host)) {
      throw new SwarmError('invalid-argument', `advertise address must be a non-zero IP address`);
    }
    return addr;
  }
  if (!isUnspecified(listenHost)) return listenAddr;
  const candidates = candidatesOf(interfaces);
  const [only, another] = candidates;
  if (only === undefined) {
    throw new SwarmError(
      'invalid-argument',
      'could not find an address of this host to advertise: specify one with --advertise-addr',
    );
  }
  if (another !== undefined) {
    const found = candidates.map(({ name, address }) => `${address} on interface ${name}`);
    throw new SwarmError(
      'invalid-argument',
      'could not choose an IP address to advertise since this system has multiple addresses ' +
        `(${found.join(', ')}): specify one with --advertise-addr`,
    );
  }
  return formatAddr(only.address, port);
}

/** This host's addresses that others may reach it at, without those of its own networks. */
export function candidatesOf(
  interfaces: Interfaces,
): readonly { readonly name: string; readonly address: string }[] {
  return Object.entries(interfaces).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter((address) => !address.internal && address.family === 'IPv4')
      .filter(() => !/^(docker|br-|veth|vx|ts-swarm|virbr)/.test(name))
      .map((address) => ({ name, address: address.address })),
  );
}

/** Where VXLAN traffic goes: an address of this host, without a port. */
export function resolveDataPathAddr(
  text: string,
  advertiseAddr: string,
  interfaces: Interfaces = networkInterfaces(),
): string {
  if (text === '') return parseAddr(advertiseAddr).host;
  return parseAddr(resolve('data path', text, interfaces)).host;
}

function resolve(what: string, text: string, interfaces: Interfaces, port?: number): string {
  const { host, port: chosen } = parseAddr(text, port);
  if (isIP(host) !== 0) return formatAddr(host, chosen);
  const [first] = (interfaces[host] ?? []).filter((address) => address.family === 'IPv4');
  if (first === undefined) {
    throw new SwarmError(
      'invalid-argument',
      `${what} address "${text}" is neither an IP address nor an interface of this host`,
    );
  }
  return formatAddr(first.address, chosen);
}

function isUnspecified(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
