/**
 * Docker's json-file format: a JSON object a line, with the text, its stream and its time. Pure.
 */
import type { LogLine } from '../runtime.ts';

export type Stream = LogLine['stream'];

/** Longer lines are cut into several entries, of which only the last has a line end. */
export const lineBytesMax = 16 * 1024;

const newline = 0x0a;
const decoder = new TextDecoder();

/** Gives every entry a time of its own, so that order by time is order of writing. */
export class Stamper {
  #lastMs = 0;
  #withinMs = 0;
  #secondMs = -1;
  #prefix = '';

  /** RFC 3339 with nanoseconds, always nine digits. */
  next(nowMs: number): string {
    const ms = Math.max(this.#lastMs, Math.floor(nowMs));
    this.#withinMs = ms === this.#lastMs ? Math.min(this.#withinMs + 1, 999_999) : 0;
    this.#lastMs = ms;
    const secondMs = ms - (ms % 1000);
    if (secondMs !== this.#secondMs) {
      this.#secondMs = secondMs;
      this.#prefix = new Date(secondMs).toISOString().slice(0, 20);
    }
    return `${this.#prefix}${pad(ms % 1000, 3)}${pad(this.#withinMs, 6)}Z`;
  }
}

/** Cuts one stream's chunks into lines. Keeps at most one unfinished line. */
export class LineSplitter {
  #rest: Uint8Array = new Uint8Array(0);

  /** The texts of the entries that the chunk completes. The chunk is not kept. */
  push(chunk: Uint8Array): string[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const texts: string[] = [];
    let start = 0;
    while (start < bytes.length) {
      const end = bytes.indexOf(newline, start);
      const lineEnd = end < 0 ? bytes.length : end + 1;
      if (lineEnd - start > lineBytesMax) {
        const cut = characterStart(bytes, start + lineBytesMax);
        texts.push(decoder.decode(bytes.subarray(start, cut)));
        start = cut;
      } else if (end < 0) {
        break;
      } else {
        texts.push(decoder.decode(bytes.subarray(start, lineEnd)));
        start = lineEnd;
      }
    }
    this.#rest = Uint8Array.from(bytes.subarray(start));
    return texts;
  }

  /** The unfinished line, once nothing more comes. */
  end(): string[] {
    const text = decoder.decode(this.#rest);
    this.#rest = new Uint8Array(0);
    return text === '' ? [] : [text];
  }
}

/** Steps back to where a UTF-8 character begins, so that no character is cut in two. */
function characterStart(bytes: Uint8Array, at: number): number {
  for (let back = 0; back < 4; back++) {
    if (((bytes[at - back] ?? 0) & 0xc0) !== 0x80) return at - back;
  }
  return at;
}

/** `attributes`: as JSON, or nothing. */
export function encodeEntry(text: string, stream: Stream, stamp: string, attributes = ''): string {
  const more = attributes === '' ? '' : `"attrs":${attributes},`;
  return `{"log":${JSON.stringify(text)},"stream":"${stream}",${more}"time":"${stamp}"}\n`;
}

/** Nothing for a line that is no entry: the end of one may be torn by a crash of the host. */
export function decodeEntry(line: Uint8Array): LogLine | undefined {
  let entry: { log?: unknown; stream?: unknown; time?: unknown; attrs?: LogLine['attributes'] };
  try {
    entry = JSON.parse(decoder.decode(line)) as typeof entry;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof entry?.log !== 'string' || typeof entry.time !== 'string') return undefined;
  const timeNs = parseTimeNs(entry.time);
  if (timeNs === undefined) return undefined;
  return {
    timeNs,
    stream: entry.stream === 'stderr' ? 'stderr' : 'stdout',
    data: Buffer.from(entry.log),
    ...(entry.attrs === undefined ? {} : { attributes: entry.attrs }),
  };
}

function parseTimeNs(text: string): bigint | undefined {
  const [, seconds, fraction = ''] = /^(.{19})(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const secondMs = Date.parse(`${seconds}Z`);
  if (Number.isNaN(secondMs)) return undefined;
  return BigInt(secondMs) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

function pad(number: number, digits: number): string {
  return String(number).padStart(digits, '0');
}
