/**
 * containerd starts its shim's program for every container, also for one that joins a shim that
 * runs: the program then only says where that one listens, for 5 ms of CPU. In its place goes a
 * script that repeats what the shim said when it was started.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { errnoOf } from '../../../lib/errors.ts';
import { needsNoCopy } from './oci-binary.ts';
import type { RuntimePaths } from './paths.ts';

/** containerd's name of the shim that does the work. */
const shimName = 'containerd-shim-runc-v2';

/** containerd gives the container's id behind -id, and what to do comes last. */
function script(paths: RuntimePaths): string {
  const containers = `'${paths.containersRun.replaceAll("'", String.raw`'\''`)}'`;
  return `#!/bin/sh
for action; do
  [ "$before" != -id ] || id=$action
  before=$action
done
export ${needsNoCopy}
[ "$action" = start ] || exec ${shimName} "$@"
said_file=${containers}/$id/shim
if read -r said 2>/dev/null <"$said_file"; then
  # Where containerd finds the shim again after a restart, as the program itself leaves it.
  case $said in unix:*) printf %s "$said" >address ;; esac
else
  said=$(${shimName} "$@") || exit
  printf '%s\\n' "$said" >"$said_file"
fi
printf %s "$said"
`;
}

/** Writes the script; returns the name of the runtime for containerd. */
export async function writeShimProgram(paths: RuntimePaths): Promise<string> {
  const path = join(paths.programs, 'shim');
  await mkdir(paths.programs, { recursive: true, mode: 0o711 });
  // In one step: containerd may be about to execute it.
  await writeFile(`${path}.new`, script(paths), { mode: 0o755 });
  await rename(`${path}.new`, path);
  return path;
}

/** Makes the container join the shim that said this. */
export async function joinShim(paths: RuntimePaths, id: string, said: string): Promise<void> {
  await writeFile(paths.shimSaid(id), `${said}\n`);
}

/** What the container's shim said when it was started, if the script was there. */
export async function shimSaid(paths: RuntimePaths, id: string): Promise<string | undefined> {
  try {
    const said = (await readFile(paths.shimSaid(id), 'utf8')).trimEnd();
    return said === '' ? undefined : said;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the shim that said this still listens. */
export function shimListens(said: string): Promise<boolean> {
  const path = /unix:\/\/([^"\s]+)/.exec(said)?.[1];
  if (path === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
