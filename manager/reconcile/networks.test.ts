import { strict as assert } from 'node:assert';
import { SimCluster } from '../../test/scenario/sim-cluster.ts';
import { edited, newSpec } from '../../test/scenario/spec.ts';
import { isWanted, type Network } from '../../types/index.ts';

async function clusterOf(nodes: number): Promise<SimCluster> {
  const cluster = new SimCluster();
  await cluster.start();
  cluster.setHistoryLimit(0);
  for (let n = 0; n < nodes; n++) cluster.addNode(`node-${n}`);
  await cluster.settle();
  return cluster;
}

/** What anybody has of the network. */
function remains({ store }: SimCluster, { id }: Network): object {
  return {
    addresses: [...store.usedAddresses(id)],
    tasks: [...store.tasksOfNetwork(id)],
    services: [...store.servicesOfNetwork(id)],
    audit: store.audit(),
  };
}

const nothing = { addresses: [], tasks: [], services: [], audit: [] };

describe('addresses, as services come and go', function () {
  this.timeout(600_000);

  it('leave nothing behind after 5,000 services on a /28', async () => {
    await using cluster = await clusterOf(3);
    cluster.createNetwork('small', '10.9.0.0/28');
    await cluster.settle();
    const empty = cluster.store.snapshot().length;
    const network = cluster.network('small');
    let waited = 0;
    let most = 0;
    for (let made = 0; made < 5000; made += 4) {
      const names = [0, 1, 2, 3].map((number) => `s${made + number}`);
      for (const [number, name] of names.entries()) {
        const words = ['network=small', `replicas=${(made + number) % 7}`];
        const mode = made % 3 === 0 ? 'dnsrr' : 'vip';
        cluster.createService(newSpec(name, [...words, `endpoint-mode=${mode}`]));
      }
      // Some are removed while they start.
      await cluster.run(made % 5 === 0 ? 20 : 300);
      const { size } = cluster.store.usedAddresses(network.id);
      assert.ok(size <= 13, `${size} addresses are held`);
      most = Math.max(most, size);
      const pending = [...cluster.store.unassignedTasks()];
      if (pending.some(({ status }) => status.err?.startsWith('no free address'))) waited += 1;
      for (const name of names) cluster.removeService(name);
      await cluster.run(made % 7 === 0 ? 0 : 500);
      if (made % 100 === 0) assert.deepEqual(cluster.store.audit(), []);
    }
    await cluster.run(2000);
    assert.equal(most, 13, 'the network was never full');
    assert.ok(waited > 100, `tasks waited only ${waited} times`);
    assert.deepEqual(remains(cluster, network), nothing);
    assert.deepEqual([...cluster.store.tasks()], []);
    const left = cluster.store.snapshot().length - empty;
    assert.ok(left < 100, `the state is ${left} bytes larger than before`);
    cluster.removeNetwork('small');
    await cluster.settle();
  });

  it('run out, and heal, with everybody served in the end', async () => {
    await using cluster = await clusterOf(4);
    cluster.createNetwork('small', '10.9.0.0/28');
    await cluster.settle();
    const { id } = cluster.network('small');
    for (const name of ['a', 'b', 'c']) {
      cluster.createService(newSpec(name, ['network=small', 'replicas=6']));
    }
    await cluster.run(1000);
    assert.equal(cluster.store.usedAddresses(id).size, 13);
    const waiting = [...cluster.store.unassignedTasks()];
    assert.equal(waiting.length, 18 - (13 - 3));
    for (const { status } of waiting) {
      assert.equal(
        status.err,
        'no free address on network small (10.9.0.0/28): all 13 addresses are in use',
      );
    }
    const { index } = cluster.store;
    await cluster.run(60_000);
    assert.equal(cluster.store.index, index, 'nothing is planned again and again meanwhile');
    for (const name of ['a', 'b']) cluster.removeService(name);
    await cluster.run(2000);
    const running = cluster.tasks('c').filter(({ status }) => status.state === 'running');
    assert.equal(running.length, 6);
  });

  it('hold an address until the task has ended, also on a node that nobody hears of', async () => {
    await using cluster = await clusterOf(2);
    cluster.createNetwork('back');
    await cluster.settle();
    const { id } = cluster.network('back');
    cluster.createService(newSpec('web', ['network=back', 'replicas=2', 'endpoint-mode=dnsrr']));
    await cluster.run(1000);
    const lost = cluster.tasks('web').find(({ nodeId }) => nodeId === 'node-0')!;
    const [held = ''] = lost.networks?.[0]?.addresses ?? [];
    const holder = () => cluster.store.usedAddresses(id).get(held.split('/')[0] ?? '');
    cluster.cut('node-0');
    await cluster.run(10_000);
    assert.equal(isWanted(cluster.store.task(lost.id)!.desiredState), false);
    assert.equal(holder(), lost.id, 'its container may still run');
    assert.equal(cluster.store.usedAddresses(id).size, 3);
    cluster.restore('node-0');
    await cluster.run(2000);
    assert.equal(holder(), undefined);
    assert.equal(cluster.store.usedAddresses(id).size, 2);
  });

  it('are taken back from tasks on a node that is removed', async () => {
    await using cluster = await clusterOf(2);
    cluster.createNetwork('back');
    await cluster.settle();
    const { id } = cluster.network('back');
    const mesh = cluster.network('ingress').id;
    cluster.createService(newSpec('web', ['network=back', 'replicas=2', 'publish=ingress:80:80']));
    await cluster.run(1000);
    assert.equal(cluster.store.usedAddresses(mesh).size, 5, 'two nodes, two tasks and a service');
    cluster.removeNode('node-0');
    await cluster.run(2000);
    assert.equal(cluster.store.usedAddresses(id).size, 3);
    assert.equal(cluster.store.usedAddresses(mesh).size, 4);
    cluster.updateService('web', (spec) => edited(spec, ['publish=none', 'network=none']));
    await cluster.run(30_000);
    assert.equal(cluster.store.usedAddresses(id).size, 0);
    assert.equal(cluster.store.usedAddresses(mesh).size, 1);
  });

  it('are given in the entry that creates and places the tasks', async () => {
    await using cluster = await clusterOf(3);
    cluster.createNetwork('back');
    await cluster.settle();
    const plans: (string | undefined)[][] = [];
    cluster.store.onChange(({ events }) => {
      const created = events.filter(({ table, action }) => table === 'task' && action === 'create');
      if (created.length === 0) return;
      plans.push(events.map(({ table, object }) => ('networks' in object ? table : undefined)));
    });
    cluster.createService(newSpec('web', ['network=back', 'replicas=50']));
    await cluster.settle();
    const tasks = Array.from({ length: 50 }, () => 'task');
    assert.deepEqual(plans, [[undefined, ...tasks]], 'the service with its own, and its tasks');
    assert.equal(cluster.store.usedAddresses(cluster.network('back').id).size, 51);
  });
});
