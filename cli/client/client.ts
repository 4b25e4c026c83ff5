/** The Docker Engine API over HTTP/1.1 on a unix socket or TCP. */
import type { IncomingMessage, RequestOptions } from 'node:http';
import type { Duplex, Readable } from 'node:stream';
import { errnoOf, messageOf, SwarmError, type ErrorCode } from '../../lib/errors.ts';
import { http } from '../../lib/node-http.ts';
import { parseHost, type Endpoint } from './host.ts';
import type { ClientTls } from './tls.ts';

const secureRequest = () => process.getBuiltinModule('node:https').request;

/** The newest version of the API that this CLI speaks, and the oldest that it can. */
const newestVersion = '1.50';
const oldestVersion = '1.24';
const pingTimeoutMs = 30_000;
/** No document that the CLI reads as a whole is near this; a stream is read by pieces. */
const maxDocumentBytes = 256 * 1024 * 1024;

interface Query {
  readonly [key: string]: string | number | boolean | readonly string[] | undefined;
}

interface CallOptions {
  readonly query?: Query;
  readonly body?: unknown;
  /** Sent as it comes, in place of a JSON body. */
  readonly upload?: Readable;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A connection that is no longer HTTP's. */
export interface Hijacked {
  readonly socket: Duplex;
  /** Whether stdout and stderr come in frames; undefined where the daemon does not say. */
  readonly framed: boolean | undefined;
}

const framedType = 'application/vnd.docker.multiplexed-stream';

/** Filters as the API takes them: key → the set of values asked for. */
export type Filters = Readonly<Record<string, readonly string[]>>;

export function filtersQuery(filters: Filters): string | undefined {
  const entries = Object.entries(filters).map(([key, values]) => [
    key,
    Object.fromEntries(values.map((value) => [value, true])),
  ]);
  return entries.length === 0 ? undefined : JSON.stringify(Object.fromEntries(entries));
}

interface ClientOptions {
  /** Of the API (DOCKER_API_VERSION); turns the negotiation off. */
  readonly fixedVersion?: string | undefined;
  readonly tls?: ClientTls | undefined;
}

export class Client {
  readonly host: string;
  readonly #endpoint: Endpoint;
  readonly #fixedVersion: string | undefined;
  #version: Promise<string> | undefined;

  constructor(host: string, { fixedVersion, tls }: ClientOptions = {}) {
    this.host = host;
    this.#endpoint = parseHost(host, tls);
    this.#fixedVersion = fixedVersion;
  }

  /** The version spoken: the daemon's, unless that is newer than ours. */
  version(): Promise<string> {
    this.#version ??= this.#fixedVersion
      ? Promise.resolve(this.#fixedVersion)
      : this.ping({ timeoutMs: pingTimeoutMs }).then((theirs) => negotiate(theirs));
    return this.#version;
  }

  /** Asks whether the daemon is there; returns the version of the API it speaks. */
  async ping({ timeoutMs }: { timeoutMs: number }): Promise<string> {
    const response = await this.#send('GET', '/_ping', { signal: AbortSignal.timeout(timeoutMs) });
    response.resume();
    if (response.statusCode !== 200) throw await failure(response);
    const version = response.headers['api-version'];
    return typeof version === 'string' ? version : oldestVersion;
  }

  async get<T>(path: string, query: Query = {}, options: CallOptions = {}): Promise<T> {
    return this.json<T>('GET', path, { ...options, query });
  }

  /** Sends a request and reads the whole JSON answer; undefined where it is empty. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.stream(method, path, options);
    const text = await readAll(response);
    try {
      return (text.trim() === '' ? undefined : JSON.parse(text)) as T;
    } catch (error) {
      throw new SwarmError('internal', `the daemon's answer to ${path} is not JSON`, {
        cause: error,
      });
    }
  }

  /** Sends a request and returns the answer's body, to be read as it comes. */
  async stream(method: string, path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const version = await this.version();
    const response = await this.#send(method, `/v${version}${path}`, options);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw await failure(response);
  }

  /** Sends a request whose answer turns the connection into a stream in both directions. */
  async hijack(method: string, path: string, options: CallOptions = {}): Promise<Hijacked> {
    const version = await this.version();
    const headers = { ...options.headers, Connection: 'Upgrade', Upgrade: 'tcp' };
    const upgraded: { socket?: Duplex } = {};
    const response = await this.#send(
      method,
      `/v${version}${path}`,
      { ...options, headers },
      (it) => {
        upgraded.socket = it;
      },
    );
    const { socket } = upgraded;
    if (socket === undefined && (response.statusCode ?? 0) >= 300) throw await failure(response);
    if (socket === undefined) {
      response.destroy();
      throw new SwarmError('unimplemented', `the daemon does not open a stream for ${path}`);
    }
    const type = response.headers['content-type'];
    return { socket, framed: type === undefined ? undefined : type === framedType };
  }

