import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import {
  serviceSpec,
  swarmSpec,
  type Node,
  type Service,
  type ServiceSpec,
} from '../../types/index.ts';
import { createRootCa } from '../ca/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeCluster, makeNode, makeTask } from '../store/testing.ts';
import type { ControlApi } from './api.ts';
import { Control } from './control.ts';

function spec(name: string, overrides: Record<string, unknown> = {}): ServiceSpec {
  return serviceSpec.decode(
    { Name: name, TaskTemplate: { ContainerSpec: { Image: 'web:1' } }, ...overrides },
    '',
  );
}

function hostPort(published: number): Record<string, unknown> {
  const port = { TargetPort: 80, PublishedPort: published, PublishMode: 'host' };
  return { EndpointSpec: { Ports: [port] } };
}

async function swarm() {
  const clock = new VirtualClock();
  const random = seededRandom(7);
  const store = new Store(new MemoryLog());
  await store.open();
  let tokens = 0;
  const makeJoinToken = (rootPem: string) => `${rootPem}-${++tokens}`;
  const checkDemotion = (nodeId: string) => {
    if (nodeId !== 'last') return;
    throw new SwarmError('failed-precondition', 'attempting to demote the last manager');
  };
  const makeUnlockKey = () => `SWMKEY-1-${++tokens}`;
  const makers = { makeJoinToken, makeUnlockKey };
  const control = new Control({ store, clock, random, ...makers, checkDemotion });
  const propose = async (...changes: Change[]) => {
    const result = await store.propose(changes, { atMs: clock.nowMs() });
    assert.ok(result.applied);
  };
  const cluster = makeCluster('c1', {
    rootCa: { certPem: 'root', keyPem: '', joinTokens: { worker: 'w0', manager: 'm0' } },
    removedNodes: { long: 1 },
  });
  await propose({ op: 'put', table: 'cluster', object: cluster, base: 0 });
  const service = (name: string): Service => {
    const found = store.serviceByName(name);
    assert.ok(found !== undefined, `there is no service ${name}`);
    return found;
  };
  const addNode = (node: Node) => propose({ op: 'put', table: 'node', object: node, base: 0 });
  return { clock, store, control, propose, service, addNode };
}

async function fails(promise: Promise<unknown>, code: string, message: string): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof SwarmError, String(error));
    assert.equal(error.message, message);
    assert.equal(error.code, code);
    return true;
  });
}

