/** The few calls of etcd's API that the store stands on. */
import { createRequire } from 'node:module';
import type * as Cockatiel from 'cockatiel';
import type * as Etcd from 'etcd3';
import type { Etcd3, IOptions, IRequestOp } from 'etcd3';
import { atMost, type Clock } from '../../../lib/clock.ts';
import { messageOf, SwarmError } from '../../../lib/errors.ts';
import { hidePassword, parseStore, type ExternalStore } from './address.ts';

export interface KeyValue {
  readonly key: string;
  readonly value: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
}

/** What a transaction does; keys are full ones. */
export type Operation =
  | { readonly put: string; readonly value: string | Uint8Array; readonly lease?: string }
  | { readonly delete: string }
  | { readonly deletePrefix: string };

/** What must hold for a transaction to be carried out; revision 0: the key is not there. */
export type Guard =
  | { readonly key: string; readonly createRevision: number }
  | { readonly key: string; readonly modRevision: number };

interface WatchListener {
  /** In the order of revisions. A key that is gone comes without a value. */
  changed(
    changes: readonly (KeyValue | { readonly key: string; readonly value: undefined })[],
  ): void;
  /** Connected anew: something may have been missed. */
  connected(): void;
  /** The watch has ended: what it should tell is no longer there. */
  broken(error: unknown): void;
}

// Loaded by the first client: few swarms have their store in etcd, and all would have 5 MB for it.
const load = createRequire(import.meta.url);
const etcd = () => load('etcd3') as typeof Etcd;
const cockatiel = () => load('cockatiel') as typeof Cockatiel;

const callTimeoutMs = 3_000;
const attempts = 3;
const pageKeys = 500;
/** etcd refuses clients that probe more often than every five seconds. */
const keepaliveTimeMs = 6_000;
const keepaliveTimeoutMs = 3_000;

export class EtcdClient implements AsyncDisposable {
  readonly prefix: string;
  readonly #clock: Clock;
  readonly #etcd: Etcd3;
  readonly #where: string;
  #closed = false;

