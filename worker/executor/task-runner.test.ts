import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { VirtualClock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import { silentLogger } from '../../lib/log.ts';
import { isTerminal, type AssignedTask, type TaskStatus } from '../../types/index.ts';
import type { Images } from '../image/images.ts';
import { NodeDevices } from '../device/index.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { testVolumes } from '../volume/testing.ts';
import type { Volumes } from '../volume/index.ts';
import { TaskRunner } from './task-runner.ts';
import {
  assignedTask,
  containerId,
  FakeImages,
  FakeNetwork,
  noNetworks,
  taskId,
} from './testing/fakes.ts';

describe('task runner', () => {
  let folder: string;
  let clock: VirtualClock;
  let runtime: FakeRuntime;
  let images: FakeImages;
  let network: FakeNetwork;
  let devices: NodeDevices;
  let volumes: Volumes;
  let runner: TaskRunner;
  let seen: string[];

  const open = async () => {
    runner = new TaskRunner(
      { dataRoot: join(folder, 'data'), runRoot: join(folder, 'run') },
      {
        images: images as unknown as Images,
        network,
        volumes,
        devices,
        runtime,
        node: () => ({
          id: 'node1',
          hostname: 'host1',
          platform: { os: 'linux', architecture: 'amd64' },
        }),
        clock,
        log: silentLogger,
      },
    );
    runner.onStatus((id, status) => seen.push(`${id.slice(0, 2)} ${describeStatus(status)}`));
    await runner.start();
  };
  const assign = (...update: AssignedTask[]) =>
    runner.assign({ complete: false, update, remove: [], networks: noNetworks });
  const status = (slot: number) => runner.statuses().get(taskId(slot));
  const state = (slot: number) => status(slot)?.state;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-executor-'));
    clock = new VirtualClock();
    runtime = new FakeRuntime({ clock });
    images = new FakeImages();
    network = new FakeNetwork();
    const gpu = (value: string) => ({ named: { kind: 'gpu', value } });
    devices = new NodeDevices({ own: [gpu('id1'), gpu('id2')], cdiFolders: [] }, silentLogger);
    volumes = testVolumes({ folder: join(folder, 'volumes'), clock, random: seededRandom(1) });
    seen = [];
    await open();
  });

  afterEach(async () => {
    await runner[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  it('gives a task the resources that were claimed for it', async () => {
    const genericResources = [{ named: { kind: 'gpu', value: 'id2' } }];
    await assign(assignedTask(1, { task: { genericResources } }));
    await until(() => state(1) === 'running');
    const [container] = [...runner.containers()];
    const env = container?.prepared?.container.env ?? [];
    assert.ok(env.includes('DOCKER_RESOURCE_GPU=id2'), env.join());
  });

  it('brings a task to running, step by step', async () => {
    await assign(assignedTask(1));
    await until(() => state(1) === 'running');
    assert.deepEqual(seen, [
      't1 accepted: accepted',
      't1 preparing: preparing',
      't1 ready: prepared',
      't1 starting: starting',
      't1 running: started',
    ]);
    assert.deepEqual(status(1)?.container, { containerId: containerId(1), pid: 1001 });
    const { network: where, argv, files } = runtime.config(containerId(1));
    assert.deepEqual(where, { kind: 'path', path: `/netns/${containerId(1)}` });
    assert.deepEqual(argv, ['serve']);
    assert.deepEqual(
      files.map(({ target }) => target),
      ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'],
    );
  });

  it('holds at ready, and runs when its turn comes', async () => {
    await assign(assignedTask(1, { desired: 'ready' }));
    await until(() => state(1) === 'ready');
    assert.deepEqual(runtime.calls, []);
    await assign(assignedTask(1));
    await until(() => state(1) === 'running');
  });

  it('rejects a task whose image cannot be had, with the registry’s words', async () => {
    images.error = new SwarmError('not-found', 'manifest for web:1 not found');
    await assign(assignedTask(1));
    await until(() => state(1) === 'rejected');
    assert.equal(status(1)?.err, 'manifest for web:1 not found');
    assert.equal(status(1)?.message, 'preparing');
  });

  it('rejects what can be seen to fail before it is started', async () => {
    const mounts = [{ type: 'bind' as const, source: '/nowhere', target: '/x' }];
    await assign(assignedTask(1, { container: { mounts } }));
    await until(() => state(1) === 'rejected');
    assert.match(status(1)?.err ?? '', /bind source path does not exist: \/nowhere/);
  });

  it('fails a task that cannot be started, and leaves nothing of it', async () => {
    runtime.program = () => ({ startError: new SwarmError('internal', 'exec: no such file') });
    await assign(assignedTask(1));
    await until(() => state(1) === 'failed');
    assert.equal(status(1)?.err, 'starting container failed: exec: no such file');
    assert.deepEqual(await runtime.list(), []);
    assert.equal(network.attached.size, 0);
  });

  it('says which port is taken', async () => {
    network.error = new SwarmError('already-exists', 'port 80/tcp is published by other');
    await assign(assignedTask(1));
    await until(() => state(1) === 'failed');
    assert.equal(status(1)?.err, 'starting container failed: port 80/tcp is published by other');
  });

  it('publishes host-mode ports, and reports where they are', async () => {
    const port = { protocol: 'tcp' as const, targetPort: 80, publishMode: 'host' as const };
    const ingress = { ...port, publishMode: 'ingress' as const };
    await assign(assignedTask(1, { task: { ports: [port, ingress] } }));
    await until(() => state(1) === 'running');
    assert.deepEqual(status(1)?.ports, [{ ...port, publishedPort: 30_000 }]);
  });

  it('waits for a port that a task which is being stopped still has, and not for others', async () => {
    const ports = [
      {
        protocol: 'tcp' as const,
        targetPort: 80,
        publishMode: 'host' as const,
        publishedPort: 8080,
      },
    ];
    const task = { task: { ports } };
    runtime.program = () => ({ ignoresSignals: true });
    await assign(assignedTask(1, task));
    await until(() => state(1) === 'running');
    await assign(assignedTask(2, task));
    await until(() => state(2) === 'failed');
    assert.match(status(2)?.err ?? '', /already published by web\.1/);

    await assign(assignedTask(3, task), assignedTask(1, { ...task, desired: 'shutdown' }));
    await until(() => state(3) === 'starting');
    await turns();
    assert.equal(state(1), 'running');
    assert.equal(state(3), 'starting');
    clock.advance(10_000);
    await until(() => state(3) === 'running');
    assert.equal(state(1), 'shutdown');

    await runner.assign({
      complete: false,
      update: [assignedTask(4, task)],
      remove: [taskId(3)],
      networks: noNetworks,
    });
    await until(() => state(4) === 'starting');
    await assign(assignedTask(4, { ...task, desired: 'shutdown' }));
    await until(() => state(4) === 'shutdown');
    assert.ok(!runtime.calls.includes(`create ${containerId(4)}`), 'it was called off');
  });

  it('tells exit codes and memory from each other, and frees the network', async () => {
    await assign(assignedTask(1), assignedTask(2), assignedTask(3));
    await until(() => [1, 2, 3].every((slot) => state(slot) === 'running'));
    runtime.exit(containerId(1), 0);
    runtime.exit(containerId(2), 3);
    runtime.exit(containerId(3), 137, true);
    await until(() => [1, 2, 3].every((slot) => state(slot) !== 'running'));
    assert.deepEqual([1, 2, 3].map(state), ['complete', 'failed', 'failed']);
    assert.equal(status(2)?.err, 'task: non-zero exit (3)');
    assert.equal(status(3)?.err, 'task: non-zero exit (137): out of memory (OOM killed)');
    assert.equal(status(2)?.container?.exitCode, 3);
    assert.equal(network.attached.size, 0);
  });

  it('stops with the signal and the grace of the spec', async () => {
    const container = { stopSignal: 'SIGINT', stopGracePeriodMs: 7000 };
    await assign(assignedTask(1, { container }));
    await until(() => state(1) === 'running');
    await assign(assignedTask(1, { container, desired: 'shutdown' }));
    await until(() => state(1) === 'shutdown');
    assert.ok(runtime.calls.includes(`stop ${containerId(1)} SIGINT 7000`));
    // Kept for its logs until the manager forgets the task.
    assert.equal((await runtime.list()).length, 1);
    await runner.assign({ complete: false, update: [], remove: [taskId(1)], networks: noNetworks });
    await untilAsync(async () => (await runtime.list()).length === 0);
    assert.equal(status(1), undefined);
  });

  it('ends without waiting for a grace, and stops again when it is back', async () => {
    runtime.program = () => ({ ignoresSignals: true });
    await assign(assignedTask(1));
    await until(() => state(1) === 'running');
    await assign(assignedTask(1, { desired: 'shutdown' }));
    await until(() => runtime.calls.some((call) => call.startsWith('stop')));
    await runner[Symbol.asyncDispose]();
    await open();
    await until(() => runtime.calls.filter((call) => call.startsWith('stop')).length === 2);
    clock.advance(10_000);
    await until(() => state(1) === 'shutdown');
  });

  it('gives up a pull that is no longer wanted', async () => {
    images.hold = new Promise(() => {});
    await assign(assignedTask(1));
    await until(() => images.running === 1);
    await assign(assignedTask(1, { desired: 'shutdown' }));
    await until(() => state(1) === 'shutdown');
  });

  it('aborts a pull with the last task that waits for it, and at the end', async () => {
    images.hold = new Promise(() => {});
    await assign(assignedTask(1), assignedTask(2));
    await until(() => images.running === 1);
    await runner.assign({ complete: false, update: [], remove: [taskId(1)], networks: noNetworks });
    await turns();
    assert.equal(images.running, 1, 'the other task waits for it');
    await runner.assign({ complete: false, update: [], remove: [taskId(2)], networks: noNetworks });
    await until(() => images.running === 0);
    await assign(assignedTask(3));
    await until(() => images.running === 1);
    await runner.clear();
    assert.equal(images.running, 0, 'the node has left');
    await assign(assignedTask(4));
    await until(() => images.running === 1);
    await runner[Symbol.asyncDispose]();
    assert.equal(images.running, 0, 'the daemon has ended');
    await open();
  });

  it('pulls once for all tasks of a service, and few images at once', async () => {
    const release = Promise.withResolvers<void>();
    images.hold = release.promise;
    await assign(...Array.from({ length: 8 }, (_, index) => assignedTask(index + 1)));
    const others = Array.from({ length: 8 }, (_, index) =>
      assignedTask(index + 20, { container: { image: `other:${index}` } }),
    );
    await assign(...others);
    await until(() => images.running === 3);
    release.resolve();
    await until(() => [...runner.statuses().values()].every((s) => s.state === 'running'));
    assert.equal(images.pulls.filter((reference) => reference === 'web:1').length, 1);
    assert.equal(images.runningMost, 3);
    await assign(assignedTask(9));
    await until(() => state(9) === 'running');
    assert.equal(images.pulls.length, 9);
  });

  describe('health', () => {
    const healthCheck = { test: ['CMD', 'check'], intervalMs: 1000, retries: 2 };
    let healthy: boolean;

    beforeEach(async () => {
      healthy = false;
      runtime.onExec = () => ({ exitCode: healthy ? 0 : 1 });
      await assign(assignedTask(1, { container: { healthCheck } }));
      await until(() => runtime.calls.includes(`start ${containerId(1)}`));
      await turns();
    });
    const probe = async () => {
      const before = runtime.calls.length;
      clock.advance(1000);
      await until(() => runtime.calls.length > before);
      await turns();
    };

    it('runs only when healthy, and fails when it is no longer', async () => {
      await probe();
      assert.equal(state(1), 'starting');
      healthy = true;
      await probe();
      assert.equal(state(1), 'running');
      healthy = false;
      await probe();
      assert.equal(state(1), 'running');
      await probe();
      await until(() => state(1) === 'failed');
      assert.equal(status(1)?.err, 'task: non-zero exit (143): unhealthy container');
    });

    it('fails a start that never becomes healthy', async () => {
      await probe();
      await probe();
      await until(() => state(1) === 'failed');
      assert.equal(status(1)?.err, 'unhealthy container');
    });
  });

  it('takes up its tasks after a restart without touching what runs', async () => {
    await assign(assignedTask(1), assignedTask(2), assignedTask(3, { desired: 'ready' }));
    await until(() => state(1) === 'running' && state(2) === 'running' && state(3) === 'ready');
    const before = status(1);
    await runner[Symbol.asyncDispose]();
    runtime.exit(containerId(2), 5);
    runtime.calls.length = 0;
    await open();
    await until(() => state(2) === 'failed');
    assert.deepEqual(status(1), before);
    assert.equal(status(2)?.err, 'task: non-zero exit (5)');
    assert.equal(state(3), 'ready');
    assert.deepEqual([...(network.retained ?? [])], [containerId(1)]);
    assert.deepEqual(runtime.calls, []);
    await assign(assignedTask(3), assignedTask(1, { desired: 'shutdown' }));
    await until(() => state(3) === 'running' && state(1) === 'shutdown');
  });

  it('goes on while its disk takes nothing, and writes what happened later', async () => {
    await assign(assignedTask(1));
    await until(() => state(1) === 'running');
    const other = new DatabaseSync(join(folder, 'data', 'tasks', 'tasks.db'));
    const columns = "assignment ->> '$.desiredState' AS wanted, status ->> '$.state' AS state";
    const select = other.prepare(`SELECT ${columns} FROM task ORDER BY id`);
    const stored = () => select.all().map(({ wanted, state: now }) => [wanted, now]);
    other.exec('BEGIN IMMEDIATE');
    clock.advance(50);
    await assign(assignedTask(1, { desired: 'shutdown' }), assignedTask(2));
    await until(() => state(1) === 'shutdown' && state(2) === 'running');
    other.exec('ROLLBACK');
    assert.deepEqual(stored(), [['running', null]]);
    clock.advance(5_000);
    assert.deepEqual(stored().flat(), ['shutdown', 'shutdown', 'running', 'running']);
    other.close();
  });

  it('fails a task whose container is gone after a restart', async () => {
    await assign(assignedTask(1));
    await until(() => state(1) === 'running');
    await runner[Symbol.asyncDispose]();
    runtime = new FakeRuntime({ clock });
    await open();
    await until(() => state(1) === 'failed');
    assert.equal(status(1)?.err, 'the container of the task is gone');
  });

  it('stops and forgets what a complete set leaves out, and strays', async () => {
    await assign(assignedTask(1), assignedTask(2), assignedTask(3));
    await until(() => [1, 2, 3].every((n) => state(n) === 'running'));
    const [update, kept] = [[assignedTask(2)], [taskId(3), taskId(4)]];
    await runner.assign({ complete: true, kept, update, remove: [], networks: noNetworks });
    assert.deepEqual([...runner.statuses().keys()], [taskId(2), taskId(3)]);
    await untilAsync(async () => (await runtime.list()).length === 2);
    assert.ok(runtime.calls.some((call) => call.startsWith(`stop ${containerId(1)} SIGTERM`)));

    await runner[Symbol.asyncDispose]();
    rmSync(join(folder, 'data'), { recursive: true });
    await open();
    await untilAsync(async () => (await runtime.list()).length === 0);
  });

  it('connects tasks to their networks, and names the resolver in their files', async () => {
    const networks = [{ networkId: 'net1', addresses: ['10.0.1.5/24', 'fd00:1::5/64'] }];
    const dnsConfig = { nameservers: ['192.0.2.53'], search: ['example.org'] };
    network.resolver = '127.0.0.11';
    await assign(assignedTask(1, { container: { dnsConfig }, task: { networks } }));
    await until(() => state(1) === 'running');
    const request = network.attached.get(containerId(1));
    assert.deepEqual(request?.networks, networks);
    assert.deepEqual(request?.nameservers, ['192.0.2.53']);
    const file = (name: string) =>
      readFileSync(join(folder, 'run/runtime/tasks', containerId(1), name), 'utf8');
    assert.equal(
      file('resolv.conf'),
      'nameserver 127.0.0.11\nsearch example.org\noptions ndots:0\n',
    );
    const own = file('hosts').split('\n').slice(-3, -1);
    assert.deepEqual(own, ['10.0.1.5\tt1xxxxxxxxxx', 'fd00:1::5\tt1xxxxxxxxxx']);
  });

  it('hands on what is said of networks, and knows it after a restart', async () => {
    const peer = (id: string) => ({
      type: 'peer' as const,
      object: { id, dataPath: { address: '192.0.2.1' }, ingressAddresses: [] },
    });
    const some = { complete: true, update: [peer('n1'), peer('n2')], remove: [] };
    const fewer = {
      complete: false,
      update: [peer('n3')],
      remove: [{ type: 'peer', id: 'n1' }],
    } as const;
    for (const networks of [some, fewer]) {
      await runner.assign({ complete: false, update: [], remove: [], networks });
    }
    assert.deepEqual(network.assigned.slice(1), [some, fewer]);
    await runner[Symbol.asyncDispose]();
    network = new FakeNetwork();
    await open();
    assert.deepEqual(network.assigned, [
      { complete: true, update: [peer('n2'), peer('n3')], remove: [] },
    ]);
    await runner.clear();
    await runner[Symbol.asyncDispose]();
    network = new FakeNetwork();
    await open();
    assert.deepEqual(network.assigned, [{ complete: true, update: [], remove: [] }]);
  });

  it('takes its tasks also where the networks cannot be set', async () => {
    network.assignError = new SwarmError('internal', 'no room for a route');
    await assert.rejects(assign(assignedTask(1)), /no room for a route/);
    await until(() => state(1) === 'running');
  });

  it('does not take back what a task has been asked for', async () => {
    await assign(assignedTask(1));
    await until(() => state(1) === 'running');
    await assign(assignedTask(1, { desired: 'shutdown' }));
    await assign(assignedTask(1, { desired: 'running' }));
    await until(() => isTerminal(state(1)!));
  });

  it('clears everything when the node leaves', async () => {
    await assign(assignedTask(1), assignedTask(2));
    await until(() => state(1) === 'running' && state(2) === 'running');
    await runner.clear();
    assert.deepEqual(await runtime.list(), []);
    assert.equal(runner.statuses().size, 0);
    assert.equal(network.attached.size, 0);
  });

  it('follows a log from before its container, and knows which image is needed', async () => {
    const release = Promise.withResolvers<void>();
    images.hold = release.promise;
    runtime.program = () => ({ output: [{ stream: 'stdout', text: 'hello\n' }] });
    await assign(assignedTask(1));
    const { signal } = new AbortController();
    const query = { follow: true, stdout: true, stderr: true };
    const lines = runner.logs(taskId(1), query, { signal });
    const first = lines[Symbol.asyncIterator]().next();
    release.resolve();
    const { value } = await first;
    assert.equal(Buffer.from(value!.data).toString(), 'hello\n');
    assert.equal(runner.imageUser('id of web:1'), containerId(1));
    assert.equal(runner.imageUser('id of other'), undefined);
    await assert.rejects(
      runner.logs('nowhere', query, { signal })[Symbol.asyncIterator]().next(),
      /task nowhere is not on this node/,
    );
  });
});

function describeStatus({ state, message }: TaskStatus): string {
  return `${state}: ${message}`;
}

const turnsMax = 60_000;

/** Files are really written, so work takes turns of the event loop; no time passes on the clock. */
async function until(condition: () => boolean): Promise<void> {
  await untilAsync(async () => condition());
}

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < turnsMax; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.fail('it did not come to pass');
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
