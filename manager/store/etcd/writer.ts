/**
 * The leader's pen: entries that wait go together into one batch, one batch at a time. Each is
 * guarded by the leader's key and by the batch before it.
 */
import type { Clock } from '../../../lib/clock.ts';
import { SwarmError } from '../../../lib/errors.ts';
import type { ApplyResult, DocumentMachine } from '../log.ts';
import type { InitialState } from '../restored.ts';
import type { EtcdClient, Guard, Operation } from './client.ts';
import { documentParts, type Feed } from './feed.ts';
import {
  decodeDocuments,
  encodeBatch,
  encodeDocuments,
  inPieces,
  partKey,
  type BatchHeader,
  type Keys,
} from './record.ts';

interface WriterParts {
  readonly client: EtcdClient;
  readonly keys: Keys;
  readonly machine: DocumentMachine;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly maxProposals: number;
  readonly guard: (term: number) => Guard;
  /** A write was refused: another manager leads. */
  readonly onDeposed: (term: number) => void;
}

interface Proposal {
  readonly entry: Uint8Array;
  readonly resolve: (result: ApplyResult) => void;
  readonly reject: (error: SwarmError) => void;
}

interface Batch {
  readonly header: BatchHeader;
  readonly proposals: readonly Proposal[];
}

/** etcd takes 128 operations and 1.5 MiB in a transaction, unless it was told otherwise. */
const maxOperations = 100;
const maxBytes = 1 << 20;
/** Of one object; the transaction that it comes with needs some room as well. */
export const documentBytesMax = 1_400_000;
const batchEntries = 64;
const batchBytes = 256 << 10;
const retryMs = 50;
/** No lease lives for longer than this without a word from etcd. */
const retryForMs = 10_000;

export class Writer {
  readonly #parts: WriterParts;
  #queue: Proposal[] = [];
  #waiting = 0;
  #inFlight: Batch | undefined;
  #term: number | undefined;
  #pumping = false;
  #closed = false;

  constructor(parts: WriterParts) {
    this.#parts = parts;
    parts.feed.onBatch = (header, results) => this.#applied(header, results);
  }

