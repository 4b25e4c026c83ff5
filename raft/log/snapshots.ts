import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { FileCipher, partPlace, type Cipher } from './cipher.ts';
import { giveBack, type Disk, type DiskFile } from './disk.ts';
import { corrupt, fromDisk, otherFormat } from './errors.ts';
import { readUInt64, writeUInt64 } from './record.ts';

export interface SnapshotInfo {
  /** The last entry that the snapshot contains. */
  readonly index: number;
  readonly term: number;
  readonly path: string;
}

const mark = 0x4e53_5452;
const formatVersion = 2;
const headerBytes = 40;
/** The key that the parts are encrypted with; zeros for none. */
const keyIdAt = 32;
/** Length and checksum before each part; the checksum carries on the one before. */
const partHeaderBytes = 8;
const endLength = 0xffff_ffff;
const suffix = '.snap';
const unfinishedSuffix = '.tmp';
/** Written between two syncs: one large sync at the end would hold up the log's own. */
const syncBytes = 4 << 20;

/** Snapshots of a state machine, each a file of its own that is there whole or not at all. */
export class Snapshots {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #cipher: Cipher | undefined;

  /** Parts are encrypted where there is a cipher. */
  constructor({ disk, folder, cipher }: { disk: Disk; folder: string; cipher?: Cipher }) {
    this.#disk = disk;
    this.#folder = folder;
    this.#cipher = cipher;
  }

  /** Creates the folder, and removes what unfinished snapshots left. */
  async open(): Promise<void> {
    await this.#disk.makeFolder(this.#folder);
    for (const name of await this.#disk.list(this.#folder)) {
      if (name.endsWith(unfinishedSuffix)) await this.#disk.unlink(join(this.#folder, name));
    }
    // A process that was killed may have left a name in the cache that is not on the disk yet.
    await this.#disk.syncFolder(this.#folder);
  }