describe('commands on services', () => {
  it('create one, once for each name', async () => {
    const { control, service } = await swarm();
    const { id } = await control.createService({ spec: spec('web'), registryAuth: 'e30' });
    assert.equal(service('web').id, id);
    assert.equal(service('web').registryAuth, 'e30');
    const message = 'name conflicts with an existing object: service web already exists';
    await fails(control.createService({ spec: spec('web') }), 'already-exists', message);
  });

  it('let one of two that create the same name at the same time win', async () => {
    const { control, store } = await swarm();
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => control.createService({ spec: spec('web') })),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal([...store.services()].length, 1);
    for (const result of results) {
      if (result.status === 'rejected') assert.match(String(result.reason), /already exists/);
    }
  });

  it('refuse a malformed constraint', async () => {
    const { control } = await swarm();
    const bad = spec('web', {
      TaskTemplate: {
        ContainerSpec: { Image: 'web' },
        Placement: { Constraints: ['node.role=manager'] },
      },
    });
    await fails(
      control.createService({ spec: bad }),
      'invalid-argument',
      'constraint expected one operator from ==, !=',
    );
  });

  it('allow the same host-mode port to several, and refuse it under an ingress port', async () => {
    const { control, service, propose } = await swarm();
    await control.createService({ spec: spec('a', hostPort(80)) });
    await control.createService({ spec: spec('b', hostPort(80)) });
    const mesh = {
      ...service('a'),
      id: 'mesh',
      spec: spec('mesh', { EndpointSpec: { Ports: [{ TargetPort: 1, PublishedPort: 443 }] } }),
    };
    await propose({ op: 'put', table: 'service', object: mesh, base: 0 });
    await fails(
      control.createService({ spec: spec('c', hostPort(443)) }),
      'invalid-argument',
      "port '443' is already in use by service 'mesh' (mesh) as an ingress port",
    );
  });

  it('update from the present version only, and keep the previous spec', async () => {
    const { control, service } = await swarm();
    const { id } = await control.createService({ spec: spec('web'), registryAuth: 'one' });
    const first = service('web');
    const next = spec('web', { Mode: { Replicated: { Replicas: 3 } } });
    await control.updateService({ id, version: first.meta.version, spec: next });
    const second = service('web');
    assert.deepEqual(second.spec.mode, { replicated: { replicas: 3 } });
    assert.deepEqual(second.previousSpec, first.spec);
    assert.equal(second.previousSpecVersion, first.specVersion);
    assert.ok(second.specVersion > first.specVersion);
    assert.equal(second.registryAuth, 'one');
    await fails(
      control.updateService({ id, version: first.meta.version, spec: next }),
      'aborted',
      'update out of sequence',
    );
  });

  it('leave the number of replicas to autoscaling, and say so', async () => {
    const { control, store } = await swarm();
    const label = { 'ts-swarm.autoscale': 'min=2,max=6,cpu=60%' };
    const replicas = (count: number) => ({ Mode: { Replicated: { Replicas: count } } });
    const { id } = await control.createService({ spec: spec('web', { Labels: label }) });
    const present = () => store.service(id)!;
    const count = () => present().spec.mode.replicated?.replicas;
    const update = (overrides: Record<string, unknown>, rollback = false) =>
      control.updateService({
        id,
        version: present().meta.version,
        spec: spec('web', overrides),
        rollback,
      });
    assert.equal(count(), 2);
    const scaled = { atMs: 1, from: 2, to: 5, reason: 'cpu' };
    const object: Service = {
      ...present(),
      spec: { ...present().spec, mode: { replicated: { replicas: 5 } } },
      autoscale: { state: 'held', message: 'x', scaled },
    };
    const base = present().meta.version;
    await store.propose([{ op: 'put', table: 'service', object, base }], { atMs: 1 });
    const { warnings } = await update({ Labels: label, ...replicas(3) });
    assert.match(warnings.join(), /^web is autoscaled from 2 to 6: it has 5 replicas, whatever/);
    assert.equal(count(), 5);
    assert.deepEqual(present().autoscale, { state: 'steady', message: '', scaled });
    assert.deepEqual(await update({ Labels: { ...label, a: 'b' }, ...replicas(5) }), {
      warnings: [],
    });
    await update({}, true);
    assert.equal(count(), 5, 'a rollback takes no replicas away');
    await update(replicas(1));
    assert.equal(count(), 1);
    assert.equal(present().autoscale, undefined);
  });

  it('clear what an earlier update said', async () => {
    const { control, service, propose } = await swarm();
    const { id } = await control.createService({ spec: spec('web') });
    const updateStatus = { state: 'paused', startedAtMs: 1, message: 'stuck' } as const;
    const paused = { ...service('web'), updateStatus };
    const base = paused.meta.version;
    await propose({ op: 'put', table: 'service', object: paused, base });
    const { version } = service('web').meta;
    await control.updateService({ id, version, spec: spec('web') });
    assert.equal(service('web').updateStatus, undefined);
  });

  it('roll back to the previous spec and its credentials, and forth again', async () => {
    const { clock, control, service } = await swarm();
    const { id } = await control.createService({ spec: spec('web'), registryAuth: 'one' });
    const first = service('web');
    const change = spec('web', { Labels: { tier: 'front' } });
    const { version } = first.meta;
    await control.updateService({ id, version, spec: change, registryAuth: 'two' });
    const rollBack = () => {
      const service_ = service('web');
      const args = { id, version: service_.meta.version, spec: spec('ignored') };
      return control.updateService({ ...args, rollback: true });
    };
    await rollBack();
    const back = service('web');
    assert.deepEqual(back.spec, first.spec);
    assert.equal(back.specVersion, first.specVersion);
    assert.equal(back.registryAuth, 'one');
    assert.deepEqual(back.updateStatus, {
      state: 'rollback_started',
      startedAtMs: clock.nowMs(),
      message: 'manually requested rollback',
    });
    await rollBack();
    assert.deepEqual(service('web').spec.labels, { tier: 'front' });
    assert.equal(service('web').registryAuth, 'two');
  });

  it('refuse to roll back what never changed, to rename, and to change the mode', async () => {
    const { control, service } = await swarm();
    const { id } = await control.createService({ spec: spec('web') });
    const args = { id, version: service('web').meta.version };
    await fails(
      control.updateService({ ...args, spec: spec('web'), rollback: true }),
      'failed-precondition',
      `service ${id} does not have a previous spec`,
    );
    await fails(
      control.updateService({ ...args, spec: spec('other') }),
      'unimplemented',
      'renaming services is not supported',
    );
    await fails(
      control.updateService({ ...args, spec: spec('web', { Mode: { Global: {} } }) }),
      'unimplemented',
      'service mode change is not allowed',
    );
    await fails(
      control.updateService({ ...args, spec: spec('web'), registryAuthFrom: 'previous-spec' }),
      'failed-precondition',
      'service does not have a previous spec',
    );
  });

  it('remove one, also while it changes', async () => {
    const { control, store, service } = await swarm();
    const { id } = await control.createService({ spec: spec('web') });
    const { version } = service('web').meta;
    await Promise.all([
      control.updateService({ id, version, spec: spec('web', { Labels: { a: 'b' } }) }),
      control.removeService({ id }),
    ]);
    assert.equal([...store.services()].length, 0);
    await fails(control.removeService({ id }), 'not-found', `service ${id} not found`);
  });
});

