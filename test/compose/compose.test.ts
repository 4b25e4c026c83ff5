/** docker-compose.yml, by Debian's docker.io and docker-compose, on the image of the Dockerfile. */
import { strict as assert } from 'node:assert';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Lab, run, until, type Host } from '../lab/index.ts';
import { baseName, importBase } from './base.ts';
import { startBuilder, startDocker } from './docker.ts';

const root = resolve(import.meta.dirname, '../..');
const nodes = ['manager1', 'manager2', 'manager3', 'worker1', 'worker2'];
const allReady = nodes.map((name) => `${name} Ready`).join();

describe('docker-compose up', () => {
  let lab: Lab;
  let host: Host;
  let scratch: string;

  before(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'compose-'));
    lab = await Lab.create({ hosts: 1 });
    host = lab.host('h1');
    const image = join(scratch, 'image.tar');
    {
      await using builder = await startBuilder(scratch);
      await importBase(builder.url, scratch);
      const build = ['build', '--network', 'host', '--build-arg', `BASE=${baseName}`];
      const docker = ['docker', '-H', builder.url];
      const limit = { timeoutMs: 900_000, env: { DOCKER_BUILDKIT: '0' } };
      await run([...docker, ...build, '--tag', 'ts-swarm', root], limit);
      await run([...docker, 'save', '--output', image, 'ts-swarm'], limit);
    }
    await startDocker(host, scratch);
    await run(['docker', '-H', host.url, 'load', '--input', image], { timeoutMs: 120_000 });
  });
  after(async () => {
    await lab.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  const compose = (...argv: readonly string[]) =>
    run(['docker-compose', '--file', join(root, 'docker-compose.yml'), '-p', 'lab', ...argv], {
      env: { DOCKER_HOST: host.url },
      timeoutMs: 180_000,
    });
  const swarm = (node: string, ...argv: readonly string[]) =>
    compose('exec', '-T', node, 'ts-swarm', ...argv);
  const ready = () =>
    until(
      'all nodes are ready',
      async () => {
        const format = '{{.Hostname}} {{.Status}}';
        return (await swarm('manager1', 'node', 'ls', '--format', format)).trim().split('\n');
      },
      { accept: (lines) => lines.toSorted().join() === allReady, timeoutMs: 120_000 },
    );
  /** The names of the replicas that answer on the port that the Docker host publishes. */
  const answers = (count: number) => {
    const seen = new Set<string>();
    return until(
      `${count} replicas answer`,
      async () => {
        seen.add((await host.exec('curl -s --max-time 5 localhost:8080')).trim());
        return seen.size === count;
      },
      { timeoutMs: 60_000 },
    );
  };

  it('makes a swarm of three managers and two workers, whose services answer', async () => {
    await compose('up', '--detach', '--no-build');
    await ready();
    await loadEverywhere();
    const service = ['--name', 'web', '--replicas', '5', '--publish', '8080:80', 'web:1'];
    await swarm('manager1', 'service', 'create', '--quiet', '--no-resolve-image', ...service);
    await answers(5);
  });

  it('goes on with it after down and up, at other addresses', async () => {
    await compose('down');
    await compose('up', '--detach', '--no-build');
    await ready();
    await answers(5);
    assert.match(await swarm('manager1', 'service', 'ls'), /web .*5\/5/);
  });

  /** No registry is there: each node is given the image. */
  async function loadEverywhere(): Promise<void> {
    const context = join(scratch, 'web');
    mkdirSync(context);
    copyFileSync('/bin/busybox', join(context, 'busybox'));
    writeFileSync(
      join(context, 'Dockerfile'),
      `FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "/bin"]
CMD mkdir /www && hostname >/www/index.html && exec httpd -f -p 80 -h /www
`,
    );
    const docker = ['docker', '-H', host.url];
    const tar = join(scratch, 'web.tar');
    const env = { DOCKER_BUILDKIT: '0' };
    await run([...docker, 'build', '--network', 'none', '-t', 'web:1', context], { env });
    await run([...docker, 'save', '--output', tar, 'web:1']);
    for (const node of nodes) {
      await run([...docker, 'cp', tar, `lab_${node}_1:/tmp/web.tar`]);
      await swarm(node, 'image', 'load', '--quiet', '--input', '/tmp/web.tar');
    }
  }
});
