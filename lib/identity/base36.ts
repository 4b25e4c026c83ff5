/** Bytes as a number in base 36, with leading zeros up to `length` characters. */
export function toBase36(bytes: Uint8Array, length: number): string {
  const text = BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`).toString(36);
  return text.padStart(length, '0').slice(-length);
}
