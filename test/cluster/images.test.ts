/** Images that do not exist, registries that are down, and images that are there already. */
import { strict as assert } from 'node:assert';
import { until } from '../lab/index.ts';
import { imageOf, useSwarm, words, type TaskView } from './swarm.ts';

describe('images', () => {
  const get = useSwarm({ hosts: 2, images: ['web:1', 'web:2', 'sleeper:1'] });

  afterEach(async () => {
    const { registry } = get().lab;
    if (!registry.isRunning) await registry.start();
  });

  for (const { name, reference, says } of [
    { name: 'a repository', reference: 'nothing:1', says: /nothing:1 not found: \S+ unknown/ },
    { name: 'a tag', reference: 'web:99', says: /web:99 not found: manifest unknown/ },
    {
      name: 'a digest',
      reference: `web@sha256:${'0'.repeat(64)}`,
      says: /web@sha256:0+ not found: manifest unknown/,
    },
  ]) {
    it(`rejects tasks of ${name} that does not exist, with the registry's reason`, async () => {
      const swarm = get();
      const image = imageOf(swarm, reference);
      const command = words('service create --name ghost --restart-delay 200ms');
      const result = await swarm.manager.cliResult(...command, image);
      assert.equal(result.code, 1, result.stdout);
      assert.match(result.stderr, says);
      assert.match(result.stderr, /ghost does not converge/);
      const rejected = (await swarm.tasks('ghost')).filter(({ state }) => state === 'rejected');
      assert.ok(rejected.length > 0);
      for (const { err } of rejected) assert.match(err, says);
    });
  }

  it('names a registry that is down, and goes on once it is back', async () => {
    const swarm = get();
    const { registry } = swarm.lab;
    const image = imageOf(swarm, 'web:2');
    await registry.stop();
    const result = await swarm.manager.cliResult(
      ...words('service create --name late --replicas 2 --restart-delay 300ms'),
      image,
    );
    assert.equal(result.code, 1, result.stdout);
    const refused = new RegExp(`${registry.address}.*ECONNREFUSED|${registry.address}.*refused`);
    assert.match(result.stderr, refused);
    assert.match(result.stderr, /could not be accessed on a registry to record/);
    const [task] = (await swarm.tasks('late')).filter(({ state }) => state === 'rejected');
    assert.match(task?.err ?? '', refused);

    await registry.start();
    await swarm.runs('late', 2);
  });

  it('uses images that a host has, while the registry is down', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'sleeper:1');
    await Promise.all(swarm.hosts.map((host) => host.cli('image', 'pull', image)));
    for (const host of swarm.hosts) {
      const listed = await host.cli('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}');
      assert.ok(listed.split('\n').includes(image), listed);
    }
    await swarm.lab.registry.stop();
    await swarm.create('calm', '--replicas', '4', image);
    await swarm.containersAre(await swarm.runs('calm', 4));
  });

  it('restarts what runs while the registry is down', async () => {
    const swarm = get();
    const flags = words('--replicas 2 --restart-delay 100ms');
    await swarm.create('calm', ...flags, imageOf(swarm, 'sleeper:1'));
    await swarm.lab.registry.stop();
    await swarm.cli('service', 'update', '--force', 'calm');
    const states = ({ state }: TaskView) => ['running', 'complete', 'shutdown'].includes(state);
    const tasks = await swarm.untilTasks('all have settled', 'calm', (all) => all.every(states));
    assert.equal(tasks.length, 4, 'each was replaced once');
  });

  it('runs what a tag meant when the service was created, until it is updated', async () => {
    const swarm = get();
    const { registry } = swarm.lab;
    const recipe = (greeting: string) => ({ cmd: ['sleep', '1000'], labels: { greeting } });
    const image = await registry.push('moving:latest', recipe('first'));
    await swarm.create('pinned', '--replicas', '1', '--stop-signal', 'KILL', image);
    const inspect = () =>
      swarm.cli(
        ...words('service inspect pinned --format'),
        '{{.Spec.TaskTemplate.ContainerSpec.Image}}',
      );
    const first = (await inspect()).trim();
    assert.match(first, /moving:latest@sha256:[0-9a-f]{64}$/);
    await registry.push('moving:latest', recipe('second'));
    await swarm.cli('service', 'scale', 'pinned=2');
    const images = (await swarm.runs('pinned', 2)).map((task) => task.image);
    assert.deepEqual(images, [image, image]);
    assert.equal((await inspect()).trim(), first, 'scaling does not look for a newer image');
    await swarm.cli('service', 'update', '--image', image, 'pinned');
    const second = (await inspect()).trim();
    assert.match(second, /moving:latest@sha256:[0-9a-f]{64}$/);
    assert.notEqual(second, first);
  });

  it('removes an image, but none that a container runs', async () => {
    const swarm = get();
    const image = await swarm.lab.registry.push('solo:1', { cmd: ['sleep', '1000'] });
    const name = imageOf(swarm, 'solo');
    const list = () =>
      swarm.cli('image', 'ls', '--digests', '--format', '{{.Repository}}@{{.Digest}}', name);
    await swarm.create('solo', '--replicas', '2', '--stop-signal', 'KILL', image);
    const digest = (await list()).trim();
    assert.match(digest, /solo@sha256:[0-9a-f]{64}$/);
    const refused = await swarm.manager.cliResult('image', 'rm', digest);
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stderr, /conflict: .*using/);
    await swarm.runs('solo', 2);
    await swarm.clear();
    // What has ended is removed a moment later.
    const removed = await until('no container has it', () => swarm.cli('image', 'rm', digest));
    assert.match(removed, /^(Untagged|Deleted): /);
    assert.equal((await list()).trim(), '');
  });
});
