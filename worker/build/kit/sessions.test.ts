import { strict as assert } from 'node:assert';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { duplexPair, type Duplex } from 'node:stream';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  CredentialsRequestSchema,
  CredentialsResponseSchema,
  GetSecretRequestSchema,
  GetSecretResponseSchema,
} from '../../../gen/buildkit/session_pb.js';
import { VirtualClock } from '../../../lib/clock.ts';
import { isErrorCode } from '../../runtime/testing/errors.ts';
import { BuildJobs, meetingMs } from './jobs.ts';
import { arrivalMs, BuildSessions, maxIdleMs } from './sessions.ts';

const { signal } = new AbortController();
const methods = '/moby.filesync.v1.Auth/Credentials, /moby.buildkit.secrets.v1.Secrets/GetSecret';
const headersFor = (id: string) => ({
  upgrade: 'h2c',
  'x-docker-expose-session-uuid': id,
  'x-docker-expose-session-grpc-method': methods,
});

/** A client's side: answers each call with a message, or with a status. */
function serveClient(answer: (path: string, message: Buffer) => Uint8Array | string): {
  readonly near: Duplex;
  readonly server: Http2Server;
} {
  const [near, far] = duplexPair();
  const server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    void reply(stream, String(headers[':path']), answer);
  });
  server.emit('connection', far);
  return { near, server };
}

