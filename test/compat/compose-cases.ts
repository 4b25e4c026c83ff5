/** Debian's docker-compose 1.29 against our daemon: a project of two services, from build to down. */
import { strict as assert } from 'node:assert';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, until } from '../lab/index.ts';
import { oldDocker } from './clients.ts';
import type { Field } from './field.ts';

const project = 'shop';

const serve = 'echo page >/www/index.html; exec httpd -f -h /www';

const composeFile = (base: string) => `version: '2.4'
services:
  web:
    build: { context: ., args: { WORD: hello } }
    image: ${project}-web:1
    command: [sh, -c, '${serve}']
    stop_signal: SIGKILL
    healthcheck: { test: wget -qO /dev/null http://127.0.0.1/, interval: 300ms, retries: 60 }
    networks: { front: { aliases: [www] } }
    volumes: ['data:/data']
  client:
    image: ${base}
    command: [sh, -c, 'until wget -qO- http://www/; do sleep 0.2; done; exec sleep 1000']
    stop_signal: SIGKILL
    depends_on: { web: { condition: service_healthy } }
    networks: [front]
  tool:
    image: ${base}
    scale: 0
    networks: [front]
    volumes: ['data:/data']
networks: { front: {} }
volumes: { data: {} }
`;

export function composeCases(get: () => Field): void {
  it('docker-compose builds, runs, scales and takes down a project', () => works(get()));
}

async function works(field: Field): Promise<void> {
  const { manager, lab } = field;
  const folder = join(lab.folder, 'compose');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const base = field.image('busybox:1');
  writeFileSync(join(folder, 'docker-compose.yml'), composeFile(base));
  const dockerfile = `FROM ${base}\nARG WORD\nRUN mkdir /www && echo $WORD >/made\n`;
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  const env = { DOCKER_HOST: manager.url, DOCKER_BUILDKIT: '0', COMPOSE_DOCKER_CLI_BUILD: '0' };
  const compose = (...argv: readonly string[]) =>
    run(['docker-compose', '-p', project, ...argv], { cwd: folder, env, timeoutMs: 240_000 });
  const docker = (...argv: readonly string[]) => oldDocker.lines(manager, ...argv);
  const label = `label=com.docker.compose.project=${project}`;
  const clients = () =>
    docker('ps', '-q', '--filter', label, '--filter', 'label=com.docker.compose.service=client');

  try {
    assert.match(await compose('config'), /condition: service_healthy/);
    assert.match(await compose('build'), new RegExp(`Successfully tagged ${project}-web:1`));
    await compose('up', '-d', '--scale', 'client=2');
    assert.match(await compose('ps'), new RegExp(`${project}_web_1 .* Up \\(healthy\\)`));
    assert.equal((await clients()).length, 2, 'two clients run');
    await until('both clients have had the page', () => compose('logs', '--no-color', 'client'), {
      accept: (text) => text.match(/^client_\d +\| page$/gm)?.length === 2,
    });
    await compose('exec', '-T', 'web', 'sh', '-c', 'cp /made /data/kept');
    const script = 'cat /data/kept; wget -qO- http://www/';
    assert.equal(await compose('run', '--rm', '-T', 'tool', 'sh', '-c', script), 'hello\npage\n');
    // Links lead it to those that run.
    const asked = await compose('run', '--rm', '-T', 'client', 'wget', '-qO-', 'http://www/');
    assert.equal(asked, 'page\n');
    await compose('scale', 'client=1');
    const [before] = await clients();
    await compose('restart', '-t', '0', 'client');
    assert.deepEqual(await clients(), [before], 'the same one runs again');
    await compose('down', '-v', '-t', '0');
    for (const kind of [
      ['ps', '-aq'],
      ['network', 'ls', '-q'],
      ['volume', 'ls', '-q'],
    ]) {
      assert.deepEqual(await docker(...kind, '--filter', label), [], kind[0]);
    }
  } finally {
    await compose('down', '-v', '-t', '0');
    await oldDocker.result(manager, ['image', 'rm', '-f', `${project}-web:1`]);
  }
}
