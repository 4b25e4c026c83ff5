import { strict as assert } from 'node:assert';
import { ShimGroups } from './shim-groups.ts';

describe('shim groups', () => {
  const open = (sizeMax: number) => {
    let next = 0;
    return new ShimGroups({ sizeMax, nextName: () => `g${next++}` });
  };

  it('fill up one after the other', () => {
    const groups = open(2);
    const names = [1, 2, 3].map(() => groups.join().group);
    assert.deepEqual(names, ['g0', 'g0', 'g1']);
  });

  it('are not joined once they are about to be empty', async () => {
    const groups = open(5);
    const first = groups.join();
    first.settle(true);
    await groups.leave(first.group);
    assert.notEqual(groups.join().group, first.group);
  });

  it('are not left by the last one while another is being made in them', async () => {
    const groups = open(5);
    const first = groups.join();
    first.settle(true);
    const second = groups.join();
    assert.equal(second.group, first.group);
    let left = false;
    const leaving = groups.leave(first.group).then(() => {
      left = true;
    });
    await Promise.resolve();
    assert.equal(left, false);
    second.settle(true);
    await leaving;
    assert.equal(groups.join().group, first.group);
  });

  it('have their shim started by one, and joined by those who waited', async () => {
    const groups = open(5);
    const first = groups.join();
    const second = groups.join();
    assert.equal(await first.said(), undefined);
    const waiting = second.said();
    first.settle(true, 'unix:///shim');
    assert.equal(await waiting, 'unix:///shim');
    second.settle(true, 'unix:///shim');
    assert.equal(await groups.join().said(), 'unix:///shim');
  });

  it('have their shim started by the next one when the first has failed', async () => {
    const groups = open(5);
    const first = groups.join();
    const others = [groups.join(), groups.join()];
    await first.said();
    const waiting = others.map((ticket) => ticket.said());
    first.settle(false);
    assert.equal(await waiting[0], undefined);
    others[0]?.settle(true, 'unix:///shim');
    assert.equal(await waiting[1], 'unix:///shim');
  });

  it('have another shim started when theirs is gone', async () => {
    const groups = open(5);
    groups.adopt('old', 'unix:///gone');
    const ticket = groups.join();
    assert.equal(await ticket.said(), 'unix:///gone');
    ticket.lost();
    const waiting = groups.join().said();
    ticket.settle(true, 'unix:///new');
    assert.equal(await waiting, 'unix:///new');
  });

  it('are taken over, and given up when a creation fails', () => {
    const groups = open(5);
    groups.adopt('old', 'unix:///old');
    assert.equal(groups.join().group, 'old');
    const fresh = open(5);
    const ticket = fresh.join();
    ticket.settle(false);
    assert.notEqual(fresh.join().group, ticket.group);
  });
});
