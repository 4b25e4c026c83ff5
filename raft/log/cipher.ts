/**
 * Encryption at rest as a port. A segment and a snapshot are each encrypted with one key, which the
 * file's header names; every payload is bound to its place, so that none can be moved or swapped.
 */
import { corrupt, LogError } from './errors.ts';
import type { LogRecord } from './record.ts';
import { writeUInt64 } from './record.ts';

export interface Cipher {
  /** Names the key for what is written from now on: 16 hex digits. It may change at any time. */
  readonly keyId: string;
  /** Bytes that encryption adds to a payload. */
  readonly overheadBytes: number;
  has(keyId: string): boolean;
  /** `place` says what the text is; `decrypt` takes it for nothing else. */
  encrypt(keyId: string, plain: Uint8Array, place: Uint8Array): Uint8Array;
  /** Throws for bytes that the key has not encrypted for that place. */
  decrypt(keyId: string, encrypted: Uint8Array, place: Uint8Array): Uint8Array;
  /** No file needs any other key but these and the present one: the others may be forgotten. */
  retain?(keyIds: ReadonlySet<string>): void;
}

/** In a header where nothing is encrypted. */
const noKey = '0000000000000000';

/** What one file's payloads go through: a cipher with the file's key, or nothing. */
export class FileCipher {
  readonly keyId: string;
  readonly overheadBytes: number;
  readonly #cipher: Cipher | undefined;

  /** For a file that is about to be written. */
  constructor(cipher: Cipher | undefined, keyId = cipher?.keyId ?? noKey) {
    this.#cipher = cipher;
    this.keyId = keyId;
    this.overheadBytes = cipher?.overheadBytes ?? 0;
  }

  /** For a file that exists. Throws LogError `wrong-key` where it could not be read. */
  static of(cipher: Cipher | undefined, keyId: string, path: string): FileCipher {
    if (keyId === noKey && cipher === undefined) return new FileCipher(undefined);
    if (keyId === noKey) throw wrongKey(path, 'is not encrypted, though it should be');
    if (cipher === undefined)
      throw wrongKey(path, `is encrypted with key ${keyId}: none was given`);
    if (!cipher.has(keyId))
      throw wrongKey(path, `is encrypted with key ${keyId}, which is not here`);
    return new FileCipher(cipher, keyId);
  }

  encrypt(plain: Uint8Array, place: Uint8Array): Uint8Array {
    return this.#cipher?.encrypt(this.keyId, plain, place) ?? plain;
  }

  /** Throws LogError `corrupt`: the key is right, so the bytes are not those that were written. */
  decrypt(
    bytes: Uint8Array,
    place: Uint8Array,
    where: { readonly path: string; readonly offset: number },
  ): Uint8Array {
    if (this.#cipher === undefined) return bytes;
    try {
      return this.#cipher.decrypt(this.keyId, bytes, place);
    } catch (error) {
      throw corrupt(where.path, where.offset, 'it was changed, or moved from another place', error);
    }
  }
}

/** A record's place: its segment and byte there, and what its header says. */
export function recordPlace(
  { kind, index, term, type }: Pick<LogRecord, 'kind' | 'index' | 'term' | 'type'>,
  at: { readonly sequence: number; readonly offset: number },
): Uint8Array {
  const place = Buffer.alloc(48);
  place.write(kind, 0, 8, 'latin1');
  writeUInt64(place, at.sequence, 8);
  writeUInt64(place, at.offset, 16);
  writeUInt64(place, index, 24);
  writeUInt64(place, term, 32);
  writeUInt64(place, type, 40);
  return place;
}

/** The place of a snapshot's part; `last` is the empty one that shows that none is missing. */
export function partPlace(
  { index, term }: { readonly index: number; readonly term: number },
  part: number,
  last: boolean,
): Uint8Array {
  const place = Buffer.alloc(40);
  place.write(last ? 'snapend' : 'snap', 0, 8, 'latin1');
  writeUInt64(place, index, 8);
  writeUInt64(place, term, 16);
  writeUInt64(place, part, 24);
  return place;
}

function wrongKey(path: string, why: string): LogError {
  return new LogError('wrong-key', `${path} ${why}`, { path });
}
