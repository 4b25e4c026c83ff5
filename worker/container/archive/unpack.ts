/** A tar unpacked into a container's file system, which nothing in the tar leads out of. */
import { constants } from 'node:fs';
import { lchown, link, lutimes, mkdir, open, rm, symlink, type FileHandle } from 'node:fs/promises';
import { SwarmError } from '../../../lib/errors.ts';
import { readArchive, type ArchiveEntry } from '../../image/archive/read.ts';
import { makeFifo } from '../../runtime/logs/fifo.ts';
import { locate, locateMaking, wayTo, type Located } from './root.ts';

interface UnpackOptions {
  /** Who everything is to belong to; absent: to whom the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** A directory may not take the place of something else, nor the reverse. */
  readonly keepsKinds: boolean;
}

/** `folder`: where to, from the container's root. Throws `invalid-argument` for a broken archive. */
export async function unpack(
  root: string,
  folder: string,
  source: AsyncIterable<Uint8Array>,
  options: UnpackOptions,
): Promise<void> {
  /** Times of directories, which would change with what is put into them. */
  const later: { readonly path: string; readonly mtimeMs: number }[] = [];
  for await (const entry of readArchive(source)) {
    if (entry.path.split('/').includes('..')) {
      throw new SwarmError('invalid-argument', `the archive's entry ${entry.path} leads out of it`);
    }
    const path = `${folder}/${entry.path}`;
    await using located = await locateMaking(root, path);
    await put(root, folder, located, entry, options);
    if (entry.type === 'directory') later.push({ path, mtimeMs: entry.mtimeMs });
  }
  for (const { path, mtimeMs } of later) {
    await using located = await locate(root, path);
    await lutimes(wayTo(located), mtimeMs / 1000, mtimeMs / 1000);
  }
}

async function put(
  root: string,
  folder: string,
  located: Located,
  entry: ArchiveEntry,
  { owner, keepsKinds }: UnpackOptions,
): Promise<void> {
  const { stat, name } = located;
  const isDirectory = entry.type === 'directory';
  if (stat !== undefined && keepsKinds && stat.isDirectory() !== isDirectory) {
    throw new SwarmError(
      'invalid-argument',
      stat.isDirectory()
        ? `cannot overwrite directory "${located.path}" with non-directory`
        : `cannot overwrite non-directory "${located.path}" with directory`,
    );
  }
  const way = wayTo(located);
  if (isDirectory) {
    if (stat !== undefined && !stat.isDirectory()) await rm(way);
    if (!stat?.isDirectory()) await mkdir(way, { mode: 0o700 });
  } else {
    if (name === '') throw new SwarmError('invalid-argument', 'the archive replaces the root');
    if (stat !== undefined) await rm(way, { recursive: stat.isDirectory(), force: true });
    await make(root, folder, way, entry);
  }
  if (entry.type === 'link') return;
  await lchown(way, owner?.uid ?? entry.uid, owner?.gid ?? entry.gid);
  if (entry.type !== 'symlink') await setMode(way, entry.mode);
  if (!isDirectory) await lutimes(way, entry.mtimeMs / 1000, entry.mtimeMs / 1000);
}

async function make(root: string, folder: string, way: string, entry: ArchiveEntry): Promise<void> {
  switch (entry.type) {
    case 'file':
    case 'contiguous-file': {
      const flags =
        constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      await using file = await open(way, flags, 0o600);
      for await (const chunk of entry.content) await writeAll(file, chunk);
      return;
    }
    case 'symlink':
      return symlink(entry.linkTarget, way);
    case 'link': {
      await using target = await locate(root, `${folder}/${entry.linkTarget}`);
      await link(wayTo(target), way);
      return;
    }
    case 'fifo':
      return makeFifo(way);
    default:
      throw new SwarmError(
        'unimplemented',
        `the archive's entry ${entry.path} is a ${entry.type}, which cannot be unpacked here`,
      );
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0;
  while (written < chunk.length) {
    written += (await file.write(chunk, written)).bytesWritten;
  }
}

/** Through an open file: the change of a mode by its name would follow a link. */
async function setMode(way: string, mode: number): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  await using file = await open(way, flags);
  await file.chmod(mode);
}
