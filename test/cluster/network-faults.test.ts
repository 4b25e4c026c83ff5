/** Hosts that die or are cut off: how long requests fail, and what is right again afterwards. */
import { strict as assert } from 'node:assert';
import { sleep, until } from '../lab/index.ts';
import type { LoadOutcome } from './load.ts';
import { failureKinds, nowMs, outcomeLine } from './load.ts';
import { netnsOf, tablesAreRight, vipOf } from './network-tables.ts';
import { clearShop, Shop, shopImages } from './shop.ts';
import { ownHeartbeat, useSwarm, type TestSwarm } from './swarm.ts';
import { Wrk, wrkLine } from './wrk.ts';

const requestsPerSecond = 100;
const clientHost = 'h1';
const mesh = { from: 'h1', to: 'h2' } as const;
/** Neighbours, routes and connections are long stale by then. */
const cutMs = 30_000;

/** When the first and the last of the failed requests were begun after that, for people. */
function failedBetween(outcome: LoadOutcome, sinceMs: number): string {
  const begun = outcome.failures.map(({ startMs }) => startMs - sinceMs);
  if (begun.length === 0) return 'no errors';
  const [first, last] = [Math.min(...begun), Math.max(...begun)];
  const kinds = JSON.stringify(failureKinds(outcome));
  return `${kinds}, begun ${first.toFixed(0)} to ${last.toFixed(0)} ms after it`;
}

/** By a container to the shop's virtual address, and by somebody outside to another host's port. */
async function startWrk(swarm: TestSwarm) {
  const [client] = await swarm.running('client');
  assert.ok(client !== undefined);
  const address = await vipOf(swarm, 'shop', 'front');
  const host = swarm.host(clientHost);
  const outside = { address: swarm.host(mesh.to).address, port: 8090 };
  return [
    { name: 'VIP', wrk: Wrk.start(host, { address, port: 80, netns: netnsOf(swarm, client) }) },
    { name: 'mesh', wrk: Wrk.start(swarm.host(mesh.from), outside) },
  ];
}

describe('networks whose hosts fail', () => {
  const get = useSwarm({ heartbeat: ownHeartbeat, hosts: 4, managers: 1, images: shopImages });
  afterEach(() => clearShop(get()));

  it('lead nobody to a host that has died, once it is known', async () => {
    const swarm = get();
    const shop = await Shop.open(swarm, { replicas: 6, requestsPerSecond, clientHost, mesh });
    const victim = swarm.host('h3');
    const wrks = await startWrk(swarm);
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
    for (const { name, wrk } of wrks) {
      const rounds = await wrk.stop(rightMs);
      console.log(`      host killed, wrk by the ${name}: ${wrkLine(rounds, killedMs)}`);
      const late = rounds.filter(({ fromMs }) => fromMs > rightMs);
      assert.ok(
        late.some(({ requests }) => requests > 0),
        `${name}: wrk goes on after it`,
      );
      for (const { errors } of late) assert.equal(errors, 0, name);
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
  });
});
