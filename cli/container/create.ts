/** Makes a container of what the flags say: the half of `run` that `create` is. */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Client } from '../client/index.ts';
import type { Context } from '../command/context.ts';
import { commandError, usageError } from '../command/errors.ts';
import { bool, list, listOf, oneOf, text, type Flag, type FlagValues } from '../command/flags.ts';
import { parseReference } from '../image/reference.ts';
import { showProgress } from '../image/progress.ts';
import { registryAuthFor } from '../service/registry-auth.ts';
import { createFlags } from './create-flags.ts';
import { parseNetwork } from './create-parse.ts';
import type { ContainerDraft, EndpointDraft } from './draft.ts';

const name = text('name', 'Assign a name to the container');
const platform = text('platform', 'Set platform if server is multi-platform capable');
const pull = oneOf(
  'pull',
  'Pull image before creating ("always", "missing", "never")',
  ['always', 'missing', 'never'],
  { shownDefault: '"missing"' },
);
const quiet = bool('quiet', 'Suppress the pull output', { short: 'q' });
const cidFile = text('cidfile', 'Write the container ID to the file');
const attach = listOf(
  'attach',
  'Attach to STDIN, STDOUT or STDERR',
  (given) => {
    const word = given.toLowerCase();
    if (word === 'stdin' || word === 'stdout' || word === 'stderr') return word;
    throw new Error('valid streams are STDIN, STDOUT and STDERR');
  },
  { short: 'a' },
);
const network = listOf('network', 'Connect a container to a network', parseNetwork, {
  word: 'network',
});
const net = { ...network, name: 'net', help: 'Connect a container to a network' };
const alias = list('network-alias', 'Add network-scoped alias for the container');
const ip = text('ip', 'IPv4 address (e.g., 172.30.100.104)');
const ip6 = text('ip6', 'IPv6 address (e.g., 2001:db8::33)');
const linkLocal = list('link-local-ip', 'Container IPv4/IPv6 link-local addresses');
const macAddress = text('mac-address', 'Container MAC address (e.g., 92:d0:c6:0a:29:33)');

export function allCreateFlags({ env }: Context): readonly Flag<unknown>[] {
  return [
    ...createFlags(env).map(({ flag }) => flag),
    name,
    platform,
    pull,
    quiet,
    cidFile,
    attach,
    network,
    net,
    alias,
    ip,
    ip6,
    linkLocal,
    macAddress,
  ];
}

export type StreamName = 'stdin' | 'stdout' | 'stderr';

/** Those that -a names; else output, and input where it is kept open. */
export function attachedStreams(flags: FlagValues, isInteractive: boolean): readonly StreamName[] {
  return flags.get(attach) ?? [...(isInteractive ? (['stdin'] as const) : []), 'stdout', 'stderr'];
}

export function attachTo({ config }: ContainerDraft, streams: readonly StreamName[]): void {
  config['AttachStdin'] = streams.includes('stdin');
  config['AttachStdout'] = streams.includes('stdout');
  config['AttachStderr'] = streams.includes('stderr');
}

export function isAttachGiven(flags: FlagValues): boolean {
  return flags.has(attach);
}

/** What is sent, before the daemon has looked at it. What cannot be meant ends with 125. */
export function draftOf(
  context: Context,
  image: string,
  command: readonly string[],
  flags: FlagValues,
): ContainerDraft {
  const draft: ContainerDraft = {
    config: { Image: image, ...(command.length === 0 ? {} : { Cmd: command }) },
    host: { RestartPolicy: { Name: 'no' } },
    endpoints: new Map(),
  };
  try {
    for (const flag of createFlags(context.env)) flag.apply(draft, flags);
    connect(draft, flags);
  } catch (error) {
    throw usageError(messageOf(error));
  }
  const { Name } = draft.host['RestartPolicy'] as { Name: string };
  if (draft.host['AutoRemove'] === true && Name !== 'no') {
    throw usageError('conflicting options: cannot specify both --restart and --rm');
  }
  return draft;
}