describe('commands on nodes', () => {
  it('drain one, and ask for another role', async () => {
    const { control, store, addNode } = await swarm();
    await addNode(makeNode('n1'));
    const drained = { labels: { zone: 'a' }, role: 'worker', availability: 'drain' } as const;
    const { version } = store.node('n1')?.meta ?? { version: 0 };
    await control.updateNode({ id: 'n1', version, spec: drained });
    assert.deepEqual(store.node('n1')?.spec, drained);
    const promoted = { ...drained, role: 'manager' } as const;
    const now = store.node('n1')?.meta.version ?? 0;
    await control.updateNode({ id: 'n1', version: now, spec: promoted });
    assert.equal(store.node('n1')?.spec.role, 'manager');
    assert.equal(store.node('n1')?.role, 'worker');
  });

  it('are out of sequence only for who has not seen the last change of the spec', async () => {
    const { control, store, addNode } = await swarm();
    await addNode(makeNode('n1'));
    const versionNow = () => store.node('n1')?.meta.version ?? 0;
    const spec = (zone: string) =>
      ({ labels: { zone }, role: 'worker', availability: 'active' }) as const;
    const report = async () => {
      const present = store.node('n1');
      assert.ok(present);
      const object = { ...present, status: { ...present.status, message: 'still here' } };
      const base = present.meta.version;
      const change = { op: 'put', table: 'node', object, base } as const;
      assert.ok((await store.propose([change], { atMs: 1 })).applied);
    };
    const read = versionNow();
    await report();
    await report();
    assert.notEqual(versionNow(), read);
    await control.updateNode({ id: 'n1', version: read, spec: spec('a') });
    const late = control.updateNode({ id: 'n1', version: read, spec: spec('b') });
    await fails(late, 'aborted', 'update out of sequence');
    const ahead = control.updateNode({ id: 'n1', version: versionNow() + 1, spec: spec('b') });
    await fails(ahead, 'aborted', 'update out of sequence');
    const again = versionNow();
    await report();
    await control.updateNode({ id: 'n1', version: again, spec: spec('c') });
    assert.deepEqual(store.node('n1')?.spec, spec('c'));
  });

  it('refuse to demote where that would cost the quorum', async () => {
    const { control, store, addNode } = await swarm();
    const manager = { labels: {}, role: 'manager', availability: 'active' } as const;
    await addNode(makeNode('last', { role: 'manager', spec: manager }));
    const version = store.node('last')?.meta.version ?? 0;
    const demotion = control.updateNode({
      id: 'last',
      version,
      spec: { ...manager, role: 'worker' },
    });
    await assert.rejects(demotion, { code: 'failed-precondition', message: /last manager/ });
    assert.equal(store.node('last')?.spec.role, 'manager');
  });

  it('remove one that is down, with its tasks, and remember its certificate', async () => {
    const { clock, control, store, addNode, propose, service } = await swarm();
    await addNode(makeNode('n1'));
    await control.createService({ spec: spec('web') });
    const running = { state: 'running', atMs: 0, message: 'started' } as const;
    const ended = { state: 'failed', atMs: 0, message: 'failed', err: 'exit 1' } as const;
    for (const [id, status] of Object.entries({ t1: running, t2: ended })) {
      const object = makeTask(id, service('web'), { nodeId: 'n1', status });
      await propose({ op: 'put', table: 'task', object, base: 0 });
    }
    const refused = control.removeNode({ id: 'n1', force: false });
    await fails(refused, 'failed-precondition', "node n1 is not down and can't be removed");
    const down = { state: 'down', message: 'lost', addr: '', atMs: 0 } as const;
    await propose({ op: 'node-status', id: 'n1', status: down });
    await control.removeNode({ id: 'n1', force: false });
    assert.equal(store.node('n1'), undefined);
    assert.equal(store.task('t1')?.status.state, 'orphaned');
    assert.equal(store.task('t2')?.status.err, 'exit 1');
    assert.equal(store.task('t2')?.desiredState, 'remove');
    const removed = store.cluster()?.removedNodes ?? {};
    assert.deepEqual(Object.keys(removed), ['n1']);
    assert.ok((removed['n1'] ?? 0) >= clock.nowMs() + 90 * 24 * 3_600_000);
  });

  it('never remove a manager', async () => {
    const { control, addNode } = await swarm();
    const spec_ = { labels: {}, role: 'manager', availability: 'active' } as const;
    await addNode(makeNode('m1', { role: 'manager', spec: spec_ }));
    await assert.rejects(control.removeNode({ id: 'm1', force: true }), {
      code: 'failed-precondition',
      message: /must be demoted to worker/,
    });
  });
});