  constructor(store: ExternalStore, clock: Clock) {
    const { hosts, prefix, user } = parseStore(store);
    this.prefix = prefix;
    this.#clock = clock;
    this.#where = hidePassword(store.url);
    const credentials = credentialsOf(store);
    const { ExponentialBackoff, noop } = cockatiel();
    this.#etcd = new (etcd().Etcd3)({
      hosts: [...hosts],
      ...(credentials === undefined ? {} : { credentials }),
      ...(user === undefined ? {} : { auth: { username: user.name, password: user.password } }),
      defaultCallOptions: ({ isStream }) =>
        isStream ? {} : { deadline: this.#clock.nowMs() + callTimeoutMs },
      grpcOptions: {
        'grpc.max_receive_message_length': -1,
        'grpc.keepalive_time_ms': keepaliveTimeMs,
        'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
      },
      // Retries are this class's own: etcd3's would shut a host out for five seconds.
      faultHandling: {
        host: () => noop,
        global: noop,
        watchBackoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 1_000 }).next(),
      },
    } satisfies IOptions);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#etcd.close();
    return Promise.resolve();
  }

  /**
   * All or nothing. False when a guard does not hold. After an error nobody knows whether it was
   * carried out: guard it by a revision that it changes itself.
   */
  async txn(
    guards: readonly Guard[],
    operations: readonly Operation[],
  ): Promise<{ readonly succeeded: boolean; readonly revision: number }> {
    const { succeeded, header } = await this.#call(() =>
      this.#etcd.kv.txn({
        compare: guards.map((guard) => ({
          key: Buffer.from(guard.key),
          result: 'Equal',
          ...('createRevision' in guard
            ? { target: 'Create', create_revision: guard.createRevision }
            : { target: 'Mod', mod_revision: guard.modRevision }),
        })),
        success: operations.map(requestOf),
      }),
    );
    return { succeeded, revision: Number(header.revision) };
  }

  /** The newest value: later than every transaction that ended before the call. */
  async get(key: string): Promise<KeyValue | undefined> {
    const { kvs } = await this.#call(() => this.#etcd.kv.range({ key: Buffer.from(key) }));
    return kvs.map(keyValueOf)[0];
  }

  /** Every key that begins with the prefix, all as of one revision; the newest unless told. */
  async list(
    prefix: string,
    atRevision?: number,
  ): Promise<{ readonly kvs: readonly KeyValue[]; readonly revision: number }> {
    const { start, end } = etcd().Range.prefix(prefix);
    const kvs: KeyValue[] = [];
    let revision = atRevision;
    for (let key = start; ;) {
      const page = await this.#call(() =>
        this.#etcd.kv.range({
          key,
          range_end: end,
          limit: pageKeys,
          ...(revision === undefined ? {} : { revision }),
        }),
      );
      revision ??= Number(page.header.revision);
      for (const kv of page.kvs) kvs.push(keyValueOf(kv));
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) return { kvs, revision };
      key = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }

  /** Tells of every change after `revision` to keys that begin with `prefix`, until disposed. */
  watch(prefix: string, afterRevision: number, listener: WatchListener): AsyncDisposable {
    const watcher = this.#etcd
      .watch()
      .prefix(prefix)
      .startRevision(String(afterRevision + 1))
      .watcher();
    let over = false;
    watcher.on('data', ({ events }) => {
      if (over) return;
      listener.changed(
        events.map(({ type, kv }) =>
          type === 'Delete' ? { key: kv.key.toString(), value: undefined } : keyValueOf(kv),
        ),
      );
    });
    watcher.on('connected', () => {
      if (!over) listener.connected();
    });
    watcher.on('error', (error) => {
      if (!over) listener.broken(error);
      over = true;
    });
    return {
      [Symbol.asyncDispose]: async () => {
        if (over) return;
        over = true;
        // Without a connection there is nobody to cancel it with; closing the client ends it.
        if (!this.#closed) await atMost(this.#clock, callTimeoutMs, watcher.cancel());
      },
    };
  }

  async grantLease(ttlSeconds: number): Promise<string> {
    const { ID } = await this.#call(() => this.#etcd.leaseClient.leaseGrant({ TTL: ttlSeconds }));
    return ID;
  }

  /** False when the lease has run out. */
  async keepAlive(lease: string, { timeoutMs }: { timeoutMs: number }): Promise<boolean> {
    const stream = await this.#etcd.leaseClient.leaseKeepAlive({
      deadline: this.#clock.nowMs() + timeoutMs,
    });
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    stream.on('data', ({ TTL }) => resolve(Number(TTL) > 0));
    stream.on('error', reject);
    stream.on('end', () => reject(new Error('the stream ended')));
    stream.write({ ID: lease });
    try {
      return await promise;
    } finally {
      stream.end();
    }
  }

  async revokeLease(lease: string): Promise<void> {
    await this.#etcd.leaseClient.leaseRevoke({ ID: lease });
  }

  /** Another member may answer where one does not. */
  async #call<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      if (this.#closed) throw new SwarmError('unavailable', 'the store has been closed');
      try {
        return await work();
      } catch (error) {
        if (attempt < attempts && isPassing(error)) continue;
        throw new SwarmError(
          'unavailable',
          `the store at ${this.#where} does not answer: ${messageOf(error)}`,
          { cause: error },
        );
      }
    }
  }
}

const passing = ['GRPCUnavailableError', 'GRPCDeadlineExceededError', 'GRPCCancelledError'];

function isPassing(error: unknown): boolean {
  return error instanceof Error && passing.includes(error.constructor.name);
}

function requestOf(operation: Operation): IRequestOp {
  if ('put' in operation) {
    const { put, value, lease } = operation;
    const key = Buffer.from(put);
    const base = {
      key,
      value: typeof value === 'string' ? Buffer.from(value) : Buffer.from(value),
    };
    return { request_put: lease === undefined ? base : { ...base, lease } };
  }
  if ('delete' in operation) {
    return { request_delete_range: { key: Buffer.from(operation.delete) } };
  }
  const { start, end } = etcd().Range.prefix(operation.deletePrefix);
  return { request_delete_range: { key: start, range_end: end } };
}

interface WireKeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: string;
  readonly mod_revision: string;
}

function keyValueOf({ key, value, create_revision, mod_revision }: WireKeyValue): KeyValue {
  return {
    key: key.toString(),
    value,
    createRevision: Number(create_revision),
    modRevision: Number(mod_revision),
  };
}

function credentialsOf({ caPem, certPem, keyPem }: ExternalStore): IOptions['credentials'] {
  if (caPem === undefined && certPem === undefined) return undefined;
  return {
    // Without a root of its own the server's certificate is checked by the system's.
    rootCertificate: (caPem === undefined ? null : Buffer.from(caPem)) as Buffer,
    ...(certPem === undefined || keyPem === undefined
      ? {}
      : { certChain: Buffer.from(certPem), privateKey: Buffer.from(keyPem) }),
  };
}