function connect(draft: ContainerDraft, flags: FlagValues): void {
  const given = [...(flags.get(network) ?? []), ...(flags.get(net) ?? [])];
  const [first = { name: 'default', at: {} }, ...others] = given;
  const { at } = first;
  const own: EndpointDraft = { ...at };
  const aliases = flags.get(alias);
  if (aliases !== undefined) own.Aliases = [...(at.Aliases ?? []), ...aliases];
  const addresses = {
    ...at.IPAMConfig,
    ...(flags.has(ip) ? { IPv4Address: flags.get(ip) ?? '' } : {}),
    ...(flags.has(ip6) ? { IPv6Address: flags.get(ip6) ?? '' } : {}),
    ...(flags.has(linkLocal) ? { LinkLocalIPs: [...(flags.get(linkLocal) ?? [])] } : {}),
  };
  if (Object.keys(addresses).length > 0) own.IPAMConfig = addresses;
  const mac = flags.get(macAddress);
  if (mac !== undefined) {
    own.MacAddress = mac;
    draft.config['MacAddress'] = mac;
  }
  draft.host['NetworkMode'] = first.name;
  if (Object.keys(own).length > 0) draft.endpoints.set(first.name, own);
  if (others.length > 0) draft.endpoints.set(first.name, own);
  for (const one of others) draft.endpoints.set(one.name, one.at);
}

/** Returns its id. Pulls the image where it is not there, unless told otherwise. */
export async function createContainer(
  context: Context,
  client: Client,
  draft: ContainerDraft,
  flags: FlagValues,
): Promise<string> {
  const image = String(draft.config['Image']);
  const policy = flags.get(pull) ?? 'missing';
  const file = flags.get(cidFile);
  const write = file === undefined ? undefined : reserve(file);
  if (policy === 'always') await pullImage(context, client, image, flags);
  const create = () =>
    client.json<{ Id: string; Warnings?: readonly string[] | null }>('POST', '/containers/create', {
      query: { name: flags.get(name), platform: flags.get(platform) },
      body: {
        ...draft.config,
        HostConfig: draft.host,
        NetworkingConfig: { EndpointsConfig: Object.fromEntries(draft.endpoints) },
      },
    });
  try {
    const { Id, Warnings } = await create().catch(async (error: unknown) => {
      if (policy !== 'missing' || !isMissingImage(error)) throw error;
      if (!flags.get(quiet)) context.err.line(`Unable to find image '${tagged(image)}' locally`);
      await pullImage(context, client, image, flags);
      return create();
    });
    for (const warning of Warnings ?? []) context.err.line(`WARNING: ${warning}`);
    write?.(Id);
    return Id;
  } catch (error) {
    if (file !== undefined) rmSync(file, { force: true });
    throw error;
  }
}

function isMissingImage(error: unknown): boolean {
  const { code, message } = SwarmError.from(error);
  return code === 'not-found' && message.includes('No such image');
}

function tagged(image: string): string {
  const { tag, digest } = parseReference(image);
  return tag === undefined && digest === undefined ? `${image}:latest` : image;
}

async function pullImage(
  context: Context,
  client: Client,
  image: string,
  flags: FlagValues,
): Promise<void> {
  const { repository, tag, digest } = parseReference(image);
  const response = await client.stream('POST', '/images/create', {
    query: {
      fromImage: repository,
      tag: digest ?? tag ?? 'latest',
      platform: flags.get(platform),
    },
    headers: { 'X-Registry-Auth': await registryAuthFor(repository, context.env) },
  });
  // Standard output is the container's own.
  await showProgress(context.err, response, { quiet: flags.get(quiet) ?? false });
}

/** The file must not be there yet: another container's id may be in it. */
function reserve(file: string): (id: string) => void {
  let handle: number;
  try {
    handle = openSync(file, 'wx', 0o644);
  } catch (error) {
    throw commandError(
      `container ID file found, make sure the other container isn't running or delete ${file} ` +
        `(${messageOf(error)})`,
    );
  }
  return (id) => {
    writeSync(handle, id);
    closeSync(handle);
  };
}
