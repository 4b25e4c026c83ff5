/** Updates, drains, scaling and the loss of a leader under load: not one request is lost. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { Managers } from './managers.ts';
import { clearShop, Shop, shopImages } from './shop.ts';
import { TestSwarm, useSwarm } from './swarm.ts';

/** Small enough for the machine to do other things; `npm run chaos` has the full rate. */
const requestsPerSecond = 100;
const clientHost = 'h4';
/** From outside, as far as h3 can tell. */
const mesh = { from: 'h4', to: 'h3' } as const;
const patienceMs = 60_000;
/** A program on a busy machine may have to wait for some seconds; a lost request waits for ever. */
const timeoutMs = 30_000;
const options = { requestsPerSecond, clientHost, mesh, timeoutMs };

describe('a service under load loses no request', () => {
  const get = useSwarm({ hosts: 4, managers: 3, images: shopImages });
  afterEach(() => clearShop(get()));

  it('to rolling updates', async () => {
    const shop = await Shop.open(get(), { replicas: 4, ...options });
    for (let times = 0; times < 2; times++) await shop.update();
    await shop.closeUnharmed('updates');
  });

  it('to updates of a single task that start the new one first', async () => {
    const flags = ['--update-order', 'start-first'];
    const shop = await Shop.open(get(), { replicas: 1, flags, ...options });
    for (let times = 0; times < 3; times++) await shop.update();
    await shop.closeUnharmed('one task, start-first');
  });

  it('to a drain, and to fewer tasks', async () => {
    const swarm = get();
    const shop = await Shop.open(swarm, { replicas: 6, ...options });
    try {
      await swarm.cli('node', 'update', '--availability', 'drain', 'h2');
      await shop.left('h2');
      await shop.scale(2);
    } finally {
      await swarm.cli('node', 'update', '--availability', 'active', 'h2');
    }
    await shop.closeUnharmed('drain and scale');
  });

  it('to a node that returns, and gets its share again', async () => {
    const swarm = get();
    await swarm.cli('node', 'update', '--availability', 'drain', 'h2');
    const shop = await Shop.open(swarm, { replicas: 6, ...options });
    await swarm.cli('node', 'update', '--availability', 'active', 'h2');
    const rebalance = ['service', 'rebalance', 'shop'] as const;
    const preview = await swarm.manager.cliResult(...rebalance, '--preview');
    assert.equal(preview.code, 2, preview.stderr);
    assert.match(preview.stdout, /~ shop\.\d {2}h\d → h2/);
    assert.equal(await swarm.cli(...rebalance), 'shop\nshop is spread evenly\n');
    const counts = Map.groupBy(await swarm.running('shop'), ({ host }) => host);
    const sizes = [...counts.values()].map(({ length }) => length);
    assert.deepEqual(
      sizes.toSorted((a, b) => a - b),
      [1, 1, 2, 2],
    );
    assert.equal((await swarm.manager.cliResult(...rebalance, '--preview')).code, 0);
    await shop.closeUnharmed('rebalance');
  });

  it('to the loss of the leader in the middle of an update', async () => {
    const swarm = get();
    // Its tasks are replaced once it has been silent for some seconds.
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '2s');
    const shop = await Shop.open(swarm, { replicas: 4, ...options });
    const managers = new Managers(swarm.lab);
    const hosts = swarm.hosts.slice(0, 3);
    const leader = await managers.leader(hosts);
    const others = hosts.filter((host) => host !== leader);
    const [through] = others;
    assert.ok(through !== undefined);
    const seen = new TestSwarm(swarm.lab, through);
    await shop.beginUpdate(through);
    await until('the update has begun', async () => (await shop.updated(seen)).length > 0, {
      timeoutMs: patienceMs,
    });
    await leader.killDaemon();
    await shop.isUpdated(4, seen, patienceMs);
    await leader.startDaemon();
    await managers.agreed(hosts);
    await shop.closeUnharmed('leader lost');
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '10s');
  });
});
