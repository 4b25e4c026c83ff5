/**
 * A backup as one file: a line that names the format, a header, the store's snapshot in frames, and
 * a SHA-256 of all that. With a passphrase every frame is sealed with AES-256-GCM.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  randomBytes,
  scrypt,
  timingSafeEqual,
} from 'node:crypto';
import { promisify } from 'node:util';
import { SwarmError } from '../../lib/errors.ts';

/** What a backup is of. Not secret: it stands in the file in the clear. */
export interface BackupInfo {
  readonly clusterId: string;
  readonly createdAtMs: number;
  /** The last log entry that the backup holds. */
  readonly index: number;
}

export interface Backup extends BackupInfo {
  readonly snapshot: Uint8Array;
}

interface Header extends BackupInfo {
  /** Absent: the frames are in the clear. */
  readonly scrypt?: {
    /** Base64. */
    readonly salt: string;
    readonly cost: number;
    readonly blockSize: number;
    readonly parallelization: number;
  };
}

const formatVersion = 1;
const titleWords = 'ts-swarm backup ';
const title = `${titleWords}${formatVersion}\n`;
const frames = { data: 1, end: 2 } as const;
const frameHeadBytes = 5;
const checksumBytes = 32;
const tagBytes = 16;
/** 32 MiB and a tenth of a second for each guess of a passphrase. */
const scryptDefaults = { cost: 32_768, blockSize: 8, parallelization: 1 };
const scryptBytesMax = 256 << 20;

/** The file's bytes, made as they are asked for. */
export async function* encodeBackup(
  info: BackupInfo,
  snapshotParts: Iterable<Uint8Array>,
  passphrase?: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const salt = randomBytes(16).toString('base64');
  const { clusterId, createdAtMs, index } = info;
  const header: Header = {
    clusterId,
    createdAtMs,
    index,
    ...(passphrase === undefined ? {} : { scrypt: { salt, ...scryptDefaults } }),
  };
  const headerBytes = Buffer.from(JSON.stringify(header));
  const sealer = await sealerFor(header, headerBytes, passphrase);
  const hash = createHash('sha256');
  const hashed = (bytes: Buffer) => {
    hash.update(bytes);
    return bytes;
  };
  yield hashed(Buffer.concat([Buffer.from(title), lengthOf(headerBytes), headerBytes]));
  const frame = (kind: number, content: Uint8Array) => {
    const sealed = sealer?.seal(kind, content) ?? content;
    return hashed(Buffer.concat([Buffer.of(kind), lengthOf(sealed), sealed]));
  };
  for (const part of snapshotParts) yield frame(frames.data, part);
  yield frame(frames.end, new Uint8Array());
  yield hash.digest();
}

/**
 * Checks everything before it returns. Throws SwarmError `invalid-argument` with a sentence for
 * what is no backup, is damaged, is of another version, or is sealed with another passphrase.
 */
export async function decodeBackup(bytes: Uint8Array, passphrase?: string): Promise<Backup> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  checkTitle(file);
  const { header, headerBytes, framesAt } = readHeader(file);
  const sealer = await sealerFor(header, headerBytes, passphrase);
  const parts: Uint8Array[] = [];
  const end = file.length - checksumBytes;
  for (let at = framesAt; ;) {
    if (at + frameHeadBytes > end) throw damaged('it ends too early');
    const kind = file.readUInt8(at);
    const from = at + frameHeadBytes;
    at = from + file.readUInt32LE(at + 1);
    if (at > end) throw damaged('it ends too early');
    const content = file.subarray(from, at);
    const plain = sealer?.open(kind, content) ?? content;
    if (kind === frames.end) break;
    parts.push(plain);
  }
  const { clusterId, createdAtMs, index } = header;
  return { clusterId, createdAtMs, index, snapshot: Buffer.concat(parts) };
}

function checkTitle(file: Buffer): void {
  const newline = file.indexOf(10);
  const line = newline < 0 || newline > 40 ? '' : file.toString('latin1', 0, newline + 1);
  if (!line.startsWith(titleWords))
    throw bad('this is not a backup of a swarm: choose another file');
  if (line !== title) {
    const version = line.slice(titleWords.length).trim();
    throw bad(
      `the backup is of format ${version}, and this version of ts-swarm reads format ` +
        `${formatVersion}: restore it with the version that made it`,
    );
  }
  const at = file.length - checksumBytes;
  const sum = createHash('sha256')
    .update(file.subarray(0, Math.max(0, at)))
    .digest();
  if (at < title.length || !timingSafeEqual(sum, file.subarray(at))) {
    throw damaged('its checksum does not match');
  }
}

function readHeader(file: Buffer): { header: Header; headerBytes: Buffer; framesAt: number } {
  try {
    const from = title.length + 4;
    const framesAt = from + file.readUInt32LE(title.length);
    const headerBytes = file.subarray(from, framesAt);
    return { header: JSON.parse(headerBytes.toString()) as Header, headerBytes, framesAt };
  } catch (error) {
    throw damaged('its header cannot be read', error);
  }
}

/** Seals frames in order, so that none can be left out, doubled or moved. */
class Sealer {
  readonly #key: Uint8Array;
  readonly #header: Uint8Array;
  #count = 0;

  constructor(key: Uint8Array, header: Uint8Array) {
    this.#key = key;
    this.#header = header;
  }

  seal(kind: number, content: Uint8Array): Uint8Array {
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonce());
    cipher.setAAD(this.#bound(kind));
    return Buffer.concat([cipher.update(content), cipher.final(), cipher.getAuthTag()]);
  }

  open(kind: number, sealed: Uint8Array): Uint8Array {
    const at = sealed.length - tagBytes;
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, this.#nonce(), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(this.#bound(kind));
      decipher.setAuthTag(sealed.subarray(at));
      return Buffer.concat([decipher.update(sealed.subarray(0, at)), decipher.final()]);
    } catch (error) {
      throw bad(
        'the passphrase does not open the backup: give the one that it was made with, or the ' +
          "swarm's unlock key of that time where autolock was on",
        error,
      );
    }
  }

  /** The key is of this file alone, by its salt: a counter never repeats. */
  #nonce(): Uint8Array {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32LE(this.#count++, 8);
    return nonce;
  }

  #bound(kind: number): Uint8Array {
    return Buffer.concat([this.#header, Buffer.of(kind)]);
  }
}

async function sealerFor(
  { scrypt: sealed }: Header,
  headerBytes: Uint8Array,
  passphrase: string | undefined,
): Promise<Sealer | undefined> {
  if (sealed === undefined) return undefined;
  if (passphrase === undefined) {
    throw bad(
      'the backup is encrypted: give its passphrase, or the unlock key of the swarm where autolock ' +
        'was on, with --passphrase-file',
    );
  }
  const { cost, blockSize, parallelization } = sealed;
  if (cost * blockSize * 128 * parallelization > scryptBytesMax) {
    throw damaged('its header asks for more memory than a backup may take');
  }
  const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);
  const options = { cost, blockSize, parallelization, maxmem: 2 * scryptBytesMax };
  return new Sealer(
    await derive(passphrase, Buffer.from(sealed.salt, 'base64'), 32, options),
    headerBytes,
  );
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return length;
}

function damaged(why: string, cause?: unknown): SwarmError {
  return bad(`the backup is damaged (${why}): use another copy of it`, cause);
}

function bad(message: string, cause?: unknown): SwarmError {
  return new SwarmError('invalid-argument', message, { cause });
}
