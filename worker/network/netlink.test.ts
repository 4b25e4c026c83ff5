import { strict as assert } from 'node:assert';
import { Netlink } from './netlink.ts';

describe('netlink', () => {
  it('finds a link by its name and by its index', () => {
    using netlink = new Netlink();
    const links = netlink.links();
    const lo = links.find(({ name }) => name === 'lo');
    assert.ok(lo !== undefined);
    assert.deepEqual(netlink.link('lo'), lo);
    assert.deepEqual(netlink.link(lo.index), lo);
  });

  const unusedIndex = 2 ** 30;
  for (const absent of ['no-such-link', 'a-name-of-more-than-15', '', 0, unusedIndex]) {
    it(`finds no link ${JSON.stringify(absent)}`, () => {
      using netlink = new Netlink();
      assert.equal(netlink.link(absent), undefined);
    });
  }
});
