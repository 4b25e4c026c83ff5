/** Where plugins are found: Docker's folders, with sockets and files that name an address. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, SwarmError } from '../../../lib/errors.ts';

export type PluginAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

export interface PluginFolders {
  readonly sockets: string;
  /** In which `NAME.spec` and `NAME.json` are, the first first. */
  readonly specs: readonly string[];
}

export const dockerFolders: PluginFolders = {
  sockets: '/run/docker/plugins',
  specs: ['/etc/docker/plugins', '/usr/lib/docker/plugins'],
};

const specBytesMax = 64 * 1024;
/** What a plugin may be called: never a path that leads elsewhere. */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Undefined where there is none. Throws `invalid-argument` for a file that cannot be understood. */
export async function addressOf(
  name: string,
  folders: PluginFolders,
): Promise<PluginAddress | undefined> {
  if (!namePattern.test(name)) return undefined;
  for (const socketPath of [
    join(folders.sockets, `${name}.sock`),
    join(folders.sockets, name, `${name}.sock`),
  ]) {
    if (await isSocket(socketPath)) return { socketPath };
  }
  for (const folder of folders.specs) {
    for (const kind of ['spec', 'json'] as const) {
      const path = join(folder, `${name}.${kind}`);
      const text = await readIfThere(path);
      if (text !== undefined) return parseSpec(text, kind, path);
    }
  }
  return undefined;
}

/** The names of all that may be plugins, sorted. */
export async function pluginNames(folders: PluginFolders): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const entry of await entriesOf(folders.sockets)) {
    if (entry.isSocket() && entry.name.endsWith('.sock')) names.add(entry.name.slice(0, -5));
    const inner = join(folders.sockets, entry.name, `${entry.name}.sock`);
    if (entry.isDirectory() && (await isSocket(inner))) names.add(entry.name);
  }
  for (const folder of folders.specs) {
    for (const { name } of await entriesOf(folder)) {
      if (/\.(?:spec|json)$/.test(name)) names.add(name.replace(/\.\w+$/, ''));
    }
  }
  return [...names].filter((name) => namePattern.test(name)).toSorted();
}

/** A `.spec` is an address; a `.json` has it in `Addr`. */
export function parseSpec(text: string, kind: 'spec' | 'json', path: string): PluginAddress {
  const fail = (reason: string) =>
    new SwarmError('invalid-argument', `the plugin file ${path} ${reason}`);
  let address = text.trim();
  if (kind === 'json') {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (cause) {
      throw new SwarmError('invalid-argument', `the plugin file ${path} is not JSON`, { cause });
    }
    const { Addr, TLSConfig } = Object(parsed) as { Addr?: unknown; TLSConfig?: unknown };
    if (typeof Addr !== 'string') throw fail('has no "Addr": give it as unix:// or tcp://');
    if (TLSConfig !== undefined && TLSConfig !== null) {
      throw fail('asks for TLS, which this version does not speak with plugins: use a unix socket');
    }
    address = Addr;
  }
  if (address.startsWith('unix://')) return { socketPath: address.slice('unix://'.length) };
  const [, host, port] = /^(?:tcp|http):\/\/([^/]+):(\d{1,5})\/?$/.exec(address) ?? [];
  if (host === undefined) {
    throw fail(`names "${address}": give a plugin's address as unix:///path or tcp://host:port`);
  }
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

async function isSocket(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isSocket();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    if ((await stat(path)).size > specBytesMax) {
      throw new SwarmError('invalid-argument', `the plugin file ${path} is too large`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR';
}
