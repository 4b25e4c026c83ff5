import { SwarmError } from '../errors.ts';

/** The cluster port, where an address names none. */
export const defaultClusterPort = 2377;

/** "host", "host:port", "[v6]" or "[v6]:port". Throws `invalid-argument`. */
export function parseAddr(
  addr: string,
  defaultPort = defaultClusterPort,
): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(addr);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port > 65_535) {
    throw new SwarmError('invalid-argument', `"${addr}" is not an address: write host:port`);
  }
  return { host, port };
}

export function formatAddr(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The address with the cluster port filled in where it names none. */
export function withDefaultPort(addr: string): string {
  const { host, port } = parseAddr(addr);
  return formatAddr(host, port);
}
