import { strict as assert } from 'node:assert';
import { seededRandom } from '../../lib/random.ts';
import type { UpdateStatus } from '../../types/index.ts';
import { measure } from './load.ts';
import { paceOf } from './pace.ts';
import { replicasOf, run, type World } from './testing.ts';
import { makeService } from '../store/testing.ts';

const cpu = 'min=2,max=10,cpu=60%';
const text = (world: World) =>
  run(world)
    .steps.map(({ second, replicas }) => `${second}s ${replicas}`)
    .join(', ');
const updating = (state: UpdateStatus['state']): UpdateStatus => {
  return { state, startedAtMs: 0, message: '' };
};

describe('a service under a load', () => {
  const cases: { name: string; world: World; expect: string }[] = [
    {
      name: 'stays where it is within a tenth of its target',
      world: { label: cpu, replicas: 4, seconds: 1200, load: () => 0.65 * 4 },
      expect: '',
    },
    {
      name: 'grows to what its load needs',
      world: { label: cpu, replicas: 2, seconds: 120, load: () => 3 },
      expect: '0s 5',
    },
    {
      name: 'at most doubles in a step, or grows by four',
      world: { label: 'max=100,cpu=60%', replicas: 2, seconds: 120, load: () => 48 },
      expect: '0s 6, 5s 12, 10s 24, 15s 40, 20s 48, 25s 67, 35s 80',
    },
    {
      name: 'reaches its target within a minute where replicas show no more than they can do',
      world: { label: cpu, replicas: 2, seconds: 120, load: () => 6, capacity: 1 },
      expect: '0s 4, 10s 7, 20s 10',
    },
    {
      name: 'has never more than its most, nor fewer than its least',
      world: {
        label: 'min=2,max=4,cpu=60%,window=30s',
        replicas: 2,
        seconds: 200,
        load: (second) => (second < 60 ? 9 : 0),
      },
      expect: '0s 4, 88.5s 2',
    },
    {
      name: 'shrinks once fewer were enough for the whole window, by no more than half at a time',
      world: {
        label: cpu,
        replicas: 10,
        seconds: 900,
        load: (second) => (second < 100 ? 6 : 0.1),
      },
      expect: '397.5s 5, 412.5s 2',
    },
    {
      name: 'takes a load that comes and goes within the window for a load',
      world: {
        label: cpu,
        replicas: 4,
        seconds: 1800,
        load: (second) => (second % 200 < 30 ? 2.4 : 0.5),
      },
      expect: '',
    },
    {
      name: 'stays where it is where nothing is known',
      world: { label: cpu, replicas: 4, seconds: 900, load: () => 0, isSilent: () => true },
      expect: '',
    },
    {
      name: 'does not shrink while replicas are silent whose load would be enough for all',
      world: {
        label: cpu,
        replicas: 4,
        seconds: 900,
        load: () => 1.2,
        startSeconds: (slot) => (slot > 2 ? 5000 : 0),
      },
      expect: '',
    },
    {
      name: 'gets no more replicas for those that do not start',
      world: {
        label: cpu,
        replicas: 2,
        seconds: 900,
        load: () => 6,
        capacity: 1,
        startSeconds: (slot) => (slot > 2 ? 5000 : 0),
      },
      expect: '0s 4',
    },
    {
      name: 'is watched for a window by a new leader before it shrinks',
      world: { label: cpu, replicas: 10, seconds: 900, load: () => 1.2, leaders: [290] },
      expect: '590s 5, 605s 2',
    },
    {
      name: 'is not scaled twice where the lead changes after a step',
      world: {
        label: 'max=100,cpu=60%',
        replicas: 2,
        seconds: 9,
        load: () => 48,
        leaders: [2.5, 7.5],
      },
      expect: '0s 6, 5s 12',
    },
    {
      name: 'is left alone while its update is paused',
      world: {
        label: cpu,
        replicas: 2,
        seconds: 900,
        load: () => 6,
        update: () => updating('paused'),
      },
      expect: '',
    },
    {
      name: 'grows while it is updated',
      world: {
        label: cpu,
        replicas: 2,
        seconds: 90,
        load: () => 3,
        update: () => updating('updating'),
      },
      expect: '0s 5',
    },
    {
      name: 'does not shrink while it is rolled back',
      world: {
        label: cpu,
        replicas: 5,
        seconds: 900,
        load: () => 0,
        update: (second) => updating(second < 600 ? 'rollback_started' : 'rollback_completed'),
      },
      expect: '600s 2',
    },
    {
      name: 'is brought within its bounds whatever is known',
      world: { label: cpu, replicas: 14, seconds: 60, isSilent: () => true },
      expect: '0s 10',
    },
    {
      name: 'has as many replicas as connections need',
      world: { label: 'max=9,connections=50', replicas: 1, seconds: 60, load: () => 210 },
      expect: '0s 5',
    },
    {
      name: 'follows a query, from none and to none',
      world: {
        label: 'min=0,max=9,window=20s,prometheus=http://p:9090,query=sum(jobs),target=10',
        replicas: 0,
        seconds: 100,
        query: (second) => ({ value: second < 40 ? 0 : second < 60 ? 25 : 0 }),
      },
      expect: '40s 3, 79s 1, 84s 0',
    },
    {
      name: 'stays where it is while its query has no answer',
      world: {
        label: 'max=9,window=20s,prometheus=http://p:9090,query=x,target=10',
        replicas: 3,
        seconds: 100,
        query: () => ({ problem: 'no answer' }),
      },
      expect: '',
    },
    {
      name: 'goes by the metric that asks for the most, and shrinks by all of them only',
      world: {
        label: 'max=9,cpu=60%,window=20s,prometheus=http://p:9090,query=x,target=10',
        replicas: 5,
        seconds: 100,
        load: () => 0,
        query: (second) => (second < 50 ? { problem: 'away' } : { value: 70 }),
      },
      expect: '50s 7',
    },
  ];
  for (const { name, world, expect } of cases) {
    it(name, () => assert.equal(text(world), expect));
  }

  it('tells from what to what it was scaled, and why', () => {
    const { service } = run({ label: cpu, replicas: 2, seconds: 10, load: () => 3 });
    assert.deepEqual(service.autoscale?.scaled, {
      atMs: 1_700_000_000_000,
      from: 2,
      to: 5,
      reason: 'cpu at 150% (target 60%)',
    });
  });

  it('tells what holds it once that has lasted, and that it does so no more', () => {
    const world = {
      label: cpu,
      replicas: 2,
      load: () => 1.2,
      isSilent: (second: number) => second < 100,
    };
    assert.equal(run({ ...world, seconds: 25 }).service.autoscale, undefined);
    assert.deepEqual(run({ ...world, seconds: 99 }).service.autoscale, {
      state: 'held',
      message: 'cpu is not known of any replica',
    });
    assert.equal(run({ ...world, seconds: 200 }).service.autoscale?.state, 'steady');
  });

  it('tells that it would need more than it may have', () => {
    const { service } = run({ label: cpu, replicas: 2, seconds: 200, load: () => 12 });
    assert.equal(replicasOf(service), 10);
    assert.deepEqual(service.autoscale?.state, 'limited');
    assert.match(
      service.autoscale?.message ?? '',
      /^\d+ replicas would be needed, at most 10 may be: cpu/,
    );
  });
});

