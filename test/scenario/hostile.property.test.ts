/**
 * A planner that throws ends its manager, and the next one after it, as the object that it throws
 * for is in the store: whatever the API lets in must be planned, placed, told and shown.
 */
import { strict as assert } from 'node:assert';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { eventJson, objectEvent } from '../../api/convert/event.ts';
import { networkJson } from '../../api/convert/network.ts';
import { nodeJson } from '../../api/convert/node.ts';
import { serviceJson, serviceStatus } from '../../api/convert/service.ts';
import { taskJson } from '../../api/convert/task.ts';
import { AssignmentsSchema, WelcomeSchema } from '../../gen/dispatcher_pb.js';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { Control } from '../../manager/control/index.ts';
import { NetworkDesk } from '../../manager/dispatcher/network-desk.ts';
import { heartbeatPeriodMs } from '../../manager/dispatcher/period.ts';
import { newsworthy } from '../../manager/dispatcher/reports.ts';
import { encodeJson, readDescription, readTaskStatus } from '../../manager/dispatcher/wire.ts';
import { explain } from '../../manager/explain/index.ts';
import { tellHistory } from '../../manager/history/index.ts';
import {
  CodecError,
  cronLabels,
  networkSpec,
  nodeSpec,
  serviceSpec,
  swarmSpec,
  type ServiceSpec,
} from '../../types/index.ts';
import { readAssignments } from '../../worker/agent/assignments.ts';
import { documentOf, merged, mutated } from './hostile.ts';
import { SimCluster } from './sim-cluster.ts';

const description = {
  hostname: 'b',
  platform: { architecture: 'x86_64', os: 'linux' },
  resources: {
    nanoCpus: 4e9,
    memoryBytes: 2 ** 33,
    genericResources: [
      { named: { kind: 'gpu', value: 'g0' } },
      { discrete: { kind: 'ssd', value: 2 } },
    ],
  },
  engine: {
    version: '1',
    labels: { storage: 'fast' },
    plugins: [{ type: 'Volume', name: 'local' }],
  },
  tls: { trustRoot: '', issuerSubject: '', issuerPublicKey: '' },
  dataPath: { address: '10.0.0.2', wireguard: { publicKey: `${'A'.repeat(43)}=`, port: 51_820 } },
  volumes: ['data'],
  csi: [
    {
      driver: 'array',
      nodeId: 'b',
      maxVolumes: 2,
      topology: { segments: { zone: 'b' } },
      isController: true,
    },
  ],
};
const status = {
  state: 'running',
  atMs: 1,
  message: 'started',
  err: 'x',
  container: { containerId: 'c', pid: 1, exitCode: 0 },
  ports: [{ protocol: 'tcp', targetPort: 80, publishedPort: 80, publishMode: 'host' }],
  networks: [{ networkId: 'back', addresses: ['10.0.1.5/24'] }],
};
const some = { minLength: 1, maxLength: 3 };
const good = {
  Name: 'web',
  TaskTemplate: { ContainerSpec: { Image: 'web:1' }, Networks: [{ Target: 'back' }] },
  Mode: { Replicated: { Replicas: 3 } },
  EndpointSpec: { Ports: [{ TargetPort: 80 }] },
};

const swarmFields = (swarmSpec.fields ?? []).filter(({ json }) => json !== 'CAConfig');
const documents = {
  network: documentOf(networkSpec),
  node: documentOf(nodeSpec),
  swarm: documentOf({ ...swarmSpec, fields: swarmFields }),
};
const serviceDocument = fc
  .tuple(fc.constantFrom('web', 'api'), fc.array(documentOf(serviceSpec), some))
  .map(([Name, parts]) => [...parts, { Name }].reduce(merged, good));

type Given = { readonly kind: string; readonly given: unknown };
const given = (kind: string, from: fc.Arbitrary<unknown>): fc.Arbitrary<Given> =>
  fc.record({ kind: fc.constant(kind), given: from });
const word = fc.constantFrom('web', 'api');

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: given('service', serviceDocument) },
    { weight: 2, arbitrary: given('network', documents.network) },
    { weight: 1, arbitrary: given('node', documents.node) },
    { weight: 1, arbitrary: given('swarm', documents.swarm) },
    { weight: 2, arbitrary: given('description', mutated(description)) },
    { weight: 1, arbitrary: given('status', mutated(status)) },
    ...['rebalance', 'rollback', 'remove'].map((kind) => ({
      weight: 1,
      arbitrary: given(kind, word),
    })),
    { weight: 1, arbitrary: given('lead', fc.constant('')) },
  ),
  { minLength: 2, maxLength: 5 },
);

