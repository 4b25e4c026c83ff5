/** A volume whose host dies: nobody else has it before its driver has taken it away. */
import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SharedStorage } from '../cluster/shared-storage.ts';
import { imageOf, useSwarm } from '../cluster/swarm.ts';

describe('cluster volumes of hosts that die', () => {
  const get = useSwarm({ hosts: 3, images: ['sleeper:1'] });
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
  });
});
