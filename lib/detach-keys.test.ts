import { strict as assert } from 'node:assert';
import { DetachKeys, parseDetachKeys } from './detach-keys.ts';

const p = 'P'.charCodeAt(0) - 64;
const q = 'Q'.charCodeAt(0) - 64;

function keysOf(text: string): Uint8Array {
  const parsed = parseDetachKeys(text);
  return 'keys' in parsed ? parsed.keys : assert.fail(parsed.unknown);
}

describe('lib/detach-keys', () => {
  it('reads letters, control keys and names', () => {
    assert.deepEqual([...keysOf('')], [p, q]);
    assert.deepEqual([...keysOf('ctrl-@,a,ctrl-_,DEL,ctrl-[')], [0, 97, 31, 127, 27]);
    assert.deepEqual(parseDetachKeys('a,ctrl-1'), { unknown: 'ctrl-1' });
    assert.deepEqual(parseDetachKeys('ab'), { unknown: 'ab' });
    assert.deepEqual(parseDetachKeys('a,'), { unknown: '' });
  });

  const cases = [
    { name: 'passes on what is none of it', typed: [[1, 2]], data: [1, 2], detached: false },
    { name: 'ends at the sequence', typed: [[1, p, q, 9]], data: [1], detached: true },
    { name: 'sees it over two reads', typed: [[1, p], [q]], data: [1], detached: true },
    { name: 'gives back a beginning', typed: [[p], [1]], data: [p, 1], detached: false },
    { name: 'begins anew with the same key', typed: [[p, p, q]], data: [p], detached: true },
  ];
  for (const { name, typed, data, detached } of cases) {
    it(name, () => {
      const keys = new DetachKeys(keysOf(''));
      const seen = typed.map((part) => keys.feed(Uint8Array.from(part)));
      assert.deepEqual(
        seen.flatMap((one) => [...one.data]),
        data,
      );
      assert.equal(seen.at(-1)?.detached, detached);
    });
  }
});
