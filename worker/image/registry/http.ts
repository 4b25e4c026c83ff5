/** One HTTP exchange with a registry: pooled connections, time-outs, and Docker's error words. */
import type { Agent, IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Clock } from '../../../lib/clock.ts';
import { errnoOf, messageOf, SwarmError } from '../../../lib/errors.ts';
import { http } from '../../../lib/node-http.ts';
import { requestWords } from './errors.ts';
import { firstAnswer, type Call } from './first-answer.ts';
import type { TrustStore } from './trust.ts';
import { sendUpload, TimeoutError, type Upload } from './upload.ts';

export type { Upload } from './upload.ts';

interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly verifyTls: boolean;
  readonly body?: string;
  /** In place of `body`: sent as it comes. */
  readonly upload?: Upload;
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly url: URL;
  header(name: string): string | undefined;
  /** At most `maxBytes`, else it throws. */
  bytes(maxBytes: number): Promise<Buffer>;
  /** As it arrives. A break, or a silence of `idleTimeoutMs`, throws `unavailable`. */
  chunks(): AsyncIterable<Buffer>;
  /** Lets go of a body that is not wanted. */
  discard(): void;
}

export interface HttpTimeouts {
  /** From the start of a request to its response's header. */
  readonly headerMs: number;
  /** When to ask again on a fresh connection, counted from the start of the request. */
  readonly againMs?: readonly number[];
  /** Between two chunks of a body. */
  readonly idleMs: number;
}

export const defaultTimeouts: HttpTimeouts = { headerMs: 30_000, idleMs: 20_000 };
const defaultAgainMs = [2_500, 5_000, 10_000];

const redirects: readonly number[] = [301, 302, 303, 307, 308];
const maxRedirects = 10;
/** A shorter body is read to its end, so that the connection can be used again. */
const drainBytes = 64 * 1024;

/** Sockets per registry: three downloads each of a few pulls. */
const maxSockets = 32;
/** The requests of one pull follow one another within less. */
const idleSocketMs = 4_000;
const unverified = 'unverified';

/** The same way of checking certificates, on connections that are kept and on new ones. */
interface Agents {
  readonly pooled: Agent;
  readonly fresh: Agent;
}

/**
 * Its errors are `unavailable`; `details.transient` is true where another try may soon succeed, and
 * false where nobody listens or the other side cannot be trusted.
 */
