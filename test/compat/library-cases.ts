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

    it('docker-py does its main path', async () => {
      const script = join(import.meta.dirname, 'docker-py.py');
      const { manager } = get();
      // Debian's own Python, which has Debian's python3-docker.
      const argv = ['/usr/bin/python3', script, manager.url, get().image('talker:1')];
      assert.equal(await run(argv, { timeoutMs: 60_000 }), 'all is well\n');
    });

    it('docker-py does what it has for one node', async () => {
      const script = join(import.meta.dirname, 'docker-py-node.py');
      const argv = ['/usr/bin/python3', script, get().manager.url, get().image('busybox:1')];
      assert.equal(await run(argv, { timeoutMs: 60_000 }), 'all is well\n');
    });
  });
}

async function eventsOf(docker: Docker) {
  const stream = await docker.getEvents({ filters: { type: ['service'] } });
  const actions: string[] = [];
  stream.on('data', (chunk: Buffer) => {
    for (const line of chunk.toString().split('\n').filter(Boolean)) {
      actions.push((JSON.parse(line) as { Action: string }).Action);
    }
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
