import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { containerDocument, createExtras } from '../../types/index.ts';
import { FakeImages } from '../executor/testing/fakes.ts';
import type { Images } from '../image/images.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { isErrorCode } from '../runtime/testing/errors.ts';
import type { ContainerEvent } from './events.ts';
import { testContainers, type TestContainers } from './testing.ts';

describe('standalone containers', () => {
  let clock: VirtualClock;
  let runtime: FakeRuntime;
  let made: TestContainers;
  let events: string[];
  let folder: string;

  const open = async () => {
    const images = new FakeImages() as unknown as Images;
    made = testContainers({
      clock,
      random: seededRandom(clock.nowMs()),
      images,
      runtime,
      recordsFolder: folder,
    });
    made.manager.events.listen(({ action, attributes }: ContainerEvent) =>
      events.push(`${action} ${attributes['name']} ${attributes['exitCode'] ?? ''}`.trim()),
    );
    await made.manager.open();
  };
  /** The daemon is gone; what the runtime holds stays. */
  const reopen = async () => {
    await made.manager[Symbol.asyncDispose]();
    await open();
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-records-'));
    clock = new VirtualClock();
    runtime = new FakeRuntime({ clock });
    events = [];
    await open();
  });
  afterEach(async () => {
    await made.manager[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
    rmSync(made.dataRoot, { recursive: true, force: true });
  });

  const create = async (name: string, json: object = {}) => {
    const { id } = await made.manager.create({
      name,
      platform: '',
      config: containerDocument.decode({ Image: 'web', ...json }, ''),
      extras: createExtras.decode(json, ''),
    });
    return id;
  };
  const own = async (name: string) => {
    const { own: container } = await made.manager.find(name);
    assert.ok(container !== undefined);
    return container;
  };
  const statusOf = async (name: string) => (await made.manager.find(name)).view.state.status;
  /** Lets what is under way come to rest; no time passes. */
  const settled = async () => {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  };

  /** Files are really written: that takes as many turns as it takes. */
  const becomes = async (name: string, status: string) => {
    const turnsMax = 2_000_000;
    for (let turn = 0; turn < turnsMax && (await statusOf(name)) !== status; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(await statusOf(name), status);
  };

  it('do not start without the devices that they ask for, and say so each time', async () => {
    const request = { Driver: 'cdi', DeviceIDs: ['vendor.com/gpu=0'] };
    await create('web', { HostConfig: { DeviceRequests: [request] } });
    const container = await own('web');
    const missing = isErrorCode('internal', /unresolvable CDI devices vendor.com\/gpu=0$/);
    for (const _ of [1, 2]) await assert.rejects(container.start(), missing);
    assert.equal(await statusOf('web'), 'created');
    assert.equal(made.network.attached.size, 0);
    const { deviceRequests } = container.record.host;
    assert.deepEqual(deviceRequests?.[0]?.deviceIds, request.DeviceIDs);
  });

  it('are made, started, stopped and removed, and tell of it', async () => {
    const id = await create('web');
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.equal(await statusOf('web'), 'created');
    const container = await own('web');
    assert.equal(await container.start(), true);
    assert.equal(await container.start(), false);
    assert.equal(await statusOf('web'), 'running');
    assert.ok(made.network.attached.has(id));
    assert.equal(await container.stop({ seconds: 3 }), true);
    assert.equal(await container.stop(), false);
    assert.equal(await statusOf('web'), 'exited');
    assert.ok(!made.network.attached.has(id));
    assert.deepEqual(await runtime.layers.list(), [id]);
    await made.manager.remove(await made.manager.find('web'), { force: false });
    assert.deepEqual(await runtime.layers.list(), []);
    await assert.rejects(
      made.manager.find('web'),
      isErrorCode('not-found', /No such container: web/),
    );
    assert.deepEqual(events, [
      'create web',
      'start web',
      'kill web',
      'die web 143',
      'stop web',
      'destroy web',
    ]);
  });

  it('are found by id, name and the start of an id alone', async () => {
    const id = await create('web');
    for (const key of [id, 'web', '/web', id.slice(0, 12)]) {
      assert.equal((await made.manager.find(key)).view.record.id, id);
    }
    await assert.rejects(made.manager.find('we'), isErrorCode('not-found'));
  });

  it('have names of their own', async () => {
    const id = await create('web');
    await assert.rejects(
      create('web'),
      isErrorCode('already-exists', new RegExp(`"/web" is already in use by container "${id}"`)),
    );
    await made.manager.rename(await made.manager.find(id), 'shop');
    await create('web');
    assert.equal((await made.manager.find('shop')).view.record.id, id);
  });

  it('are removed by force only while they run', async () => {
    await create('web');
    await (await own('web')).start();
    const target = await made.manager.find('web');
    await assert.rejects(
      made.manager.remove(target, { force: false }),
      isErrorCode('aborted', /container is running: stop the container before removing/),
    );
    await made.manager.remove(target, { force: true });
    assert.deepEqual(await made.manager.list(), []);
  });

  it('are started again by their policy, later each time, until they are stopped', async () => {
    await create('web', { HostConfig: { RestartPolicy: { Name: 'always' } } });
    const container = await own('web');
    await container.start();
    for (const delayMs of [100, 200, 400]) {
      runtime.exit(container.id, 1);
      await becomes('web', 'restarting');
      clock.advance(delayMs - 1);
      await settled();
      assert.equal(container.state.status, 'restarting');
      clock.advance(1);
      await becomes('web', 'running');
    }
    assert.equal(container.state.restartCount, 3);
    await container.stop();
    clock.advance(100_000);
    await settled();
    assert.equal(container.state.status, 'exited');
  });

  it('go with their end where asked to', async () => {
    await create('web', { HostConfig: { AutoRemove: true } });
    const container = await own('web');
    await container.start();
    const waiting = container.wait('removed', new AbortController().signal);
    runtime.exit(container.id, 7);
    assert.equal(await waiting, 7);
    assert.deepEqual(await made.manager.list(), []);
  });

  it('are waited for', async () => {
    await create('web');
    const container = await own('web');
    const { signal } = new AbortController();
    assert.equal(await container.wait('not-running', signal), 0);
    const next = container.wait('next-exit', signal);
    await container.start();
    runtime.exit(container.id, 3);
    assert.equal(await next, 3);
    const gone = new AbortController();
    const never = container.wait('next-exit', gone.signal);
    gone.abort(new Error('gone'));
    await assert.rejects(never, /gone/);
  });

  it('run on without the daemon, and are taken up again', async () => {
    const id = await create('web');
    await (await own('web')).start();
    const ended = await create('ended');
    await (await own('ended')).start();
    await create('idle');
    await made.manager[Symbol.asyncDispose]();
    runtime.exit(ended, 5);
    await open();
    assert.equal(await statusOf('web'), 'running');
    assert.ok(made.network.attached.has(id));
    const { state } = (await made.manager.find('ended')).view;
    assert.deepEqual([state.status, state.exitCode], ['exited', 5]);
    assert.equal(await statusOf('idle'), 'created');
  });

  it('start with the daemon as their policies say', async () => {
    for (const name of ['no', 'always', 'unless-stopped']) {
      await create(`is-${name}`, { HostConfig: { RestartPolicy: { Name: name } } });
      const container = await own(`is-${name}`);
      await container.start();
      await container.stop();
    }
    await reopen();
    await becomes('is-always', 'running');
    assert.equal(await statusOf('is-no'), 'exited');
    assert.equal(await statusOf('is-unless-stopped'), 'exited');
  });

  it('that were being started when the daemon was killed hold no process', async () => {
    const id = await create('web');
    await (await own('web')).start();
    const config = runtime.config(id);
    await (await own('web')).stop();
    await runtime.remove(id);
    await runtime.create(config);
    await reopen();
    assert.equal(await statusOf('web'), 'exited');
    assert.equal(await runtime.inspect(id), undefined);
  });

  it('can be removed once more where a removal failed', async () => {
    await create('web');
    const { layers } = runtime;
    const remove = layers.remove.bind(layers);
    layers.remove = () => Promise.reject(new Error('the disk is broken'));
    const force = { force: true };
    await assert.rejects(made.manager.remove(await made.manager.find('web'), force), /is broken/);
    assert.equal(await statusOf('web'), 'dead');
    layers.remove = remove;
    await made.manager.remove(await made.manager.find('web'), force);
    await assert.rejects(made.manager.find('web'), isErrorCode('not-found'));
  });

  it('leave nothing that nobody knows', async () => {
    await runtime.layers.prepare('ab'.repeat(32), { name: 'web', chainId: 'chain' });
    await reopen();
    assert.deepEqual(await runtime.layers.list(), []);
  });

  it('pause, and go on', async () => {
    await create('web');
    const container = await own('web');
    await assert.rejects(container.pause(), isErrorCode('aborted', /is not running/));
    await container.start();
    await container.pause();
    await assert.rejects(container.pause(), isErrorCode('aborted', /already paused/));
    await assert.rejects(container.start(), isErrorCode('aborted', /cannot start a paused/));
    await container.unpause();
    assert.equal(container.state.status, 'running');
  });

  it('that fail to start say why, and stay as they were', async () => {
    runtime.program = () => ({
      createError: new Error('executable file `nope` not found in $PATH: No such file') as never,
    });
    await create('web', { Cmd: ['nope'] });
    const container = await own('web');
    await assert.rejects(container.start(), isErrorCode('invalid-argument', /"nope": executable/));
    assert.deepEqual([container.state.status, container.state.exitCode], ['created', 127]);
    assert.equal(made.network.attached.size, 0);
  });

  it('give their streams to clients who came before the start, until the end', async () => {
    runtime.program = () => ({ output: [{ stream: 'stdout', text: 'hello\n' }] });
    await create('web', { OpenStdin: true, StdinOnce: true });
    const container = await own('web');
    const heard: string[] = [];
    using attachment = container.streams.attach({
      stdin: true,
      sink: {
        write: async (stream, data) => void heard.push(`${stream} ${Buffer.from(data).toString()}`),
        end: () => undefined,
      },
    });
    const typed = attachment.stdin?.write(Buffer.from('early'));
    await container.start();
    await typed;
    await attachment.stdin?.end();
    runtime.exit(container.id, 0);
    await attachment.ended;
    assert.deepEqual(heard, ['stdout hello\n']);
    assert.deepEqual(runtime.io.input, [`${container.id} early`, `${container.id} end`]);
  });

  it('run commands, and forget them', async () => {
    runtime.onExec = () => ({ exitCode: 4, output: 'out' });
    await create('web');
    const { execs } = made.manager;
    const document = {
      attachStdin: false,
      attachStdout: true,
      attachStderr: true,
      detachKeys: '',
      tty: false,
      env: [],
      cmd: ['ls'],
      privileged: false,
      user: '',
      workingDir: '',
    };
    const view = async () => (await made.manager.find('web')).view;
    const idle = await view();
    assert.throws(() => execs.create(idle, document), isErrorCode('aborted', /is not running/));
    await (await own('web')).start();
    const id = execs.create(await view(), document);
    const sink = { write: () => Promise.resolve(), end: () => undefined };
    const { exited } = await execs.start(id, sink, { stdin: false });
    assert.equal(await exited, 4);
    await settled();
    assert.deepEqual([execs.view(id).running, execs.view(id).exitCode], [false, 4]);
    await assert.rejects(execs.start(id, sink, { stdin: false }), isErrorCode('aborted'));
    clock.advance(5 * 60_000);
    assert.throws(() => execs.view(id), isErrorCode('not-found', /No such exec instance/));
  });
});
