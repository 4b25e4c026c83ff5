/** Tables of the kernel that somebody has changed by hand: each is right again soon. */
import { strict as assert } from 'node:assert';
import { differences, netnsOf, tablesAreRight } from '../cluster/network-tables.ts';
import { clearShop, Shop, shopImages } from '../cluster/shop.ts';
import { useSwarm } from '../cluster/swarm.ts';
import { until } from '../lab/index.ts';

const requestsPerSecond = 100;
const clientHost = 'h1';
const mesh = { from: 'h1', to: 'h2' } as const;
/** With the time that looking takes. */
const repairMs = 10_000;

interface WireNetwork {
  readonly Id: string;
}

async function answers(address: string, port: number): Promise<boolean> {
  const response = await fetch(`http://${address}:${port}/`, {
    signal: AbortSignal.timeout(1000),
  });
  return (await response.text()).startsWith('shop:');
}

describe('networks that somebody damages', function () {
  this.timeout(240_000);
  const get = useSwarm({ hosts: 4, managers: 1, images: shopImages });
  afterEach(() => clearShop(get()));

  it('are right again when somebody has changed tables by hand', async () => {
    const swarm = get();
    const shop = await Shop.open(swarm, { replicas: 4, requestsPerSecond, clientHost, mesh });
    await shop.close();
    const host = swarm.host(clientHost);
    const [client] = await swarm.running('client');
    assert.ok(client !== undefined);
    const container = `nsenter --net=${netnsOf(swarm, client)}`;
    const { Id: front } = await swarm.manager.api<WireNetwork>('GET', '/networks/front');
    const { Id: ingress } = await swarm.manager.api<WireNetwork>('GET', '/networks/ingress');
    const overlay = `nsenter --net=${host.runRoot}/overlay/${front}`;
    const node = `nsenter --net=${host.runRoot}/overlay/${ingress}`;
    const someMac = `$(${overlay} bridge fdb show dev vxlan0 | grep dst | head -1 | cut -d' ' -f1)`;
    const someone = `$(${overlay} ip neigh show dev vxlan0 nud permanent | head -1 | cut -d' ' -f1)`;
    for (const damage of [
      `${container} nft flush ruleset`,
      `${container} nft flush map inet ts_swarm backends4`,
      `${node} nft flush ruleset`,
      'nft delete table inet ts_swarm_mesh',
      `${overlay} bridge fdb replace ${someMac} dev vxlan0 self dst ${host.address}`,
      `${overlay} ip neigh del ${someone} dev vxlan0`,
      `${container} ip link del eth0`,
      `umount -l ${host.runRoot}/overlay/${front}`,
    ]) {
      assert.deepEqual(await differences(swarm), [], `before '${damage}'`);
      const startMs = performance.now();
      await host.exec(damage);
      const tookMs = (await tablesAreRight(swarm, repairMs)) - startMs;
      const what = damage.replaceAll(/\$\([^)]*\)|\S*nsenter --net=\S+ |\S*\//g, '').trim();
      console.log(`      '${what}': right after ${tookMs.toFixed(0)} ms`);
    }
    await until('the mesh answers', () => answers(swarm.host(mesh.to).address, 8090));
  });
});
