import { strict as assert } from 'node:assert';
import packet from 'dns-packet';
import { assert as check, array, integer, property, uint8Array } from 'fast-check';
import { addressKey, reverseKey, subnetHolds } from './addresses.ts';
import { readQuestion } from './questions.ts';
import {
  addressedTo,
  aged,
  fitting,
  layoutOf,
  lifetimeSeconds,
  questionKey,
  rcodeOf,
  rcodes,
} from './wire.ts';

function answerOf(count: number, ttl = 60, withEdns = false): Buffer {
  const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as const;
  return packet.encode({
    type: 'response',
    id: 7,
    questions: [{ type: 'A', name: 'tasks.web' }],
    answers: Array.from({ length: count }, (_, index) => ({
      type: 'A',
      name: 'tasks.web',
      ttl: ttl + index,
      data: `10.0.1.${index % 250}`,
    })),
    additionals: withEdns ? [opt as never] : [],
  });
}

describe('DNS messages', () => {
  it('are cut after a whole answer, with the mark that there is more', () => {
    for (const withEdns of [false, true]) {
      const short = fitting(answerOf(100, 60, withEdns), 512);
      assert.ok(short.length <= 512 && short.length > 480);
      const { answers = [], additionals = [], flag_tc: isCut } = packet.decode(short);
      assert.equal(isCut, true);
      assert.ok(answers.length > 15);
      assert.equal(additionals.length, withEdns ? 1 : 0);
    }
    const whole = answerOf(5);
    assert.equal(fitting(whole, 512), whole);
  });

  it('grow old', () => {
    const { answers = [] } = packet.decode(aged(answerOf(3, 10, true), 11));
    assert.deepEqual(
      answers.map((record) => 'ttl' in record && record.ttl),
      [0, 0, 1],
    );
  });

  const lifetimes: { name: string; message: Buffer; expect: number }[] = [
    { name: 'as long as the first record', message: answerOf(3, 30, true), expect: 30 },
    { name: 'not at all without records', message: answerOf(0), expect: 0 },
    { name: 'not at all when cut', message: fitting(answerOf(100), 512), expect: 0 },
    { name: 'as the zone says of nothing', message: negative(3, 900, 40), expect: 40 },
    { name: 'no longer than the zone’s own record', message: negative(0, 20, 40), expect: 20 },
    { name: 'not at all after a failure', message: negative(2, 20, 40), expect: 0 },
  ];
  for (const { name, message, expect } of lifetimes) {
    it(`are kept ${name}`, () => assert.equal(lifetimeSeconds(message), expect));
  }

  it('go back under the asker’s identifier and in its letters', () => {
    const query = packet.encode({
      type: 'query',
      id: 9,
      questions: [{ type: 'A', name: 'TASKS.Web' }],
    });
    const answer = addressedTo(query, layoutOf(query).questionEnd, answerOf(1));
    const { id, questions = [] } = packet.decode(answer);
    assert.deepEqual([id, questions[0]?.name], [9, 'TASKS.Web']);
  });

  it('tell types apart whose bytes are the cases of a letter', () => {
    const key = (type: number) => {
      const query = packet.encode({ type: 'query', questions: [{ type: 'A', name: 'x' }] });
      query.writeUInt16BE(type, query.length - 4);
      return questionKey(query, query.length);
    };
    assert.notEqual(key(0x41), key(0x61));
  });

  const kinds: { name: string; labels: string[]; questionClass: number; expect?: number }[] = [
    { name: 'of the Internet are read', labels: ['web'], questionClass: 1 },
    { name: 'of any class are read', labels: ['web'], questionClass: 255 },
    {
      name: 'of the class CHAOS are not for us',
      labels: ['version', 'bind'],
      questionClass: 3,
      expect: rcodes.notImplemented,
    },
    {
      name: 'about a name of 255 bytes are read',
      labels: [...Array.from({ length: 3 }, () => 'a'.repeat(63)), 'a'.repeat(61)],
      questionClass: 1,
    },
    {
      name: 'about a longer name are refused',
      labels: [...Array.from({ length: 3 }, () => 'a'.repeat(63)), 'a'.repeat(62)],
      questionClass: 1,
      expect: rcodes.formatError,
    },
  ];
  for (const { name, labels, questionClass, expect } of kinds) {
    it(name, () => {
      const result = readQuestion(questionOf(labels, questionClass), 'udp');
      const rcode = Buffer.isBuffer(result) ? rcodeOf(result) : undefined;
      assert.equal(rcode, expect);
      if (expect === undefined && !Buffer.isBuffer(result)) {
        assert.equal(result?.question.name, labels.join('.'));
      }
    });
  }

  it('whose name is somewhere else are refused', () => {
    const query = questionOf(['web'], 1);
    // A pointer to itself instead of the name's end, as compression would write it.
    const pointed = Buffer.concat([
      query.subarray(0, 16),
      Buffer.from([0xc0, 12]),
      query.subarray(-4),
    ]);
    const result = readQuestion(pointed, 'udp');
    assert.ok(Buffer.isBuffer(result) && rcodeOf(result) === rcodes.formatError);
  });

  it('that are garbage are refused or ignored, never more', () => {
    const header = array(integer({ min: 0, max: 255 }), { minLength: 0, maxLength: 14 });
    check(
      property(header, uint8Array({ maxLength: 200 }), (start, rest) => {
        const query = Buffer.concat([Buffer.from(start), rest]);
        const result = readQuestion(query, 'udp');
        if (Buffer.isBuffer(result)) assert.ok(layoutOf(result).questionEnd <= result.length);
        else if (result !== undefined) assert.ok(result.questionEnd <= query.length);
      }),
      { numRuns: 2000 },
    );
  });

  it('that were damaged on their way are cut or refused, never more', () => {
    const whole = answerOf(60, 60, true);
    check(
      property(
        integer({ min: 0, max: whole.length - 1 }),
        integer({ min: 0, max: 255 }),
        (at, byte) => {
          const damaged = Buffer.from(whole);
          damaged[at] = byte;
          try {
            assert.ok(fitting(damaged, 512).length <= 512);
          } catch (error) {
            assert.ok(error instanceof RangeError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

function questionOf(labels: readonly string[], questionClass: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(1, 4);
  const name = labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  const tail = Buffer.from([0, 0, 1, questionClass >> 8, questionClass & 255]);
  return Buffer.concat([header, ...name, tail]);
}

function negative(rcode: number, ttl: number, minimum: number): Buffer {
  const message = packet.encode({
    type: 'response',
    questions: [{ type: 'A', name: 'none.example' }],
    authorities: [
      { type: 'SOA', name: 'example', ttl, data: { mname: 'ns.example', rname: 'me', minimum } },
    ],
  });
  message.writeUInt16BE(message.readUInt16BE(2) | rcode, 2);
  return message;
}

describe('addresses', () => {
  it('are the same however they are written', () => {
    assert.equal(addressKey('fd00:2::b'), addressKey('FD00:0002:0:0:0:0:0:000b'));
    assert.equal(addressKey('::ffff:10.0.1.5'), '00000000000000000000ffff0a000105');
    assert.equal(addressKey('10.0.1.5'), '0a000105');
    for (const wrong of ['10.0.1', '10.0.1.256', 'a::b::c', '1:2:3:4:5:6:7', 'web', '12345::']) {
      assert.equal(addressKey(wrong), undefined, wrong);
    }
  });

  it('lie in subnets of any length', () => {
    const cases: [string, string, boolean][] = [
      ['10.0.1.0/24', '10.0.1.255', true],
      ['10.0.1.0/24', '10.0.2.0', false],
      ['10.0.1.64/26', '10.0.1.127', true],
      ['10.0.1.64/26', '10.0.1.128', false],
      ['10.0.0.0/15', '10.1.255.255', true],
      ['10.0.0.0/15', '10.2.0.0', false],
      ['fd00::/63', 'fd00:0:0:1::9', true],
      ['fd00::/64', 'fd00:0:0:1::9', false],
      ['10.0.0.0/8', 'fd00::1', false],
    ];
    for (const [subnet, address, expect] of cases) {
      assert.equal(subnetHolds(subnet, addressKey(address) ?? ''), expect, `${subnet} ${address}`);
    }
  });

  it('are asked for backwards', () => {
    assert.equal(reverseKey('5.1.0.10.in-addr.arpa'), '0a000105');
    assert.equal(reverseKey('x.5.1.0.10.in-addr.arpa'), undefined);
    assert.equal(reverseKey('5.1.0.10.ip6.arpa'), undefined);
  });
});