/** What has once been let in, and should not have been, or was not borne. */
const offenders: readonly Given[][] = [
  [
    {
      kind: 'service',
      given: { ...good, UpdateConfig: { Parallelism: Number.MAX_SAFE_INTEGER } },
    },
    { kind: 'node', given: { Availability: 'drain' } },
    { kind: 'node', given: { Availability: 'active' } },
    { kind: 'rebalance', given: 'web' },
  ],
  [
    {
      kind: 'service',
      given: merged(good, {
        TaskTemplate: {
          Placement: {
            Preferences: Array.from({ length: 20_000 }, () => ({
              Spread: { SpreadDescriptor: 'node.labels.zone' },
            })),
          },
        },
      }),
    },
  ],
  [{ kind: 'swarm', given: { Dispatcher: { HeartbeatPeriod: 1_234_567_891 } } }],
  [{ kind: 'swarm', given: { Dispatcher: { HeartbeatPeriod: Number.MAX_SAFE_INTEGER } } }],
];

describe('what the API and the nodes let in', function () {
  this.timeout(180_000);

  it('is planned, placed, told and shown, whatever it is', async () => {
    const seen = { taken: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(steps, async (program) => {
        await using run = await Run.begin();
        for (const one of program) await run.step(one);
        await run.end();
        seen.taken += run.taken;
        seen.refused += run.refused;
      }),
      { numRuns: 40, endOnFailure: true, examples: offenders.map((program) => [program]) },
    );
    assert.ok(seen.taken > 20 && seen.refused > 20, JSON.stringify(seen));
  });

  it('ends no planner where its time zone is known to a newer manager only', async () => {
    await using cluster = new SimCluster();
    await cluster.start();
    cluster.addNode('a');
    const task = { ContainerSpec: { Image: 'web:1' } };
    const labels = { [cronLabels.schedule]: '* * * * *', [cronLabels.timeZone]: 'Mars/Olympus' };
    const mode = { ReplicatedJob: {} };
    const given = { Name: 'web', Labels: labels, TaskTemplate: task, Mode: mode };
    const spec = serviceSpec.decode(given, '');
    const object = { id: 'tick', meta: cluster.meta, spec, specVersion: 0 };
    cluster.change([{ op: 'put', table: 'service', object, base: 0 }]);
    await cluster.run(120_000);
    assert.deepEqual(cluster.tasks('web'), []);
    cluster.removeService('web');
    await cluster.settle();
  });
});

class Run implements AsyncDisposable {
  taken = 0;
  refused = 0;
  readonly #cluster: SimCluster;

  private constructor(cluster: SimCluster) {
    this.#cluster = cluster;
  }

  static async begin(): Promise<Run> {
    const cluster = new SimCluster();
    await cluster.start();
    for (const id of ['a', 'b', 'c']) cluster.addNode(id, { labels: { zone: id } });
    cluster.createNetwork('back');
    await cluster.settle();
    const events = (object: never) => JSON.stringify(eventJson(object));
    cluster.onChange((batch) => {
      for (const event of batch.events) {
        const told = objectEvent(event);
        if (told !== undefined) events(told as never);
      }
    });
    return new Run(cluster);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }

