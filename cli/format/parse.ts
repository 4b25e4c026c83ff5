/** Reads what users write: comma-separated fields, pairs; and the units of lib. */
import { isIP } from 'node:net';
export { parseBytes, parseDecimalNano, parseDurationMs, parseShellWords } from '../../lib/units.ts';

/** One line of comma-separated fields, quoted where they hold commas. */
export function parseCsv(line: string): string[] {
  const fields: string[] = [];
  let rest = line;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(?:,|$)/.exec(rest);
    const plain = /^([^,"]*)(?:,|$)/.exec(rest);
    const match = quoted ?? plain;
    if (match === null) throw new Error(`parse error in ${JSON.stringify(line)}: a stray quote`);
    fields.push(quoted ? (match[1] ?? '').replaceAll('""', '"') : (match[1] ?? ''));
    if (!match[0].endsWith(',')) return fields;
    rest = rest.slice(match[0].length);
  }
}

/** `key=value` with the key before the first equals sign; undefined where there is none. */
export function splitPair(text: string, separator = '='): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** An IPv4 or IPv6 address, as it is. */
export function parseAddress(text: string): string {
  if (isIP(text) === 0) throw new Error(`IP address is not correctly formatted: ${text}`);
  return text;
}
