/** `cp`: files between this host and a container, or a task's on any node. */
import { lstat, stat } from 'node:fs/promises';
import { basename, dirname, join, posix, resolve } from 'node:path';
import { SwarmError } from '../../lib/errors.ts';
import { connect, type Client } from '../client/index.ts';
import { exactly, type Command } from '../command/command.ts';
import type { Context } from '../command/context.ts';
import { commandError } from '../command/errors.ts';
import { bool } from '../command/flags.ts';
import { packed, unpack } from './copy-archive.ts';
import { findTarget, type TargetKind } from './target.ts';

const archive = bool('archive', 'Archive mode (copy all uid/gid information)', { short: 'a' });
const followLink = bool('follow-link', 'Always follow symbol link in SRC_PATH', { short: 'L' });
const quiet = bool('quiet', 'Suppress progress output during copy', { short: 'q' });

interface Options {
  readonly keepOwners: boolean;
  readonly followLink: boolean;
}

interface PathStat {
  readonly name: string;
  readonly mode: number;
  readonly linkTarget: string;
}

/** Go's bits for kinds of files. */
const goDirectory = 2 ** 31;
const goSymlink = 2 ** 27;

export function copyCommand(kind: TargetKind): Command {
  const word = kind === 'task' ? 'TASK' : 'CONTAINER';
  return {
    usage: `[OPTIONS] ${word}:SRC_PATH DEST_PATH|-  or  [OPTIONS] SRC_PATH|- ${word}:DEST_PATH`,
    flags: [archive, followLink, quiet],
    args: exactly(2),
    async run(context, [source = '', destination = ''], flags) {
      const from = parsePlace(source);
      const to = parsePlace(destination);
      const client = connect(context);
      const options = {
        keepOwners: flags.get(archive) ?? false,
        followLink: flags.get(followLink) ?? false,
      };
      if (from.container === undefined && to.container === undefined) {
        throw commandError(`must specify at least one container source: write ${word}:PATH`);
      }
      if (from.container !== undefined && to.container !== undefined) {
        throw commandError('copying between containers is not supported');
      }
      const { path: url } = await findTarget(client, from.container ?? to.container ?? '', kind);
      const tell = flags.get(quiet) || !context.err.isTerminal;
      if (from.container !== undefined) {
        await copyOut(context, client, url, from.path, to.path, options);
        if (!tell && to.path !== '-') context.err.line(`Successfully copied to ${to.path}`);
      } else {
        await copyIn(context, client, url, from.path, to.path, options);
        if (!tell) context.err.line(`Successfully copied to ${destination}`);
      }
    },
  };
}

/** `web:/etc/hosts`; what begins with a dot or a slash is a path of this host. */
function parsePlace(text: string): { readonly container?: string; readonly path: string } {
  const at = text.indexOf(':');
  if (at < 0 || /^[./]/.test(text)) return { path: text };
  return { container: text.slice(0, at), path: text.slice(at + 1) };
}

async function copyOut(
  context: Context,
  client: Client,
  url: string,
  source: string,
  destination: string,
  options: Options,
): Promise<void> {
  if (destination === '-' && context.out.isTerminal) {
    throw commandError('cowardly refusing to write an archive to a terminal: redirect it');
  }
  let path = posix.join('/', source);
  const isContent = /(?:^|\/)\.$/.test(source);
  if (isContent) path = posix.join('/', source.slice(0, -1));
  const found = await statIn(client, url, path);
  if (found === undefined) throw missing(source);
  if (options.followLink && isSymlink(found))
    path = posix.resolve(posix.dirname(path), found.linkTarget);
  const response = await client.stream('GET', `${url}/archive`, { query: { path } });
  if (destination === '-') {
    for await (const chunk of response as AsyncIterable<Buffer>) await context.out.drained(chunk);
    return;
  }
  const target = await localTarget(destination, posix.basename(path), {
    isFolder: isDirectory(found),
    isContent,
  });
  await unpack(response, target, options);
}

/** Where it comes to lie on this host, by the rules of cp. */
async function localTarget(
  destination: string,
  name: string,
  source: { readonly isFolder: boolean; readonly isContent: boolean },
): Promise<string> {
  const there = await statHere(destination);
  if (there?.isDirectory()) {
    return source.isContent ? resolve(destination) : join(resolve(destination), name);
  }
  if (there !== undefined && source.isFolder) throw commandError('cannot copy directory to a file');
  if (there === undefined && destination.endsWith('/') && !source.isFolder) {
    throw commandError(`destination directory "${destination}" must exist: no such directory`);
  }
  const parent = await statHere(dirname(resolve(destination)));
  if (!parent?.isDirectory()) {
    throw commandError(
      `invalid output path: directory "${dirname(resolve(destination))}" does not exist`,
    );
  }
  return resolve(destination);
}

async function copyIn(
  context: Context,
  client: Client,
  url: string,
  source: string,
  destination: string,
  { keepOwners, followLink: follow }: Options,
): Promise<void> {
  let path = posix.join('/', destination);
  let there = await statIn(client, url, path);
  if (there !== undefined && isSymlink(there)) {
    path = posix.resolve(posix.dirname(path), there.linkTarget);
    there = await statIn(client, url, path);
  }
  const query = {
    noOverwriteDirNonDir: true,
    ...(keepOwners ? { copyUIDGID: true } : {}),
  };
  if (source === '-') {
    if (there !== undefined && !isDirectory(there)) {
      throw commandError(`destination "${destination}" must be a directory`);
    }
    const upload = context.stdin;
    await client.json('PUT', `${url}/archive`, { query: { ...query, path }, upload });
    return;
  }
  const found = await lstat(source).catch((error: unknown) => {
    throw commandError(`lstat ${source}: ${SwarmError.from(error).message}`);
  });
  const isFolder = found.isDirectory();
  const isContent = /(?:^|\/)\.$/.test(source);
  const intoFolder = there !== undefined && isDirectory(there);
  if (there !== undefined && !intoFolder && isFolder) {
    throw commandError('cannot copy directory to a file');
  }
  if (there === undefined && destination.endsWith('/') && !isFolder) {
    throw commandError(`destination directory "${destination}" must exist: no such directory`);
  }
  const folder = intoFolder ? path : posix.dirname(path);
  const name = intoFolder ? (isContent ? '.' : basename(resolve(source))) : posix.basename(path);
  await client.json('PUT', `${url}/archive`, {
    query: { ...query, path: folder },
    upload: packed(source, { name, keepOwners, followLink: follow }),
  });
}

async function statIn(client: Client, url: string, path: string): Promise<PathStat | undefined> {
  try {
    const response = await client.stream('HEAD', `${url}/archive`, { query: { path } });
    response.resume();
    const header = String(response.headers['x-docker-container-path-stat'] ?? '');
    return JSON.parse(Buffer.from(header, 'base64').toString('utf8')) as PathStat;
  } catch (error) {
    if (SwarmError.from(error).code === 'not-found') return undefined;
    throw error;
  }
}

async function statHere(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function isDirectory({ mode }: PathStat): boolean {
  return Math.floor(mode / goDirectory) % 2 === 1;
}

function isSymlink({ mode }: PathStat): boolean {
  return Math.floor(mode / goSymlink) % 2 === 1;
}

function missing(path: string): SwarmError {
  return commandError(`Could not find the file ${path} in the container`);
}
