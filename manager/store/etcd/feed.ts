/** Applies the batches that stand in etcd, each once, in their order, without a gap. */
import type { Clock } from '../../../lib/clock.ts';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/log.ts';
import type { ApplyResult, DocumentMachine } from '../log.ts';
import type { EtcdClient, KeyValue } from './client.ts';
import {
  decodeBatch,
  decodeDocuments,
  partKey,
  splitEntries,
  type BatchHeader,
  type Keys,
} from './record.ts';

interface FeedParts {
  readonly client: EtcdClient;
  readonly keys: Keys;
  readonly machine: DocumentMachine;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Told of each batch as it is applied: the writer finds its own among them. */
type BatchListener = (header: BatchHeader, results: readonly ApplyResult[]) => void;

const retryMs = 200;
/** What a read shows and the watch does not tell within this time, it has missed. */
const watchDelayMs = 1_000;

export class Feed implements AsyncDisposable {
  readonly #parts: FeedParts;
  readonly #closed = new AbortController();
  #index = 0;
  #revision = 0;
  #placed = 0;
  #watch: AsyncDisposable | undefined;
  /** Batches are taken one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #reading: Promise<void> | undefined;
  #nextReading: Promise<void> | undefined;
  #arrivals: { readonly revision: number; readonly resolve: () => void }[] = [];
  onBatch: BatchListener | undefined;

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** Loads what is there and follows it. Returns every key as of one revision. */
  async open(): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }> {
    const loaded = await this.#load();
    this.#follow(loaded.revision);
    return loaded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new SwarmError('unavailable', 'the store is closed'));
    await this.#watch?.[Symbol.asyncDispose]();
    await this.#turn;
  }

  /** The last applied entry. */
  get index(): number {
    return this.#index;
  }

  /** Of the batch that was taken last: what the next one is guarded by. */
  get revision(): number {
    return this.#revision;
  }

  /** The last index whose documents are in place, as far as this manager knows. */
  get placed(): number {
    return this.#placed;
  }

  /**
   * Applies all that was acknowledged before the call. Calls at one time share one read, which
   * begins after each of them.
   */
  catchUp(): Promise<void> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined;
      });
      return this.#reading;
    }
    this.#nextReading ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#nextReading = undefined;
        return this.catchUp();
      });
    return this.#nextReading;
  }

  /** A batch of this manager's own, just written. */
  async taken(value: Buffer, modRevision: number): Promise<void> {
    await this.#inTurn(() => this.#take(value, modRevision));
  }

  /** What a leader begins with that is no batch. */
  began(index: number): void {
    this.#index = index;
    this.#placed = index;
  }

  placedUpTo(index: number): void {
    this.#placed = Math.max(this.#placed, index);
  }

  async #read(): Promise<void> {
    this.#closed.signal.throwIfAborted();
    const { client, clock, keys } = this.#parts;
    const batch = await client.get(keys.batch);
    if (batch === undefined || batch.modRevision <= this.#revision) return;
    const { header } = decodeBatch(batch.value);
    if (header.first > this.#index + 1) {
      // The watch has yet to tell of the batches in between.
      await Promise.race([this.#arrival(batch.modRevision), clock.sleep(watchDelayMs)]);
    }
    await this.taken(batch.value, batch.modRevision);
  }

  #arrival(revision: number): Promise<void> {
    return new Promise((resolve) => {
      this.#arrivals.push({ revision, resolve });
    });
  }

  #arrived(revision: number): void {
    this.#revision = revision;
    const here = this.#arrivals.filter((one) => one.revision <= revision);
    this.#arrivals = this.#arrivals.filter((one) => one.revision > revision);
    for (const { resolve } of here) resolve();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(() => {
      this.#closed.signal.throwIfAborted();
      return work();
    });
    // The next one waits only for the end; a failure is its own caller's.
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #take(value: Buffer, modRevision: number): Promise<void> {
    const { header, body } = decodeBatch(value);
    if (modRevision <= this.#revision) return;
    if (header.first !== this.#index + 1) {
      await this.#load();
      return;
    }
    let entries: Buffer[];
    try {
      entries = splitEntries(header, await this.#bodyOf(header, body, modRevision));
    } catch (error) {
      this.#parts.log.info('a batch is no longer there as it was written: loading the state', {
        error: messageOf(error),
      });
      await this.#load();
      return;
    }
    if (header.first !== this.#index + 1) return;
    const results = entries.map((entry, i) => this.#parts.machine.apply(header.first + i, entry));
    this.#index = header.last;
    this.onBatch?.(header, results);
    this.#arrived(modRevision);
  }

  async #bodyOf(header: BatchHeader, body: Buffer, revision: number): Promise<Buffer> {
    if (header.parts === 0) return body;
    const { client, keys } = this.#parts;
    const { kvs } = await client.list(partKey(keys, 'entries', 0).slice(0, -6), revision);
    return Buffer.concat(kvs.slice(0, header.parts).map((kv) => kv.value));
  }

  /** Makes the state anew of the documents, as of one revision. */
  async #load(): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }> {
    const { client, keys, machine, log } = this.#parts;
    const loaded = await client.list(`${client.prefix}/`);
    const byKey = new Map(loaded.kvs.map((kv) => [kv.key, kv]));
    const batch = byKey.get(keys.batch);
    if (batch === undefined) return loaded;
    const { header } = decodeBatch(batch.value);
    const documents = new Map(
      loaded.kvs
        .filter(({ key }) => key.startsWith(keys.objects))
        .map(({ key, value }) => [key.slice(keys.objects.length), value.toString()]),
    );
    const placed = Number(byKey.get(keys.placed)?.value.toString() ?? 0);
    if (placed < header.last) {
      const pieces = documentParts(loaded.kvs, keys);
      for (const [key, text] of decodeDocuments(pieces)) {
        if (text === undefined) documents.delete(key);
        else documents.set(key, text);
      }
    }
    machine.restore(header.last, machine.snapshotOf(documents));
    this.#index = header.last;
    this.#placed = placed;
    this.onBatch?.(header, []);
    this.#arrived(batch.modRevision);
    log.info('state loaded', { index: header.last, documents: documents.size });
    return loaded;
  }

  #follow(revision: number): void {
    const { client, keys, log } = this.#parts;
    const failed = (error: unknown) => {
      if (!this.#closed.signal.aborted) {
        log.info('a batch could not be taken yet', { error: messageOf(error) });
      }
    };
    this.#watch = client.watch(keys.batch, revision, {
      changed: (changes) => {
        for (const change of changes) {
          if (change.value === undefined) continue;
          this.taken(change.value, change.modRevision).catch(failed);
        }
      },
      connected: () => void this.catchUp().catch(failed),
      broken: (error) => {
        log.info('the watch of the store broke', { error: messageOf(error) });
        this.#parts.clock.after(retryMs, () => void this.#followAgain(failed));
      },
    });
  }

  /** Again and again until it succeeds: a store that is away for long is no end of this process. */
  async #followAgain(failed: (error: unknown) => void): Promise<void> {
    if (this.#closed.signal.aborted) return;
    try {
      await this.#inTurn(async () => {
        const { revision } = await this.#load();
        this.#follow(revision);
      });
    } catch (error) {
      failed(error);
      this.#parts.clock.after(retryMs, () => void this.#followAgain(failed));
    }
  }
}

export function documentParts(kvs: readonly KeyValue[], keys: Keys): Buffer {
  const prefix = partKey(keys, 'documents', 0).slice(0, -6);
  return Buffer.concat(kvs.filter(({ key }) => key.startsWith(prefix)).map(({ value }) => value));
}
