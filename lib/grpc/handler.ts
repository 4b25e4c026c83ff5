import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type {
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedHandleCall,
  UntypedServiceImplementation,
  sendUnaryData,
} from '@grpc/grpc-js';
import { SwarmError, messageOf } from '../errors.ts';
import { toStatus } from './errors.ts';
import type { NodePeer } from './peer.ts';
import type { HandlersOf, MessageStream } from './service.ts';
import { messagesOf, writeTo } from './stream.ts';

/** What a handler knows of the call. */
export interface CallContext {
  /** Absent only where a service lets anyone call. */
  readonly peer: NodePeer | undefined;
  /** The caller's IP address. */
  readonly remoteIp: string;
  /** Aborts when the caller goes away, or the call is over. */
  readonly signal: AbortSignal;
}

/** Who calls, by the certificate that was shown. Throws where the caller may not call. */
type Judge = (certificate: Buffer | undefined) => NodePeer | undefined;

type AnyCall = ServerUnaryCall<unknown, unknown> &
  ServerReadableStream<unknown, unknown> &
  ServerWritableStream<unknown, unknown> &
  ServerDuplexStream<unknown, unknown>;
type AnyHandler = (argument: unknown, context: CallContext) => unknown;

/** Handlers as grpc-js wants them: callers judged, errors mapped, lives tied to signals. */
export function implementationOf<S extends DescService>(
  service: S,
  handlers: HandlersOf<S, CallContext>,
  judge: Judge,
): UntypedServiceImplementation {
  return Object.fromEntries(
    service.methods.map((method) => {
      const handler = (handlers as Record<string, AnyHandler>)[method.localName];
      if (handler === undefined) throw new TypeError(`no handler for ${method.name}`);
      return [method.localName, handle(method, handler.bind(handlers), judge)];
    }),
  );
}

function handle(method: DescMethod, handler: AnyHandler, judge: Judge): UntypedHandleCall {
  const kinds = {
    unary: (call: AnyCall, callback: sendUnaryData<unknown>) =>
      answerOnce(call, callback, judge, (context) => handler(call.request, context)),
    client_streaming: (call: AnyCall, callback: sendUnaryData<unknown>) =>
      answerOnce(call, callback, judge, (context) =>
        handler(messagesOf(call, brokenOff, context.signal), context),
      ),
    server_streaming: (call: AnyCall) =>
      answerMany(call, judge, async (context) => {
        const answers = handler(call.request, context) as AsyncIterable<unknown>;
        for await (const message of answers) await writeTo(call, message, context.signal);
      }),
    bidi_streaming: (call: AnyCall) =>
      answerMany(call, judge, async (context) => {
        await handler(streamOf(call, context.signal), context);
      }),
  };
  return kinds[method.methodKind] as UntypedHandleCall;
}

function answerOnce(
  call: AnyCall,
  callback: sendUnaryData<unknown>,
  judge: Judge,
  run: (context: CallContext) => unknown,
): void {
  const over = lifeOf(call);
  const work = async () => run(contextOf(call, judge, over.signal));
  work().then(
    (answer) => {
      over.abort(finished());
      callback(null, answer);
    },
    (error: unknown) => {
      over.abort(finished());
      callback(toStatus(error));
    },
  );
}

function answerMany(
  call: AnyCall,
  judge: Judge,
  run: (context: CallContext) => Promise<void>,
): void {
  const over = lifeOf(call);
  const work = async () => run(contextOf(call, judge, over.signal));
  work().then(
    () => {
      over.abort(finished());
      if (!call.destroyed) call.end();
    },
    (error: unknown) => {
      over.abort(finished());
      // This is how grpc-js is told of a status; on a call that is gone nobody would hear it.
      if (!call.destroyed) call.emit('error', toStatus(error));
    },
  );
}

function lifeOf(call: AnyCall): AbortController {
  const over = new AbortController();
  call.once('cancelled', () => over.abort(brokenOff(undefined)));
  return over;
}

function contextOf(call: AnyCall, judge: Judge, signal: AbortSignal): CallContext {
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  return { peer: judge(certificate), remoteIp: ipOf(call.getPeer()), signal };
}

/** grpc-js writes a peer as "address:port", also for IPv6. */
function ipOf(peer: string): string {
  const ip = peer.slice(0, peer.lastIndexOf(':'));
  return ip.startsWith('::ffff:') ? ip.slice('::ffff:'.length) : ip;
}

function streamOf(call: AnyCall, signal: AbortSignal): MessageStream<unknown, unknown> {
  return {
    incoming: messagesOf(call, brokenOff, signal),
    send: (message) => writeTo(call, message, signal),
    signal,
  };
}

function brokenOff(thrown: unknown): SwarmError {
  const cause = thrown === undefined ? {} : { cause: thrown, details: { why: messageOf(thrown) } };
  return new SwarmError('cancelled', 'the caller has broken off the call', cause);
}

function finished(): SwarmError {
  return new SwarmError('cancelled', 'the call is over');
}
