/** WireGuard's keys, and the address within the tunnels that follows from one. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { addressText } from '../netlink/wire.ts';

/** Base64 of 32 bytes, as WireGuard's tools write keys. */
export interface KeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** All addresses within tunnels; nothing else of the host ever sees them. */
export const tunnelPrefix = 'fd54:5357::/32';

const prefixBytes = Buffer.from('fd545357', 'hex');
/** What stands before the 32 bytes of an X25519 key in PKCS #8: RFC 8410. */
const privateKeyHead = Buffer.from('302e020100300506032b656e04220420', 'hex');
const keyBytes = 32;

export function newKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const privateBytes = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-keyBytes);
  return { publicKey: textOf(publicKey), privateKey: privateBytes.toString('base64') };
}

export function publicKeyOf(privateKey: string): string {
  const key = Buffer.concat([privateKeyHead, Buffer.from(privateKey, 'base64')]);
  return textOf(createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })));
}

/** Of whoever has the key. Two nodes never share one: it holds 96 bits of a digest. */
export function tunnelAddressOf(publicKey: string): string {
  const digest = createHash('sha256').update(publicKey).digest();
  return addressText(Buffer.concat([prefixBytes, digest.subarray(0, 12)]));
}

function textOf(publicKey: KeyObject): string {
  const bytes = publicKey.export({ format: 'der', type: 'spki' }).subarray(-keyBytes);
  return bytes.toString('base64');
}
