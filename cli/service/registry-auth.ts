/** The credentials that `docker login` left behind, as the API takes them. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { errnoOf, SwarmError } from '../../lib/errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

interface DockerConfig {
  readonly auths?: Readonly<
    Record<string, { readonly auth?: string; readonly identitytoken?: string } | undefined>
  >;
  readonly credsStore?: string;
  readonly credHelpers?: Readonly<Record<string, string | undefined>>;
}

const hubKey = 'https://index.docker.io/v1/';
const helperTimeoutMs = 30_000;
const helperAnswerBytes = 1024 * 1024;

/** The registry that an image's name points to. */
function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost && first !== 'docker.io' ? first : hubKey;
}

/** The value of X-Registry-Auth for an image; of an anonymous user where nothing is stored. */
export async function registryAuthFor(image: string, env: Env): Promise<string> {
  const registry = registryOf(image);
  const config = await readConfig(env);
  const credentials = (await credentialsFor(config, registry)) ?? {};
  return Buffer.from(JSON.stringify({ ...credentials, serveraddress: registry })).toString(
    'base64url',
  );
}

/** The value of X-Registry-Config: all that is stored, for builds that may pull from anywhere. */
export async function registryConfigFor(env: Env): Promise<string> {
  const config = await readConfig(env);
  const known = new Set([
    ...Object.keys(config.auths ?? {}),
    ...Object.keys(config.credHelpers ?? {}),
  ]);
  const entries: [string, object][] = [];
  for (const registry of known) {
    const credentials = await credentialsFor(config, registry);
    if (credentials !== undefined)
      entries.push([registry, { ...credentials, serveraddress: registry }]);
  }
  return Buffer.from(JSON.stringify(Object.fromEntries(entries))).toString('base64url');
}

async function credentialsFor(config: DockerConfig, registry: string): Promise<object | undefined> {
  const helper = config.credHelpers?.[registry] ?? config.credsStore;
  return (
    (helper === undefined ? undefined : await askHelper(helper, registry)) ??
    storedCredentials(config, registry)
  );
}

async function readConfig(env: Env): Promise<DockerConfig> {
  const path = join(
    env['DOCKER_CONFIG'] ?? join(env['HOME'] ?? homedir(), '.docker'),
    'config.json',
  );
  try {
    return JSON.parse(await readFile(path, 'utf8')) as DockerConfig;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw new SwarmError(
      'failed-precondition',
      `${path} cannot be read as Docker's configuration`,
      {
        cause: error,
      },
    );
  }
}

function storedCredentials(config: DockerConfig, registry: string): object | undefined {
  const bare = (key: string) => key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const entry =
    config.auths?.[registry] ??
    Object.entries(config.auths ?? {}).find(([key]) => bare(key) === bare(registry))?.[1];
  if (entry === undefined) return undefined;
  if (entry.identitytoken) return { identitytoken: entry.identitytoken };
  const [username = '', ...password] = Buffer.from(entry.auth ?? '', 'base64')
    .toString('utf8')
    .split(':');
  return username === '' ? undefined : { username, password: password.join(':') };
}

/** Asks `docker-credential-NAME get`. Undefined where it knows nothing of the registry. */
async function askHelper(name: string, registry: string): Promise<object | undefined> {
  const program = `docker-credential-${name}`;
  const { code, output } = await runHelper(program, 'get', registry);
  if (code !== 0) {
    if (/credentials not found/i.test(output)) return undefined;
    throw new SwarmError('failed-precondition', `${program} failed: ${output.trim()}`);
  }
  const { Username, Secret } = JSON.parse(output) as { Username?: string; Secret?: string };
  return Username === '<token>'
    ? { identitytoken: Secret }
    : { username: Username, password: Secret };
}

/** Runs a credential helper: its verb as an argument, what it is about on its standard input. */
export function runHelper(
  program: string,
  verb: 'get' | 'store' | 'erase',
  input: string,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [verb], {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: helperTimeoutMs,
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text.slice(0, Math.max(0, helperAnswerBytes - output.length));
    });
    const failed = (error: Error) =>
      reject(
        new SwarmError('failed-precondition', `${program} could not be run: ${error.message}`, {
          cause: error,
        }),
      );
    child.on('error', failed);
    child.stdin.on('error', (error) => {
      // It has ended without reading: what it says by its exit code counts.
      if (errnoOf(error) !== 'EPIPE') failed(error);
    });
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
    child.stdin.end(input);
  });
}