  propose(entry: Uint8Array, term: number): Promise<ApplyResult> {
    const { maxProposals } = this.#parts;
    if (term !== this.#term || this.#closed) return Promise.reject(lost());
    if (this.#waiting >= maxProposals) {
      return Promise.reject(
        new SwarmError(
          'resource-exhausted',
          `${maxProposals} proposals wait already; try again later`,
        ),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<ApplyResult>();
    this.#waiting += 1;
    const settled = <A extends unknown[]>(settle: (...args: A) => void) => {
      return (...args: A) => {
        this.#waiting -= 1;
        settle(...args);
      };
    };
    this.#queue.push({ entry, resolve: settled(resolve), reject: settled(reject) });
    this.#pump();
    return promise;
  }

  /**
   * The lead was won, and everything is applied. Puts in place what the leader before has left, or
   * what a new swarm begins with.
   */
  async begin(term: number, initial: InitialState | undefined): Promise<void> {
    this.#term = term;
    const { client, keys, feed, machine } = this.#parts;
    if (initial !== undefined) {
      machine.restore(initial.index, initial.snapshot);
      await this.#place(term, new Map(machine.documents()));
      const header = { first: initial.index + 1, last: initial.index, term, lengths: [], parts: 0 };
      const operations = [
        { put: keys.placed, value: String(initial.index) },
        { put: keys.batch, value: encodeBatch(header, []) },
      ];
      feed.began(initial.index);
      await this.#write(term, operations);
      await feed.catchUp();
      return;
    }
    if (feed.placed >= feed.index) return;
    const placed = await client.get(keys.placed);
    feed.placedUpTo(Number(placed?.value.toString() ?? 0));
    if (feed.placed >= feed.index) return;
    const { kvs } = await client.list(keys.parts);
    await this.#finish(term, decodeDocuments(documentParts(kvs, keys)));
  }

  /** Leads no more. Whether what waits will be applied is for the next leader to know. */
  stop(reason: SwarmError): void {
    this.#term = undefined;
    const waiting = [...(this.#inFlight?.proposals ?? []), ...this.#queue];
    this.#inFlight = undefined;
    this.#queue = [];
    for (const { reject } of waiting) reject(reason);
  }

  close(reason: SwarmError): void {
    this.#closed = true;
    this.stop(reason);
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    // What is proposed in this turn goes into one batch.
    queueMicrotask(() => {
      void this.#work().finally(() => {
        this.#pumping = false;
        if (this.#queue.length > 0) this.#pump();
      });
    });
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0) {
      const term = this.#term;
      if (term === undefined) return;
      try {
        await this.#commit(term);
      } catch (error) {
        if (this.#term !== term) return;
        this.stop(SwarmError.from(error));
        this.#parts.onDeposed(term);
        return;
      }
    }
  }

  async #commit(term: number): Promise<void> {
    const { feed, machine, keys } = this.#parts;
    const first = feed.index + 1;
    const taken = this.#take();
    let documents = machine.preview(first, entriesOf(taken));
    while (!fits(taken, documents) && taken.length > 1) {
      this.#queue.unshift(...taken.splice(Math.ceil(taken.length / 2)));
      documents = machine.preview(first, entriesOf(taken));
    }
    const tooLarge = [...documents].find(([, text]) => sizeOf(text) > documentBytesMax);
    if (tooLarge !== undefined && taken.length === 1) {
      taken[0]?.reject(refusal(tooLarge[0]));
      return;
    }
    const small = fits(taken, documents);
    const entries = Buffer.concat(entriesOf(taken));
    const pieces = small ? [] : inPieces(entries, maxBytes / 2);
    const header: BatchHeader = {
      first,
      last: first + taken.length - 1,
      term,
      lengths: taken.map(({ entry }) => entry.length),
      parts: pieces.length,
    };
    this.#inFlight = { header, proposals: taken };
    const value = encodeBatch(header, entriesOf(taken));
    const batch: Operation = { put: keys.batch, value };
    if (small) {
      const placed: Operation = { put: keys.placed, value: String(header.last) };
      await this.#record(term, value, [batch, placed, ...this.#operations(documents)]);
      feed.placedUpTo(header.last);
      return;
    }
    await this.#writeParts(term, pieces, inPieces(encodeDocuments(documents), maxBytes / 2));
    await this.#record(term, value, [batch]);
    await this.#finish(term, documents);
  }

  #take(): Proposal[] {
    let bytes = 0;
    let count = 0;
    for (const { entry } of this.#queue) {
      bytes += entry.length;
      if (count > 0 && (count >= batchEntries || bytes > batchBytes)) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  /** The transaction that decides. After an error it is looked whether it was carried out. */
  async #record(term: number, value: Buffer, operations: readonly Operation[]): Promise<void> {
    const { client, keys, feed, clock } = this.#parts;
    const guards = [
      this.#parts.guard(term),
      feed.revision === 0
        ? { key: keys.batch, createRevision: 0 }
        : { key: keys.batch, modRevision: feed.revision },
    ];
    const untilMs = clock.monotonicMs() + retryForMs;
    for (;;) {
      try {
        const { succeeded, revision } = await client.txn(guards, operations);
        if (succeeded) {
          await feed.taken(value, revision);
          return;
        }
        const present = await client.get(keys.batch);
        if (present?.value.equals(value) !== true) throw lost();
        await feed.taken(present.value, present.modRevision);
        return;
      } catch (error) {
        const passing = SwarmError.from(error).details['reason'] !== lostReason;
        if (!passing || this.#term !== term || clock.monotonicMs() > untilMs) throw error;
        await clock.sleep(retryMs);
      }
    }
  }

  /** Writes that may be done twice. Returns the revision of the last. */
  async #write(term: number, operations: readonly Operation[]): Promise<number> {
    const { client, clock } = this.#parts;
    const untilMs = clock.monotonicMs() + retryForMs;
    for (;;) {
      try {
        const { succeeded, revision } = await client.txn([this.#parts.guard(term)], operations);
        if (!succeeded) throw lost();
        return revision;
      } catch (error) {
        const passing = SwarmError.from(error).details['reason'] !== lostReason;
        if (!passing || this.#term !== term || clock.monotonicMs() > untilMs) throw error;
        await clock.sleep(retryMs);
      }
    }
  }

  async #writeParts(
    term: number,
    entries: readonly Buffer[],
    documents: readonly Buffer[],
  ): Promise<void> {
    const { keys } = this.#parts;
    await this.#write(term, [{ deletePrefix: keys.parts }]);
    for (const [i, piece] of entries.entries()) {
      await this.#write(term, [{ put: partKey(keys, 'entries', i), value: piece }]);
    }
    for (const [i, piece] of documents.entries()) {
      await this.#write(term, [{ put: partKey(keys, 'documents', i), value: piece }]);
    }
  }

  /** Puts the documents of a committed batch in their places. */
  async #finish(term: number, documents: ReadonlyMap<string, string | undefined>): Promise<void> {
    const { feed, keys } = this.#parts;
    const { index } = feed;
    await this.#place(term, documents);
    await this.#write(term, [
      { put: keys.placed, value: String(index) },
      { deletePrefix: keys.parts },
    ]);
    feed.placedUpTo(index);
  }

  async #place(term: number, documents: ReadonlyMap<string, string | undefined>): Promise<void> {
    let pieces: Operation[] = [];
    let bytes = 0;
    for (const operation of this.#operations(documents)) {
      const size = 'put' in operation ? Buffer.byteLength(operation.value) : 0;
      if (pieces.length >= maxOperations || bytes + size > maxBytes) {
        await this.#write(term, pieces);
        pieces = [];
        bytes = 0;
      }
      pieces.push(operation);
      bytes += size;
    }
    if (pieces.length > 0) await this.#write(term, pieces);
  }

  *#operations(documents: Iterable<readonly [string, string | undefined]>): Iterable<Operation> {
    const { objects } = this.#parts.keys;
    for (const [key, text] of documents) {
      const full = `${objects}${key}`;
      yield text === undefined ? { delete: full } : { put: full, value: text };
    }
  }

