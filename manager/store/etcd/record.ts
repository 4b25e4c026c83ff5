/** What stands under the store's keys: the last batch of entries, and what a large one consists of. */
import { SwarmError } from '../../../lib/errors.ts';

/**
 * The last committed batch. It is what commits: once it is there, its documents will be, even if
 * whoever wrote it is gone.
 */
export interface BatchHeader {
  /** Indexes of its entries: `first` to `last`. `last` is before `first` where a state was loaded. */
  readonly first: number;
  readonly last: number;
  /** The leader's key's revision, which no other leader has had. */
  readonly term: number;
  readonly lengths: readonly number[];
  /** Its entries are in this many keys of their own. 0: behind the header. */
  readonly parts: number;
}

export interface Keys {
  readonly batch: string;
  /** The last index whose documents are all in place. */
  readonly placed: string;
  readonly objects: string;
  readonly parts: string;
  readonly group: string;
  readonly leader: string;
  readonly heir: string;
  readonly managers: string;
  readonly alive: string;
}

export function keysBelow(prefix: string): Keys {
  return {
    batch: `${prefix}/batch`,
    placed: `${prefix}/placed`,
    objects: `${prefix}/objects/`,
    parts: `${prefix}/parts/`,
    group: `${prefix}/group/`,
    leader: `${prefix}/group/leader`,
    heir: `${prefix}/group/heir`,
    managers: `${prefix}/group/managers/`,
    alive: `${prefix}/group/alive/`,
  };
}

/** The header's line of JSON, and the entries unless they are elsewhere. */
export function encodeBatch(header: BatchHeader, entries: readonly Uint8Array[]): Buffer {
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  return Buffer.concat(header.parts === 0 ? [line, ...entries] : [line]);
}

export function decodeBatch(value: Buffer): { header: BatchHeader; body: Buffer } {
  const newline = value.indexOf(10);
  try {
    const header = JSON.parse(value.toString('utf8', 0, newline)) as BatchHeader;
    return { header, body: value.subarray(newline + 1) };
  } catch (error) {
    throw new SwarmError('internal', 'the store holds a batch that cannot be read', {
      cause: error,
    });
  }
}

export function splitEntries(header: BatchHeader, body: Buffer): Buffer[] {
  let at = 0;
  return header.lengths.map((length) => {
    at += length;
    if (at > body.length) throw new SwarmError('internal', 'the store lacks a part of a batch');
    return body.subarray(at - length, at);
  });
}

/** A large batch's documents as lines of JSON; null removes one. */
export function encodeDocuments(documents: ReadonlyMap<string, string | undefined>): Buffer {
  const lines = [...documents].map(([key, text]) => `${JSON.stringify([key, text ?? null])}\n`);
  return Buffer.from(lines.join(''));
}

export function decodeDocuments(bytes: Buffer): Map<string, string | undefined> {
  const lines = bytes.toString('utf8').split('\n').filter(Boolean);
  return new Map(
    lines.map((line) => {
      const [key, text] = JSON.parse(line) as [string, string | null];
      return [key, text ?? undefined];
    }),
  );
}

/** Pieces of at most `bytes`. */
export function inPieces(whole: Buffer, bytes: number): Buffer[] {
  const count = Math.ceil(whole.length / bytes);
  return Array.from({ length: count }, (_, i) => whole.subarray(i * bytes, (i + 1) * bytes));
}

/** In the order in which they were written. */
export function partKey(keys: Keys, kind: 'entries' | 'documents', number: number): string {
  return `${keys.parts}${kind}/${String(number).padStart(6, '0')}`;
}
