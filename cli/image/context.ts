/** What a build is sent: a folder as a tar, without what its .dockerignore leaves out. */
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import dockerignore from '@balena/dockerignore';
import { pack, type Pack } from 'tar-stream';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { commandError } from '../command/errors.ts';

export interface BuildContext {
  /** The Dockerfile's path in the context. */
  readonly dockerfile: string;
  readonly archive: Readable;
}

/** A Dockerfile from elsewhere travels under a name that no file of the context has. */
const strayName = '.dockerfile.ts-swarm';

/** `dockerfile`: as given with --file; `content`: its text, where it came from standard input. */
export async function folderContext(
  folder: string,
  dockerfile: string | undefined,
  content?: Buffer,
): Promise<BuildContext> {
  const root = resolve(folder);
  const about = await lstat(root).catch((error: unknown) => {
    throw commandError(
      `unable to prepare context: path ${JSON.stringify(folder)}: ${messageOf(error)}`,
    );
  });
  if (!about.isDirectory()) {
    throw commandError(`unable to prepare context: context must be a directory: ${folder}`);
  }
  const path = resolve(dockerfile ?? join(root, 'Dockerfile'));
  const inside = content === undefined && (path + sep).startsWith(root + sep);
  const name = inside ? relative(root, path) : strayName;
  const stray = inside ? undefined : (content ?? (await readDockerfile(path)));
  if (inside) await readDockerfile(path);
  const rules = await readRules(root, `${name}.dockerignore`);
  // As Docker's: the daemon needs these two, whatever the rules say.
  const kept = new Set([name, '.dockerignore']);
  const isKept = (file: string) => kept.has(file) || !rules.ignores(file);
  const tar = pack();
  void write(tar, root, isKept, stray).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(messageOf(error))),
  );
  return { dockerfile: name, archive: tar as unknown as Readable };
}

/** A Dockerfile alone, from standard input: a context without any other file. */
export function dockerfileContext(content: Buffer): BuildContext {
  const tar = pack();
  tar.entry({ name: 'Dockerfile' }, content);
  tar.finalize();
  return { dockerfile: 'Dockerfile', archive: tar as unknown as Readable };
}

async function readDockerfile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw commandError(
      `unable to prepare context: unable to evaluate symlinks in Dockerfile path: ${messageOf(error)}`,
    );
  }
}

/** Rules of the Dockerfile's own come before the folder's. */
async function readRules(
  root: string,
  own: string,
): Promise<ReturnType<typeof dockerignore.default>> {
  for (const name of [own, '.dockerignore']) {
    try {
      return dockerignore.default().add(await readFile(join(root, name), 'utf8'));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return dockerignore.default();
}

async function write(
  tar: Pack,
  root: string,
  isKept: (path: string) => boolean,
  stray: Buffer | undefined,
): Promise<void> {
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const names = (await readdir(join(root, folder))).toSorted();
    for (const name of names) {
      const path = folder === '' ? name : `${folder}/${name}`;
      const about = await lstat(join(root, path));
      // A rule may bring back a file of a folder that is left out.
      if (about.isDirectory()) folders.push(path);
      if (!isKept(path)) continue;
      const header = { mode: about.mode & 0o7777, mtime: about.mtime };
      if (about.isDirectory()) tar.entry({ ...header, name: `${path}/`, type: 'directory' });
      else if (about.isSymbolicLink()) {
        const linkname = await readlink(join(root, path));
        tar.entry({ ...header, name: path, type: 'symlink', linkname });
      } else if (about.isFile()) {
        await writeFile(tar, { ...header, name: path, size: about.size }, join(root, path));
      }
    }
  }
  if (stray !== undefined) tar.entry({ name: strayName }, stray);
}

function writeFile(
  tar: Pack,
  header: { name: string; size: number; mode: number; mtime: Date },
  path: string,
): Promise<void> {
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  const sink = tar.entry(header, (error) => (error ? reject(error) : done()));
  // The archive is destroyed with what a file could not be read for, and its sinks with it.
  sink.on('error', reject);
  // Exactly what the header says: a file that grows meanwhile would break the archive.
  const end = Math.max(0, header.size - 1);
  if (header.size === 0) sink.end(null);
  else {
    const source = createReadStream(path, { end });
    source.on('error', reject);
    source.on('data', (chunk) => {
      if (sink.write(chunk)) return;
      source.pause();
      sink.once('drain', () => source.resume());
    });
    source.on('end', () => sink.end(null));
  }
  return promise;
}
