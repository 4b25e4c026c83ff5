/**
 * How long it takes to follow a load that comes at once, on real containers, and that the number
 * of replicas stays then. Prints the seconds, and the machine's own load with them.
 */
import { strict as assert } from 'node:assert';
import { rm, mkdir, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { buy, shop } from '../cluster/counting-shop.ts';
import { imageOf, useSwarm, words, type TestSwarm } from '../cluster/swarm.ts';
import { until } from '../lab/index.ts';

interface ScaledView {
  readonly Spec: { readonly Mode: { readonly Replicated: { readonly Replicas: number } } };
}

const patienceMs = 180_000;
/** Longer than it takes to take a step, many times. */
const constantMs = 60_000;

/** Works with all its might while it is told to, in a loop of the shell. */
const burner =
  'while :; do i=0; if test -e /load/busy; then while test $i -lt 3000; do i=$((i+1)); done; ' +
  'else sleep 0.2; fi; done';

describe('a load that comes at once', () => {
  const get = useSwarm({ hosts: 2, images: ['busybox:1'] });

  async function replicasOf(swarm: TestSwarm, name: string): Promise<number> {
    const { Spec } = await swarm.manager.api<ScaledView>('GET', `/services/${name}`);
    return Spec.Mode.Replicated.Replicas;
  }

  /** Every number that the service had until there were enough, with the seconds. */
  async function follow(
    name: string,
    isEnough: (replicas: number, tookMs: number) => boolean,
  ): Promise<readonly (readonly [seconds: number, replicas: number])[]> {
    const sinceMs = performance.now();
    const seen: [number, number][] = [];
    await until(
      `${name} has what it needs`,
      async () => {
        const replicas = await replicasOf(get(), name);
        const tookMs = performance.now() - sinceMs;
        if (seen.at(-1)?.[1] !== replicas) seen.push([tookMs / 1000, replicas]);
        return isEnough(replicas, tookMs);
      },
      { timeoutMs: patienceMs, everyMs: 200 },
    );
    return seen;
  }

  function tell(what: string, seen: readonly (readonly [number, number])[], runs: number): void {
    const steps = seen.map(([seconds, replicas]) => `${replicas} after ${seconds.toFixed(1)} s`);
    const load = loadavg()[0]?.toFixed(1);
    console.log(
      `      ${what}: ${steps.join(', ')}; all run after ${runs.toFixed(1)} s (machine's load ${load})`,
    );
  }

  it('is followed from one replica to eight, of those that show no more than they can do', async () => {
    const swarm = get();
    const folder = join(swarm.lab.folder, 'load');
    await mkdir(folder, { recursive: true });
    // So little that a machine which others use as well has it to give.
    const flags = words('--limit-cpu 0.02 --autoscale min=1,max=8,cpu=60%');
    const mount = ['--mount', `type=bind,src=${folder},dst=/load`];
    await swarm.create('burn', ...flags, ...mount, imageOf(swarm, 'busybox:1'), 'sh', '-c', burner);
    await swarm.runs('burn', 1);
    const sinceMs = performance.now();
    await writeFile(join(folder, 'busy'), '');
    try {
      const seen = await follow('burn', (replicas) => replicas === 8);
      await swarm.runs('burn', 8, patienceMs);
      tell('cpu=60%', seen, (performance.now() - sinceMs) / 1000);
      const after = await follow('burn', (_, tookMs) => tookMs > constantMs);
      assert.deepEqual(
        after.map(([, replicas]) => replicas),
        [8],
        'the load has not changed',
      );
    } finally {
      await rm(join(folder, 'busy'), { force: true });
    }
    await swarm.cli('service', 'rm', 'burn');
  });

  it('is followed to just as many as the requests need', async () => {
    const swarm = get();
    const settings = 'min=1,max=10,requests=4/s,metrics=80/cgi-bin/metrics';
    const flags = ['-p', '8093:80', '--autoscale', settings];
    await swarm.create('shop', ...flags, imageOf(swarm, 'busybox:1'), 'sh', '-c', shop);
    await swarm.runs('shop', 1);
    // Nineteen a second, however long each takes: five replicas' worth.
    const bought = new Set<Promise<void>>();
    const timer = setInterval(() => {
      const one = buy(swarm.manager.address, 8093).finally(() => bought.delete(one));
      bought.add(one);
    }, 1000 / 19);
    try {
      const sinceMs = performance.now();
      const seen = await follow('shop', (replicas) => replicas >= 5);
      await swarm.runs('shop', 5, patienceMs);
      tell('requests=4/s', seen, (performance.now() - sinceMs) / 1000);
      const after = await follow('shop', (_, tookMs) => tookMs > constantMs);
      assert.deepEqual(
        after.map(([, replicas]) => replicas),
        [5],
        'the load has not changed',
      );
    } finally {
      clearInterval(timer);
      await Promise.all(bought);
    }
  });
});
