/** Typed clients over grpc-js for the services that protoc-gen-es generated. */
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import {
  Metadata,
  status,
  type CallOptions as GrpcCallOptions,
  type Client as GrpcClient,
  type ServiceError,
} from '@grpc/grpc-js';
import { noteHandled, SwarmError, type ErrorCode } from '../../../lib/errors.ts';

interface CallOptions {
  readonly signal?: AbortSignal;
  /** Absent: the client's default for unary calls, none for streams. 0: none. */
  readonly timeoutMs?: number;
  /** Sent as metadata beside the client's own. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A stream in both directions. Iterate it for what comes; leaving the loop cancels the call. */
interface BidiStream<I extends DescMessage, O extends DescMessage> extends AsyncIterable<
  MessageShape<O>
> {
  /** Resolves when the transport takes more: waiting for it is the back-pressure. */
  write(message: MessageInitShape<I>): Promise<void>;
  /** Nothing more is written. */
  end(): void;
  cancel(): void;
}

export type TypedClient<S extends DescService> = {
  readonly [K in keyof S['method']]: S['method'][K] extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : S['method'][K] extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : S['method'][K] extends DescMethodBiDiStreaming<infer I, infer O>
        ? (options?: CallOptions) => BidiStream<I, O>
        : never;
};

interface Defaults {
  readonly metadata: Readonly<Record<string, string>>;
  /** Of unary calls; 0: none. */
  readonly timeoutMs: number;
}

export function typedClient<S extends DescService>(
  service: S,
  client: GrpcClient,
  defaults: Defaults,
): TypedClient<S> {
  const methods: Record<string, unknown> = {};
  for (const method of service.methods) {
    const call: Call = {
      client,
      path: `/${service.typeName}/${method.name}`,
      input: method.input,
      output: method.output,
      defaults,
    };
    if (method.methodKind === 'unary') {
      methods[method.localName] = (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        unary(call, request, options ?? {});
    } else if (method.methodKind === 'server_streaming') {
      methods[method.localName] = (request: MessageInitShape<DescMessage>, options?: CallOptions) =>
        serverStream(call, request, options ?? {});
    } else if (method.methodKind === 'bidi_streaming') {
      methods[method.localName] = (options?: CallOptions) => bidiStream(call, options ?? {});
    }
  }
  return methods as TypedClient<S>;
}

interface Call {
  readonly client: GrpcClient;
  readonly path: string;
  readonly input: DescMessage;
  readonly output: DescMessage;
  readonly defaults: Defaults;
}

type Bytes = MessageShape<DescMessage>;
type Init = MessageInitShape<DescMessage>;

function unary(call: Call, request: Init, options: CallOptions): Promise<Bytes> {
  const { client, path, input, output, defaults } = call;
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
    const onAbort = () => running.cancel();
    const running = client.makeUnaryRequest<Bytes, Bytes>(
      path,
      (message) => encode(input, message),
      (bytes) => fromBinary(output, bytes),
      create(input, request),
      metadataOf(defaults, options),
      deadline(timeoutMs),
      (error, response) => {
        options.signal?.removeEventListener('abort', onAbort);
        if (error === null && response !== undefined) resolve(response);
        else if (options.signal?.aborted) reject(options.signal.reason as Error);
        else reject(fromGrpc(error));
      },
    );
    options.signal?.addEventListener('abort', onAbort, { once: true });
  });
}

async function* serverStream(
  call: Call,
  request: Init,
  options: CallOptions,
): AsyncGenerator<Bytes> {
  const { client, path, input, output, defaults } = call;
  options.signal?.throwIfAborted();
  const stream = client.makeServerStreamRequest<Bytes, Bytes>(
    path,
    (message) => encode(input, message),
    (bytes) => fromBinary(output, bytes),
    create(input, request),
    metadataOf(defaults, options),
    deadline(options.timeoutMs ?? 0),
  );
  yield* iterate(stream, options.signal);
}

