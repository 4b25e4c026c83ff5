import type { DescMessage, DescMethod, DescService, MessageInitShape } from '@bufbuild/protobuf';
import { create, fromBinary, toBinary, type MessageShape } from '@bufbuild/protobuf';
import type { MethodDefinition } from '@grpc/grpc-js';

/** A method of a protobuf-es service as grpc-js wants it. */
export function definitionOf(method: DescMethod): MethodDefinition<unknown, unknown> {
  const encode = (desc: DescMessage) => (message: unknown) => {
    const bytes = toBinary(desc, create(desc, message as MessageInitShape<DescMessage>));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
  const decode = (desc: DescMessage) => (bytes: Buffer) => fromBinary(desc, bytes);
  const kind = method.methodKind;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: kind === 'client_streaming' || kind === 'bidi_streaming',
    responseStream: kind === 'server_streaming' || kind === 'bidi_streaming',
    requestSerialize: encode(method.input),
    requestDeserialize: decode(method.input),
    responseSerialize: encode(method.output),
    responseDeserialize: decode(method.output),
  };
}

/** What both ends of a stream are to those who use it. */
export interface MessageStream<In, Out> {
  /** Ends when the peer has said all; throws SwarmError when the stream breaks. Read once only. */
  readonly incoming: AsyncIterable<In>;
  /** Resolves when there is room for the next one: awaiting it keeps memory bounded. */
  send(message: Out): Promise<void>;
  /** Aborts when the stream is over, however it ended. */
  readonly signal: AbortSignal;
}

type Kind = DescMethod['methodKind'];
type In<M> = M extends { input: infer D extends DescMessage } ? MessageShape<D> : never;
type InInit<M> = M extends { input: infer D extends DescMessage } ? MessageInitShape<D> : never;
type Out<M> = M extends { output: infer D extends DescMessage } ? MessageShape<D> : never;
type OutInit<M> = M extends { output: infer D extends DescMessage } ? MessageInitShape<D> : never;
type KindOf<M> = M extends { methodKind: infer K extends Kind } ? K : never;

type HandlerOf<M, Context> = {
  unary: (request: In<M>, context: Context) => Promise<OutInit<M>>;
  server_streaming: (request: In<M>, context: Context) => AsyncIterable<OutInit<M>>;
  client_streaming: (requests: AsyncIterable<In<M>>, context: Context) => Promise<OutInit<M>>;
  bidi_streaming: (stream: MessageStream<In<M>, OutInit<M>>, context: Context) => Promise<void>;
}[KindOf<M>];

/** A service's implementation: a function a method. */
export type HandlersOf<S extends DescService, Context> = {
  readonly [K in keyof S['method']]: HandlerOf<S['method'][K], Context>;
};

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** The call fails with `deadline-exceeded` after this time. Absent: no limit (for streams). */
  readonly timeoutMs?: number;
}

/** A stream of requests that is answered once. */
export interface RequestStream<Request, Response> {
  send(message: Request): Promise<void>;
  /** Aborts when the stream is over, with what it ended with. */
  readonly signal: AbortSignal;
  /** No more requests follow; resolves with the answer. */
  finish(): Promise<Response>;
}

/** A bidirectional stream as its caller holds it. */
export interface CallStream<Incoming, Outgoing> extends MessageStream<Incoming, Outgoing> {
  /** No more messages follow from this side. */
  end(): void;
  /** Breaks the stream off. */
  cancel(): void;
}

type ClientMethodOf<M> = {
  unary: (request: InInit<M>, options?: CallOptions) => Promise<Out<M>>;
  server_streaming: (request: InInit<M>, options?: CallOptions) => AsyncIterable<Out<M>>;
  client_streaming: (options?: CallOptions) => RequestStream<InInit<M>, Out<M>>;
  bidi_streaming: (options?: CallOptions) => CallStream<Out<M>, InInit<M>>;
}[KindOf<M>];

export type ClientOf<S extends DescService> = {
  readonly [K in keyof S['method']]: ClientMethodOf<S['method'][K]>;
};
