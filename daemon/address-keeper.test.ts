import { strict as assert } from 'node:assert';
import { VirtualClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { AddressKeeper } from './address-keeper.ts';
import type { Interfaces } from './addresses.ts';
import type { Membership } from './membership.ts';
import { located, relocated } from './whereabouts.ts';

const host = (addresses: Readonly<Record<string, string>>): Interfaces =>
  Object.fromEntries(
    Object.entries({ lo: '127.0.0.1', ...addresses }).map(([name, list]) => [
      name,
      list.split(' ').map((address) => ({
        address,
        family: 'IPv4' as const,
        netmask: '255.255.255.0',
        mac: '02:42:0a:00:00:01',
        cidr: `${address}/24`,
        internal: name === 'lo',
      })),
    ]),
  );

const joined: Membership = {
  clusterId: 'c',
  nodeId: 'n',
  isManager: true,
  listenAddr: '0.0.0.0:2377',
  advertiseAddr: '10.0.0.1:2377',
  dataPathAddr: '10.0.0.1',
};
const before = host({ eth0: '10.0.0.1', 'ts-swarm0': '172.18.0.1' });

describe('where a host is', () => {
  const known = located(joined, before);
  for (const { name, now, given = '', membership = known, expect } of [
    { name: 'where it was', now: before, expect: '10.0.0.1:2377' },
    { name: 'at its new address', now: host({ eth0: '10.0.0.9' }), expect: '10.0.0.9:2377' },
    {
      name: 'at the new address of the same interface',
      now: host({ eth0: '10.0.0.9', eth1: '192.168.1.5' }),
      expect: '10.0.0.9:2377',
    },
    {
      name: 'where it was, though that is another interface now',
      now: host({ eth0: '10.0.0.9', eth1: '10.0.0.1' }),
      expect: '10.0.0.1:2377',
    },
    {
      name: 'at its only address, where the interface has another name',
      now: host({ ens3: '10.0.0.9', 'ts-swarm0': '172.18.0.1' }),
      expect: '10.0.0.9:2377',
    },
    { name: 'where it was, without any address', now: host({}), expect: '10.0.0.1:2377' },
    {
      name: 'where it was, as several addresses could be meant',
      now: host({ eth0: '10.0.0.8 10.0.0.9' }),
      expect: '10.0.0.1:2377',
    },
    {
      name: 'where another machine passes on to it',
      now: host({ eth0: '10.0.0.9' }),
      membership: located(joined, host({ eth0: '192.168.1.5' })),
      expect: '10.0.0.1:2377',
    },
    {
      name: 'where the daemon is told that it is',
      now: before,
      given: '203.0.113.7',
      expect: '203.0.113.7:2377',
    },
    {
      name: 'at the port that the daemon is told as well',
      now: before,
      given: 'eth0:4000',
      expect: '10.0.0.1:4000',
    },
  ]) {
    it(`is ${name}`, () => {
      assert.equal(relocated(membership, given, now).advertiseAddr, expect);
    });
  }

  it('is the same where nothing has changed', () => {
    assert.equal(relocated(known, '', before), known);
  });

  it('takes along what was at the same address, and nothing else', () => {
    const now = host({ eth0: '10.0.0.9' });
    const bound = { ...known, listenAddr: '10.0.0.1:2377' };
    assert.deepEqual(relocated(bound, '', now), {
      ...known,
      advertiseAddr: '10.0.0.9:2377',
      listenAddr: '10.0.0.9:2377',
      dataPathAddr: '10.0.0.9',
    });
    const apart = { ...known, listenAddr: '0.0.0.0:2377', dataPathAddr: '192.168.1.5' };
    const { listenAddr, dataPathAddr } = relocated(apart, '', now);
    assert.deepEqual([listenAddr, dataPathAddr], ['0.0.0.0:2377', '192.168.1.5']);
  });

  it('cannot be an interface that is not there', () => {
    assert.throws(() => relocated(known, 'eth7', before), { code: 'invalid-argument' });
  });
});

describe('an address keeper', () => {
  function start(options: { given?: string } = {}) {
    const clock = new VirtualClock();
    const counts = { looks: 0, writes: 0, moves: 0, warned: 0 };
    const world = { now: before, heard: before, file: located(joined, before), ...counts };
    const log = { ...silentLogger, warn: () => void (world.warned += 1) };
    const file = {
      read: () => world.file,
      write: (membership: Membership) => {
        world.file = membership;
        world.writes += 1;
      },
    };
    const addressNews = {
      heard: () => {
        const { heard, now } = world;
        world.heard = now;
        return heard !== now;
      },
    };
    const parts = { advertiseAddr: options.given ?? '', addressNews, clock, log };
    const keeper = new AddressKeeper(file, parts, () => {
      world.looks += 1;
      return world.now;
    });
    return { clock, keeper, world };
  }

  it('writes down where the host is now', () => {
    const { keeper, world } = start();
    assert.equal(keeper.present()?.advertiseAddr, '10.0.0.1:2377');
    assert.equal(world.writes, 0);
    world.now = host({ eth0: '10.0.0.9' });
    assert.equal(keeper.present()?.advertiseAddr, '10.0.0.9:2377');
    assert.equal(world.file.advertiseAddr, '10.0.0.9:2377');
  });

  it('says so where it cannot tell', () => {
    const { keeper, world } = start();
    world.now = host({ eth0: '10.0.0.8 10.0.0.9' });
    assert.equal(keeper.present()?.advertiseAddr, '10.0.0.1:2377');
    assert.deepEqual([world.writes, world.warned], [0, 1]);
  });

  it('hears of a host that moves while the daemon runs', () => {
    const { clock, keeper, world } = start();
    keeper.watch(
      () => world.file,
      () => {
        world.moves += 1;
        keeper.present();
      },
    );
    clock.advance(10_000);
    assert.equal(world.looks, 1, 'nothing has changed');
    world.now = host({});
    clock.advance(10_000);
    assert.equal(world.moves, 0, 'a cable that was pulled is no move');
    world.now = host({ eth0: '10.0.0.9' });
    clock.advance(10_000);
    assert.deepEqual([world.moves, world.file.advertiseAddr], [1, '10.0.0.9:2377']);
    keeper[Symbol.dispose]();
    world.now = before;
    clock.advance(10_000);
    assert.equal(world.moves, 1);
  });

  it('bears an interface without an address for a while', () => {
    const { clock, keeper, world } = start({ given: 'eth0' });
    keeper.watch(
      () => world.file,
      () => (world.moves += 1),
    );
    world.now = host({});
    clock.advance(10_000);
    assert.equal(world.moves, 0);
  });
});
