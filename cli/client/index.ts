/**
 * Owns the way to the daemon: where it is, HTTP, versions, streams, and the shape of answers.
 * Imports `lib` only. Read client.ts first.
 */
import type { Context } from '../command/context.ts';
import { Client } from './client.ts';
import { resolveContext } from './docker-context.ts';
import { resolveHost } from './host.ts';
import { resolveTls } from './tls.ts';

export { Client, filtersQuery, type Filters, type Hijacked } from './client.ts';
export { defaultRunRoot, resolveHost, socketOf } from './host.ts';
export type { TlsFlags } from './tls.ts';

export function connect(context: Context): Client {
  const named = resolveContext(context);
  return new Client(named?.host ?? resolveHost(context), {
    fixedVersion: context.env['DOCKER_API_VERSION'],
    tls: named === undefined ? resolveTls(context) : named.tls,
  });
}
