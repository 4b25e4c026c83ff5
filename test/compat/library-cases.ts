/** What programs use: dockerode and docker-py, as they are published, on their main paths. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import Docker from 'dockerode';
import { run, until } from '../lab/index.ts';
import type { Field } from './field.ts';

export function libraryCases(get: () => Field): void {
  describe('libraries', () => {
    afterEach(() => get().clear());

    it('dockerode creates, lists, inspects, updates, follows and removes', async () => {
      const field = get();
      const docker = new Docker({ socketPath: field.manager.socketPath });
      const events = await eventsOf(docker);
      const spec = {
        Name: 'node',
        Labels: { a: 'b' },
        TaskTemplate: {
          ContainerSpec: { Image: field.image('talker:1'), Env: ['LINES=3'] },
          RestartPolicy: { Condition: 'any' as const, Delay: 200_000_000 },
        },
        Mode: { Replicated: { Replicas: 2 } },
      };
      await docker.createService(spec);
      await field.runs('node', 2);
      const listed = await docker.listServices({ filters: { label: ['a=b'] } });
      assert.deepEqual(
        listed.map(({ Spec }) => Spec?.Name),
        ['node'],
      );
      assert.equal((await docker.listNodes()).length, 3);
      const tasks = (await docker.listTasks({ filters: { service: ['node'] } })) as unknown[];
      assert.equal(tasks.length, 2);
      assert.equal((await docker.swarmInspect()).JoinTokens.Worker.slice(0, 9), 'SWMTKN-1-');

      const service = docker.getService('node');
      const said = await logsOf(docker, service);
      await until('all is said', () => said.text.trim().split('\n').length === 6);
      said.stop();

      const found = (await service.inspect()) as { Version: { Index: number } };
      const scaled = { ...spec, Mode: { Replicated: { Replicas: 3 } } };
      await service.update({ version: found.Version.Index, ...scaled });
      await field.runs('node', 3);
      await assert.rejects(service.update({ version: 1, ...spec }), /update out of sequence/);
      await assert.rejects(docker.createService(spec), { statusCode: 409 });
      await service.remove();
      await assert.rejects(service.inspect(), { statusCode: 404 });
      await until('its life is told', () => events.actions.at(-1) === 'remove');
      assert.equal(events.actions[0], 'create');
      assert.ok(events.actions.includes('update'));
      events.stop();
    });

    it('dockerode runs a container, with streams, commands, images and what is told', () =>
      runsByDockerode(get()));

    it('docker-py does its main path', async () => {
      const script = join(import.meta.dirname, 'docker-py.py');
      const { manager } = get();
      // Debian's own Python, which has Debian's python3-docker.
      const argv = ['/usr/bin/python3', script, manager.url, get().image('talker:1')];
      assert.equal(await run(argv, { timeoutMs: 240_000 }), 'all is well\n');
    });

    it('docker-py does what it has for one node', async () => {
      const script = join(import.meta.dirname, 'docker-py-node.py');
      const argv = ['/usr/bin/python3', script, get().manager.url, get().image('busybox:1')];
      assert.equal(await run(argv, { timeoutMs: 240_000 }), 'all is well\n');
    });
  });
}

async function runsByDockerode(field: Field): Promise<void> {
  const docker = new Docker({ socketPath: field.manager.socketPath });
  const events = await eventsOf(docker, ['container', 'image']);
  const image = field.image('busybox:1');
  const pulling = await docker.pull(image);
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(pulling, (error: Error | null) =>
      error === null ? resolve() : reject(error),
    );
  });
  const script = 'echo out; echo err >&2; read x; echo "got $x"; touch /new; exec sleep 1000';
  const container = await docker.createContainer({
    name: 'ode',
    Image: image,
    Cmd: ['sh', '-c', script],
    Labels: { by: 'ode' },
    OpenStdin: true,
    HostConfig: { Memory: 64 * 2 ** 20 },
  });
  const all = { stdin: true, stdout: true, stderr: true };
  const attached = await container.attach({ stream: true, hijack: true, ...all });
  const said = collect(docker, attached);
  await container.start();
  attached.write('it\n');
  await until('it has answered', () => said.out === 'out\ngot it\n' && said.err === 'err\n');
  destroy(attached);

  const exec = await container.exec({
    Cmd: ['sh', '-c', 'cat; echo no >&2; exit 5'],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await exec.start({ hijack: true, stdin: true });
  const told = collect(docker, stream);
  stream.end('typed\n');
  await until('all of it is here', () => told.out === 'typed\n' && told.err === 'no\n');
  const code = await until('it has ended', async () => (await exec.inspect()).ExitCode, {
    accept: (known) => known !== null,
  });
  assert.equal(code, 5);

  const logs = await container.logs({ stdout: false, stderr: true, follow: false });
  assert.equal(logs.subarray(8).toString(), 'err\n');
  const stats = await container.stats({ stream: false });
  assert.equal(stats.memory_stats.limit, 64 * 2 ** 20);
  const changes = (await container.changes()) as unknown as { Path: string; Kind: number }[];
  assert.ok(changes.some(({ Path, Kind }) => Path === '/new' && Kind === 1));
  const listed = await docker.listContainers({ filters: { label: ['by=ode'] } });
  assert.deepEqual(
    listed.map(({ Names, State }) => [Names, State]),
    [[['/ode'], 'running']],
  );
  await container.commit({ repo: 'ode', tag: '1' });
  const made = docker.getImage('ode:1');
  await made.tag({ repo: 'ode', tag: '2' });
  assert.deepEqual((await made.inspect()).RepoTags.toSorted(), ['ode:1', 'ode:2']);
  await container.kill();
  const { StatusCode } = (await container.wait()) as { StatusCode: number };
  assert.equal(StatusCode, 137);
  await container.remove();
  await assert.rejects(container.inspect(), { statusCode: 404 });
  for (const name of ['ode:1', 'ode:2']) await docker.getImage(name).remove();
  const wanted = ['pull', 'create', 'attach', 'start', 'kill', 'die', 'commit', 'tag', 'destroy'];
  await until('its life is told', () => wanted.every((one) => events.actions.includes(one)));
  events.stop();
}

/** What comes by the two streams that are in one. */
function collect(docker: Docker, stream: NodeJS.ReadableStream) {
  const said = { out: '', err: '' };
  const [out, err] = [new PassThrough(), new PassThrough()];
  out.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  err.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
  docker.modem.demuxStream(stream, out, err);
  return said;
}

async function eventsOf(
  docker: Docker,
  types: ('container' | 'image' | 'service')[] = ['service'],
) {
  const stream = await docker.getEvents({ filters: { type: types } });
  const actions: string[] = [];
  let rest = '';
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) actions.push((JSON.parse(line) as { Action: string }).Action);
  });
  return { actions, stop: () => destroy(stream) };
}

async function logsOf(docker: Docker, service: Docker.Service) {
  // Its types know nothing of a stream that is followed.
  const options = { follow: true, stdout: true, stderr: true };
  const stream: unknown = await Promise.resolve(service.logs(options));
  const out = new PassThrough();
  const said = { text: '', stop: () => destroy(stream) };
  out.on('data', (chunk: Buffer) => (said.text += chunk.toString()));
  docker.modem.demuxStream(stream as NodeJS.ReadableStream, out, out);
  return said;
}

function destroy(stream: unknown): void {
  (stream as { destroy(): void }).destroy();
}
