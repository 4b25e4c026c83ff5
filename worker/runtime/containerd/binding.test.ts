import { strict as assert } from 'node:assert';
import {
  Client as GrpcClient,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { fromBinary, toBinary, create } from '@bufbuild/protobuf';
import {
  Content,
  WriteAction,
  WriteContentRequestSchema,
  WriteContentResponseSchema,
} from '../../../gen/containerd/content_pb.js';
import { typedClient, type TypedClient } from './binding.ts';

type Answers = (call: ServerDuplexStream<unknown, unknown>) => void;

/** More than the transport takes of a call that nobody reads. */
const large = { action: WriteAction.WRITE, data: Buffer.alloc(4 * 1024 * 1024) };
const question = { action: WriteAction.STAT, ref: 'r' };
const gone = new Error('nobody wants it any more');

describe('calls in both directions', () => {
  let server: Server;
  let grpc: GrpcClient;
  let content: TypedClient<typeof Content>;
  let answers: Answers = () => undefined;

  before(async () => {
    server = new Server();
    server.register(
      '/containerd.services.content.v1.Content/Write',
      (call: ServerDuplexStream<unknown, unknown>) => answers(call),
      (value) => Buffer.from(toBinary(WriteContentResponseSchema, value as never)),
      (bytes) => fromBinary(WriteContentRequestSchema, bytes),
      'bidi',
    );
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
    grpc = new GrpcClient(`127.0.0.1:${await promise}`, credentials.createInsecure());
    content = typedClient(Content, grpc, { metadata: {}, timeoutMs: 0 });
  });
  after(() => {
    grpc.close();
    server.forceShutdown();
  });

  /** Answers the first message, and reads no more. */
  const once: Answers = (call) => {
    call.once('data', () => {
      call.pause();
      call.write(create(WriteContentResponseSchema, { offset: 7n }));
    });
    call.on('error', (error) => assert.ok(error));
  };
  const opened = async (signal: AbortSignal) => {
    const stream = content.write({ signal });
    const replies = stream[Symbol.asyncIterator]();
    await stream.write(question);
    return { stream, replies };
  };

  it('fail what is being written when their caller gives up', async () => {
    answers = once;
    const caller = new AbortController();
    const { stream, replies } = await opened(caller.signal);
    assert.equal((await replies.next()).value?.offset, 7n);
    const writing = Array.from({ length: 4 }, () => stream.write(large));
    caller.abort(gone);
    for (const outcome of await Promise.allSettled(writing.slice(1))) {
      assert.deepEqual(outcome, { status: 'rejected', reason: gone });
    }
    await assert.rejects(replies.next(), gone);
    await assert.rejects(stream.write(question), gone);
  });

  it('tell who reads that their caller gave up before', async () => {
    answers = once;
    const caller = new AbortController();
    const { replies } = await opened(caller.signal);
    caller.abort(gone);
    await assert.rejects(replies.next(), gone);
  });

  it('tell who reads and writes why the server ended them', async () => {
    answers = (call) => {
      call.once('data', () => call.emit('error', { code: 14, details: 'it is locked' }));
    };
    const { stream, replies } = await opened(new AbortController().signal);
    await assert.rejects(replies.next(), { code: 'unavailable', message: 'it is locked' });
    await assert.rejects(stream.write(question), { code: 'unavailable', message: 'it is locked' });
  });
});