describe('commands on the swarm', () => {
  it('change settings and rotate tokens, each on its own', async () => {
    const { control, store } = await swarm();
    const update = (args: Partial<Parameters<ControlApi['updateCluster']>[0]>) =>
      control.updateCluster({
        version: store.cluster()?.meta.version ?? 0,
        spec: swarmSpec.decode({ Orchestration: { TaskHistoryRetentionLimit: 2 } }, ''),
        rotateWorkerToken: false,
        rotateManagerToken: false,
        ...args,
      });
    await update({ rotateWorkerToken: true });
    assert.deepEqual(store.cluster()?.rootCa.joinTokens, { worker: 'root-1', manager: 'm0' });
    assert.equal(store.cluster()?.spec.orchestration.taskHistoryLimit, 2);
    await update({ rotateManagerToken: true });
    assert.deepEqual(store.cluster()?.rootCa.joinTokens, { worker: 'root-1', manager: 'root-2' });
    await fails(update({ version: 1 }), 'aborted', 'update out of sequence');
  });

  it('lock managers with a key, change it, and take it off', async () => {
    const { control, store } = await swarm();
    const update = async (autoLockManagers: boolean, rotateManagerUnlockKey = false) => {
      await control.updateCluster({
        version: store.cluster()?.meta.version ?? 0,
        spec: { ...swarmSpec.decode({}, ''), encryption: { autoLockManagers } },
        rotateWorkerToken: false,
        rotateManagerToken: false,
        rotateManagerUnlockKey,
      });
      return store.cluster()?.managerLock;
    };
    assert.equal(await update(false), undefined);
    assert.deepEqual(await update(true), { version: 1, unlockKey: 'SWMKEY-1-1' });
    assert.deepEqual(await update(true), { version: 1, unlockKey: 'SWMKEY-1-1' });
    assert.deepEqual(await update(true, true), { version: 2, unlockKey: 'SWMKEY-1-2' });
    assert.deepEqual(await update(false), { version: 3, unlockKey: '' });
    const rotation = update(false, true);
    await fails(
      rotation,
      'failed-precondition',
      'cannot rotate because autolock is not turned on: there is no unlock key',
    );
  });

  it('begin a new root, and keep its key to themselves', async () => {
    const { control, store } = await swarm();
    const root = await createRootCa(new VirtualClock());
    const present = store.cluster()!;
    const object = { ...present, rootCa: { ...present.rootCa, ...root } };
    const base = present.meta.version;
    await store.propose([{ op: 'put', table: 'cluster', object, base }], { atMs: 1 });
    const given = await createRootCa(new VirtualClock());
    await control.updateCluster({
      version: store.cluster()?.meta.version ?? 0,
      spec: {
        ...present.spec,
        ca: { signingCaCert: given.certPem, signingCaKey: given.keyPem, forceRotate: 1 },
      },
      rotateWorkerToken: false,
      rotateManagerToken: false,
    });
    const { rootCa, spec } = store.cluster()!;
    assert.equal(rootCa.certPem, root.certPem, 'the old root stays until all nodes went over');
    assert.equal(rootCa.rotation?.keyPem, given.keyPem);
    assert.deepEqual(spec.ca, { forceRotate: 1 });
  });
});
