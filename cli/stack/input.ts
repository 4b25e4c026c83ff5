/** From the command line to a stack: which files, variables and profiles are meant. */
import { scryptSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import {
  compose,
  mergedDocument,
  type Composed,
  type LoadOptions,
  type Sources,
} from '../../compose/index.ts';
import { errnoOf, SwarmError } from '../../lib/errors.ts';
import { commandError } from '../command/errors.ts';
import type { Context } from '../command/context.ts';
import { list, type Flag, type FlagValues } from '../command/flags.ts';

const composeFileFlag = list(
  'compose-file',
  'Path to a Compose file, or "-" to read from stdin; later files change earlier ones',
  { short: 'c', word: 'strings' },
);
const envFileFlag = list(
  'env-file',
  "Read variables from this file, in place of the project's .env",
);
const profileFlag = list('profile', 'Deploy the services of this profile as well ("*": of all)');

/** What every verb that reads files takes. */
export const inputFlags: readonly Flag<unknown>[] = [composeFileFlag, envFileFlag, profileFlag];

/** Where no file is given, the first of these that is there. */
const defaultFiles = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const maxStdinBytes = 16 * 1024 * 1024;
/** 60 bits: enough that two contents of one file never share a name. */
const hashLength = 12;

export async function readStack(
  context: Context,
  name: string,
  flags: FlagValues,
): Promise<Composed> {
  checkName(name);
  const options = await loadOptions(context, name, flags);
  return compose(options, sourcesOf(context), (content, salt) =>
    contentHash(content, `${name}/${salt}`),
  );
}

/** The files as one, with the variables as they are written. */
export async function readAsWritten(
  context: Context,
  name: string,
  flags: FlagValues,
): Promise<unknown> {
  const options = await loadOptions(context, name, flags);
  return mergedDocument({ ...options, interpolate: false }, sourcesOf(context));
}

async function loadOptions(
  context: Context,
  name: string,
  flags: FlagValues,
): Promise<LoadOptions> {
  const files = filesOf(flags.get(composeFileFlag) ?? []);
  const stdin = files.includes('-') ? await readStdin(context.stdin) : undefined;
  const envFiles = flags.get(envFileFlag);
  return {
    name,
    files,
    profiles: profilesOf(context, flags.get(profileFlag) ?? []),
    ...(stdin === undefined ? {} : { stdin, projectFolder: process.cwd() }),
    ...(envFiles === undefined ? {} : { envFiles: envFiles.map((path) => resolve(path)) }),
  };
}

function sourcesOf(context: Context): Sources {
  return { readFile, env: context.env, shownPath };
}

/** As Docker refuses them: the name becomes a part of names of services. */
export function checkName(name: string): void {
  if (/^[a-zA-Z0-9][-_a-zA-Z0-9]*$/.test(name)) return;
  throw commandError(
    `invalid stack name: "${name}": it begins with a letter or a digit, and goes on with ` +
      'letters, digits, - and _',
  );
}

function filesOf(given: readonly string[]): readonly string[] {
  if (given.length > 0) return given.map((file) => (file === '-' ? '-' : resolve(file)));
  const found = defaultFiles.find((file) => existsSync(file));
  if (found !== undefined) return [resolve(found)];
  throw commandError(`there is no ${defaultFiles[0]} here: name a file with --compose-file`);
}

function profilesOf({ env }: Context, given: readonly string[]): readonly string[] {
  const known = (env['COMPOSE_PROFILES'] ?? '').split(',').filter((profile) => profile !== '');
  return [...given, ...known];
}

async function readStdin(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(chunk as string);
    size += bytes.length;
    if (size > maxStdinBytes) throw commandError('the compose file on stdin is too large');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readFile(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw new SwarmError(
      'failed-precondition',
      `${shownPath(path)} cannot be read: ${errno === 'EISDIR' ? 'it is a folder' : errno}`,
      { cause: error },
    );
  }
}

function shownPath(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown === '' || shown.startsWith('..') ? path : shown;
}

/**
 * Names of secrets can be seen by whoever may list them, and a secret may be short: the hash is
 * one that takes its time, so that nobody finds the content by trying.
 */
function contentHash(content: Uint8Array, salt: string): string {
  const bytes = scryptSync(content, salt, 16);
  return BigInt(`0x${bytes.toString('hex')}`)
    .toString(36)
    .slice(0, hashLength);
}