  /** A batch was applied: this manager's own, or another leader's in its place. */
  #applied(header: BatchHeader, results: readonly ApplyResult[]): void {
    const batch = this.#inFlight;
    if (batch === undefined || header.last < batch.header.first) return;
    this.#inFlight = undefined;
    const own = header.term === batch.header.term && header.first === batch.header.first;
    for (const [i, { resolve, reject }] of batch.proposals.entries()) {
      const result = own ? results[i] : undefined;
      if (result === undefined) reject(lost());
      else resolve(result);
    }
  }
}

const lostReason = 'lead-lost';

function lost(): SwarmError {
  return new SwarmError('unavailable', 'this manager has lost the lead: try again', {
    details: { reason: lostReason },
  });
}

function refusal(key: string): SwarmError {
  return new SwarmError(
    'invalid-argument',
    `${key.replace('/', ' ')} is larger than etcd takes (1.5 MiB): make it smaller`,
  );
}

function entriesOf(proposals: readonly Proposal[]): Uint8Array[] {
  return proposals.map(({ entry }) => entry);
}

function sizeOf(text: string | undefined): number {
  return text === undefined ? 0 : Buffer.byteLength(text);
}

function fits(
  proposals: readonly Proposal[],
  documents: ReadonlyMap<string, string | undefined>,
): boolean {
  let operations = 0;
  let bytes = 0;
  for (const { entry } of proposals) bytes += entry.length;
  for (const [key, text] of documents) {
    operations += 1;
    bytes += key.length + sizeOf(text);
  }
  return operations <= maxOperations && bytes <= maxBytes;
}
