/** MAC addresses as people write them. */
import { SwarmError } from '../../lib/errors.ts';

const forms = [
  /^([0-9a-f]{2}([:-]))([0-9a-f]{2}\2){4}[0-9a-f]{2}$/,
  /^([0-9a-f]{4}\.){2}[0-9a-f]{4}$/,
];
const bytesOfMac = 6;

/**
 * "02-00-00-00-0A-07" or "0200.0000.0a07" as "02:00:00:00:0a:07". Throws `invalid-argument` for
 * what is none, and for one that no single interface can have.
 */
export function macText(given: string): string {
  const text = given.toLowerCase();
  if (!forms.some((form) => form.test(text))) {
    throw new SwarmError('invalid-argument', `invalid MAC address: ${given}`);
  }
  const bytes = Buffer.from(text.replaceAll(/[^0-9a-f]/g, ''), 'hex');
  const isOfMany = ((bytes[0] ?? 0) & 1) === 1;
  if (isOfMany || bytes.equals(Buffer.alloc(bytesOfMac))) {
    throw new SwarmError(
      'invalid-argument',
      `invalid MAC address: ${given} is not that of one interface; its first byte must be even, ` +
        'as in 02:00:00:00:00:01',
    );
  }
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
