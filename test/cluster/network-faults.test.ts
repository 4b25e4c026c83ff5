/** Hosts that die or are cut off: how long requests fail, and what is right again afterwards. */
import { strict as assert } from 'node:assert';
import { sleep, until } from '../lab/index.ts';
import type { LoadOutcome } from './load.ts';
import { failureKinds, nowMs, outcomeLine } from './load.ts';
import { differences, netnsOf, tablesAreRight } from './network-tables.ts';
import { clearShop, Shop, shopImages } from './shop.ts';
import { useSwarm } from './swarm.ts';

const requestsPerSecond = 100;
const clientHost = 'h1';
const mesh = { from: 'h1', to: 'h2' } as const;
const cutMs = 30_000;
/** From the moment that a host is back on the network. */
const healedMs = 5_000;

/** When the first and the last of the failed requests were begun after that, for people. */
function failedBetween(outcome: LoadOutcome, sinceMs: number): string {
  const begun = outcome.failures.map(({ startMs }) => startMs - sinceMs);
  if (begun.length === 0) return 'no errors';
  const [first, last] = [Math.min(...begun), Math.max(...begun)];
  const kinds = JSON.stringify(failureKinds(outcome));
  return `${kinds}, begun ${first.toFixed(0)} to ${last.toFixed(0)} ms after it`;
}

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

describe('networks whose hosts fail', function () {
  this.timeout(240_000);
  const get = useSwarm({ hosts: 4, managers: 1, images: shopImages });
  afterEach(() => clearShop(get()));

  it('lead nobody to a host that has died, once it is known', async () => {
    const swarm = get();
    const shop = await Shop.open(swarm, { replicas: 6, requestsPerSecond, clientHost, mesh });
    const victim = swarm.host('h3');
    await sleep(1000);
    const killedMs = nowMs();
    await victim.kill();
    await until('h3 is known to be gone', () => swarm.nodeStates(), {
      accept: (states) => states.includes('h3 down'),
      timeoutMs: 30_000,
    });
    await tablesAreRight(swarm);
    const rightMs = nowMs();
    // Some that are begun afterwards.
    await sleep(1000);
    const outcomes = await shop.close();
    for (const outcome of outcomes) {
      const tookMs = (rightMs - killedMs).toFixed(0);
      console.log(
        `      host killed, ${outcome.name}: ${outcomeLine(outcome)}; ` +
          `${failedBetween(outcome, killedMs)}; all tables right after ${tookMs} ms`,
      );
      const late = outcome.failures.filter(({ startMs }) => startMs > rightMs);
      assert.deepEqual(late, [], 'no request fails once the endpoints have left');
    }
    await swarm.runs('shop', 6);
  });

  it('are right again once a link that was cut is back', async () => {
    const swarm = get();
    const shop = await Shop.open(swarm, { replicas: 6, requestsPerSecond, clientHost, mesh });
    const cut = swarm.host('h3');
    await cut.cutLink();
    const cutAtMs = nowMs();
    await until('h3 is known to be gone', () => swarm.nodeStates(), {
      accept: (states) => states.includes('h3 down'),
      timeoutMs: 30_000,
    });
    await swarm.runs('shop', 6, 60_000);
    // What the others are told meanwhile, the host that is cut off does not hear.
    await shop.update();
    await sleep(Math.max(0, cutAtMs + cutMs - nowMs()));
    await cut.restoreLink();
    const [healedAtMs, startMs] = [nowMs(), performance.now()];
    const tookMs = (await tablesAreRight(swarm, 60_000)) - startMs;
    console.log(`      link back: all tables right after ${tookMs.toFixed(0)} ms`);
    for (const { failures, name } of await shop.close()) {
      const late = failures.filter(({ startMs }) => startMs > healedAtMs);
      assert.deepEqual(late, [], `no request fails because of a host that is back: ${name}`);
    }
    assert.ok(tookMs < healedMs, `the tables are right after ${tookMs} ms`);
  });

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
