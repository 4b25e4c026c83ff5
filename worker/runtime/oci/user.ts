/** Who a container's process runs as: Docker's `user[:group]` against the image's own files. */
import { SwarmError } from '../../../lib/errors.ts';

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** The image's files do not know who it is: nor where its home is. */
  readonly isStranger?: boolean;
}

export interface UserFiles {
  /** Contents of the image's /etc/passwd and /etc/group; empty where it has none. */
  readonly passwd: string;
  readonly group: string;
}

const idMax = 2 ** 31 - 1;

/**
 * A name must be in the file; a number need not be. The supplementary groups are those that the
 * user is a member of, unless a group is named, and `groups` besides.
 * Throws SwarmError for a name that the image does not know.
 */
export function resolveUser(
  user: string,
  groups: readonly string[],
  files: UserFiles,
): ResolvedUser {
  const [userPart = '', groupPart = ''] = user.split(':', 2);
  const wanted = userPart === '' ? '0' : userPart;
  const entry = parse(files.passwd).find(([name, , uid]) => name === wanted || uid === wanted);
  const uid = entry === undefined ? numeric(wanted) : numeric(entry[2] ?? '');
  if (uid === undefined) throw unknown('user', wanted, 'passwd');

  const groupLines = parse(files.group);
  const idOf = (name: string) => {
    const line = groupLines.find(([group, , gid]) => group === name || gid === name);
    const gid = line === undefined ? numeric(name) : numeric(line[2] ?? '');
    if (gid === undefined) throw unknown('group', name, 'group');
    return gid;
  };
  const gid = groupPart === '' ? (numeric(entry?.[3] ?? '') ?? 0) : idOf(groupPart);
  const memberOf =
    groupPart === '' && entry !== undefined
      ? groupLines
          .filter(([, , , members = '']) => members.split(',').includes(entry[0] ?? ''))
          .map(([, , id = '']) => numeric(id))
          .filter((id) => id !== undefined)
      : [];
  const additionalGids = [...new Set([...memberOf, ...groups.map(idOf)])];
  return { uid, gid, additionalGids, ...(entry === undefined ? { isStranger: true } : {}) };
}

/** Programs expect a home; that of those who are known is set by the OCI runtime. */
export function withHome(env: readonly string[], user: ResolvedUser): readonly string[] {
  const hasHome = env.some((entry) => entry.startsWith('HOME='));
  return user.isStranger && !hasHome ? [...env, strangersHome] : env;
}

/** Without what `withHome` has put in, for a process of somebody else's. */
export function withoutHome(env: readonly string[]): readonly string[] {
  return env.at(-1) === strangersHome ? env.slice(0, -1) : env;
}

const strangersHome = 'HOME=/';

/** Its own group is one of the further ones, too: what is refused to that stays refused. */
export function withOwnGroup({ uid, gid, additionalGids }: ResolvedUser): ResolvedUser {
  return { uid, gid, additionalGids: [...new Set([gid, ...additionalGids])] };
}

function parse(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

function numeric(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const number = Number(text);
  return number <= idMax ? number : undefined;
}

function unknown(kind: string, name: string, file: string): SwarmError {
  return new SwarmError(
    'invalid-argument',
    `unable to find ${kind} ${name}: no matching entries in ${file} file`,
  );
}
