/** Pushing, by docker's CLIs through our daemon; and Docker's own daemon beside it. */
import { strict as assert } from 'node:assert';
import type { Host } from '../lab/index.ts';
import { http } from '../lab/http.ts';
import { dockers, newDocker, ownCli } from './clients.ts';
import { shows } from './covered.ts';
import type { Field } from './field.ts';

const title = 'image push, of one tag, all tags and one platform';

export function pushCases(get: () => Field): void {
  shows(title, 'image push', '', '--all-tags', '--quiet', '--disable-content-trust', '--platform');
  shows(title, 'image pull', '--all-tags', '--platform');
  for (const cli of [...dockers, ownCli]) {
    it(`${title}, by ${cli.name}`, async () => {
      const field = get();
      const docker = (...args: string[]) => cli.run(field.manager, 'image', ...args);
      const source = field.image('talker:1');
      await docker('pull', source);
      const name = field.image(`pushed/${cli.name.replaceAll(/\W/g, '-')}`);
      for (const tag of ['a', 'b', 'latest']) await docker('tag', source, `${name}:${tag}`);
      const trust = cli === ownCli ? [] : ['--disable-content-trust'];
      const told = await docker('push', ...trust, `${name}:a`);
      assert.match(told, new RegExp(`The push refers to repository \\[${name}\\]`));
      assert.match(told, /[0-9a-f]{12}: Mounted from \S+/);
      assert.match(told, /\na: digest: sha256:[0-9a-f]{64} size: \d+\n/);
      const quiet = await docker('push', '-q', name);
      assert.equal(quiet, `${name}:latest\n`);
      assert.match(await docker('push', '--all-tags', name), /\nb: digest: sha256:/);
      const repository = name.slice(name.indexOf('/') + 1);
      const tags = await field.lab.registry.tags(repository);
      assert.deepEqual(tags.toSorted(), ['a', 'b', 'latest']);
      for (const tag of tags) await docker('rm', `${name}:${tag}`);
      const pulled = await docker('pull', '--all-tags', name);
      for (const tag of tags)
        assert.match(pulled, new RegExp(`${tag}: Pulling from ${repository}`));
      const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
      const platform = ['--platform', `linux/${architecture}`];
      await docker('pull', ...platform, `${name}:a`);
      if (cli === newDocker) await docker('push', ...platform, `${name}:a`);
      const refused = await cli.result(field.manager, [
        'image',
        'pull',
        '--platform',
        'linux/s390x',
        `${name}:a`,
      ]);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /does not match the specified platform \(linux\/s390x\)/);
      for (const tag of tags) await docker('rm', `${name}:${tag}`);
    });
  }

  it('a push answers as Docker’s daemon does', async () => {
    const field = get();
    const answers = [field.manager, field.dockerd].map(async (host) => {
      const name = field.image(`beside/${host.name}`);
      await send(host, `/images/create?fromImage=${field.image('talker')}&tag=1`);
      await send(host, `/images/${field.image('talker:1')}/tag?repo=${name}&tag=1`);
      const push = async (path: string) => shapesOf(await send(host, `/images/${path}`), host);
      return {
        first: await push(`${name}/push?tag=1`),
        again: await push(`${name}/push?tag=1`),
        noTag: await push(`${name}/push?tag=9`),
        unknown: await push(`${field.image('nobody')}/push?tag=1`),
      };
    });
    const [ours, theirs] = await Promise.all(answers);
    assert.deepEqual(ours, theirs);
  });
}

async function send(host: Host, path: string): Promise<string> {
  const headers = { 'X-Registry-Auth': 'e30=' };
  const target = { socketPath: host.socketPath };
  return (await http(target, `/v1.41${path}`, { method: 'POST', headers })).body;
}

/** Each kind of line once: layers are sent in whatever order, and told of as often as it takes. */
function shapesOf(body: string, host: Host): readonly string[] {
  const lines = body
    .replaceAll(host.name, 'HOST')
    .replaceAll(/Mounted from [^"]+/g, 'Mounted from OTHER')
    .replaceAll(/[0-9a-f]{64}/g, 'DIGEST')
    .replaceAll(/"id":"[0-9a-f]{12}"/g, '"id":"LAYER"')
    .replaceAll(/(size: |"Size":)\d+/g, (_all, key: string) => `${key}0`)
    .split(/\r?\n/);
  const isPassing = (line: string) => /"(Preparing|Waiting|Pushing|Retrying)/.test(line);
  const known = lines.filter((line) => line !== '' && !isPassing(line)).map(canonical);
  return [...new Set(known)].toSorted();
}

function canonical(line: string): string {
  const fields = Object.entries(JSON.parse(line) as Record<string, unknown>);
  return JSON.stringify(Object.fromEntries(fields.toSorted(([a], [b]) => (a < b ? -1 : 1))));
}
