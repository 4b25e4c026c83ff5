/** Files of this host into an archive, and out of one, as `cp` takes them. */
import { createReadStream, createWriteStream, type Stats } from 'node:fs';
import { chmod, link, lstat, readdir, readlink, rm, stat, symlink } from 'node:fs/promises';
import { once } from 'node:events';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack, type Header, type Pack } from 'tar-stream';
import { noteHandled } from '../../lib/errors.ts';
import { makeFolders } from '../../lib/folders.ts';
import { commandError } from '../command/errors.ts';

type NewHeader = Parameters<Pack['entry']>[0];

interface PackOptions {
  /** What the archive calls it. */
  readonly name: string;
  /** What a link names, in place of the link itself. */
  readonly followLink: boolean;
  /** Owners as they are here; else root's. */
  readonly keepOwners: boolean;
}

/** The archive is read as it is made. What goes wrong ends it with the error. */
export function packed(path: string, options: PackOptions): Readable {
  const archive = pack();
  packAll(archive, path, options).then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(error as Error),
  );
  return Readable.from(archive);
}

async function packAll(archive: Pack, path: string, options: PackOptions): Promise<void> {
  const found = options.followLink ? await stat(path) : await lstat(path);
  await packOne(archive, path, found, options);
  if (!found.isDirectory()) return;
  for (const entry of (await readdir(path)).toSorted()) {
    await packAll(archive, join(path, entry), {
      ...options,
      followLink: false,
      name: `${options.name}/${entry}`,
    });
  }
}

async function packOne(
  archive: Pack,
  path: string,
  found: Stats,
  { name, keepOwners }: PackOptions,
): Promise<void> {
  const header = {
    name,
    mode: found.mode & 0o7777,
    mtime: found.mtime,
    uid: keepOwners ? found.uid : 0,
    gid: keepOwners ? found.gid : 0,
  };
  if (found.isDirectory()) await entry(archive, { ...header, type: 'directory' });
  else if (found.isSymbolicLink()) {
    await entry(archive, { ...header, type: 'symlink', linkname: await readlink(path) });
  } else if (found.isFIFO()) await entry(archive, { ...header, type: 'fifo' });
  else if (found.isFile()) {
    await packFile(archive, path, { ...header, type: 'file', size: found.size });
  } else throw commandError(`${path} is neither a file, a directory nor a link: leave it out`);
}

/** A file that grows meanwhile is taken as long as it was. */
async function packFile(archive: Pack, path: string, header: NewHeader): Promise<void> {
  const { size = 0 } = header;
  const written = Promise.withResolvers<void>();
  const sink = archive.entry(header, (error) =>
    error ? written.reject(error) : written.resolve(),
  );
  // A file that cannot be read destroys the sink as well; what is told is the first error.
  sink.on('error', written.reject);
  written.promise.catch(noteHandled);
  if (size > 0) {
    for await (const chunk of createReadStream(path, { end: size - 1 })) {
      if (!sink.write(chunk as Buffer)) await once(sink, 'drain');
    }
  }
  sink.end(null);
  await written.promise;
}

function entry(archive: Pack, header: NewHeader): Promise<void> {
  return new Promise((done, fail) => {
    archive.entry(header, (error) => (error ? fail(error) : done()));
  });
}

/**
 * Unpacks what the archive has under its first name as `target`. What would come to lie outside of
 * it is refused.
 */
export async function unpack(
  archive: Readable,
  target: string,
  { keepOwners }: { readonly keepOwners: boolean },
): Promise<void> {
  const entries = extract();
  const feeding = pipeline(archive, entries);
  feeding.catch((error: Error) => entries.destroy(error));
  const folderModes: [path: string, mode: number][] = [];
  for await (const one of entries) {
    const { header } = one;
    const path = placeOf(target, header.name);
    await unpackOne(Readable.from(one), header, path, target);
    const mode = header.mode ?? 0o644;
    if (header.type === 'directory') folderModes.push([path, mode]);
    else if (header.type === 'file') await chmod(path, mode);
    if (keepOwners) await own(path, header);
    one.resume();
  }
  await feeding;
  // At the end: one that nobody may write to could not be filled.
  for (const [path, mode] of folderModes.toReversed()) await chmod(path, mode);
}

async function unpackOne(
  content: Readable,
  header: Header,
  path: string,
  target: string,
): Promise<void> {
  await makeFolders(dirname(path));
  if (header.type === 'directory') {
    await makeFolders(path);
    return;
  }
  await checkFolder(target, path);
  await rm(path, { force: true });
  switch (header.type) {
    case 'file':
      await pipeline(content, createWriteStream(path));
      return;
    case 'symlink':
      await symlink(header.linkname ?? '', path);
      return;
    case 'link':
      await link(placeOf(target, header.linkname ?? ''), path);
      return;
    default:
      throw commandError(`cannot copy ${header.name}: a ${header.type} is not copied to this host`);
  }
}

/** Where an entry goes: its first name stands for the target itself. */
function placeOf(target: string, name: string): string {
  const [, ...rest] = name.replace(/^(?:\.?\/)+/, '').split('/');
  const place = resolve(target, ...rest);
  const root = resolve(target);
  if (place === root || place.startsWith(root + sep)) return place;
  throw commandError(`the archive leads out of ${target} with ${name}`);
}

/** A link in the archive must not lead what comes after it to another place. */
async function checkFolder(target: string, path: string): Promise<void> {
  const root = resolve(target);
  for (let folder = dirname(path); folder.startsWith(root + sep); folder = dirname(folder)) {
    if ((await lstat(folder)).isSymbolicLink()) {
      throw commandError(`the archive leads out of ${target} with ${basename(folder)}, a link`);
    }
  }
}

async function own(path: string, { uid, gid, type }: Header): Promise<void> {
  if (type === 'symlink') return;
  const { chown } = await import('node:fs/promises');
  await chown(path, uid ?? 0, gid ?? 0);
}
