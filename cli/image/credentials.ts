/** Keeps and forgets credentials where docker does: in its own file, or in a helper. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { errnoOf, SwarmError } from '../../lib/errors.ts';
import { makeFolders } from '../../lib/folders.ts';
import { runHelper } from '../service/registry-auth.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** All that docker keeps there is kept as it is; only these are looked at. */
interface ConfigFile {
  readonly [key: string]: unknown;
  readonly auths?: Readonly<Record<string, unknown>>;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string | undefined>>;
}

export const hubServer = 'https://index.docker.io/v1/';

/** As docker keys its entries: Docker Hub by its old address, others by their host. */
export function serverKey(server: string | undefined): string {
  const host = (server ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return ['', 'docker.io', 'index.docker.io', 'registry-1.docker.io'].includes(host)
    ? hubServer
    : host;
}

/** Answers with the place that the credentials are in the clear, if they are. */
export async function storeCredentials(
  env: Env,
  server: string,
  credentials: { readonly username: string; readonly password: string },
): Promise<string | undefined> {
  const path = configPath(env);
  const config = await readConfig(path);
  const helper = config.credHelpers?.[server] ?? config.credsStore;
  const { username, password } = credentials;
  if (helper !== undefined) {
    const document = { ServerURL: server, Username: username, Secret: password };
    await helped(helper, 'store', JSON.stringify(document));
    await writeConfig(path, { ...config, auths: { ...config.auths, [server]: {} } });
    return undefined;
  }
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  await writeConfig(path, { ...config, auths: { ...config.auths, [server]: { auth } } });
  return path;
}

/** Answers whether there was anything to forget. */
export async function eraseCredentials(env: Env, server: string): Promise<boolean> {
  const path = configPath(env);
  const config = await readConfig(path);
  if (config.auths?.[server] === undefined) return false;
  const helper = config.credHelpers?.[server] ?? config.credsStore;
  if (helper !== undefined) await helped(helper, 'erase', server);
  const auths = Object.fromEntries(Object.entries(config.auths).filter(([key]) => key !== server));
  await writeConfig(path, { ...config, auths });
  return true;
}

async function helped(name: string, verb: 'store' | 'erase', input: string): Promise<void> {
  const program = `docker-credential-${name}`;
  const { code, output } = await runHelper(program, verb, input);
  if (code === 0) return;
  throw new SwarmError('failed-precondition', `${program} failed: ${output.trim()}`);
}

function configPath(env: Env): string {
  const folder = env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.docker');
  return join(folder, 'config.json');
}

async function readConfig(path: string): Promise<ConfigFile> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as ConfigFile;
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return {};
    const message = `${path} cannot be read as Docker's configuration`;
    throw new SwarmError('failed-precondition', message, { cause });
  }
}

/** Whole or not at all, and for nobody else's eyes. */
async function writeConfig(path: string, config: ConfigFile): Promise<void> {
  await makeFolders(dirname(path), 0o700);
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, `${JSON.stringify(config, null, '\t')}\n`, { mode: 0o600 });
  await rename(partial, path);
}