describe('a percentage', () => {
  const of = (resources: object) => {
    const service = makeService('web');
    const { spec } = service;
    const readings = { sample: () => ({ cpu: 0.5, memory: 300 }), query: undefined };
    const [task] = [{} as never];
    const full = { ...service, spec: { ...spec, task: { ...spec.task, resources } } };
    const load = (metric: 'cpu' | 'memory') => {
      const found = measure(full, { metric, target: 0.5 }, [task], readings);
      return 'missing' in found ? undefined : found.sum;
    };
    return [load('cpu'), load('memory')];
  };
  const cases = [
    {
      name: 'is of what is reserved',
      resources: {
        reservations: { nanoCpus: 2e9, memoryBytes: 600 },
        limits: { nanoCpus: 4e9, memoryBytes: 6000 },
      },
      expect: [0.5, 1],
    },
    {
      name: 'is of the limit where nothing is reserved',
      resources: { limits: { nanoCpus: 4e9, memoryBytes: 1200 }, reservations: { nanoCpus: 0 } },
      expect: [0.25, 0.5],
    },
    {
      name: 'of processor time is of a core where neither is there',
      resources: {},
      expect: [1, 0],
    },
  ];
  for (const { name, resources, expect } of cases) {
    it(name, () => assert.deepEqual(of(resources), expect));
  }
});

