/** A volume whose host dies: nobody else has it before its driver has taken it away. */
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SharedStorage } from '../cluster/shared-storage.ts';
import { until } from '../lab/index.ts';
import { imageOf, ownHeartbeat, useSwarm } from '../cluster/swarm.ts';

describe('cluster volumes of hosts that die', () => {
  const get = useSwarm({ heartbeat: ownHeartbeat, hosts: 3, images: ['sleeper:1'] });
  const storage = new SharedStorage(get);
  before(() => storage.start());
  afterEach(() => storage.checkUnharmed());

  it('are taken from them before another one has them', async () => {
    const swarm = get();
    await storage.make('lone', '--type', 'mount');
    await storage.isMade('lone');
    const mount = 'type=cluster,source=lone,target=/data';
    const place = ['--constraint', 'node.hostname!=h1', '--replicas', '1', '--mount', mount];
    await swarm.create('lone', ...place, imageOf(swarm, 'sleeper:1'));
    const [first] = await swarm.runs('lone', 1);
    assert.ok(first !== undefined);
    writeFileSync(storage.inTask(first, '/data/kept'), 'kept');
    const lost = swarm.host(first.host);
    await lost.kill();
    const isNext = ({ id, state }: { id: string; state: string }) =>
      id !== first.id && state === 'running';
    const tasks = await swarm.untilTasks(
      'it runs elsewhere',
      'lone',
      (all) => all.some(isNext),
      60_000,
    );
    const second = tasks.find(isNext);
    assert.ok(second !== undefined && second.host !== lost.name);
    assert.equal(readFileSync(storage.inTask(second, '/data/kept'), 'utf8'), 'kept');
    assert.deepEqual(storage.arrayHas('lone'), [`node-${second.host}`]);
    const calls = readFileSync(join(storage.directory, 'calls'), 'utf8').split('\n');
    const at = (call: string) => calls.findLastIndex((line) => line.endsWith(call));
    const taken = at(`ControllerUnpublishVolume lone node-${lost.name}`);
    const given = at(`ControllerPublishVolume lone node-${second.host}`);
    assert.ok(taken >= 0 && taken < given, calls.join('\n'));
    await lost.boot();
    await storage.startDriver(lost);
    await swarm.cli('service', 'rm', 'lone');
  });

  it('wait for an operator where their driver can keep no node from them', async () => {
    const swarm = get();
    for (const host of swarm.hosts) {
      await storage.startDriver(host, 'loose.test');
      await until(`${host.name} tells of its driver`, async () => {
        await host.cli('info');
        return (await swarm.manager.cli('node', 'inspect', host.name)).includes('loose.test');
      });
    }
    await storage.make('loose', '--driver', 'loose.test', '--type', 'mount');
    await storage.isMade('loose');
    const mount = 'type=cluster,source=loose,target=/data';
    const place = ['--constraint', 'node.hostname!=h1', '--replicas', '1', '--mount', mount];
    await swarm.create('loose', ...place, imageOf(swarm, 'sleeper:1'));
    const [first] = await swarm.runs('loose', 1);
    assert.ok(first !== undefined);
    writeFileSync(storage.inTask(first, '/data/kept'), 'kept');
    const lost = swarm.host(first.host);
    await lost.kill();
    const why = /loose: waiting for it to be taken from .*loose\.test cannot keep a node from it/;
    await swarm.untilTasks('it waits', 'loose', (all) => all.some(({ err }) => why.test(err)));
    const waits = (await swarm.tasks('loose')).find(({ err }) => why.test(err));
    assert.match(await swarm.cli('explain', waits?.id ?? ''), why);
    const refused = await swarm.manager.cliResult('node', 'rm', lost.name);
    assert.match(refused.stderr, /may still have the volume loose mounted/);
    await swarm.cli('volume', 'update', '--availability', 'drain', 'loose');
    await until('nobody has it', async () => (await storage.publishedTo('loose')) === 0);
    await swarm.cli('volume', 'update', '--availability', 'active', 'loose');
    const [second] = await swarm.runs('loose', 1);
    assert.ok(second !== undefined && second.host !== lost.name);
    assert.equal(readFileSync(storage.inTask(second, '/data/kept'), 'utf8'), 'kept');
  });
});
