/** Managers that come, go and move, as one of the others sees it. */
import { strict as assert } from 'node:assert';
import type { RaftBatch } from '../../gen/raft_pb.js';
import { VirtualClock } from '../../lib/clock.ts';
import type { CallContext, Connection } from '../../lib/grpc/index.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { decodeMessage } from './codec.ts';
import { PeerTransport } from './transport.ts';

type Call = { signal: AbortSignal };

/** Addresses that answer, refuse or never say anything, and what has come to them. */
function start(stored: Record<string, string> = { b: 'old' }) {
  const clock = new VirtualClock();
  const answers = new Map<string, 'takes' | 'refuses' | 'is silent'>();
  const came: string[] = [];
  const attempts: string[] = [];
  let ends = new AbortController();
  const end = () => {
    ends.abort(new Error('Connection dropped'));
    ends = new AbortController();
  };
  const transport = new PeerTransport({
    clock,
    random: seededRandom(1),
    log: silentLogger,
    ownAddr: () => 'a-addr',
    addrOf: (id) => stored[id],
    connect: (addr) => {
      attempts.push(addr);
      const exchange = ({ signal }: Call) => ({
        signal: ends.signal,
        send: async ({ messages }: RaftBatch) => {
          if (answers.get(addr) === 'refuses') throw new Error('refused');
          if (answers.get(addr) === 'is silent') {
            await new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason as Error));
            });
          }
          const types = messages.map((wire) => decodeMessage(wire).type);
          came.push(`${addr}: ${types.join() || 'greeting'}`);
        },
      });
      const connection = { addr, client: () => ({ exchange }), [Symbol.dispose]: () => undefined };
      return connection as unknown as Connection;
    },
  });
  const pass = async (ms: number) => {
    for (let step = 0; step <= ms; step += 10) {
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      clock.advance(10);
    }
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  };
  const say = () => transport.send({ type: 'timeout-now', from: 'a', to: 'b', term: 1 });
  return { answers, attempts, came, end, pass, say, stored, transport };
}

describe('the transport between managers', () => {
  it('says where it is to those that it is told to greet', async () => {
    const { answers, came, pass, transport } = start();
    answers.set('old', 'takes');
    transport.greet(['b']);
    await pass(10);
    assert.deepEqual(came, ['old: greeting']);
    await transport[Symbol.asyncDispose]();
  });

  it('speaks at once to one that has called, however long it was away', async () => {
    const { answers, attempts, came, pass, say, transport } = start();
    answers.set('old', 'refuses');
    for (let time = 0; time < 100; time++) {
      say();
      await pass(100);
    }
    const before = attempts.length;
    assert.ok(before < 25, `${before} attempts within ten seconds: the pauses grow`);
    answers.set('old', 'takes');
    transport.isAt('b', 'old');
    say();
    await pass(10);
    assert.match(came.at(-1) ?? '', /^old: timeout-now/);
    await transport[Symbol.asyncDispose]();
  });

  it('keeps nothing for one that is a member no more', async () => {
    const { answers, came, pass, say, transport } = start();
    answers.set('old', 'is silent');
    say();
    await pass(50);
    say();
    transport.forgetOthers(['a']);
    answers.set('old', 'takes');
    transport.isAt('b', 'old');
    await pass(2_000);
    assert.deepEqual(came, []);
    say();
    await pass(10);
    transport.forgetOthers(['a', 'b']);
    assert.deepEqual(came, ['old: timeout-now']);
    await transport[Symbol.asyncDispose]();
  });

  it('does not wait for a connection to where a manager was before it moved', async () => {
    const { answers, attempts, came, pass, say, transport } = start();
    answers.set('old', 'is silent').set('new', 'takes');
    say();
    await pass(50);
    assert.deepEqual(attempts, ['old']);
    transport.isAt('b', 'new');
    say();
    await pass(10);
    assert.deepEqual(attempts, ['old', 'new']);
    assert.deepEqual(came, ['new: timeout-now']);
    await transport[Symbol.asyncDispose]();
  });

  it('says nothing into a connection that ended while nothing was to be said', async () => {
    const { answers, attempts, came, end, pass, say, transport } = start();
    answers.set('old', 'takes');
    say();
    await pass(10);
    end();
    await pass(200);
    assert.deepEqual(attempts, ['old'], 'nothing is to be said yet');
    say();
    await pass(10);
    assert.deepEqual(attempts, ['old', 'old']);
    assert.equal(came.length, 2);
    await transport[Symbol.asyncDispose]();
  });

  it('leaves a stream alone that goes to where the manager is', async () => {
    const { answers, attempts, came, pass, say, transport } = start();
    answers.set('old', 'takes');
    say();
    await pass(10);
    transport.isAt('b', 'old');
    say();
    await pass(10);
    assert.deepEqual(attempts, ['old']);
    assert.equal(came.length, 2);
    await transport[Symbol.asyncDispose]();
  });

  it('believes the manager itself, until the store hears of another place', async () => {
    const { stored, transport } = start();
    assert.equal(transport.addrOf('b'), 'old');
    transport.isAt('b', 'new');
    assert.equal(transport.addrOf('b'), 'new');
    stored['b'] = 'newer';
    assert.equal(transport.addrOf('b'), 'newer');
    await transport[Symbol.asyncDispose]();
  });

  it('learns where a manager is from what that sends, and takes no word for another', async () => {
    const { transport } = start();
    const peer = { nodeId: 'b', role: 'manager', clusterId: 'c' };
    const context = { peer, remoteIp: '', signal: new AbortController().signal };
    const batches = async function* () {
      yield { messages: [], fromAddr: 'new' } as unknown as RaftBatch;
    };
    await transport.handlers.exchange(batches(), context as unknown as CallContext);
    assert.equal(transport.addrOf('b'), 'new');
    await transport[Symbol.asyncDispose]();
  });
});
