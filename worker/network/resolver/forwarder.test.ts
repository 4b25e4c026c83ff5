import { strict as assert } from 'node:assert';
import packet from 'dns-packet';
import { VirtualClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import type { Exchange } from './exchange.ts';
import { Forwarder, type Via } from './forwarder.ts';
import { headerFlags, layoutOf, rcodeOf, rcodes } from './wire.ts';

type Reply = 'silent' | 'broken' | 'servfail' | 'garbage' | 'cut' | { ttl: number; data: string };

function queryFor(name: string, id = 1): Buffer {
  return packet.encode({
    type: 'query',
    id,
    flags: headerFlags.recursionDesired,
    questions: [{ type: 'A', name }],
  });
}

function replyTo(query: Buffer, reply: Exclude<Reply, 'silent' | 'broken'>): Buffer {
  const { id = 0, questions = [] } = packet.decode(query);
  const [question] = questions;
  assert.ok(question);
  const answers =
    typeof reply === 'object'
      ? [{ type: 'A' as const, name: question.name, ttl: reply.ttl, data: reply.data }]
      : [];
  const rcode = reply === 'servfail' ? rcodes.serverFailure : rcodes.noError;
  const flags = rcode | (reply === 'cut' ? headerFlags.truncated : 0);
  const message = packet.encode({ type: 'response', id, flags, questions, answers });
  return reply === 'garbage' ? message.subarray(0, message.length - 3) : message;
}

class Fixture {
  readonly clock = new VirtualClock();
  readonly asked: string[] = [];
  readonly forwarder: Forwarder;
  readonly servers: Record<string, Reply>;
  overTcp: Reply = 'broken';

  constructor(servers: Record<string, Reply>) {
    this.servers = servers;
    this.forwarder = new Forwarder({
      clock: this.clock,
      log: silentLogger,
      udp: this.#exchange('udp', ({ address }) => this.servers[address] ?? 'broken'),
      tcp: this.#exchange('tcp', () => this.overTcp),
    });
  }

  get via(): Via {
    const servers = Object.keys(this.servers).map((address) => ({ address, port: 53 }));
    return { key: 'host', servers };
  }

  ask(query: Buffer): Promise<Buffer> {
    return this.forwarder.forward(query, layoutOf(query).questionEnd, this.via);
  }

  /** Lets the clock run until there is an answer. */
  async answer(query: Buffer): Promise<{ data: unknown; rcode: number; tookMs: number }> {
    const startMs = this.clock.monotonicMs();
    let answer: Buffer | undefined;
    void this.ask(query).then((message) => (answer = message));
    for (;;) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      if (answer !== undefined) break;
      const nextMs = this.clock.nextTimerMs();
      assert.ok(nextMs !== undefined, 'somebody must answer some time');
      this.clock.advance(nextMs - this.clock.monotonicMs());
    }
    const [first] = packet.decode(answer).answers ?? [];
    return {
      data: first !== undefined && 'data' in first ? first.data : undefined,
      rcode: rcodeOf(answer),
      tookMs: this.clock.monotonicMs() - startMs,
    };
  }

  #exchange(way: string, find: (server: { address: string }) => Reply): Exchange {
    return ({ query, server, signal }) => {
      this.asked.push(`${way} ${server.address}`);
      const reply = find(server);
      if (reply === 'broken') return Promise.reject(new Error('refused'));
      if (reply !== 'silent') return Promise.resolve(replyTo(query, reply));
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    };
  }
}

const good = { ttl: 60, data: '192.0.2.1' } as const;