  async step(one: Given): Promise<void> {
    const cluster = this.#cluster;
    const work = this.#command(one).then(
      () => (this.taken += 1),
      (error: unknown) => {
        const { code } = SwarmError.from(error);
        if (!(error instanceof CodecError) && code === 'internal') throw error;
        this.refused += 1;
      },
    );
    await Promise.all([work, cluster.settle()]);
    await cluster.run(3_000);
    this.#look();
  }

  /** Every way back is open: what was let in is taken away again. */
  async end(): Promise<void> {
    const cluster = this.#cluster;
    for (const { spec } of cluster.store.services()) cluster.removeService(spec.name);
    await cluster.run(120_000);
    assert.deepEqual([...cluster.store.services()], []);
    this.#look();
  }

  async #command({ kind, given }: Given): Promise<void> {
    const cluster = this.#cluster;
    const { store } = cluster;
    const control = this.#control();
    switch (kind) {
      case 'service': {
        const spec: ServiceSpec = serviceSpec.decode(given, '');
        const present = store.serviceByName(spec.name);
        if (present === undefined) await control.createService({ spec });
        else await control.updateService({ id: present.id, version: present.meta.version, spec });
        return;
      }
      case 'network':
        await control.createNetwork({ spec: networkSpec.decode(given, '') });
        return;
      case 'node': {
        const spec = nodeSpec.decode(given, '');
        await control.updateNode({ id: 'a', version: cluster.node('a').meta.version, spec });
        return;
      }
      case 'swarm': {
        const spec = swarmSpec.decode(given, '');
        const { version } = store.cluster()!.meta;
        const rotates = { rotateWorkerToken: false, rotateManagerToken: true };
        await control.updateCluster({ ...rotates, version, spec });
        return;
      }
      case 'description': {
        const read = readDescription(encodeJson(given));
        cluster.change([{ op: 'node-status', id: 'b', description: read }]);
        return;
      }
      case 'status': {
        const read = readTaskStatus(encodeJson(given));
        const [task] = store.tasksOfNode('b');
        if (task === undefined) return;
        for (const [id, news] of newsworthy(store, 'b', new Map([[task.id, read]]))) {
          cluster.report(id, news);
        }
        return;
      }
      case 'lead':
        await cluster.changeLeader();
        return;
      default:
        await this.#onService(kind, String(given));
    }
  }

  async #onService(kind: string, name: string): Promise<void> {
    const control = this.#control();
    const service = this.#cluster.store.serviceByName(name);
    if (service === undefined) return;
    const { id, meta, spec } = service;
    if (kind === 'rebalance') await control.rebalanceService({ id });
    else if (kind === 'remove') await control.removeService({ id });
    else await control.updateService({ id, version: meta.version, spec, rollback: true });
  }

  #control(): Control {
    return new Control({
      store: this.#cluster.store,
      clock: this.#cluster.clock,
      random: seededRandom(5),
      makeJoinToken: () => 'token',
      makeUnlockKey: () => 'key',
      checkDemotion: () => undefined,
    });
  }

  /** All that managers make of what is in the store, besides plans. */
  #look(): void {
    const { store } = this.#cluster;
    const nowMs = this.#cluster.managerMs;
    assert.deepEqual(store.audit(), []);
    const shown: unknown[] = [];
    for (const service of store.services()) {
      const tasks = [...store.tasksOfService(service.id)];
      shown.push(
        serviceJson(service, serviceStatus(service, tasks)),
        explain(store, service.id, { nowMs }),
      );
      for (const task of tasks.slice(0, 4)) {
        shown.push(
          taskJson(task, (id) => store.network(id)),
          explain(store, task.id, { nowMs }),
        );
      }
    }
    for (const node of store.nodes()) shown.push(nodeJson(node, undefined));
    for (const network of store.networks()) shown.push(networkJson({ ...network, scope: 'swarm' }));
    shown.push(tellHistory(store.history, store, { limit: 100 }, nowMs));
    JSON.stringify(shown);
    for (const { id } of store.nodes()) this.#tell(id);
    const period = store.cluster()?.spec.dispatcher.heartbeatPeriodMs;
    toBinary(
      WelcomeSchema,
      create(WelcomeSchema, { heartbeatPeriodMs: heartbeatPeriodMs(3, period) }),
    );
  }

  /** The set with all that the node is to have, there and back. */
  #tell(nodeId: string): void {
    const { store, clock } = this.#cluster;
    const sessions = new Map();
    const desk = new NetworkDesk({
      store,
      clock: new VirtualClock(clock.nowMs()),
      log: silentLogger,
      isThere: () => true,
      sessions,
    });
    const { kind, changes } = desk.assignmentsOf(nodeId).complete();
    const set = create(AssignmentsSchema, { kind, changes: [...changes] });
    const read = readAssignments(fromBinary(AssignmentsSchema, toBinary(AssignmentsSchema, set)));
    const present = [...store.tasksOfNode(nodeId)].filter((task) => task.desiredState !== 'remove');
    const { kept = [], update } = read;
    assert.ok(update.length + kept.length >= present.length);
    desk.stop();
  }
}