export class HttpClient implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #timeouts: HttpTimeouts;
  readonly #trust: TrustStore;
  readonly #plain: Agents = {
    pooled: new http.Agent({ keepAlive: true, maxSockets, timeout: idleSocketMs }),
    fresh: new http.Agent({ maxSockets }),
  };
  /** One agent for each way of checking certificates, so that pooled connections never mix. */
  readonly #secure = new Map<string, Promise<Agents>>();
  readonly #isInsecure: (host: string) => Promise<boolean>;

  constructor(dependencies: {
    clock: Clock;
    timeouts: HttpTimeouts;
    trust: TrustStore;
    /** Asked for the hosts that redirects lead to. */
    isInsecure: (host: string) => Promise<boolean>;
  }) {
    this.#clock = dependencies.clock;
    this.#timeouts = dependencies.timeouts;
    this.#trust = dependencies.trust;
    this.#isInsecure = dependencies.isInsecure;
  }

  /** Follows redirects of GET and HEAD; credentials go to the first host alone. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    let current = request;
    for (let hops = 0; ; hops += 1) {
      const response = await this.#exchange(current);
      const location = response.header('location');
      const follows = current.method === 'GET' || current.method === 'HEAD';
      if (!follows || !redirects.includes(response.status) || location === undefined) {
        return response;
      }
      response.discard();
      if (hops === maxRedirects || !URL.canParse(location, current.url.href)) {
        throw new SwarmError(
          'failed-precondition',
          `${requestWords(request)}: the registry redirects too often, or to no proper address`,
        );
      }
      current = await this.#redirected(current, new URL(location, current.url.href));
    }
  }

  async #redirected(request: HttpRequest, url: URL): Promise<HttpRequest> {
    if (url.origin === request.url.origin) return { ...request, url };
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => name !== 'authorization'),
    );
    return { ...request, url, headers, verifyTls: !(await this.#isInsecure(url.host)) };
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    const { url, method, signal } = request;
    signal?.throwIfAborted();
    const tls = url.protocol === 'https:';
    const agents = tls ? await this.#secureAgents(url.host, request.verifyTls) : this.#plain;
    const { headerMs, againMs = defaultAgainMs } = this.#timeouts;
    const isRepeatable = method === 'GET' || method === 'HEAD';
    // What must not be asked twice gets a connection that cannot be a dead one.
    const ask = (isFresh: boolean) =>
      callOf(request, isFresh || !isRepeatable ? agents.fresh : agents.pooled);
    try {
      if (request.upload !== undefined) {
        const timing = { clock: this.#clock, idleMs: this.#timeouts.idleMs };
        const uploaded = sendUpload({ ...request, upload: request.upload }, agents.fresh, timing);
        return this.#response(request, await uploaded);
      }
      const incoming = await firstAnswer(
        ask,
        {
          againMs: isRepeatable ? againMs : [],
          limitMs: headerMs,
          lateError: () => new TimeoutError('timeout awaiting response headers'),
        },
        { clock: this.#clock, signal },
      );
      return this.#response(request, incoming);
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      throw transportError(request, thrown);
    }
  }

  #response(request: HttpRequest, incoming: IncomingMessage): HttpResponse {
    const chunks = () => this.#chunks(request, incoming);
    return {
      status: incoming.statusCode ?? 0,
      url: request.url,
      header(name) {
        const value = incoming.headers[name];
        return Array.isArray(value) ? value.join(', ') : value;
      },
      chunks,
      async bytes(maxBytes) {
        const parts: Buffer[] = [];
        let size = 0;
        for await (const chunk of chunks()) {
          size += chunk.length;
          if (size > maxBytes) {
            throw new SwarmError(
              'failed-precondition',
              `${requestWords(request)}: the response is longer than ${maxBytes} bytes`,
            );
          }
          parts.push(chunk);
        }
        return Buffer.concat(parts);
      },
      discard() {
        const length = Number(incoming.headers['content-length'] ?? 0);
        if (request.method === 'HEAD' || length <= drainBytes) incoming.resume();
        else incoming.destroy();
      },
    };
  }

  async *#chunks(request: HttpRequest, incoming: IncomingMessage): AsyncGenerator<Buffer> {
    const { signal } = request;
    const onAbort = () => incoming.destroy(signal?.reason as Error);
    const watch = () =>
      this.#clock.after(this.#timeouts.idleMs, () =>
        incoming.destroy(new TimeoutError('timeout awaiting the rest of the body')),
      );
    signal?.addEventListener('abort', onAbort, { once: true });
    let timer = watch();
    try {
      if (signal?.aborted) onAbort();
      for await (const chunk of incoming as AsyncIterable<Buffer>) {
        // The consumer may be slow for good reasons: only the server's silence counts.
        timer.cancel();
        yield chunk;
        timer = watch();
      }
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      throw transportError(request, thrown);
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #secureAgents(host: string, verify: boolean): Promise<Agents> {
    const key = verify ? host : unverified;
    const known = this.#secure.get(key);
    if (known !== undefined) return known;
    const made = this.#makeAgents(host, verify);
    this.#secure.set(key, made);
    made.catch(() => this.#secure.delete(key));
    return made;
  }

  async #makeAgents(host: string, verify: boolean): Promise<Agents> {
    const tls = verify
      ? { secureContext: await this.#trust.contextFor(host) }
      : { rejectUnauthorized: false };
    return {
      pooled: new https.Agent({ keepAlive: true, maxSockets, timeout: idleSocketMs, ...tls }),
      fresh: new https.Agent({ maxSockets, ...tls }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const secure = await Promise.allSettled(this.#secure.values());
    const all = secure.flatMap((made) => (made.status === 'fulfilled' ? [made.value] : []));
    for (const { pooled, fresh } of [this.#plain, ...all]) {
      pooled.destroy();
      fresh.destroy();
    }
  }
}

function callOf(request: HttpRequest, agent: Agent): Call<IncomingMessage> {
  const { url, method, headers, body } = request;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === 'https:' ? https.request : http.request;
  const outgoing = send(url, { method, headers, agent }, resolve);
  outgoing.on('error', reject);
  outgoing.end(body);
  return {
    answer: promise,
    isReused: () => outgoing.reusedSocket,
    cancel: (reason) => outgoing.destroy(reason),
  };
}

function transportError(request: HttpRequest, thrown: unknown): SwarmError {
  if (thrown instanceof SwarmError) return thrown;
  // Of several addresses that were tried, the first one's failure tells.
  const failure =
    thrown instanceof AggregateError ? ((thrown.errors[0] ?? thrown) as unknown) : thrown;
  const message = `${requestWords(request)}: ${transportWords(request.url, failure)}`;
  const transient =
    failure instanceof TimeoutError || transientCodes.includes(errnoOf(failure) ?? '');
  return new SwarmError('unavailable', message, {
    cause: thrown,
    details: { transient },
  });
}

const transientCodes = ['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ECONNABORTED'];

const untrusted = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
];
const notTls = ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'EPROTO'];

/** What went wrong below HTTP, in the words that Docker's users search for. */
function transportWords(url: URL, thrown: unknown): string {
  const error = thrown as NodeJS.ErrnoException & { address?: string; port?: number };
  const code = error.code ?? '';
  const at = error.address === undefined ? url.host : `${error.address}:${error.port ?? ''}`;
  if (code === 'ECONNREFUSED') return `dial tcp ${at}: connect: connection refused`;
  if (code === 'EHOSTUNREACH') return `dial tcp ${at}: connect: no route to host`;
  if (code === 'ENETUNREACH') return `dial tcp ${at}: connect: network is unreachable`;
  if (code === 'ETIMEDOUT') return `dial tcp ${at}: i/o timeout`;
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${url.hostname}: no such host`;
  if (code === 'EAI_AGAIN') {
    return `dial tcp: lookup ${url.hostname}: temporary failure in name resolution`;
  }
  const hint = `start the daemon with --insecure-registry ${url.host}`;
  if (untrusted.includes(code)) {
    return (
      'tls: failed to verify certificate: x509: certificate signed by unknown authority; ' +
      `add its authority to the system's, or ${hint}`
    );
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid';
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `tls: failed to verify certificate: x509: ${messageOf(thrown)}`;
  }
  if (notTls.includes(code)) {
    return `http: server gave HTTP response to HTTPS client; if it is meant to, ${hint}`;
  }
  if (code === 'ECONNRESET') return 'connection reset by peer';
  return messageOf(thrown);
}
