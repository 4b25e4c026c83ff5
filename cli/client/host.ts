/** Where the daemon is: `--host`, else the environment, else the socket's default path. */
import { usageError } from '../command/errors.ts';
import type { ClientTls } from './tls.ts';

export const defaultRunRoot = '/run/ts-swarm';

export type Endpoint =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls?: ClientTls };

const plainPort = 2375;
const tlsPort = 2376;

export function socketOf(runRoot: string): string {
  return `unix://${runRoot}/docker.sock`;
}

export function resolveHost(context: {
  readonly host: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}): string {
  const { host, env } = context;
  return host || env['TS_SWARM_HOST'] || env['DOCKER_HOST'] || socketOf(defaultRunRoot);
}

/** Throws a usage error for what is neither a unix socket nor a TCP address. */
export function parseHost(host: string, tls?: ClientTls): Endpoint {
  const [scheme, rest] = host.includes('://') ? host.split('://', 2) : ['tcp', host];
  if (scheme === 'unix' && rest) return { socketPath: rest };
  if ((scheme === 'tcp' || scheme === 'http' || scheme === 'https') && rest) {
    const match = /^(\[[^\]]+\]|[^:/]*)(?::(\d+))?\/?$/.exec(rest);
    if (match !== null) {
      const name = (match[1] || 'localhost').replace(/^\[|\]$/g, '');
      const secure = tls ?? (scheme === 'https' ? { rejectUnauthorized: true } : undefined);
      if (secure === undefined) return { host: name, port: Number(match[2] ?? plainPort) };
      return { host: name, port: Number(match[2] ?? tlsPort), tls: secure };
    }
  }
  throw usageError(
    `unable to parse docker host ${JSON.stringify(host)}: ` +
      `use unix:///path/to/docker.sock or tcp://HOST:PORT`,
  );
}
