/**
 * Random commands and faults; at every moment nobody may have started a slot's work twice, and once
 * the faults stop, what runs is what was asked for.
 */
import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { publishesIngress } from '../../manager/store/view.ts';
import {
  isActive,
  isJobMode,
  isWanted,
  type Service,
  type ServiceSpec,
  type Task,
} from '../../types/index.ts';
import { SimCluster } from './sim-cluster.ts';
import { edited, newSpec } from './spec.ts';

const minuteMs = 60_000;
const nodes = ['a', 'b', 'c', 'd'];
/** Addresses of a /28, but for its first, its last and the gateway's. */
const smallRoom = 13;
const services = ['web', 'api', 'log', 'sums', 'sweep', 'tick', 'both'];
const node = fc.constantFrom(...nodes);
const service = fc.constantFrom(...services);

type Step = (cluster: SimCluster) => void;
interface Named {
  readonly step: Step;
  readonly [fc.toStringMethod]: () => string;
}

/** What a command needs is not always there: then it does nothing. */
const guarded = (text: string, step: Step): Named => ({ step, [fc.toStringMethod]: () => text });

const steps: fc.Arbitrary<Named> = fc.oneof(
  fc.tuple(service, fc.nat(9)).map(([name, replicas]) =>
    guarded(`scale ${name}=${replicas}`, (cluster) => {
      const present = cluster.store.serviceByName(name);
      if (present?.spec.mode.replicated === undefined) return;
      cluster.updateService(name, (spec) => edited(spec, [`replicas=${replicas}`]));
    }),
  ),
  fc
    .tuple(service, fc.constantFrom('good:1', 'good:2', 'slow', 'bad', 'gone'))
    .map(([name, image]) =>
      guarded(`update ${name} image=${image}`, (cluster) => {
        const present = cluster.store.serviceByName(name);
        if (present === undefined) return;
        const kind = isJobMode(present.spec.mode) ? 'job-' : '';
        cluster.updateService(name, (spec) => edited(spec, [`image=${kind}${image}`]));
      }),
    ),
  fc.tuple(fc.constantFrom('sums', 'sweep', 'tick', 'both'), fc.nat(3)).map(([name, number]) =>
    guarded(`run ${name}, ${number} at once`, (cluster) => {
      const present = cluster.store.serviceByName(name);
      if (present === undefined) return;
      const { mode, task } = present.spec;
      const words = mode.replicatedJob === undefined ? [] : [`max-concurrent=${number + 1}`];
      const forced = `force=${task.forceUpdate + 1}`;
      cluster.updateService(name, (spec) => edited(spec, [forced, ...words]));
    }),
  ),
  fc.tuple(service, fc.constantFrom('none', 'small', 'back')).map(([name, network]) =>
    guarded(`update ${name} network=${network}`, (cluster) => {
      if (cluster.store.serviceByName(name) === undefined) return;
      const words = ['network=none', `network=${network}`];
      cluster.updateService(name, (spec) => edited(spec, words));
    }),
  ),
  fc.tuple(service, fc.boolean()).map(([name, publishes]) =>
    guarded(`update ${name} ${publishes ? 'publishes' : 'publishes nothing'}`, (cluster) => {
      if (cluster.store.serviceByName(name) === undefined) return;
      const words = ['publish=none', ...(publishes ? ['publish=ingress::80'] : [])];
      cluster.updateService(name, (spec) => edited(spec, words));
    }),
  ),
  fc.tuple(service, fc.constantFrom('vip', 'dnsrr')).map(([name, mode]) =>
    guarded(`update ${name} endpoint-mode=${mode}`, (cluster) => {
      const present = cluster.store.serviceByName(name);
      if (present === undefined || publishesIngress(present.spec)) return;
      cluster.updateService(name, (spec) => edited(spec, [`endpoint-mode=${mode}`]));
    }),
  ),
  service.map((name) =>
    guarded(`rollback ${name}`, (cluster) => {
      const present = cluster.store.serviceByName(name);
      if (present?.previousSpec !== undefined) cluster.rollback(name);
    }),
  ),
  service.map((name) =>
    guarded(`rm ${name}`, (cluster) => {
      if (cluster.store.serviceByName(name) !== undefined) cluster.removeService(name);
    }),
  ),
  service.map((name) => guarded(`create ${name}`, (cluster) => create(cluster, name))),
  fc
    .tuple(node, fc.constantFrom('active' as const, 'drain' as const, 'pause' as const))
    .map(([id, availability]) =>
      guarded(`${availability} ${id}`, (cluster) => {
        if (cluster.store.node(id) !== undefined) cluster.updateNode(id, { availability });
      }),
    ),
  fc.tuple(node, fc.boolean()).map(([id, kill]) =>
    guarded(`${kill ? 'kill' : 'cut'} ${id}`, (cluster) => {
      if (cluster.store.node(id)?.status.state === 'ready') cluster.cut(id, { kill });
    }),
  ),
  node.map((id) =>
    guarded(`restore ${id}`, (cluster) => {
      if ((cluster.store.node(id)?.status.state ?? 'ready') !== 'ready') cluster.restore(id);
    }),
  ),
  node.map((id) =>
    guarded(`crash on ${id}`, (cluster) => {
      const worker = cluster.workers.get(id);
      const [running] = worker?.running ?? [];
      if (running !== undefined) worker?.crash(running, 1);
    }),
  ),
  node.map((id) =>
    guarded(`remove ${id}`, (cluster) => {
      if (cluster.store.node(id) !== undefined) cluster.removeNode(id);
    }),
  ),
  node.map((id) =>
    guarded(`join ${id}`, (cluster) => {
      if (cluster.store.node(id) === undefined) cluster.addNode(id);
    }),
  ),
  fc
    .integer({ min: 0, max: 6 })
    .map((limit) => guarded(`history ${limit}`, (cluster) => cluster.setHistoryLimit(limit))),
);

