/** Whatever the nodes and the services: moving ends, ends evenly, and is never felt. */
import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { SimCluster } from './sim-cluster.ts';
import { newSpec } from './spec.ts';

const zones = ['east', 'west', 'north'] as const;
const nodes = fc.array(fc.constantFrom(...zones), { minLength: 1, maxLength: 4 });
const given = fc.record({
  before: nodes,
  joining: nodes,
  replicas: fc.integer({ min: 1, max: 14 }),
  parallelism: fc.integer({ min: 0, max: 3 }),
  others: fc.integer({ min: 0, max: 5 }),
  hasPreference: fc.boolean(),
});

function countsOf(cluster: SimCluster, keyOf: (nodeId: string) => string): number[] {
  const counts = new Map([...cluster.store.nodes()].map(({ id }) => [keyOf(id), 0]));
  for (const task of cluster.tasks('web')) {
    if (task.status.state !== 'running') continue;
    const key = keyOf(task.nodeId);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts.values()];
}

const spread = (counts: readonly number[]) => Math.max(...counts) - Math.min(...counts);

describe('rebalancing', () => {
  it('ends evenly, without a moment in which a replica is missing', async () => {
    await fc.assert(
      fc.asyncProperty(given, async ({ before, joining, replicas, ...rest }) => {
        await using cluster = new SimCluster();
        await cluster.start();
        const add = (zone: string, name: string) => cluster.addNode(name, { labels: { zone } });
        before.forEach((zone, index) => add(zone, `old${index}`));
        const words = [`replicas=${replicas}`, `parallelism=${rest.parallelism}`];
        const preference = rest.hasPreference ? ['spread=node.labels.zone'] : [];
        cluster.createService(newSpec('other', [`replicas=${rest.others}`]));
        cluster.createService(newSpec('web', [...words, ...preference]));
        await cluster.run(5000);
        joining.forEach((zone, index) => add(zone, `new${index}`));
        await cluster.run(1000);
        cluster.rebalance('web');
        await cluster.run(60_000, () => {
          const running = cluster.tasks('web').filter(({ status }) => status.state === 'running');
          assert.ok(running.length >= replicas, `only ${running.length} of ${replicas} run`);
          const atOnce = rest.parallelism === 0 ? replicas : rest.parallelism;
          const made = cluster
            .tasks('web')
            .filter(({ desiredState }) => desiredState === 'running');
          assert.ok(made.length <= replicas + atOnce, 'more at a time than the budget allows');
        });
        assert.equal(cluster.service('web').rebalance, undefined, 'it has come to its end');
        assert.deepEqual(cluster.store.audit(), []);
        const zoneOf = (id: string) => cluster.node(id).spec.labels['zone'] ?? '';
        const counts = countsOf(cluster, rest.hasPreference ? zoneOf : (id) => id);
        assert.equal(
          counts.reduce((sum, count) => sum + count, 0),
          replicas,
        );
        assert.ok(spread(counts) < 2, `spread as ${counts.join(', ')}`);
        const plan = cluster.preview([{ action: 'rebalance', service: 'web' }]);
        assert.equal(plan.changes, false, 'nothing is left to be moved');
      }),
      { numRuns: 60, seed: 7 },
    );
  }).timeout(180_000);
});
