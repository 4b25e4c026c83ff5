import type { DescMethod, DescService } from '@bufbuild/protobuf';
import {
  Client,
  Metadata,
  type CallOptions as GrpcCallOptions,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  type MethodDefinition,
} from '@grpc/grpc-js';
import { noteHandled, SwarmError } from '../errors.ts';
import { fromStatus } from './errors.ts';
import { channelOptions } from './options.ts';
import {
  definitionOf,
  type CallOptions,
  type CallStream,
  type ClientOf,
  type RequestStream,
} from './service.ts';
import { messagesOf, writeTo } from './stream.ts';

export interface ConnectOptions {
  /** "host:port" or "[v6]:port". */
  readonly addr: string;
  readonly credentials: ChannelCredentials;
  /** The name that the peer's certificate must carry, instead of the address. */
  readonly serverName?: string;
}

/** One TCP connection to a peer, made on the first call. Disposing it breaks off its calls. */
export class Connection implements Disposable {
  readonly addr: string;
  readonly #client: Client;

  constructor(options: ConnectOptions) {
    this.addr = options.addr;
    this.#client = new Client(options.addr, options.credentials, {
      ...channelOptions,
      ...(options.serverName === undefined
        ? {}
        : { 'grpc.ssl_target_name_override': options.serverName }),
    });
  }

  /** A service's methods as functions; what they throw are SwarmErrors. */
  client<S extends DescService>(service: S): ClientOf<S> {
    const methods = service.methods.map((method) => [method.localName, this.#method(method)]);
    return Object.fromEntries(methods) as ClientOf<S>;
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #method(method: DescMethod): unknown {
    const definition = definitionOf(method);
    return {
      unary: (request: unknown, options?: CallOptions) => this.#unary(definition, request, options),
      client_streaming: (options?: CallOptions) => this.#clientStream(definition, options),
      server_streaming: (request: unknown, options?: CallOptions) =>
        this.#serverStream(definition, request, options),
      bidi_streaming: (options?: CallOptions) => this.#bidi(definition, options),
    }[method.methodKind];
  }

  #unary(definition: AnyMethod, request: unknown, options: CallOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      options.signal?.throwIfAborted();
      const call = this.#client.makeUnaryRequest(
        ...codecs(definition),
        request,
        new Metadata(),
        grpcOptions(options),
        (error, response) => {
          release();
          if (error === null) resolve(response);
          else reject(this.#error(error, options.signal));
        },
      );
      const release = onAbort(options.signal, () => call.cancel());
    });
  }

  #clientStream(definition: AnyMethod, options: CallOptions = {}): RequestStream<unknown, unknown> {
    const over = new AbortController();
    const answer = Promise.withResolvers<unknown>();
    const stream: ClientWritableStream<unknown> = this.#client.makeClientStreamRequest(
      ...codecs(definition),
      new Metadata(),
      grpcOptions(options),
      (error, response) => {
        release();
        if (error === null) answer.resolve(response);
        else answer.reject(this.#error(error, options.signal));
        over.abort(error === null ? closed() : this.#error(error, options.signal));
      },
    );
    const release = onAbort(options.signal, () => stream.cancel());
    // The answer is also given by `send`, which fails with it: nobody may be waiting for it yet.
    answer.promise.catch(noteHandled);
    return {
      send: (message) => writeTo(stream, message, over.signal),
      signal: over.signal,
      finish: () => {
        stream.end();
        return answer.promise;
      },
    };
  }

  async *#serverStream(
    definition: AnyMethod,
    request: unknown,
    options: CallOptions = {},
  ): AsyncIterable<unknown> {
    options.signal?.throwIfAborted();
    const stream: ClientReadableStream<unknown> = this.#client.makeServerStreamRequest(
      ...codecs(definition),
      request,
      new Metadata(),
      grpcOptions(options),
    );
    const release = onAbort(options.signal, () => stream.cancel());
    stream.on('error', noteHandled);
    try {
      yield* messagesOf(stream, (error) => this.#error(error, options.signal));
    } finally {
      release();
      stream.cancel();
    }
  }

  #bidi(definition: AnyMethod, options: CallOptions = {}): CallStream<unknown, unknown> {
    const over = new AbortController();
    const stream: ClientDuplexStream<unknown, unknown> = this.#client.makeBidiStreamRequest(
      ...codecs(definition),
      new Metadata(),
      grpcOptions(options),
    );
    const release = onAbort(options.signal, () => stream.cancel());
    stream.on('error', (error) => over.abort(this.#error(error, options.signal)));
    stream.on('status', () => {
      release();
      over.abort(closed());
    });
    return {
      incoming: messagesOf(stream, (error) => this.#error(error, options.signal)),
      send: (message) => writeTo(stream, message, over.signal),
      signal: over.signal,
      end: () => stream.end(),
      cancel: () => stream.cancel(),
    };
  }

  /** A call that its caller aborted fails with the caller's reason. */
  #error(thrown: unknown, signal: AbortSignal | undefined): SwarmError {
    if (signal?.aborted) return SwarmError.from(signal.reason);
    return fromStatus(thrown, this.addr);
  }
}

type AnyMethod = MethodDefinition<unknown, unknown>;

function codecs(method: AnyMethod) {
  return [method.path, method.requestSerialize, method.responseDeserialize] as const;
}

function grpcOptions(options: CallOptions): GrpcCallOptions {
  return options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}

function onAbort(signal: AbortSignal | undefined, cancel: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

function closed(): SwarmError {
  return new SwarmError('unavailable', 'the peer has ended the stream');
}