function create(cluster: SimCluster, name: string): void {
  if (cluster.store.serviceByName(name) !== undefined) return;
  const words: Record<string, string[]> = {
    web: ['replicas=4', 'network=small', 'delay=1s', 'update-delay=1s', 'monitor=1s'],
    api: ['replicas=3', 'delay=1s', 'order=start-first', 'failure-action=rollback'],
    log: ['mode=global', 'delay=1s', 'parallelism=2', 'failure-action=continue'],
    sums: ['mode=replicated-job', 'completions=5', 'max-concurrent=2', 'delay=1s'],
    sweep: ['mode=global-job', 'delay=1s'],
    tick: ['mode=replicated-job', 'schedule=*_*_*_*_*', 'delay=1s'],
    both: ['mode=global-job', 'schedule=*_*_*_*_*', 'delay=1s', 'overlap=allow'],
  };
  const own = words[name] ?? [];
  const image = own[0]?.endsWith('-job') === true ? 'job-good:1' : 'good:1';
  cluster.createService(newSpec(name, [`image=${image}`, ...own]));
}

async function started(): Promise<SimCluster> {
  const cluster = new SimCluster();
  await cluster.start();
  for (const id of nodes) cluster.addNode(id);
  const plain = { startMs: 100, stopMs: 300, exitCode: 0, hangs: false };
  // So small that it fills up now and then.
  cluster.createNetwork('small', '10.9.0.0/28');
  cluster.createNetwork('back');
  await cluster.settle();
  cluster.behaviours.set('slow', { ...plain, startMs: 3000 });
  cluster.behaviours.set('bad', { ...plain, exitAfterMs: 500, exitCode: 1 });
  cluster.behaviours.set('gone', { ...plain, rejected: 'no such image' });
  // Those of jobs come to an end.
  for (const image of ['good:1', 'good:2', 'good:3', 'slow', 'bad', 'gone']) {
    const behaviour = cluster.behaviours.get(image) ?? plain;
    cluster.behaviours.set(`job-${image}`, { exitAfterMs: 1500, ...behaviour });
  }
  for (const name of services) create(cluster, name);
  await cluster.run(500);
  return cluster;
}

function slotOf(task: Task): string {
  if (task.jobIteration !== undefined) {
    return `${task.serviceId}@${task.jobIteration}/${task.slot}/${task.forNodeId}`;
  }
  return `${task.serviceId}/${task.slot}/${task.slot === 0 ? task.nodeId || task.forNodeId : ''}`;
}

/** Slots with two wanted tasks, but for the old and the new one of a start-first update. */
function doubled(cluster: SimCluster): string[] {
  const wanted = [...cluster.store.tasks()].filter(isActive);
  return [...Map.groupBy(wanted, slotOf)].flatMap(([slot, tasks]) => {
    const present = cluster.store.service(tasks[0]!.serviceId);
    const startFirst = present?.spec.updateConfig?.order === 'start-first';
    const allowed = startFirst || present === undefined ? 2 : 1;
    return tasks.length <= allowed ? [] : [`slot ${slot} has ${tasks.length} wanted tasks`];
  });
}

/** What runs on the nodes is what the store wants, and that is what the specs ask for. */
function checkConverged(cluster: SimCluster): void {
  for (const service of cluster.store.services()) {
    const { id, spec, updateStatus } = service;
    if (isJobMode(spec.mode)) {
      checkJob(cluster, service);
      continue;
    }
    const tasks = [...cluster.store.tasksOfService(id)].filter((t) => isWanted(t.desiredState));
    const expected = spec.mode.global === undefined ? spec.mode.replicated?.replicas : nodes.length;
    assert.equal(tasks.length, expected, `${spec.name} has ${tasks.length} wanted tasks`);
    for (const task of tasks) {
      assert.equal(task.desiredState, 'running', `${task.name} is still held`);
      assert.equal(task.status.state, 'running', `${task.name} is ${task.status.state}`);
      assert.equal(task.spec.container?.image, spec.task.container?.image);
    }
    checkNetworks(cluster, service, tasks);
    const state = updateStatus?.state ?? 'completed';
    assert.ok(state.endsWith('completed'), `the update of ${spec.name} is ${state}`);
  }
  const running = [...cluster.workers.values()].flatMap((worker) => worker.running).sort();
  const wanted = [...cluster.store.tasks()].filter(isActive);
  assert.deepEqual(running, wanted.map((task) => task.id).sort());
}

