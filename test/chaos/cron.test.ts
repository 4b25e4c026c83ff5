/** Two hundred runs by the clock while leaders are killed: none is missed, and none doubled. */
import { strict as assert } from 'node:assert';
import { useManagers } from '../cluster/managers.ts';
import { imageOf, TestSwarm, words } from '../cluster/swarm.ts';
import { sleep, until, type Host } from '../lab/index.ts';

const services = 20;
const ticks = 10;
/** Longer than it takes to find another leader: a tick of that time still has its run. */
const everyMs = 15_000;
/** Kills come shortly before these ticks, so that they fall into the change of leaders. */
const killedTicks = [2, 5, 8];
const beforeTickMs = 300;

interface WireRun {
  readonly ID: string;
  readonly CreatedAt: string;
  readonly JobIteration?: { readonly Index?: number };
  readonly Status: { readonly State: string };
}

describe('runs by the clock', () => {
  const get = useManagers({ hosts: 3, managers: 3, replicas: 0 });

  it(`are ${services * ticks} across ${killedTicks.length} lost leaders, each once`, async () => {
    const { lab } = get();
    const hosts = lab.hosts;
    await lab.image('busybox:1');
    const swarm = new TestSwarm(lab);
    const image = imageOf(swarm, 'busybox:1');
    const names = Array.from({ length: services }, (_, number) => `tick-${number}`);
    // All are there before the first tick that counts.
    const startMs = Math.ceil((Date.now() + 30_000) / everyMs) * everyMs;
    for (const name of names) {
      const create = words(`service create --name ${name} --run-history 1000 --schedule`);
      await swarm.cli(...create, '*/15 * * * * *', image, 'true');
    }
    assert.ok(Date.now() < startMs, 'the services came too late for the first tick');
    for (let tick = 0; tick < ticks; tick++) {
      await untilTime(startMs + tick * everyMs - beforeTickMs);
      if (!killedTicks.includes(tick)) continue;
      const leader = await get().leader(hosts);
      await leader.killDaemon();
      const others = hosts.filter((host) => host !== leader);
      await get().leader(others, leader);
      await leader.startDaemon();
      await get().agreed(hosts);
    }
    const endMs = startMs + ticks * everyMs;
    await untilTime(endMs - 1000);
    const told: string[] = [];
    for (const name of names) {
      const runs = (await runsOf(hosts[0]!, name)).filter(({ atMs }) => atMs >= startMs);
      const counted = runs.filter(({ atMs }) => atMs < endMs);
      const seen = counted.map(({ atMs }) => Math.floor((atMs - startMs) / everyMs));
      assert.deepEqual(
        seen.toSorted((a, b) => a - b),
        [...Array(ticks).keys()],
        name,
      );
      assert.equal(new Set(counted.map(({ iteration }) => iteration)).size, ticks, name);
      assert.deepEqual(new Set(counted.map(({ state }) => state)), new Set(['complete']), name);
      told.push(...counted.map(({ id }) => id));
    }
    assert.equal(new Set(told).size, services * ticks);
    const latest = await swarm.cli('service', 'rm', ...names);
    assert.equal(latest.trim().split('\n').length, services);
    await until('no task is left', () => swarm.manager.api<unknown[]>('GET', '/tasks'), {
      accept: (tasks) => tasks.length === 0,
      timeoutMs: 60_000,
    });
  });
});

async function runsOf(host: Host, service: string) {
  const filters = encodeURIComponent(JSON.stringify({ service: [service] }));
  const tasks = await host.api<WireRun[]>('GET', `/tasks?filters=${filters}`);
  return tasks.map((task) => ({
    id: task.ID,
    atMs: Date.parse(task.CreatedAt),
    iteration: task.JobIteration?.Index ?? 0,
    state: task.Status.State,
  }));
}

async function untilTime(atMs: number): Promise<void> {
  await sleep(Math.max(0, atMs - Date.now()));
}
