import { strict as assert } from 'node:assert';
import { seededRandom } from '../../lib/random.ts';
import { ManagerList } from './manager-list.ts';

describe('ManagerList', () => {
  const random = seededRandom(1);
  const shares = (list: ManagerList) => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 1_000; i += 1) {
      const addr = list.pick(random) ?? '';
      counts.set(addr, (counts.get(addr) ?? 0) + 1);
    }
    return (addr: string) => (counts.get(addr) ?? 0) / 1_000;
  };
  const named = (addr: string, leader = false) => ({ nodeId: `id of ${addr}`, addr, leader });

  it('begins with the addresses that were given', () => {
    const list = new ManagerList(['a', '']);
    assert.deepEqual(list.all(), [{ nodeId: '', addr: 'a', leader: false }]);
    assert.equal(list.pick(random), 'a');
    assert.equal(new ManagerList([]).pick(random), undefined);
  });

  it('prefers the leader, and keeps given addresses as the last resort', () => {
    const list = new ManagerList(['seed']);
    list.learn([named('a'), named('b', true), named('c')]);
    list.learn([]);
    assert.equal(list.all().length, 3);
    const share = shares(list);
    assert.ok(share('b') > 0.9 && share('b') < 1);
    assert.ok(share('a') > 0 && share('a') >= share('seed'));
  });

  it('knows whether anybody leads, until the one that did has failed', () => {
    const list = new ManagerList(['seed']);
    assert.equal(list.hasLeader, false);
    list.learn([named('a'), named('b', true)]);
    assert.equal(list.hasLeader, true);
    list.failed('b');
    assert.equal(list.hasLeader, false);
  });

  it('turns away from those that fail, and back when they answer', () => {
    const list = new ManagerList([]);
    list.learn([named('a', true), named('b')]);
    for (let i = 0; i < 20; i += 1) list.failed('a');
    assert.ok(shares(list)('b') > 0.99);
    list.failed('b');
    list.succeeded('a');
    assert.ok(shares(list)('a') > 0.7);
  });
});
