import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import {
  parseBytes,
  parseCsv,
  parseDecimalNano,
  parseDurationMs,
  parseShellWords,
  splitPair,
} from './parse.ts';
import { goDuration } from './units.ts';

describe('format/parse', () => {
  const durations: [string, number][] = [
    ['0', 0],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
    ['10us', 0.01],
    ['-2s', -2000],
    ['2160h0m0s', 7_776_000_000],
  ];
  for (const [text, ms] of durations) {
    it(`reads the duration ${text}`, () => assert.equal(parseDurationMs(text), ms));
  }

  for (const text of ['', '5', 's', '5x', '1m 2s', '1..5s', '--1s']) {
    it(`refuses the duration ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseDurationMs(text),
        /^Error: time: (invalid|missing unit in) duration/,
      );
    });
  }

  it('reads every duration that it prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e12 }), (microseconds) => {
        const ms = microseconds / 1000;
        assert.ok(Math.abs(parseDurationMs(goDuration(ms)) - ms) < 1e-3);
      }),
    );
  });

  const sizes: [string, number][] = [
    ['1024', 1024],
    ['512m', 512 * 1024 ** 2],
    ['1.5g', 1.5 * 1024 ** 3],
    ['64KiB', 65_536],
    ['2 GB', 2 * 1024 ** 3],
    ['10b', 10],
  ];
  for (const [text, bytes] of sizes) {
    it(`reads the size ${text}`, () => assert.equal(parseBytes(text), bytes));
  }

  it('refuses what is no size', () => {
    for (const text of ['', 'x', '-1', '1x', '1mm', 'm']) {
      assert.throws(() => parseBytes(text), { message: `invalid size: '${text}'` });
    }
  });

  it('reads CPUs in billionths', () => {
    assert.equal(parseDecimalNano('0.5'), 5e8);
    assert.equal(parseDecimalNano('.25'), 25e7);
    assert.equal(parseDecimalNano('2'), 2e9);
    assert.throws(() => parseDecimalNano('0.0000000001'), /too precise/);
    assert.throws(() => parseDecimalNano('x'), /rational number/);
  });

  it('splits CSV with quotes', () => {
    assert.deepEqual(parseCsv('a=1,b=2'), ['a=1', 'b=2']);
    assert.deepEqual(parseCsv('type=volume,"volume-opt=o=a,b",x'), [
      'type=volume',
      'volume-opt=o=a,b',
      'x',
    ]);
    assert.deepEqual(parseCsv('"say ""hi"""'), ['say "hi"']);
    assert.deepEqual(parseCsv('a,'), ['a', '']);
    assert.throws(() => parseCsv('a"b,c'), /stray quote/);
  });

  it('splits words as a shell does', () => {
    assert.deepEqual(parseShellWords(`sh -c 'echo "a b"' "c d"e \\$x ''`), [
      'sh',
      '-c',
      'echo "a b"',
      'c de',
      '$x',
      '',
    ]);
    assert.deepEqual(parseShellWords('  '), []);
    assert.throws(() => parseShellWords("it's"), /closing quote/);
    assert.throws(() => parseShellWords('a\\'), /escape/);
  });

  it('splits pairs at the first separator', () => {
    assert.deepEqual(splitPair('a=b=c'), ['a', 'b=c']);
    assert.deepEqual(splitPair('a'), ['a', undefined]);
  });
});
