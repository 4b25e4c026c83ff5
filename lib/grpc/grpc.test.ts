import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { Content } from '../../gen/containerd/content_pb.js';
import { Control } from '../../gen/control_pb.js';
import { Dispatcher } from '../../gen/dispatcher_pb.js';
import { Logs } from '../../gen/logs_pb.js';
import { startTestSwarm, type TestSwarm } from '../../manager/ca/testing.ts';
import { SwarmError, errorCodes } from '../errors.ts';
import { silentLogger } from '../log.ts';
import { parseAddr, withDefaultPort } from './addr.ts';
import type { Connection } from './client.ts';
import { ClusterServer } from './server.ts';

const allow = { allow: 'nodes' } as const;

describe('lib/grpc', () => {
  let swarm: TestSwarm;
  let connection: Connection;

  before(async () => {
    swarm = await startTestSwarm();
    connection = swarm.manager.connect(swarm.addr);
  });
  after(async () => {
    connection[Symbol.dispose]();
    await swarm[Symbol.asyncDispose]();
  });

  describe('unary calls', () => {
    let answer: (method: string, signal: AbortSignal) => Promise<string>;
    const call = (method: string, options?: { signal?: AbortSignal; timeoutMs?: number }) =>
      connection.client(Control).call({ method }, options);

    before(() => {
      const handlers = {
        call: async ({ method }: { method: string }, { signal }: { signal: AbortSignal }) => ({
          result: Buffer.from(await answer(method, signal)),
        }),
      };
      swarm.server.addService(Control, handlers, allow);
    });
    after(() => swarm.server.removeService(Control));

    it('bring request and answer across', async () => {
      answer = async (method) => `${method}!`;
      assert.equal(Buffer.from((await call('hello')).result).toString(), 'hello!');
    });

    it('bring every error across with its code, sentence and details', async () => {
      for (const code of errorCodes) {
        const message = `größer als 10 % – ${code}; "quoted" #1`;
        answer = () => Promise.reject(new SwarmError(code, message, { details: { limit: 3 } }));
        await assert.rejects(call('x'), (error) => {
          assert.ok(error instanceof SwarmError);
          assert.deepEqual([error.code, error.message], [code, message]);
          assert.deepEqual(error.details, { limit: 3 });
          return true;
        });
      }
    });

    it('make any other thrown value an internal error', async () => {
      answer = () => Promise.reject(new TypeError('oops'));
      await assert.rejects(call('x'), { code: 'internal', message: 'oops' });
    });

    it('fail in time, and tell the server so', async () => {
      const told = Promise.withResolvers<void>();
      answer = async (_method, signal) => {
        signal.addEventListener('abort', () => told.resolve());
        await told.promise;
        return '';
      };
      await assert.rejects(call('x', { timeoutMs: 50 }), {
        code: 'deadline-exceeded',
        message: /did not answer in time/,
      });
      await told.promise;
    });

    it('end with the caller’s reason when aborted, before and while they run', async () => {
      const running = Promise.withResolvers<void>();
      const told = Promise.withResolvers<void>();
      answer = async (_method, signal) => {
        running.resolve();
        signal.addEventListener('abort', () => told.resolve());
        await told.promise;
        return '';
      };
      const abort = new AbortController();
      const calling = call('x', { signal: abort.signal });
      await running.promise;
      abort.abort(new SwarmError('cancelled', 'enough'));
      await assert.rejects(calling, { code: 'cancelled', message: 'enough' });
      await told.promise;
      await assert.rejects(call('x', { signal: abort.signal }), { message: 'enough' });
    });

    it('fail clearly where nobody serves them', async () => {
      await assert.rejects(connection.client(Logs).publish().finish(), {
        code: 'unimplemented',
        message: /does not serve this call/,
      });
    });
  });

  it('streams requests, and holds the sender while nobody takes them', async () => {
    const go = Promise.withResolvers<void>();
    let taken = 0;
    const handlers = {
      publish: async (requests: AsyncIterable<{ subscriptionId: string }>) => {
        await go.promise;
        for await (const { subscriptionId } of requests) taken += subscriptionId.length;
        return {};
      },
    };
    swarm.server.addService(Logs, handlers, allow);
    const stream = connection.client(Logs).publish();
    const messages = [{ data: new Uint8Array(100_000) }];
    let sent = 0;
    let done = false;
    const sending = (async () => {
      for (; sent < 500; sent += 1) await stream.send({ subscriptionId: 's', messages });
      done = true;
    })();
    for (let before = -1, rest = 0; rest < 200; before = sent) {
      await new Promise((resolve) => setImmediate(resolve));
      rest = sent === before ? rest + 1 : 0;
    }
    assert.equal(done, false, `all ${sent} messages were buffered`);
    go.resolve();
    await sending;
    await stream.finish();
    assert.equal(taken, 500);
    swarm.server.removeService(Logs);
  });

  it('gives the sender of a stream the reason why it was refused', async () => {
    const handlers = {
      publish: () => Promise.reject(new SwarmError('not-found', 'nobody asked')),
    };
    swarm.server.addService(Logs, handlers, allow);
    const stream = connection.client(Logs).publish();
    await assert.rejects(
      async () => {
        for (;;) await stream.send({ subscriptionId: 's', error: 'x'.repeat(10_000) });
      },
      { code: 'not-found', message: 'nobody asked' },
    );
    await assert.rejects(stream.finish(), { code: 'not-found' });
    swarm.server.removeService(Logs);
  });

  for (const how of ['is cancelled', 'loses its connection'] as const) {
    it(`does not take a stream of requests for complete that ${how}`, async () => {
      const first = Promise.withResolvers<void>();
      const end = Promise.withResolvers<string>();
      const handlers = {
        publish: async (requests: AsyncIterable<unknown>) => {
          try {
            for await (const _ of requests) first.resolve();
            end.resolve('complete');
          } catch (error) {
            end.resolve(SwarmError.from(error).code);
          }
          return {};
        },
      };
      swarm.server.addService(Logs, handlers, allow);
      using _served = { [Symbol.dispose]: () => swarm.server.removeService(Logs) };
      const { host, port } = parseAddr(swarm.addr);
      const cut = new AbortController();
      const cable = createServer((near) => {
        const far = connect(port, host);
        const destroy = () => [near, far].forEach((socket) => socket.destroy());
        near.on('error', destroy).on('close', destroy).pipe(far);
        far.on('error', destroy).on('close', destroy).pipe(near);
        cut.signal.addEventListener('abort', destroy);
      });
      await once(cable.listen(0, '127.0.0.1'), 'listening');
      const { port: cablePort } = cable.address() as AddressInfo;
      using own = swarm.manager.connect(`127.0.0.1:${cablePort}`);
      const life = new AbortController();
      const stream = own.client(Logs).publish({ signal: life.signal });
      await stream.send({ subscriptionId: 's' });
      await first.promise;
      if (how === 'is cancelled') life.abort();
      else cut.abort();
      assert.equal(await end.promise, 'cancelled');
      cut.abort();
      cable.close();
    });
  }

  it('streams answers, and stops making them when the reader leaves', async () => {
    const left = Promise.withResolvers<void>();
    const notServed = () => Promise.reject(new SwarmError('unimplemented', 'not in this test'));
    const handlers = {
      ...Object.fromEntries(Content.methods.map(({ localName }) => [localName, notServed])),
      read: async function* (_request: unknown, { signal }: { signal: AbortSignal }) {
        signal.addEventListener('abort', () => left.resolve());
        for (let offset = 0n; ; offset += 1n) yield { offset, data: new Uint8Array(1_000) };
      },
    };
    swarm.server.addService(Content, handlers as never, allow);
    const offsets: bigint[] = [];
    for await (const { offset } of connection.client(Content).read({ digest: 'd' })) {
      offsets.push(offset);
      if (offsets.length === 100) break;
    }
    assert.equal(offsets[99], 99n);
    await left.promise;
  });

  it('speaks both ways, and ends with what either side says', async () => {
    const handlers: Parameters<typeof swarm.server.addService<typeof Dispatcher>>[1] = {
      session: async (stream) => {
        for await (const { message } of stream.incoming) {
          if (message.case !== 'heartbeat') throw new SwarmError('aborted', 'enough');
          const { sequence } = message.value;
          await stream.send({ message: { case: 'heartbeat', value: { sequence, periodMs: 5 } } });
        }
      },
    };
    swarm.server.addService(Dispatcher, handlers, allow);
    const open = () => connection.client(Dispatcher).session();
    const beat = (sequence: bigint) => ({
      message: { case: 'heartbeat' as const, value: { sequence } },
    });

    const polite = open();
    await polite.send(beat(7n));
    polite.end();
    const heard = [];
    for await (const { message } of polite.incoming) heard.push(message.value);
    assert.equal(heard.length, 1);

    const rude = open();
    await rude.send({ message: { case: 'description', value: new Uint8Array() } });
    const listening = (async () => {
      for await (const { message } of rude.incoming) assert.fail(`unexpected ${message.case}`);
    })();
    await assert.rejects(listening, { code: 'aborted', message: 'enough' });
    assert.ok(rude.signal.aborted);
    await assert.rejects(rude.send(beat(1n)), { code: 'aborted' });
    swarm.server.removeService(Dispatcher);
  });

  describe('the cluster port', () => {
    it('survives garbage, and connections that are broken off', async () => {
      const { host, port } = parseAddr(swarm.addr);
      for (const garbage of [
        'GET / HTTP/1.1\r\n\r\n',
        '\x16\x03\x01\x02\x00',
        '\x00'.repeat(9_000),
      ]) {
        const socket = connect(port, host);
        socket.on('error', () => socket.destroy());
        socket.write(garbage);
        if (garbage.startsWith('\x16')) setImmediate(() => socket.resetAndDestroy());
        await once(socket, 'close');
      }
      using again = swarm.manager.connect(swarm.addr);
      await assert.rejects(again.client(Control).call({}), { code: 'unimplemented' });
    });

    it('says which port is taken, and what to do', async () => {
      await using second = new ClusterServer({
        listenAddr: swarm.addr,
        identity: swarm.manager,
        isRemoved: () => false,
        log: silentLogger,
      });
      await assert.rejects(second.listen(), {
        code: 'unavailable',
        message: /another process holds it; choose another with --listen-addr/,
      });
    });
  });

  it('reads addresses', () => {
    const cases = [
      { given: '10.0.0.1', expect: '10.0.0.1:2377' },
      { given: '10.0.0.1:99', expect: '10.0.0.1:99' },
      { given: 'manager.example', expect: 'manager.example:2377' },
      { given: '[fe80::1]:99', expect: '[fe80::1]:99' },
      { given: '[fe80::1]', expect: '[fe80::1]:2377' },
    ];
    for (const { given, expect } of cases) assert.equal(withDefaultPort(given), expect);
    for (const given of ['', ':99', 'a:b', 'a:99999', 'fe80::1', 'a:1:2']) {
      assert.throws(() => parseAddr(given), { code: 'invalid-argument' });
    }
  });
});