describe('questions to other name servers', () => {
  const cases: {
    name: string;
    servers: Record<string, Reply>;
    overTcp?: Reply;
    expect: { data?: string; rcode: number; tookMs: number; asked: string[] };
  }[] = [
    {
      name: 'are answered by the first',
      servers: { a: good, b: 'silent' },
      expect: { data: good.data, rcode: 0, tookMs: 0, asked: ['udp a'] },
    },
    {
      name: 'go to the next one where the first is silent',
      servers: { a: 'silent', b: good },
      expect: { data: good.data, rcode: 0, tookMs: 800, asked: ['udp a', 'udp b'] },
    },
    {
      name: 'go to the next one at once where the first cannot be reached',
      servers: { a: 'broken', b: good },
      expect: { data: good.data, rcode: 0, tookMs: 0, asked: ['udp a', 'udp b'] },
    },
    {
      name: 'go to the next one where the first fails',
      servers: { a: 'servfail', b: good },
      expect: { data: good.data, rcode: 0, tookMs: 0, asked: ['udp a', 'udp b'] },
    },
    {
      name: 'fail where all fail',
      servers: { a: 'servfail', b: 'broken' },
      expect: { rcode: 2, tookMs: 0, asked: ['udp a', 'udp b', 'udp a', 'udp b'] },
    },
    {
      name: 'fail before the client gives up where all are silent',
      servers: { a: 'silent', b: 'silent' },
      expect: { rcode: 2, tookMs: 4500, asked: ['udp a', 'udp b', 'udp a', 'udp b'] },
    },
    {
      name: 'fail where there is nobody to ask',
      servers: {},
      expect: { rcode: 2, tookMs: 0, asked: [] },
    },
    {
      name: 'go to the next one where the answer is no message',
      servers: { a: 'garbage', b: good },
      expect: { data: good.data, rcode: 0, tookMs: 0, asked: ['udp a', 'udp b'] },
    },
    {
      name: 'are asked again over TCP where the answer is cut',
      servers: { a: 'cut' },
      overTcp: good,
      expect: { data: good.data, rcode: 0, tookMs: 0, asked: ['udp a', 'tcp a'] },
    },
    {
      name: 'do not wait long for the rest where TCP is never answered',
      servers: { a: 'cut' },
      overTcp: 'silent',
      expect: { rcode: 0, tookMs: 1500, asked: ['udp a', 'tcp a', 'udp a', 'tcp a'] },
    },
    {
      name: 'are content with a cut answer where there is no TCP',
      servers: { a: 'cut' },
      expect: { rcode: 0, tookMs: 0, asked: ['udp a', 'tcp a'] },
    },
  ];
  for (const { name, servers, overTcp, expect } of cases) {
    it(name, async () => {
      const fixture = new Fixture(servers);
      if (overTcp !== undefined) fixture.overTcp = overTcp;
      const answer = await fixture.answer(queryFor('example.com'));
      assert.deepEqual({ ...answer, asked: fixture.asked }, { data: undefined, ...expect });
    });
  }

  it('leave a silent server for the last for a while', async () => {
    const fixture = new Fixture({ a: 'silent', b: good });
    await fixture.answer(queryFor('one.example'));
    assert.equal((await fixture.answer(queryFor('two.example'))).tookMs, 0);
    fixture.clock.advance(11_000);
    assert.equal((await fixture.answer(queryFor('three.example'))).tookMs, 800);
  });

  it('are remembered as long as the answer says', async () => {
    const fixture = new Fixture({ a: good });
    await fixture.answer(queryFor('example.com'));
    fixture.clock.advance(59_000);
    const answer = await fixture.ask(queryFor('EXAMPLE.com', 2));
    const { id, questions, answers = [] } = packet.decode(answer);
    assert.deepEqual([id, questions?.[0]?.name], [2, 'EXAMPLE.com']);
    assert.ok(answers[0] !== undefined && 'ttl' in answers[0] && answers[0].ttl === 1);
    assert.equal(fixture.asked.length, 1);
    fixture.clock.advance(1000);
    await fixture.answer(queryFor('example.com'));
    assert.equal(fixture.asked.length, 2);
  });

  it('asked twice at a time go out once', async () => {
    const fixture = new Fixture({ a: good });
    const answers = await Promise.all([
      fixture.ask(queryFor('example.com', 1)),
      fixture.ask(queryFor('Example.com', 2)),
    ]);
    assert.deepEqual(
      answers.map((answer) => packet.decode(answer).questions?.[0]?.name),
      ['example.com', 'Example.com'],
    );
    assert.equal(fixture.asked.length, 1);
  });

  it('are bounded in number', async () => {
    const fixture = new Fixture({ a: 'silent' });
    const all = Array.from({ length: 1030 }, (_, id) => fixture.ask(queryFor(`${id}.example`)));
    const refused = await all[1025];
    assert.ok(refused !== undefined && rcodeOf(refused) === rcodes.serverFailure);
    assert.equal(fixture.asked.length, 1024);
    fixture.forwarder[Symbol.dispose]();
    const rcode = (await Promise.all(all)).map(rcodeOf);
    assert.deepEqual(new Set(rcode), new Set([rcodes.serverFailure]));
  });
});
