import { strict as assert } from 'node:assert';
import packet from 'dns-packet';
import { AnswerCache } from './cache.ts';

function answer(name: string): Buffer {
  return packet.encode({
    type: 'response',
    questions: [{ type: 'A', name }],
    answers: [{ type: 'A', name, ttl: 600, data: '192.0.2.1' }],
  });
}

describe('the cache of foreign answers', () => {
  const limits = { entries: 3, bytes: 1000, positiveSeconds: 300, negativeSeconds: 5 };

  it('forgets what was asked for longest ago', () => {
    const cache = new AnswerCache(limits);
    for (const key of ['a', 'b', 'c']) cache.set(key, answer(key), 0);
    cache.get('a', 1);
    cache.set('d', answer('d'), 2);
    const known = ['a', 'b', 'c', 'd'].filter((key) => cache.get(key, 3) !== undefined);
    assert.deepEqual(known, ['a', 'c', 'd']);
  });

  it('is bounded in bytes, also after answers that took the place of others', () => {
    const { length } = answer('a');
    const cache = new AnswerCache({ ...limits, bytes: 2 * length });
    for (let round = 0; round < 5; round++) cache.set('a', answer('a'), round);
    cache.set('b', answer('b'), 6);
    assert.equal(cache.size, 2);
    cache.set('c', answer('c'), 7);
    assert.equal(cache.size, 2);
  });

  it('believes nothing for longer than its own limit', () => {
    const cache = new AnswerCache(limits);
    cache.set('a', answer('a'), 0);
    assert.notEqual(cache.get('a', 299_999), undefined);
    assert.equal(cache.get('a', 300_000), undefined);
    assert.equal(cache.size, 0);
  });
});
