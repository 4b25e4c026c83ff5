/** What people use: docker's CLI, old and new, and dockerode, against a made-up host. */
import { strict as assert } from 'node:assert';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { realClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import type { Change } from '../manager/store/index.ts';
import { makeNode, makeTask } from '../manager/store/testing.ts';
import { createApiServer, type ApiServer } from './index.ts';
import { FakeBackend } from './testing.ts';

const image = '10.99.0.254:5000/web:1';
/** Debian's docker.io, and a newer one where there is one. */
const programs = ['/usr/bin/docker', '/usr/local/bin/docker'];

describe('clients', () => {
  let folder: string;
  let socketPath: string;
  let server: ApiServer;
  let backend: FakeBackend;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'api-'));
    socketPath = join(folder, 'docker.sock');
    backend = new FakeBackend();
    runTasks(backend);
    server = createApiServer({ backend, log: silentLogger, clock: realClock });
    await server.listen({ unixSocket: socketPath });
  });

  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const environment = () => ({
    PATH: '/usr/bin',
    HOME: folder,
    DOCKER_HOST: `unix://${socketPath}`,
  });

  const run = (program: string, ...args: string[]) =>
    new Promise<{ code: number; out: string; err: string }>((resolve) => {
      execFile(program, args, { env: environment(), timeout: 120_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
      });
    });

  for (const program of programs) {
    describe(program, () => {
      before(function check() {
        if (!existsSync(program)) this.skip();
      });

      const docker = async (...words: (string | string[])[]) => {
        const args = words.flat();
        const { code, out, err } = await run(program, ...args);
        assert.equal(code, 0, `docker ${args.join(' ')} ended with ${code}: ${err}`);
        return out;
      };
      const refused = async (...args: string[]) => {
        const { code, err } = await run(program, ...args);
        assert.notEqual(code, 0, `docker ${args.join(' ')} should have failed`);
        return err;
      };
      const init = () => docker('swarm', 'init', '--advertise-addr', '10.99.0.1');

      it('asks for versions and facts', async () => {
        assert.match(await docker('version'), /API version:\s+1\.50 \(minimum version 1\.24\)/);
        const info = await docker('info');
        assert.match(info, /Swarm: inactive/);
        assert.match(info, /Server Version: 0\.1\.0/);
        await init();
        assert.match(await docker('info'), /Is Manager: true[^]*Managers: 1\n\s+Nodes: 1/);
      });

      it('starts a swarm and looks after its nodes', async () => {
        assert.match(await init(), /docker swarm join --token SWMTKN-1-worker 10\.99\.0\.1:2377/);
        assert.match(await docker('node', 'ls'), /\* +h1 +Ready +Active +Leader +0\.1\.0/);
        assert.equal(await docker('swarm', 'join-token', '-q', 'worker'), 'SWMTKN-1-worker\n');
        const rotated = await docker('swarm', 'join-token', '-q', '--rotate', 'worker');
        assert.notEqual(rotated, 'SWMTKN-1-worker\n');
        await docker('node', 'update', '--availability', 'drain', '--label-add', 'zone=a', 'h1');
        const pretty = await docker('node', 'inspect', '--pretty', 'self');
        assert.match(pretty, /zone=a[^]*Availability:\s+Drain/);
        assert.match(await refused('node', 'rm', 'h1'), /must be demoted to worker/);
        await docker('swarm', 'update', '--task-history-limit', '2');
        assert.match(await docker('info'), /Task History Retention Limit: 2/);
        await backend.propose([put(makeNode('lost'))]);
        const lost = ['node', 'rm', 'lost'];
        assert.match(await refused(...lost), /node lost is not down and can't be removed/);
        assert.equal(await docker('node', 'rm', '--force', 'lost'), 'lost\n');
      });

      it('carries a service through its life, and waits until it has converged', async () => {
        await init();
        const created = await docker(
          'service create --name web --replicas 2 --update-monitor 10ms --network host'.split(' '),
          '--publish mode=host,target=80,published=8080'.split(' '),
          image,
        );
        assert.match(created, /overall progress: 2 out of 2 tasks[^]*converged|^[a-z0-9]{25}\n/i);
        assert.match(
          await docker('service', 'ls'),
          /web +replicated +2\/2 +10\.99\.0\.254:5000\/web:1/,
        );
        const ps = await docker('service', 'ps', 'web');
        assert.match(ps, /web\.1 +10\.99\.0\.254:5000\/web:1 +h1 +Running +Running/);
        await docker('service', 'scale', 'web=3');
        assert.match(await docker('service', 'ls'), /3\/3/);
        await docker('service', 'update', '-q', '--env-add', 'A=1', 'web');
        assert.match(await docker('service', 'inspect', 'web'), /"A=1"[^]*"PreviousSpec"/);
        await docker('service', 'update', '-d', '--rollback', 'web');
        const pretty = await docker('service', 'inspect', '--pretty', 'web');
        assert.match(pretty, /PublishMode = host/);
        assert.match(pretty, /Networks: host/);
        assert.equal(await docker('service', 'rm', 'web'), 'web\n');
        assert.match(await refused('service', 'inspect', 'web'), /no such service: web/i);
      });

      it('is told what is wrong with a service', async () => {
        await init();
        await docker('service', 'create', '-d', '--name', 'web', image);
        const create = (...args: string[]) => refused('service', 'create', '-d', ...args);
        assert.match(await create('--name', 'web', image), /service web already exists/);
        assert.match(await create('--name', 'a b', image), /valid as a DNS name component/);
        assert.match(await create('--network', 'foo', image), /network:? foo/);
        assert.match(await create('--network', 'ingress', image), /cannot be explicitly attached/);
        assert.match(await create('--constraint', 'node.role=x', image), /expected one operator/);
        assert.match(await create('--limit-memory', '1M', image), /at least 4MiB/);
      });

      it('reads logs', async () => {
        await init();
        await docker('service', 'create', '-d', '--name', 'web', image);
        const [task] = backend.store.tasks();
        assert.ok(task !== undefined);
        backend.logEntries = async function* entries() {
          const at = { timeNs: 1_000_000_000n, stream: 'stdout' as const };
          yield { task, line: { ...at, data: Buffer.from('hello\n') } };
        };
        const text = await docker('service', 'logs', 'web');
        assert.match(text, /^web\.1\.[a-z0-9]+@h1 +\| hello\n$/);
        assert.equal(await docker('service', 'logs', '--raw', task.id), 'hello\n');
        assert.match(
          await docker('service', 'logs', '-t', 'web'),
          /^1970-01-01T00:00:01\.0{9}Z web/,
        );
        backend.logEntries = async function* entries() {
          yield { task, line: { timeNs: 1n, stream: 'stdout', data: Buffer.from('hello\n') } };
          yield { notice: 'node n2 is down' };
        };
        const partly = await run(program, 'service', 'logs', 'web');
        assert.match(partly.out, /hello/);
        assert.match(partly.err, /node n2 is down/);
      });

      it('handles images', async () => {
        assert.match(await docker('images'), /10\.99\.0\.254:5000\/web +1 +abababababab/);
        assert.match(await docker('pull', image), /10\.99\.0\.254:5000\/web:1/);
        assert.match(await docker('image', 'inspect', image), /"RootFS"/);
        assert.match(await docker('history', image), /CMD sleep/);
        await docker('tag', image, 'mine:2');
        backend.imageUser = () => 'web.1';
        assert.match(await refused('rmi', image), /being used by container web\.1/);
        assert.match(await docker('rmi', '-f', image), /Untagged: 10\.99/);
        assert.match(await refused('image', 'inspect', 'nope'), /no such image/i);
      });

      it('finds empty lists where nothing can be, and sentences elsewhere', async () => {
        await init();
        for (const noun of ['secret', 'config', 'volume', 'network']) await docker(noun, 'ls');
        await docker('system', 'df');
        assert.match(await docker('ps'), /^CONTAINER ID/);
        assert.match(await refused('volume', 'create', 'x'), /volume name is too short/);
        assert.match(await refused('volume', 'rm', 'nope'), /no such volume/i);
      });

      it('follows events', async () => {
        await init();
        const args = ['events', '--format', '{{.Type}} {{.Action}}', '--filter', 'type=service'];
        const child = spawn(program, args, {
          env: environment(),
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        try {
          // The stream has begun once an event reaches it: ask until one does.
          let output = '';
          child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
          const named = (index: number) => [
            'service',
            'create',
            '-d',
            '--name',
            `s${index}`,
            image,
          ];
          for (let index = 0; ; index++) {
            await docker(...named(index));
            await realClock.sleep(200);
            // The CLI writes a line in pieces.
            if (!output.includes('\n') && index < 300) continue;
            assert.match(output, /^service create\n/);
            break;
          }
        } finally {
          child.kill();
          await once(child, 'close');
        }
      });
    });
  }

  describe('dockerode', () => {
    it('creates, lists and removes', async () => {
      await backend.becomeManager();
      const docker = new Docker({ socketPath });
      const service = await docker.createService({
        Name: 'web',
        TaskTemplate: { ContainerSpec: { Image: image } },
        Mode: { Replicated: { Replicas: 2 } },
      } as Docker.CreateServiceOptions);
      const listed = await docker.listServices({ filters: { name: ['web'] } });
      assert.equal(listed.length, 1);
      const inspected = (await docker.getService('web').inspect()) as {
        ID: string;
        Version: { Index: number };
      };
      assert.equal(inspected.ID, service.id);
      const tasks = (await docker.listTasks({ filters: { service: ['web'] } })) as unknown[];
      assert.equal(tasks.length, 2);
      assert.equal(((await docker.listNodes()) as unknown[]).length, 1);
      const info = (await docker.info()) as { Swarm: { ControlAvailable: boolean } };
      assert.equal(info.Swarm.ControlAvailable, true);
      await docker.getService('web').remove();
      await assert.rejects(docker.getService('web').inspect(), { statusCode: 404 });
    });
  });
});

function put(object: ReturnType<typeof makeNode>): Change {
  return { op: 'put', table: 'node', object, base: 0 };
}

/** Stands in for the orchestrator and the nodes: every replica runs, as soon as it is asked for. */
function runTasks(backend: FakeBackend): void {
  const { store, random } = backend;
  store.onChange(({ events }) => {
    for (const event of events) {
      if (event.table !== 'service' || event.action === 'remove') continue;
      const service = event.object;
      const old = [...store.tasksOfService(service.id)];
      const running = {
        state: 'running',
        atMs: backend.clock.nowMs(),
        message: 'started',
      } as const;
      const replicas = service.spec.mode.replicated?.replicas ?? 1;
      const changes = Array.from({ length: replicas }, (_, index): Change => {
        const id = random.id();
        const slot = index + 1;
        const nodeId = backend.status.nodeId;
        const name = `${service.spec.name}.${slot}.${id}`;
        const object = makeTask(id, service, { slot, nodeId, name, status: running });
        return { op: 'put', table: 'task', object, base: 0 };
      });
      const removed = old.map(({ id, meta }): Change => ({
        op: 'delete',
        table: 'task',
        id,
        base: meta.version,
      }));
      void backend.propose([...removed, ...changes]);
    }
  });
}
