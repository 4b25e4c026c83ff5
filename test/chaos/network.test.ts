/** What the cluster tests do a few times with networks, done many times: `npm run chaos`. */
import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { comeAndGo } from '../cluster/churn.ts';
import { Peers } from '../cluster/network-peers.ts';
import { clearShop, Shop, shopImages } from '../cluster/shop.ts';
import { imageOf, useSwarm } from '../cluster/swarm.ts';
import { until } from '../lab/index.ts';

const updates = 20;
/** Of the container's requests and of those from outside, each. */
const requestsPerSecond = 500;
const clientHost = 'h4';
const mesh = { from: 'h4', to: 'h3' } as const;
const timeoutMs = 600_000;

describe('chaos on networks', () => {
  const get = useSwarm({ hosts: 4, managers: 1, images: [...shopImages, 'peer:1'] });
  afterEach(() => clearShop(get()));

  it('updates four tasks 20 times under 1,000 requests a second', async () => {
    const options = { replicas: 4, requestsPerSecond, clientHost, mesh };
    const shop = await Shop.open(get(), options);
    for (let times = 0; times < updates; times++) await shop.update(timeoutMs);
    await shop.closeUnharmed(`${updates} updates`);
  });

  it('updates a single task 20 times, the new one first', async () => {
    const flags = ['--update-order', 'start-first'];
    const options = { replicas: 1, flags, requestsPerSecond, clientHost, mesh };
    const shop = await Shop.open(get(), options);
    for (let times = 0; times < updates; times++) await shop.update(timeoutMs);
    await shop.closeUnharmed(`${updates} updates of one task`);
  });

  it('has 300 services come and go', () => comeAndGo(get(), 300));

  it('carries 64 MB whole by a published port, where one link is smaller', async () => {
    const swarm = get();
    await using peers = new Peers();
    const small = swarm.host('h4');
    const published = ['--publish', '8081:81', '--constraint', 'node.hostname!=h4'];
    await swarm.create('peer', ...published, imageOf(swarm, 'peer:1'));
    await small.exec('ip link set eth0 mtu 1280');
    try {
      const { Id } = await swarm.manager.api<{ readonly Id: string }>('GET', '/networks/ingress');
      const shown = `nsenter --net=${small.runRoot}/overlay/${Id} ip link show br0`;
      await until('the network follows its device', () => small.exec(shown), {
        accept: (text) => text.includes('mtu 1230'),
        timeoutMs: 15_000,
      });
      const payload = randomBytes(64 * 1024 * 1024);
      const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
      const said = await until('the port answers', async () => {
        const socket = await peers.connect(peers.outside, small.address, 8081, 60_000);
        socket.end(payload);
        const chunks: Buffer[] = [];
        for await (const chunk of socket) chunks.push(chunk as Buffer);
        return Buffer.concat(chunks);
      });
      assert.equal(said.subarray(0, 64).toString(), digest(payload));
      assert.equal(digest(said.subarray(64)), digest(payload));
    } finally {
      await small.exec('ip link set eth0 mtu 1500');
      await swarm.clear();
    }
  });
});
