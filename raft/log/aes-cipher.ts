/** The cipher with keys in memory: AES-256-GCM. Where keys come from is the user's affair. */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  randomFillSync,
  type KeyObject,
} from 'node:crypto';
import type { Cipher } from './cipher.ts';

const algorithm = 'aes-256-gcm';
export const aesKeyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
/** Nonces are drawn at random, and many at once: a draw of its own costs as much as encrypting. */
const noncePoolBytes = nonceBytes * 512;

/** A key's name: it follows from the key, so that a wrong key never has the right name. */
export function aesKeyId(key: Uint8Array): string {
  return createHash('sha256').update('key id\0').update(key).digest('hex').slice(0, 16);
}

export class AesCipher implements Cipher {
  readonly overheadBytes = nonceBytes + tagBytes;
  readonly #keys = new Map<string, KeyObject>();
  readonly #onRetain: ((keyIds: ReadonlySet<string>) => void) | undefined;
  readonly #nonces = Buffer.alloc(noncePoolBytes);
  #nonceAt = noncePoolBytes;
  #keyId: string;
  #encrypted = 0;

  /** Of the keys, each of 32 bytes, the first is the present one. */
  constructor(
    keys: readonly [Uint8Array, ...Uint8Array[]],
    { onRetain }: { onRetain?: (keyIds: ReadonlySet<string>) => void } = {},
  ) {
    this.#onRetain = onRetain;
    for (const key of keys) this.#keys.set(aesKeyId(key), createSecretKey(key));
    this.#keyId = aesKeyId(keys[0]);
  }

  get keyId(): string {
    return this.#keyId;
  }

  /** Payloads that this process has encrypted with the present key. */
  get encrypted(): number {
    return this.#encrypted;
  }

  /** Makes it the present key; it must be on the disk by then. */
  use(key: Uint8Array): void {
    this.#keyId = aesKeyId(key);
    this.#keys.set(this.#keyId, createSecretKey(key));
    this.#encrypted = 0;
  }

  has(keyId: string): boolean {
    return this.#keys.has(keyId);
  }

  encrypt(keyId: string, plain: Uint8Array, place: Uint8Array): Uint8Array {
    const nonce = this.#nonce();
    const cipher = createCipheriv(algorithm, this.#key(keyId), nonce);
    cipher.setAAD(place);
    const text = cipher.update(plain);
    cipher.final();
    this.#encrypted += 1;
    return Buffer.concat([nonce, text, cipher.getAuthTag()]);
  }

  decrypt(keyId: string, encrypted: Uint8Array, place: Uint8Array): Uint8Array {
    const end = encrypted.length - tagBytes;
    if (end < nonceBytes) throw new RangeError('too short to have been encrypted');
    const decipher = createDecipheriv(
      algorithm,
      this.#key(keyId),
      encrypted.subarray(0, nonceBytes),
      { authTagLength: tagBytes },
    );
    decipher.setAAD(place);
    decipher.setAuthTag(encrypted.subarray(end));
    const plain = decipher.update(encrypted.subarray(nonceBytes, end));
    decipher.final();
    return plain;
  }

  retain(keyIds: ReadonlySet<string>): void {
    const kept = new Set([...keyIds, this.#keyId]);
    if ([...this.#keys.keys()].every((id) => kept.has(id))) return;
    for (const id of this.#keys.keys()) if (!kept.has(id)) this.#keys.delete(id);
    this.#onRetain?.(kept);
  }

  #key(keyId: string): KeyObject {
    const key = this.#keys.get(keyId);
    if (key === undefined) throw new RangeError(`there is no key ${keyId}`);
    return key;
  }

  #nonce(): Buffer {
    if (this.#nonceAt === noncePoolBytes) {
      randomFillSync(this.#nonces);
      this.#nonceAt = 0;
    }
    const nonce = this.#nonces.subarray(this.#nonceAt, this.#nonceAt + nonceBytes);
    this.#nonceAt += nonceBytes;
    return nonce;
  }
}
