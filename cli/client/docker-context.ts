/** Docker's contexts: daemons by name, as `docker context create` keeps them. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../lib/errors.ts';
import { commandError } from '../command/errors.ts';
import type { ClientTls } from './tls.ts';

interface DockerContext {
  readonly host: string;
  readonly tls?: ClientTls;
}

interface Choice {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From --host and --context. */
  readonly host?: string | undefined;
  readonly dockerContext?: string | undefined;
}

/**
 * The context that is named, if one is. A host wins over DOCKER_CONTEXT, as in Docker; what
 * `docker context use` has chosen is for docker alone. Throws for one that is not there.
 */
export function resolveContext({ env, host, dockerContext }: Choice): DockerContext | undefined {
  if (dockerContext !== undefined && host !== undefined) {
    throw commandError('conflicting options: either specify --host or --context, not both');
  }
  const isHostSet = Boolean(host || env['TS_SWARM_HOST'] || env['DOCKER_HOST']);
  const name = dockerContext ?? (isHostSet ? undefined : env['DOCKER_CONTEXT']);
  if (name === undefined || name === '' || name === 'default') return undefined;
  const folder = env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker');
  const id = createHash('sha256').update(name).digest('hex');
  const { Host: address, SkipTLSVerify: skips } = readEndpoint(folder, id, name);
  const file = (one: string) => {
    const path = join(folder, 'contexts', 'tls', id, 'docker', one);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  };
  const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map(file);
  if (ca === undefined && cert === undefined && skips !== true) return { host: address };
  const tls: ClientTls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    rejectUnauthorized: skips !== true,
  };
  return { host: address, tls };
}

interface Endpoint {
  readonly Host: string;
  readonly SkipTLSVerify?: boolean;
}

function readEndpoint(folder: string, id: string, name: string): Endpoint {
  const path = join(folder, 'contexts', 'meta', id, 'meta.json');
  if (!existsSync(path)) {
    throw commandError(
      `context ${JSON.stringify(name)}: not found: make it with docker context create, or give -H`,
    );
  }
  try {
    const { Endpoints: endpoints } = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly Endpoints?: { readonly docker?: Partial<Endpoint> };
    };
    const { Host: host, SkipTLSVerify: skips } = endpoints?.docker ?? {};
    if (typeof host === 'string' && host !== '') {
      return { Host: host, ...(skips === true ? { SkipTLSVerify: true } : {}) };
    }
  } catch (error) {
    throw commandError(`context ${JSON.stringify(name)} cannot be read: ${messageOf(error)}`);
  }
  throw commandError(`context ${JSON.stringify(name)} names no host for docker`);
}
