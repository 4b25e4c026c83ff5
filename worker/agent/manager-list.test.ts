import { strict as assert } from 'node:assert';
import { seededRandom } from '../../lib/random.ts';
import { ManagerList } from './manager-list.ts';

describe('ManagerList', () => {
  const random = seededRandom(1);
  const picks = (list: ManagerList, count: number) =>
    Array.from({ length: count }, () => list.pick(random) ?? '');
  const named = (addr: string, leader = false) => ({ nodeId: `id of ${addr}`, addr, leader });

  it('begins with the addresses that were given', () => {
    const list = new ManagerList(['a', '']);
    assert.deepEqual(list.all(), [{ nodeId: '', addr: 'a', leader: false }]);
    assert.equal(list.pick(random), 'a');
    assert.equal(new ManagerList([]).pick(random), undefined);
  });

  it('asks the leader again and again while it has not failed', () => {
    const list = new ManagerList(['seed']);
    list.learn([named('a'), named('b', true), named('c')]);
    list.learn([]);
    assert.equal(list.all().length, 3);
    assert.deepEqual(picks(list, 4), ['b', 'b', 'b', 'b']);
  });

  it('asks the others in turn when the leader has failed, whoever still calls it the leader', () => {
    const list = new ManagerList(['seed']);
    const managers = [named('a'), named('b', true), named('c')];
    list.learn(managers);
    assert.deepEqual(picks(list, 1), ['b']);
    list.failed('b');
    list.learn(managers);
    assert.deepEqual(picks(list, 2).toSorted(), ['a', 'c']);
    assert.ok(picks(list, 3).includes('b'), 'it may be back');
    assert.ok(!picks(list, 20).includes('seed'));
  });

  it('follows the lead to somebody new at once, and back when the old one answers', () => {
    const list = new ManagerList([]);
    list.learn([named('a', true), named('b')]);
    for (let i = 0; i < 20; i += 1) list.failed('a');
    list.learn([named('a'), named('b', true)]);
    assert.deepEqual(picks(list, 2), ['b', 'b']);
    list.failed('b');
    list.succeeded('a');
    list.learn([named('a', true), named('b')]);
    assert.deepEqual(picks(list, 2), ['a', 'a']);
  });

  it('falls back on the addresses that were given when nobody that is named answers', () => {
    const list = new ManagerList(['seed', 'a']);
    list.learn([named('a', true), named('b')]);
    list.failed('a');
    list.failed('b');
    assert.deepEqual(new Set(picks(list, 8)), new Set(['a', 'b', 'seed']));
  });

  it('asks at once where a manager was found, instead of where it was', () => {
    const list = new ManagerList(['seed']);
    list.learn([named('a', true), named('b')]);
    for (const addr of ['a', 'b', 'a', 'b']) list.failed(addr);
    picks(list, 6);
    assert.ok(list.found('id of a', 'moved'));
    assert.deepEqual(picks(list, 1), ['moved']);
    assert.deepEqual(
      list
        .all()
        .map(({ addr }) => addr)
        .toSorted(),
      ['b', 'moved'],
    );
    assert.ok(!list.found('id of a', 'moved'), 'that is no news');
    list.failed('moved');
    assert.ok(list.found('id of a', 'moved'), 'it is there after all');
  });

  it('asks where managers may be once nobody else answers', () => {
    const list = new ManagerList([]);
    list.learn([named('a', true)]);
    list.suggest(['x', 'y', 'x']);
    assert.deepEqual(picks(list, 3), ['a', 'a', 'a']);
    list.failed('a');
    assert.deepEqual(new Set(picks(list, 6)), new Set(['a', 'x', 'y']));
  });
});