describe('whatever the load', () => {
  const random = seededRandom(4711);
  const between = (least: number, most: number) => least + random.float() * (most - least);

  it('a service keeps to its bounds and steps, and grows no further than its load', () => {
    for (let round = 0; round < 50; round++) {
      const min = 1 + random.integer(4);
      const max = min + random.integer(20);
      const windowSeconds = 1 + random.integer(400);
      const jumps = Array.from({ length: 10 }, () => between(0, 12));
      const load = (second: number) => jumps[Math.floor(second / 100) % 10] ?? 0;
      const world: World = {
        label: `min=${min},max=${max},cpu=60%,window=${windowSeconds}s`,
        replicas: min + random.integer(max - min + 1),
        seconds: 1000,
        load,
        capacity: between(0.3, 3),
        startSeconds: () => between(0, 20),
        isSilent: () => random.integer(5) === 0,
        leaders: Array.from({ length: random.integer(4) }, () => between(0, 1000)),
      };
      const { growMs, shrinkMs } = paceOf({ windowMs: windowSeconds * 1000 });
      let before = { second: -Infinity, replicas: world.replicas };
      for (const step of run(world).steps) {
        const told = `${JSON.stringify(world)} at ${step.second} s`;
        assert.ok(step.replicas >= min && step.replicas <= max, told);
        const stepMs = step.replicas > before.replicas ? growMs : shrinkMs;
        assert.ok((step.second - before.second) * 1000 >= stepMs - 1e-3, told);
        const most = before.replicas + Math.max(4, before.replicas);
        assert.ok(step.replicas <= most && step.replicas >= Math.floor(before.replicas / 2), told);
        if (step.replicas > before.replicas) {
          assert.ok(step.replicas <= Math.ceil(load(step.second) / 0.6), told);
        }
        before = step;
      }
    }
  });

  it('a noisy but steady one leads to no flapping', () => {
    for (let round = 0; round < 30; round++) {
      const mean = between(0.5, 8);
      const noise = between(0, 0.5);
      const world: World = {
        label: 'min=1,max=40,cpu=60%,window=2m',
        replicas: 1 + random.integer(30),
        seconds: 3600,
        load: () => mean * between(1 - noise, 1 + noise),
      };
      const { steps, service } = run(world);
      const late = steps.filter(({ second }) => second > 1200);
      const told = `${mean} ± ${noise}: ${JSON.stringify(steps)}`;
      // The highest of a row of samples is a matter of luck: it may be found a little later, but
      // whoever has found it stays there or thereabouts.
      assert.ok(late.length <= 20, told);
      const counts = late.map(({ replicas }) => replicas);
      if (counts.length > 0) assert.ok(Math.max(...counts) - Math.min(...counts) <= 2, told);
      const needed = mean / 0.6;
      assert.ok(replicasOf(service) >= Math.floor(needed * 0.9), told);
      assert.ok(replicasOf(service) <= Math.ceil(needed * (1 + noise) * 1.12) + 1, told);
    }
  });

  it('one without noise leads to a number that stays', () => {
    for (let load = 0.1; load < 20; load += 1.3) {
      const world = { label: 'min=1,max=40,cpu=60%,window=1m', replicas: 7, seconds: 2000 };
      const { steps } = run({ ...world, load: () => load });
      assert.deepEqual(
        steps.filter(({ second }) => second > 200),
        [],
        `${load}: ${JSON.stringify(steps)}`,
      );
    }
  });
});