  #send(
    method: string,
    path: string,
    options: CallOptions,
    onUpgrade?: (socket: Duplex) => void,
  ): Promise<IncomingMessage> {
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const tls = 'tls' in this.#endpoint ? this.#endpoint.tls : undefined;
    const requestOptions: RequestOptions = {
      ...this.#endpoint,
      ...tls,
      method,
      path: path + queryString(options.query ?? {}),
      headers: {
        // A socket's path is no host's name.
        ...('socketPath' in this.#endpoint ? { Host: 'ts-swarm' } : {}),
        'User-Agent': 'ts-swarm',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
        ...(options.upload === undefined ? {} : { 'Content-Type': 'application/x-tar' }),
        ...options.headers,
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    return new Promise((resolve, reject) => {
      const sent = (tls === undefined ? http.request : secureRequest())(requestOptions, resolve);
      sent.on('error', (error) => reject(this.#connectionError(error, options.signal)));
      sent.on('upgrade', (response, socket, head) => {
        if (head.length > 0) socket.unshift(head);
        onUpgrade?.(socket);
        resolve(response);
      });
      if (options.upload === undefined) {
        sent.end(body);
        return;
      }
      options.upload.on('error', (error) => sent.destroy(error));
      options.upload.pipe(sent);
    });
  }

  #connectionError(error: Error, signal: AbortSignal | undefined): Error {
    if (signal?.aborted === true) {
      const reason: unknown = signal.reason;
      return reason instanceof Error ? reason : error;
    }
    const errno = errnoOf(error);
    if (errno === 'EACCES' || errno === 'EPERM') {
      return new SwarmError(
        'permission-denied',
        `permission denied while trying to connect to the ts-swarm daemon at ${this.host}: ` +
          `run the command as root, or as a member of the socket's group`,
        { cause: error },
      );
    }
    if (errno === 'ENOENT' || errno === 'ECONNREFUSED' || errno === 'ENOTDIR') {
      return new SwarmError(
        'unavailable',
        `Cannot connect to the ts-swarm daemon at ${this.host}. Is the daemon running? ` +
          `("ts-swarm init" and "ts-swarm join" start it, "ts-swarm daemon" runs it in front)`,
        { cause: error },
      );
    }
    return new SwarmError(
      'unavailable',
      `error during connect to the ts-swarm daemon at ${this.host}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function negotiate(theirs: string): string {
  if (compareVersions(theirs, oldestVersion) < 0) {
    throw new SwarmError(
      'failed-precondition',
      `the daemon speaks version ${theirs} of the API, and this CLI needs ${oldestVersion} at least`,
    );
  }
  return compareVersions(theirs, newestVersion) < 0 ? theirs : newestVersion;
}

/** Compares versions of the API (`1.9` before `1.41`). */
function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}

function queryString(query: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue;
    const values = typeof value === 'object' ? value : [String(value)];
    for (const one of values) params.append(key, one);
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxDocumentBytes) {
      response.destroy();
      throw new SwarmError('resource-exhausted', "the daemon's answer is too large to read");
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const codes: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid-argument',
  401: 'unauthenticated',
  403: 'permission-denied',
  404: 'not-found',
  409: 'already-exists',
  501: 'unimplemented',
  503: 'unavailable',
};

async function failure(response: IncomingMessage): Promise<SwarmError> {
  const status = response.statusCode ?? 0;
  const text = await readAll(response);
  const details = { status };
  return new SwarmError(codes[status] ?? 'internal', daemonSentence(text, status), { details });
}

function daemonSentence(text: string, status: number): string {
  let message = text.trim();
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) {
      message = String(parsed.message);
    }
  } catch (error) {
    // A proxy between us and the daemon answers in plain text or HTML; show it as it is.
    if (!(error instanceof SyntaxError)) throw error;
  }
  return `Error response from daemon: ${message === '' ? `status ${status}` : message}`;
}
