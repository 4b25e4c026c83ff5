/** Another content behind a secret's name, as the services live through it that use it. */
import { strict as assert } from 'node:assert';
import { planNewFile, planRevisedFile } from '../../manager/control/file-commands.ts';
import { SimCluster } from './sim-cluster.ts';
import { plainBehaviour } from './sim-worker.ts';
import { newSpec } from './spec.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

async function clusterWith(service: readonly string[]): Promise<SimCluster> {
  const cluster = new SimCluster();
  await cluster.start();
  for (const name of ['a', 'b', 'c']) cluster.addNode(name);
  const secret = { name: 'key', labels: {}, data: base64('one') };
  cluster.change(planNewFile(cluster.store, 'secret', { id: 'k1', spec: secret, nowMs: 0 }));
  await cluster.settle();
  const spec = newSpec('web', ['replicas=3', ...service]);
  const file = { name: 'key', uid: '0', gid: '0', mode: 0o400 };
  const secrets = [{ secretId: 'k1', secretName: 'key', file }];
  const container = { image: 'web:1', ...spec.task.container, secrets };
  cluster.createService({ ...spec, task: { ...spec.task, container } });
  cluster.createService(newSpec('other', ['replicas=1']));
  await cluster.run(10_000);
  return cluster;
}

function edit(cluster: SimCluster, newId: string, text: string): void {
  const args = { id: 'k1', newId, data: base64(text) };
  cluster.change(planRevisedFile(cluster.store, 'secret', args, cluster.clock.nowMs()).changes);
}

/** The secrets of the tasks that run, and those that are kept. */
function seen({ store }: SimCluster, serviceId: string): string[] {
  const running = [...store.tasksOfService(serviceId)].filter(
    ({ status, desiredState }) => status.state === 'running' && desiredState === 'running',
  );
  return [
    running.map(({ spec }) => spec.container?.secrets?.[0]?.secretId ?? '-').join(),
    store
      .revisions('secret', 'key')
      .map(({ id }) => id)
      .join(),
  ];
}

describe('a secret that is edited', () => {
  it('rolls the services that use it, one task after the other, and no others', async () => {
    await using cluster = await clusterWith(['monitor=1s']);
    const { id } = cluster.service('web');
    const bystanders = [...cluster.store.tasksOfService(cluster.service('other').id)];
    edit(cluster, 'k2', 'two');
    let most = 0;
    await cluster.run(60_000, () => {
      const stopping = [...cluster.store.tasksOfService(id)].filter(
        ({ desiredState, status }) => desiredState === 'shutdown' && status.state === 'running',
      );
      most = Math.max(most, stopping.length);
    });
    assert.equal(most, 1, 'as the update policy of the service has it');
    assert.deepEqual(seen(cluster, id), ['k2,k2,k2', 'k1,k2']);
    assert.equal(cluster.service('web').updateStatus?.state, 'completed');
    assert.deepEqual(
      [...cluster.store.tasksOfService(cluster.service('other').id)].map((task) => task.id),
      bystanders.map((task) => task.id),
    );
    edit(cluster, 'k3', 'three');
    await cluster.run(60_000);
    assert.deepEqual(seen(cluster, id), ['k3,k3,k3', 'k2,k3'], 'k1 cannot be gone back to');
    cluster.removeService('web');
    await cluster.run(10_000);
    assert.deepEqual(seen(cluster, id), ['', 'k3']);
    assert.deepEqual(cluster.store.audit(), []);
  });

  it('and that tasks fail with is given up by itself, for what they had', async () => {
    await using cluster = await clusterWith(['failure-action=rollback', 'monitor=2s']);
    const { id } = cluster.service('web');
    cluster.behaviours.set('web:1', { ...plainBehaviour, exitAfterMs: 500, exitCode: 1 });
    edit(cluster, 'k2', 'bad');
    await cluster.run(60_000, () => {
      const isGivenUp = cluster.service('web').updateStatus?.state === 'rollback_started';
      if (isGivenUp) cluster.behaviours.delete('web:1');
    });
    assert.equal(cluster.service('web').updateStatus?.state, 'rollback_completed');
    assert.deepEqual(seen(cluster, id), ['k1,k1,k1', 'k1,k2']);
    edit(cluster, 'k4', 'good');
    await cluster.run(60_000);
    assert.deepEqual(seen(cluster, id)[0], 'k4,k4,k4');
  });
});
