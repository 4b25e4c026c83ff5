import { strict as assert } from 'node:assert';
import { swarmSpec, type Service } from '../../types/index.ts';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import {
  makeCluster,
  makeFile,
  makeNetwork,
  makeNode,
  makeService,
  withSecrets,
} from '../store/testing.ts';
import { Control } from './control.ts';
import { planBatches } from './restore.ts';

async function swarm(...changes: Change[]) {
  const store = new Store(new MemoryLog());
  await store.open();
  const clock = new VirtualClock();
  const control = new Control({
    store,
    clock,
    random: seededRandom(1),
    makeJoinToken: () => '',
    makeUnlockKey: () => '',
    checkDemotion: () => undefined,
  });
  for (const change of changes) {
    assert.ok((await store.propose([change], { atMs: clock.nowMs() })).applied);
  }
  /** As the API does it. */
  const restore = async (backup: Store) => {
    const totals = { created: 0, updated: 0, removed: 0 };
    for (const batch of planBatches(store, backup)) {
      // A follower would pass it on as JSON.
      const passed = JSON.parse(JSON.stringify(batch)) as typeof batch;
      const { created, updated, removed } = await control.restore(passed);
      totals.created += created;
      totals.updated += updated;
      totals.removed += removed;
    }
    return totals;
  };
  return { store, restore };
}

function put(service: Service): Change {
  return { op: 'put', table: 'service', object: service, base: 0 };
}

function withImage(id: string, image: string, port?: number): Service {
  const { spec, ...rest } = makeService(id);
  const ports = [
    { protocol: 'tcp', targetPort: 80, publishedPort: port ?? 0, publishMode: 'ingress' },
  ] as const;
  const task = { ...spec.task, container: { image } };
  return {
    ...rest,
    spec: { ...spec, task, ...(port === undefined ? {} : { endpoint: { ports } }) },
  };
}

const clusterPut = (id: string, taskHistoryLimit: number, autoLockManagers: boolean): Change => {
  const spec = swarmSpec.decode(
    {
      Orchestration: { TaskHistoryRetentionLimit: taskHistoryLimit },
      EncryptionConfig: { AutoLockManagers: autoLockManagers },
    },
    '',
  );
  const rootCa = { certPem: id, keyPem: id, joinTokens: { worker: 'w', manager: 'm' } };
  const object = makeCluster(id, { spec, rootCa });
  return { op: 'put', table: 'cluster', object, base: 0 };
};