function bidiStream(call: Call, options: CallOptions): BidiStream<DescMessage, DescMessage> {
  const { client, path, input, output, defaults } = call;
  options.signal?.throwIfAborted();
  const stream = client.makeBidiStreamRequest<Bytes, Bytes>(
    path,
    (message) => encode(input, message),
    (bytes) => fromBinary(output, bytes),
    metadataOf(defaults, options),
    deadline(options.timeoutMs ?? 0),
  );
  const over = Promise.withResolvers<never>();
  let failure: ServiceError | undefined;
  const onAbort = () => stream.cancel();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  // It comes at any time, also while nobody reads; whoever reads or writes is told.
  stream.on('error', (error: ServiceError) => (failure = error));
  stream.on('status', () => {
    options.signal?.removeEventListener('abort', onAbort);
    over.reject(failure ?? new Error('the call has ended'));
  });
  over.promise.catch(noteHandled);
  const reason = (thrown: unknown) =>
    options.signal?.aborted ? (options.signal.reason as Error) : fromGrpc(thrown);
  return {
    write: async (message) => {
      const written = new Promise<void>((resolve, reject) => {
        stream.write(create(input, message), (error: Error | null | undefined) => {
          if (error) reject(error);
          else resolve();
        });
      });
      try {
        // grpc-js forgets what it has not sent of a call that ends, and never says so.
        await Promise.race([written, over.promise]);
      } catch (thrown) {
        throw reason(thrown);
      }
    },
    end: () => stream.end(),
    cancel: () => stream.cancel(),
    async *[Symbol.asyncIterator]() {
      yield* iterate(stream, options.signal);
      // Of a failure before anybody read, the stream itself shows its end alone.
      if (failure !== undefined) throw reason(failure);
    },
  };
}

type Cancellable = AsyncIterable<unknown> & { cancel(): void };

async function* iterate(stream: Cancellable, signal?: AbortSignal): AsyncGenerator<Bytes> {
  const onAbort = () => stream.cancel();
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const message of stream) yield message as Bytes;
  } catch (thrown) {
    if (signal?.aborted) throw signal.reason;
    throw fromGrpc(thrown);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    stream.cancel();
  }
}

/** The message as a Buffer over the encoder's own memory: blobs pass here, and a copy each costs. */
function encode(schema: DescMessage, message: Bytes): Buffer {
  const { buffer, byteOffset, byteLength } = toBinary(schema, message);
  return Buffer.from(buffer, byteOffset, byteLength);
}

function metadataOf(defaults: Defaults, options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(defaults.metadata)) metadata.set(key, value);
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}

function deadline(timeoutMs: number): GrpcCallOptions {
  return timeoutMs > 0 ? { deadline: Date.now() + timeoutMs } : {};
}

const codes: Readonly<Record<number, ErrorCode>> = {
  [status.CANCELLED]: 'cancelled',
  [status.INVALID_ARGUMENT]: 'invalid-argument',
  [status.OUT_OF_RANGE]: 'invalid-argument',
  [status.DEADLINE_EXCEEDED]: 'deadline-exceeded',
  [status.NOT_FOUND]: 'not-found',
  [status.ALREADY_EXISTS]: 'already-exists',
  [status.PERMISSION_DENIED]: 'permission-denied',
  [status.UNAUTHENTICATED]: 'unauthenticated',
  [status.RESOURCE_EXHAUSTED]: 'resource-exhausted',
  [status.FAILED_PRECONDITION]: 'failed-precondition',
  [status.ABORTED]: 'aborted',
  [status.UNIMPLEMENTED]: 'unimplemented',
  [status.UNAVAILABLE]: 'unavailable',
};

/** A call's failure in the house's words: gRPC's code, and the message that the server gave. */
function fromGrpc(thrown: unknown): SwarmError {
  if (thrown instanceof SwarmError) return thrown;
  const error = thrown as Partial<ServiceError> | null;
  const code = codes[error?.code ?? -1] ?? 'internal';
  const message = error?.details ?? error?.message ?? 'the server ended the call without a reason';
  return new SwarmError(code, message, { cause: thrown });
}
