/** A part of a container's file system as a tar, read no faster than it is taken. */
import { constants, type Stats } from 'node:fs';
import { open, readdir, readlink, type FileHandle } from 'node:fs/promises';
import { pack as newPack, type Header, type Pack } from 'tar-stream';
import { errnoOf, noteHandled } from '../../../lib/errors.ts';
import { openDirectory, statIfThere, wayTo, type Located } from './root.ts';

type Headers = Partial<Header> & Pick<Header, 'name'>;
type Sink = ReturnType<Pack['entry']>;

const chunkBytes = 64 * 1024;

interface PackOptions {
  /** What the entry is called in the archive: "etc", or "." for what is in it alone. */
  readonly name: string;
  /** Other file systems that are mounted inside are left out, but for their mount points. */
  readonly oneFileSystem?: boolean;
}

interface Packing {
  readonly out: Pack;
  /** The first name of each file that has several. */
  readonly links: Map<string, string>;
  readonly device: number | undefined;
}

/** Chunks of the archive. What vanishes while it is read is left out. */
export async function* packed(
  located: Located,
  { name, oneFileSystem }: PackOptions,
): AsyncGenerator<Uint8Array> {
  const out = newPack();
  const { stat } = located;
  if (stat === undefined) return;
  const device = oneFileSystem ? stat.dev : undefined;
  const work = add({ out, links: new Map(), device }, wayTo(located), name, stat).then(
    () => out.finalize(),
    (error: unknown) => out.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  try {
    for await (const chunk of out) yield chunk as Uint8Array;
  } finally {
    out.destroy();
    await Promise.allSettled([work]);
  }
}

async function add(packing: Packing, way: string, name: string, stat: Stats): Promise<void> {
  const header: Headers = {
    name,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    mtime: new Date(Math.floor(stat.mtimeMs)),
  };
  if (stat.isDirectory()) return addDirectory(packing, way, header, stat);
  if (stat.isSymbolicLink()) {
    return entry(packing, { ...header, type: 'symlink', linkname: await readlink(way) });
  }
  if (stat.isFile()) return addFile(packing, way, header, stat);
  if (stat.isFIFO()) return entry(packing, { ...header, type: 'fifo' });
  if (stat.isCharacterDevice() || stat.isBlockDevice()) {
    const type = stat.isBlockDevice() ? 'block-device' : 'character-device';
    const devmajor = (stat.rdev >> 8) & 0xfff;
    const devminor = (stat.rdev & 0xff) | ((stat.rdev >> 12) & 0xfff00);
    return entry(packing, { ...header, type, devmajor, devminor });
  }
  // A socket means nothing without the process that listens on it.
}

async function addDirectory(
  packing: Packing,
  way: string,
  header: Headers,
  stat: Stats,
): Promise<void> {
  const { name } = header;
  if (name !== '') await entry(packing, { ...header, name: `${name}/`, type: 'directory' });
  if (packing.device !== undefined && packing.device !== stat.dev) return;
  let directory: FileHandle;
  try {
    directory = await openDirectory(way);
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  try {
    const names = await readdir(wayTo({ directory, name: '' }));
    for (const child of names.sort()) {
      const childWay = wayTo({ directory, name: child });
      const found = await statIfThere(childWay);
      if (found === undefined) continue;
      await add(packing, childWay, name === '' ? child : `${name}/${child}`, found);
    }
  } finally {
    await directory.close();
  }
}

async function addFile(packing: Packing, way: string, header: Headers, stat: Stats): Promise<void> {
  if (stat.nlink > 1) {
    const key = `${stat.dev}:${stat.ino}`;
    const first = packing.links.get(key);
    if (first !== undefined) return entry(packing, { ...header, type: 'link', linkname: first });
    packing.links.set(key, header.name);
  }
  let file: FileHandle;
  try {
    file = await open(way, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  try {
    await addContent(packing.out, file, { ...header, type: 'file', size: stat.size });
  } finally {
    await file.close();
  }
}

/** Exactly as much as the header says, whatever the file has become meanwhile. */
async function addContent(out: Pack, file: FileHandle, header: Headers): Promise<void> {
  const done = Promise.withResolvers<void>();
  const sink = out.entry(header, (error) => {
    if (error) done.reject(error);
    else done.resolve();
  });
  // A file that cannot be read, or a client that goes away, destroys the sink: unheard, either
  // would end the process. The error that is thrown here is the one that is told.
  sink.on('error', done.reject);
  done.promise.catch(noteHandled);
  let left = header.size ?? 0;
  let position = 0;
  while (left > 0) {
    const chunk = Buffer.alloc(Math.min(left, chunkBytes));
    const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
    const data = bytesRead === 0 ? chunk : chunk.subarray(0, bytesRead);
    left -= data.length;
    position += data.length;
    if (!sink.write(data)) await Promise.race([drained(sink), done.promise]);
  }
  sink.end(null);
  await done.promise;
}

/** A large file waits for this thousands of times: none of them may leave a listener behind. */
function drained(sink: Sink): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      sink.off('drain', done);
      sink.off('close', done);
      resolve();
    };
    sink.once('drain', done);
    sink.once('close', done);
  });
}

function entry({ out }: Packing, header: Headers): Promise<void> {
  return new Promise((resolve, reject) => {
    out.entry(header, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '');
}