async function reply(
  stream: ServerHttp2Stream,
  path: string,
  answer: (path: string, message: Buffer) => Uint8Array | string,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  const said = answer(path, Buffer.concat(chunks).subarray(5));
  const contentType = { ':status': 200, 'content-type': 'application/grpc' };
  if (typeof said === 'string') {
    const [code, message = ''] = said.split(' ');
    stream.respond(
      { ...contentType, 'grpc-status': code, 'grpc-message': message },
      { endStream: true },
    );
    return;
  }
  stream.respond(contentType, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(said.length, 1);
  // In two pieces, of which the first has not even the length.
  stream.write(prefix.subarray(0, 3));
  stream.end(Buffer.concat([prefix.subarray(3), said]));
}

describe('the session of a build', () => {
  it('is asked for logins and secrets', async () => {
    const sessions = new BuildSessions(new VirtualClock());
    const { near } = serveClient((path, message) => {
      if (path.endsWith('/Credentials')) {
        const { Host } = fromBinary(CredentialsRequestSchema, message);
        const known = { Username: 'me', Secret: `of ${Host}` };
        const init = Host === 'nowhere' ? {} : Host === 'tokens' ? { Secret: 't' } : known;
        return toBinary(CredentialsResponseSchema, create(CredentialsResponseSchema, init));
      }
      const { ID } = fromBinary(GetSecretRequestSchema, message);
      if (ID === 'none') return '5 not%20found';
      if (ID === 'broken') return '2 the%20disk%20is%20full';
      const data = Buffer.from(`value of ${ID}`);
      return toBinary(GetSecretResponseSchema, create(GetSecretResponseSchema, { data }));
    });
    const served = sessions.serve(headersFor('s'), near);
    using held = await sessions.use('s', { signal });
    const { session } = held;
    assert.deepEqual(await session.credentials('docker.io', { signal }), {
      username: 'me',
      password: 'of registry-1.docker.io',
    });
    assert.deepEqual(await session.credentials('tokens', { signal }), { identityToken: 't' });
    assert.equal(await session.credentials('nowhere', { signal }), undefined);
    const secret = await session.secret('s', { signal });
    assert.equal(Buffer.from(secret ?? []).toString('utf8'), 'value of s');
    assert.equal(await session.secret('none', { signal }), undefined);
    await assert.rejects(session.secret('broken', { signal }), /the disk is full/);
    sessions[Symbol.dispose]();
    await served;
    await assert.rejects(session.secret('s', { signal }), isErrorCode('unavailable'));
  });

  it('offers what it has named, and nothing else', async () => {
    const sessions = new BuildSessions(new VirtualClock());
    const { near } = serveClient(() => '12');
    const headers = { ...headersFor('s'), 'x-docker-expose-session-grpc-method': '' };
    const served = sessions.serve(headers, near);
    const { session } = await sessions.use('s', { signal });
    assert.equal(await session.credentials('docker.io', { signal }), undefined);
    assert.equal(await session.secret('x', { signal }), undefined);
    sessions[Symbol.dispose]();
    await served;
  });

  it('ends when its client leaves in the middle of a call', async () => {
    const sessions = new BuildSessions(new VirtualClock());
    let far: Duplex | undefined;
    const { near, server } = serveClient(() => '0');
    server.removeAllListeners('stream');
    server.on('stream', (stream: ServerHttp2Stream) => (far = stream.session?.socket)?.destroy());
    const served = sessions.serve(headersFor('s'), near);
    const { session } = await sessions.use('s', { signal });
    await assert.rejects(session.secret('x', { signal }), isErrorCode('unavailable'));
    await served;
    assert.ok(far);
  });

  it('closes where no build uses it', async () => {
    const clock = new VirtualClock();
    const sessions = new BuildSessions(clock);
    const { near } = serveClient(() => '0');
    const served = sessions.serve(headersFor('s'), near);
    const held = await sessions.use('s', { signal });
    clock.advance(maxIdleMs * 2);
    assert.equal(near.destroyed, false);
    held[Symbol.dispose]();
    clock.advance(maxIdleMs);
    await served;
    assert.ok(near.destroyed);
  });

  it('is waited for, but not for ever', async () => {
    const clock = new VirtualClock();
    const sessions = new BuildSessions(clock);
    const early = sessions.use('s', { signal });
    const { near } = serveClient(() => '0');
    const served = sessions.serve(headersFor('s'), near);
    assert.equal((await early).session.id, 's');
    const never = sessions.use('other', { signal });
    clock.advance(arrivalMs);
    await assert.rejects(never, isErrorCode('not-found', /no active session for other/));
    const gone = new AbortController();
    const given = sessions.use('other', gone);
    gone.abort(new Error('left'));
    await assert.rejects(given, /left/);
    sessions[Symbol.dispose]();
    await served;
  });

  it('is refused where it cannot be one', async () => {
    const sessions = new BuildSessions(new VirtualClock());
    const refused = (headers: Record<string, string>, says: RegExp) =>
      assert.throws(() => sessions.check(headers), isErrorCode('invalid-argument', says));
    refused({ upgrade: 'h2c' }, /needs an id/);
    refused({ ...headersFor('a/b') }, /needs an id/);
    refused({ ...headersFor('s'), upgrade: 'tcp' }, /protocol tcp not supported/);
    refused({ ...headersFor('s'), upgrade: '' }, /no upgrade proto in request/);
    const all = Array.from({ length: 64 }, (_, index) => {
      const headers = headersFor(`s${index}`);
      sessions.check(headers);
      return sessions.serve(headers, serveClient(() => '0').near);
    });
    refused(headersFor('s0'), /session s0 already exists/);
    assert.throws(() => sessions.check(headersFor('new')), isErrorCode('resource-exhausted'));
    sessions[Symbol.dispose]();
    await Promise.all(all);
    sessions.check(headersFor('new'));
  });
});

describe('builds by their ids', () => {
  async function* bytes() {
    yield Buffer.from('files');
  }

  it('are cancelled, and nothing else is', () => {
    const jobs = new BuildJobs(new VirtualClock());
    const [one, other] = [new AbortController(), new AbortController()];
    const job = jobs.start('one', one);
    jobs.start('other', other);
    jobs.cancel('unknown');
    jobs.cancel('one');
    assert.deepEqual([one.signal.aborted, other.signal.aborted], [true, false]);
    job[Symbol.dispose]();
  });

  it('have their files, whichever comes first', async () => {
    const jobs = new BuildJobs(new VirtualClock());
    for (const isFirst of [true, false]) {
      const early = isFirst ? jobs.upload('b', bytes(), { signal }) : undefined;
      const wanted = jobs.files('b', { signal });
      const sent = early ?? jobs.upload('b', bytes(), { signal });
      const files = await wanted;
      for await (const chunk of files.bytes) assert.equal(String(chunk), 'files');
      files.done();
      await sent;
    }
  });

  it('do without files that do not come, and files without a build that does not', async () => {
    const clock = new VirtualClock();
    const jobs = new BuildJobs(clock);
    const wanted = jobs.files('b', { signal });
    clock.advance(meetingMs);
    await assert.rejects(wanted, isErrorCode('not-found', /nobody sends the files/));
    const left = new AbortController();
    const sent = jobs.upload('b', bytes(), left);
    await assert.rejects(jobs.upload('b', bytes(), { signal }), isErrorCode('invalid-argument'));
    left.abort();
    await sent;
  });
});
