/** Where an external store is, as people write it: etcd://[user:password@]HOST:PORT,…[/PREFIX] */
import { SwarmError } from '../../../lib/errors.ts';

/** As it is given, passed on to joining managers, and kept on their disks. */
export interface ExternalStore {
  readonly url: string;
  /** PEM. With one of these the connection is TLS. */
  readonly caPem?: string;
  readonly certPem?: string;
  readonly keyPem?: string;
}

interface EtcdAddress {
  /** Each as "https://10.0.0.1:2379". */
  readonly hosts: readonly string[];
  /** Begins with a slash, and ends without. */
  readonly prefix: string;
  readonly user?: { readonly name: string; readonly password: string };
}

const defaultPort = 2379;
const defaultPrefix = '/ts-swarm';
const example = 'etcd://10.0.0.1:2379,10.0.0.2:2379/ts-swarm';

/** Throws SwarmError `invalid-argument` naming what is wrong. */
export function parseStore(store: ExternalStore): EtcdAddress {
  const match = /^etcd:\/\/(?:([^@/]*)@)?([^/?]+)(\/[^?]*)?(?:\?(.*))?$/.exec(store.url);
  if (match === null) throw bad(`"${hidePassword(store.url)}" is not one such as ${example}`);
  const [, credentials, hostList = '', path = '', query = ''] = match;
  if ((store.certPem === undefined) !== (store.keyPem === undefined)) {
    throw bad('a client certificate and its key go together');
  }
  const scheme = wantsTls(store, query) ? 'https' : 'http';
  const prefix = path.replace(/\/+$/, '');
  return {
    hosts: hostList.split(',').map((host) => `${scheme}://${withPort(host)}`),
    prefix: prefix === '' ? defaultPrefix : prefix,
    ...(credentials === undefined ? {} : { user: userOf(credentials) }),
  };
}

/** For logs and messages. */
export function hidePassword(url: string): string {
  return url.replace(/^(etcd:\/\/[^:@/]*):[^@/]*@/, '$1:…@');
}

function wantsTls(store: ExternalStore, query: string): boolean {
  const params = new URLSearchParams(query);
  for (const [key, value] of params) {
    if (key !== 'tls' || !['true', 'false'].includes(value)) {
      throw bad(`"${key}=${value}" is not known: only tls=true and tls=false are`);
    }
  }
  const certified = store.caPem !== undefined || store.certPem !== undefined;
  if (certified && params.get('tls') === 'false')
    throw bad('certificates make no sense without TLS');
  return certified || params.get('tls') === 'true';
}

function withPort(host: string): string {
  const match = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/.exec(host);
  if (match === null) throw bad(`"${host}" is not HOST:PORT, as in ${example}`);
  return `${match[1]}:${match[2] ?? defaultPort}`;
}

function userOf(credentials: string): { name: string; password: string } {
  const [name = '', ...password] = credentials.split(':');
  if (name === '' || password.length === 0) throw bad('write user:password before the @');
  try {
    return { name: decodeURIComponent(name), password: decodeURIComponent(password.join(':')) };
  } catch (error) {
    throw bad('the password holds a % that is no escape: write it as %25', error);
  }
}

function bad(why: string, cause?: unknown): SwarmError {
  return new SwarmError('invalid-argument', `the address of the store is wrong: ${why}`, { cause });
}