/** The present iteration is done; by the clock, it is that of the last tick. */
function checkJob(
  { store, clock }: SimCluster,
  { id, spec, jobStatus, cronStatus }: Service,
): void {
  const own = [...store.tasksOfService(id)].filter(
    ({ jobIteration }) => jobIteration === jobStatus?.iteration,
  );
  const done = own.filter(({ status }) => status.state === 'complete');
  const slots = new Set(done.map((task) => task.forNodeId ?? task.slot));
  const count = cronStatus?.run?.totalCompletions ?? spec.mode.replicatedJob?.totalCompletions;
  const expected = spec.mode.globalJob === undefined ? count : nodes.length;
  assert.equal(slots.size, expected, `${spec.name} has completed ${slots.size} times`);
  if (cronStatus === undefined) return;
  const { settledMs } = cronStatus;
  assert.ok(clock.nowMs() - settledMs <= minuteMs, `${spec.name} is behind its schedule`);
}

/** The service and its tasks have addresses on just the networks that the spec asks for. */
function checkNetworks(
  cluster: SimCluster,
  { spec, virtualIps = [] }: Service,
  tasks: Task[],
): void {
  const mesh = publishesIngress(spec) ? [cluster.network('ingress').id] : [];
  const expected = [...(spec.task.networks ?? []).map(({ target }) => target), ...mesh];
  const vips = spec.endpoint?.mode === 'dnsrr' ? [] : expected;
  assert.deepEqual(
    virtualIps.map(({ networkId }) => networkId),
    vips,
  );
  for (const { networks = [] } of tasks) {
    assert.deepEqual(
      networks.map(({ networkId }) => networkId),
      expected,
    );
  }
}

/** What is held is held by those who run, by services and by nodes: nothing is left over. */
function checkAddresses({ store }: SimCluster): void {
  for (const { id, spec } of store.networks()) {
    const holders = [...store.usedAddresses(id).values()].map((holder) => {
      const task = store.task(holder);
      assert.ok(task === undefined || isWanted(task.desiredState), `${holder} on ${spec.name}`);
      return task ?? store.service(holder) ?? store.node(holder);
    });
    assert.ok(!holders.includes(undefined), `somebody unknown is on ${spec.name}`);
  }
}

function isOn({ task }: ServiceSpec, networkId: string): boolean {
  return (task.networks ?? []).some(({ target }) => target === networkId);
}

/** The most that a service takes of a network, itself included, also while it is updated. */
function addressesOf({ mode, updateConfig }: ServiceSpec): number {
  const tasks = mode.replicated?.replicas ?? mode.replicatedJob?.maxConcurrent ?? nodes.length;
  const isTwice = isJobMode(mode) || updateConfig?.order === 'start-first';
  return 1 + tasks * (isTwice ? 2 : 1);
}

describe('random commands and faults', function () {
  this.timeout(600_000);

  it('never doubles a slot, and ends with what was asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(steps, fc.constantFrom(0, 50, 400, 2500, 8000)), {
          maxLength: 30,
          size: 'max',
        }),
        async (script) => {
          await using cluster = await started();
          const violations: string[] = [];
          cluster.store.onChange(() => violations.push(...doubled(cluster)));
          // What is drawn may be no good spec.
          cluster.onRefusal = () => undefined;
          for (const [{ step }, waitMs] of script) {
            step(cluster);
            if (waitMs > 0) await cluster.run(waitMs);
            else await cluster.settle();
            assert.deepEqual(violations, []);
            assert.deepEqual(cluster.store.audit(), []);
          }
          cluster.onRefusal = undefined;
          for (const id of nodes) {
            if (cluster.store.node(id) === undefined) cluster.addNode(id);
            else if (cluster.node(id).status.state !== 'ready') cluster.restore(id);
            await cluster.settle();
            cluster.updateNode(id, { availability: 'active' });
          }
          await cluster.settle();
          // The user's last word: an image that works, and no more on a network than it has room for.
          let room = smallRoom;
          for (const { spec } of cluster.store.services()) {
            const need = isOn(spec, cluster.network('small').id) ? addressesOf(spec) : 0;
            const stays = need <= room;
            if (stays) room -= need;
            const image = isJobMode(spec.mode) ? 'job-good:3' : 'good:3';
            const words = [`image=${image}`, ...(stays ? [] : ['network=none'])];
            cluster.updateService(spec.name, (present) => edited(present, words));
          }
          // Halfway between two ticks, so that what they begin has ended.
          const overMs = cluster.clock.nowMs() % minuteMs;
          await cluster.run(15 * minuteMs + minuteMs / 2 - overMs);
          assert.deepEqual(violations, []);
          checkConverged(cluster);
          checkAddresses(cluster);
        },
      ),
      { numRuns: 60 },
    );
  });
});
