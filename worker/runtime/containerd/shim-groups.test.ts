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

  it('are taken over, and given up when a creation fails', () => {
    const groups = open(5);
    groups.adopt('old');
    assert.equal(groups.join().group, 'old');
    const fresh = open(5);
    const ticket = fresh.join();
    ticket.settle(false);
    assert.notEqual(fresh.join().group, ticket.group);
  });
});
