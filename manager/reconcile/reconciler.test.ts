import { strict as assert } from 'node:assert';
import { SwarmError } from '../../lib/errors.ts';
import { SimCluster } from '../../test/scenario/sim-cluster.ts';
import type { ServiceSpec, Task } from '../../types/index.ts';

function web(replicas: number): ServiceSpec {
  return {
    name: 'web',
    labels: {},
    task: { container: { image: 'web:1' }, forceUpdate: 0 },
    mode: { replicated: { replicas } },
  };
}

async function clusterOf(nodes: number, limits = {}): Promise<SimCluster> {
  const cluster = new SimCluster({ limits });
  await cluster.start();
  for (let n = 0; n < nodes; n++) cluster.addNode(`node-${n}`);
  await cluster.settle();
  return cluster;
}

/** The tasks that each log entry created. */
function creations(cluster: SimCluster): Task[][] {
  const entries: Task[][] = [];
  cluster.store.onChange(({ events }) => {
    const created = events.flatMap((event) =>
      event.table === 'task' && event.action === 'create' ? [event.object] : [],
    );
    if (created.length > 0) entries.push(created);
  });
  return entries;
}

describe('Reconciler', () => {
  it('goes from a new service to assigned tasks in one log entry', async () => {
    await using cluster = await clusterOf(3);
    const entries = creations(cluster);
    cluster.createService(web(3));
    await cluster.run(1000);
    assert.equal(entries.length, 1);
    assert.deepEqual(
      entries[0]?.map((task) => task.status.state),
      ['assigned', 'assigned', 'assigned'],
    );
    assert.ok(cluster.tasks('web').every((task) => task.status.state === 'running'));
  });

  it('splits what is too much for one pass', async () => {
    await using cluster = await clusterOf(2, { taskChanges: 20 });
    const entries = creations(cluster);
    cluster.createService(web(45));
    await cluster.settle();
    assert.deepEqual(
      entries.map((tasks) => tasks.length),
      [20, 20, 5],
    );
  });

  it('writes no reason twice', async () => {
    await using cluster = await clusterOf(0);
    cluster.createService(web(1));
    await cluster.settle();
    const [task] = cluster.tasks('web');
    assert.equal(task?.status.state, 'pending');
    assert.equal(task?.status.err, 'no suitable node');
    const { index } = cluster.store;
    cluster.setHistoryLimit(7);
    await cluster.settle();
    assert.equal(cluster.store.index, index + 1, 'only the change of the limit was logged');
  });

  it('plans again when an object had moved on', async () => {
    await using cluster = await clusterOf(1);
    const { store } = cluster;
    const propose = store.propose.bind(store);
    let overtaken = false;
    store.propose = async (changes, options) => {
      const service = store.serviceByName('web');
      if (service !== undefined && !overtaken) {
        overtaken = true;
        const object = { ...service, spec: { ...service.spec, labels: { by: 'another' } } };
        await propose([{ op: 'put', table: 'service', object, base: service.meta.version }], {
          atMs: options.atMs,
        });
        const result = await propose(changes, options);
        assert.ok(!result.applied, 'the plan was on a version that is gone');
        return result;
      }
      return propose(changes, options);
    };
    cluster.createService({ ...web(1), endpoint: { ports: [publish] } });
    await cluster.run(1000);
    assert.ok(overtaken);
    assert.equal(cluster.service('web').ports?.[0]?.publishedPort, 30_000);
    assert.equal(cluster.service('web').spec.labels['by'], 'another');
    assert.equal(cluster.tasks('web').length, 1);
  });

  it('rests while another manager leads, and catches up when it leads again', async () => {
    await using cluster = await clusterOf(1);
    cluster.createService(web(1));
    await cluster.run(1000);
    cluster.worker('node-0').crash(cluster.tasks('web')[0]!.id, 1);
    await cluster.run(100);
    const held = cluster.tasks('web').find((task) => task.desiredState === 'ready');
    assert.ok(held !== undefined);
    cluster.log.setLeader(false);
    const { index } = cluster.store;
    cluster.clock.advance(60_000);
    await cluster.settle();
    assert.equal(cluster.store.index, index);
    cluster.log.setLeader(true);
    await cluster.settle();
    assert.equal(cluster.store.task(held.id)?.desiredState, 'running');
  });

  it('rests for a moment after a proposal that failed, and then tries again', async () => {
    await using cluster = await clusterOf(1);
    const { store } = cluster;
    const propose = store.propose.bind(store);
    let refusals = 0;
    store.propose = (changes, options) => {
      const forTasks = changes.some((change) => change.op === 'put' && change.table === 'task');
      if (!forTasks || refusals === 2) return propose(changes, options);
      refusals += 1;
      return Promise.reject(new SwarmError('resource-exhausted', 'the disk is full'));
    };
    cluster.createService(web(1));
    await cluster.run(1000);
    assert.equal(refusals, 2);
    assert.equal(cluster.tasks('web')[0]?.status.state, 'running');
  });

  it('proposes less at a time where the log refuses what is too large for it', async () => {
    await using cluster = await clusterOf(4);
    const { store } = cluster;
    refuseAbove(store, 100_000);
    const entries = creations(cluster);
    cluster.createService({ ...web(200), endpoint: { ports: manyPorts(50) } });
    await cluster.run(20_000);
    assert.equal(cluster.tasks('web').length, 200);
    assert.ok(entries.length > 5, `all in ${entries.length} entries`);
  });

  it('plans other services where what one asks for is too large by itself', async () => {
    await using cluster = await clusterOf(4);
    refuseAbove(cluster.store, 100_000);
    cluster.createService({ ...web(200), endpoint: { ports: manyPorts(2_000) } });
    for (const name of ['api', 'log']) cluster.createService({ ...web(3), name });
    await cluster.run(20_000);
    assert.equal(cluster.tasks('web').length, 0);
    for (const name of ['api', 'log']) {
      const running = cluster.tasks(name).filter(({ status }) => status.state === 'running');
      assert.equal(running.length, 3, name);
    }
  });
});

/** As the log does, with a smaller limit. What commands put is taken all the same. */
function refuseAbove(store: SimCluster['store'], maxCharacters: number): void {
  const propose = store.propose.bind(store);
  store.propose = (changes, options) => {
    const tasks = changes.filter((change) => change.op === 'put' && change.table === 'task');
    if (JSON.stringify(tasks).length <= maxCharacters) return propose(changes, options);
    return Promise.reject(new SwarmError('failed-precondition', 'the proposal is too large'));
  };
}

function manyPorts(count: number) {
  return Array.from({ length: count }, (_, at) => ({
    protocol: 'tcp' as const,
    targetPort: 1 + at,
    publishMode: 'host' as const,
  }));
}

const publish = { protocol: 'tcp', targetPort: 80, publishMode: 'ingress' } as const;