  /** Newest first. */
  async list(): Promise<SnapshotInfo[]> {
    const found: SnapshotInfo[] = [];
    for (const name of await this.#disk.list(this.#folder)) {
      const match = /^(\d{16})-(\d{16})\.snap$/.exec(name);
      if (match === null) continue;
      const [, index, term] = match;
      found.push({ index: Number(index), term: Number(term), path: join(this.#folder, name) });
    }
    return found.sort((a, b) => b.index - a.index || b.term - a.term);
  }

  /**
   * Writes a snapshot, durably, before it gets its name. Each part is asked for when the one before
   * is written, so that making them leaves time for other work. Throws LogError `full` or `failed`;
   * then there is no such snapshot.
   */
  async save(
    { index, term }: { index: number; term: number },
    parts: Iterable<Uint8Array>,
  ): Promise<SnapshotInfo & { readonly bytes: number }> {
    const digits = (value: number) => String(value).padStart(16, '0');
    const path = join(this.#folder, `${digits(index)}-${digits(term)}${suffix}`);
    const unfinished = `${path}${unfinishedSuffix}`;
    try {
      const file = await this.#disk.create(unfinished);
      let bytes: number;
      try {
        bytes = await writeAll(file, { index, term }, new FileCipher(this.#cipher), parts);
      } finally {
        await file.close();
      }
      await this.#disk.rename(unfinished, path);
      await this.#disk.syncFolder(this.#folder);
      return { index, term, path, bytes };
    } catch (error) {
      await giveBack(this.#disk, unfinished);
      throw fromDisk(error, `writing the snapshot ${path}`);
    }
  }

  /**
   * Reads and checks a snapshot. Throws LogError `corrupt`, which names the file and the byte, and
   * `wrong-key`.
   */
  async load({ path, index, term }: SnapshotInfo): Promise<Uint8Array> {
    const file = await this.#disk.open(path);
    let bytes: Buffer;
    try {
      bytes = Buffer.allocUnsafe(await file.size());
      await file.read(bytes, 0);
    } finally {
      await file.close();
    }
    return unwrap(path, bytes, { index, term }, this.#cipher);
  }

  /** The keys that are needed to read them. */
  async keyIds(): Promise<ReadonlySet<string>> {
    const found = new Set<string>();
    for (const { path } of await this.list()) {
      const file = await this.#disk.open(path);
      try {
        const header = Buffer.alloc(headerBytes);
        await file.read(header, 0);
        found.add(header.toString('hex', keyIdAt, headerBytes));
      } finally {
        await file.close();
      }
    }
    return found;
  }

  /** Removes all but the newest `keep`. */
  async prune(keep: number): Promise<void> {
    const surplus = (await this.list()).slice(keep);
    for (const { path } of surplus) await this.#disk.unlink(path);
    if (surplus.length > 0) await this.#disk.syncFolder(this.#folder);
  }
}

async function writeAll(
  file: DiskFile,
  { index, term }: { index: number; term: number },
  cipher: FileCipher,
  parts: Iterable<Uint8Array>,
): Promise<number> {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(mark, 4);
  header.writeUInt32LE(formatVersion, 8);
  writeUInt64(header, index, 16);
  writeUInt64(header, term, 24);
  header.write(cipher.keyId, keyIdAt, 8, 'hex');
  let checksum = crc32(header.subarray(4));
  header.writeUInt32LE(checksum, 0);
  await file.write(header, 0);
  let at = headerBytes;
  let unsynced = at;
  let count = 0;
  for (const plain of parts) {
    const part = cipher.encrypt(plain, partPlace({ index, term }, count, false));
    count += 1;
    const framed = Buffer.allocUnsafe(partHeaderBytes + part.length);
    checksum = crc32(part, checksum);
    framed.writeUInt32LE(part.length, 0);
    framed.writeUInt32LE(checksum, 4);
    framed.set(part, partHeaderBytes);
    await file.write(framed, at);
    at += framed.length;
    unsynced += framed.length;
    if (unsynced < syncBytes) continue;
    await file.sync();
    unsynced = 0;
  }
  // Shows that no part is missing; without a cipher it is empty.
  const proof = cipher.encrypt(new Uint8Array(), partPlace({ index, term }, count, true));
  const end = Buffer.alloc(partHeaderBytes + proof.length);
  end.writeUInt32LE(endLength, 0);
  checksum = crc32(proof, crc32(end.subarray(0, 4), checksum));
  end.writeUInt32LE(checksum, 4);
  end.set(proof, partHeaderBytes);
  await file.write(end, at);
  await file.sync();
  return at + end.length;
}

type Named = { readonly index: number; readonly term: number };

/** The parts, one behind the other, moved together within the file's own bytes. */
function unwrap(path: string, bytes: Buffer, named: Named, cipher: Cipher | undefined): Buffer {
  let checksum = checkHeader(path, bytes, named);
  const fileCipher = FileCipher.of(cipher, bytes.toString('hex', keyIdAt, headerBytes), path);
  let length = 0;
  let count = 0;
  for (let at = headerBytes; ;) {
    if (at + partHeaderBytes > bytes.length) throw corrupt(path, at, 'it ends too early');
    const stated = bytes.readUInt32LE(at);
    const last = stated === endLength;
    const start = at + partHeaderBytes;
    const size = last ? fileCipher.overheadBytes : stated;
    if (start + size > bytes.length) throw corrupt(path, at, 'it ends too early');
    if (last) checksum = crc32(bytes.subarray(at, at + 4), checksum);
    const part = bytes.subarray(start, start + size);
    checksum = crc32(part, checksum);
    if (checksum !== bytes.readUInt32LE(at + 4)) {
      throw corrupt(path, at, 'a checksum does not match');
    }
    const place = partPlace(named, count, last);
    const plain = fileCipher.decrypt(part, place, { path, offset: at });
    if (last) return bytes.subarray(0, length);
    bytes.set(plain, length);
    length += plain.length;
    count += 1;
    at = start + size;
  }
}

/** Returns its checksum, which the parts' carry on. */
function checkHeader(path: string, bytes: Buffer, named: Named): number {
  if (bytes.length < headerBytes + partHeaderBytes || bytes.readUInt32LE(4) !== mark) {
    throw corrupt(path, 0, 'it is not a snapshot');
  }
  const checksum = crc32(bytes.subarray(4, headerBytes));
  if (bytes.readUInt32LE(0) !== checksum) {
    throw corrupt(path, 0, "the header's checksum does not match");
  }
  const version = bytes.readUInt32LE(8);
  if (version !== formatVersion) {
    throw corrupt(path, 8, otherFormat(version, formatVersion));
  }
  if (readUInt64(bytes, 16) !== named.index || readUInt64(bytes, 24) !== named.term) {
    throw corrupt(path, 16, 'it is another snapshot than its name says');
  }
  return checksum;
}