describe('a backup restored into a swarm that runs', () => {
  it('makes its services those of the backup, and says how many changed', async () => {
    const backup = await swarm(
      clusterPut('c1', 3, false),
      put(withImage('kept', 'web:1')),
      put(withImage('changed', 'web:1')),
      put(withImage('lost', 'web:1', 8080)),
    );
    const { store, restore } = await swarm(
      clusterPut('c1', 9, true),
      put(withImage('kept', 'web:1')),
      put(withImage('changed', 'web:2')),
      put(withImage('newer', 'web:3', 8080)),
    );
    const kept = store.service('kept');
    const counts = await restore(backup.store);
    assert.deepEqual(counts, { created: 1, updated: 2, removed: 1 });
    assert.deepEqual([...store.services()].map(({ id }) => id).toSorted(), [
      'changed',
      'kept',
      'lost',
    ]);
    assert.equal(store.service('kept'), kept, 'what is the same is not touched');
    const changed = store.service('changed');
    assert.equal(changed?.spec.task.container?.image, 'web:1');
    assert.equal(changed.previousSpec?.task.container?.image, 'web:2');
    assert.ok(changed.specVersion > (changed.previousSpecVersion ?? 0));
    const cluster = store.cluster();
    assert.equal(cluster?.spec.orchestration.taskHistoryLimit, 3);
    assert.equal(cluster.spec.encryption.autoLockManagers, true, 'the lock is the swarm’s own');
    assert.deepEqual(await restore(backup.store), { created: 0, updated: 0, removed: 0 });
  });

  it('brings back networks that are gone, and finds those that were made again', async () => {
    const network = (id: string, name: string, vni: number): Change => {
      const { spec, ...rest } = makeNetwork(id, { vni });
      return { op: 'put', table: 'network', object: { ...rest, spec: { ...spec, name } }, base: 0 };
    };
    const on = (id: string, ...targets: string[]) => {
      const { spec, ...rest } = makeService(id);
      const task = { ...spec.task, networks: targets.map((target) => ({ target })) };
      return put({ ...rest, spec: { ...spec, task } });
    };
    const backup = await swarm(
      clusterPut('c1', 3, false),
      network('w1', 'lost', 5001),
      network('w2', 'again', 5002),
      on('s1', 'w1', 'w2', 'bridge'),
    );
    const { store, restore } = await swarm(
      clusterPut('c1', 3, false),
      network('w9', 'again', 5001),
      network('w8', 'newer', 5008),
      on('s2', 'w9'),
    );
    const counts = await restore(backup.store);
    assert.deepEqual(counts, { created: 2, updated: 0, removed: 1 });
    const targets = store.service('s1')?.spec.task.networks?.map(({ target }) => target);
    assert.deepEqual(targets, ['w1', 'w9', 'bridge']);
    assert.deepEqual([...store.networks()].map(({ id }) => id).toSorted(), ['w1', 'w8', 'w9']);
    const lost = store.network('w1');
    assert.equal(lost?.spec.name, 'lost');
    assert.notEqual(lost.vni, 5001, 'another network has its number by now');
    assert.deepEqual(store.audit(), []);
    assert.deepEqual(await restore(backup.store), { created: 0, updated: 0, removed: 0 });
  });

  it('gives nodes their labels back, and leaves roles alone', async () => {
    const labels = { zone: 'a' };
    const then = { labels, role: 'manager', availability: 'drain' } as const;
    const node = (change: object): Change => {
      return { op: 'put', table: 'node', object: makeNode('n1', change), base: 0 };
    };
    const backup = await swarm(clusterPut('c1', 3, false), node({ spec: then }));
    const { store, restore } = await swarm(clusterPut('c1', 3, false), node({}));
    await restore(backup.store);
    assert.deepEqual(store.node('n1')?.spec, { labels, role: 'worker', availability: 'drain' });
  });

  it('brings back secrets, which services name by their ids, in front of those of their names', async () => {
    const secret = (id: string, revision: number): Change => {
      const { spec } = makeFile(id);
      const object = makeFile(id, { revision, spec: { ...spec, name: 'key' } });
      return { op: 'put', table: 'secret', object, base: 0 };
    };
    const web = withSecrets(makeService('web'), 'then');
    const backup = await swarm(
      clusterPut('c1', 3, false),
      secret('before', 1),
      secret('then', 2),
      put(web),
    );
    const { store, restore } = await swarm(clusterPut('c1', 3, false), secret('since', 3));
    assert.deepEqual(await restore(backup.store), { created: 3, updated: 0, removed: 0 });
    const revisions = store.revisions('secret', 'key');
    assert.deepEqual(
      revisions.map(({ id }) => id),
      ['since', 'before', 'then'],
    );
    assert.deepEqual(
      [...store.servicesOfFile('then')].map(({ id }) => id),
      ['web'],
    );
    assert.deepEqual(store.audit(), []);
    assert.deepEqual(await restore(backup.store), { created: 0, updated: 0, removed: 0 });
  });

  it('goes in batches that fit any log', async () => {
    const many = Array.from({ length: 250 }, (_, i) => put(makeService(`s${i}`)));
    const backup = await swarm(clusterPut('c1', 3, false), ...many);
    const { store, restore } = await swarm(clusterPut('c1', 3, false));
    const sizes = planBatches(store, backup.store).map(({ services }) => services.length);
    assert.deepEqual(sizes, [0, 100, 100, 50]);
    assert.deepEqual(await restore(backup.store), { created: 250, updated: 0, removed: 0 });
  });

  it('is refused before anything is changed where a service has another mode', async () => {
    const global = makeService('s1');
    const backup = await swarm(
      clusterPut('c1', 3, false),
      put({ ...global, spec: { ...global.spec, mode: { global: {} } } }),
    );
    const { restore, store } = await swarm(clusterPut('c1', 9, false), put(makeService('s1')));
    const before = store.digest();
    await assert.rejects(restore(backup.store), {
      message:
        'service s1 is of another mode now than in the backup (global): remove it, and restore again',
    });
    assert.equal(store.digest(), before);
  });
});
