/** A volume of one node, whose node is not heard of: who has it next, and by whose word. */
import { strict as assert } from 'node:assert';
import { planChangedVolume, planRemovedVolume } from '../control/volume-commands.ts';
import { seededRandom } from '../../lib/random.ts';
import { makeTask } from '../store/testing.ts';
import { explain } from '../explain/index.ts';
import { withoutNode } from '../volume/index.ts';
import { nodeIds, Scene } from './testing.ts';

/**
 * A task has the volume mounted on a node, which is then cut off: it lives, and is down to others.
 */
async function cutOff(fences: boolean) {
  const scene = new Scene(1, { fences });
  scene.array.isReliable = true;
  await scene.open();
  await scene.pass(5_000);
  const task = await scene.place();
  assert.ok(task !== undefined);
  await scene.pass(5_000);
  scene.obey();
  const { nodeId } = task;
  assert.equal(scene.statuses, `${nodeId} published`);
  scene.cutOff.add(nodeId);
  await scene.setState(nodeId, 'down');
  await scene.pass(120_000);
  return { scene, nodeId };
}

async function tellDrain(scene: Scene, availability: 'drain' | 'active'): Promise<void> {
  const { spec, meta } = scene.store.volume('v')!;
  const cluster = { ...spec.cluster, availability };
  const args = { id: 'v', version: meta.version, spec: cluster };
  await scene.change(...planChangedVolume(scene.store, args));
}

/** Where one more task is placed, and has the volume; nowhere while it has to wait. */
async function placedOn(scene: Scene): Promise<string | undefined> {
  const task = await scene.place();
  await scene.pass(10_000);
  scene.obey();
  assert.deepEqual(scene.array.violations, []);
  return task?.nodeId;
}

describe('a volume of one, whose node is cut off', () => {
  it('goes elsewhere once its driver has kept the node from it', async () => {
    const { scene, nodeId } = await cutOff(true);
    await using _scene = scene;
    assert.equal(scene.statuses, '');
    const next = await placedOn(scene);
    assert.ok(next !== undefined && next !== nodeId);
  });

  it('stays where its driver can keep no node from it, whoever leads, and says why', async () => {
    const { scene, nodeId } = await cutOff(false);
    await using _scene = scene;
    for (let leader = 0; leader < 3; leader++) {
      assert.equal(scene.statuses, `${nodeId} pending-controller-unpublish`);
      assert.equal(await placedOn(scene), undefined);
      await scene.changeLeader();
      await scene.pass(70_000);
    }
    const { serviceId } = [...scene.store.tasks()][0]!;
    const waiting = makeTask('waiting', scene.store.service(serviceId)!);
    await scene.change({ op: 'put', table: 'task', object: waiting, base: 0 });
    const told = explain(scene.store, 'waiting', { nowMs: scene.clock.nowMs() });
    const why =
      `volume v: waiting for it to be taken from ${nodeId}, which is lost: its driver d cannot ` +
      'keep a node from it: bring the node back, or say that it is off: volume update ' +
      '--availability drain v';
    assert.ok(JSON.stringify(told).includes(why), JSON.stringify(told, undefined, 1));
  });

  it('goes elsewhere once the node is back and has let go of it, across leaders', async () => {
    const { scene, nodeId } = await cutOff(false);
    await using _scene = scene;
    await scene.changeLeader();
    await scene.setState(nodeId, 'ready');
    await scene.pass(2_000);
    // It is heard of, and has not said that it has let go: nobody has the volume until then.
    assert.equal(scene.statuses, `${nodeId} pending-node-unpublish`);
    await scene.endTasks();
    await scene.changeLeader();
    assert.equal(scene.statuses, `${nodeId} pending-node-unpublish`);
    scene.cutOff.delete(nodeId);
    scene.obey();
    await scene.changeLeader();
    await scene.pass(5_000);
    assert.equal(scene.statuses, '');
    assert.ok((await placedOn(scene)) !== undefined);
  });

  it('goes elsewhere once an operator drains it, also by the next leader', async () => {
    const { scene, nodeId } = await cutOff(false);
    await using _scene = scene;
    scene.mounted.delete(nodeId);
    await tellDrain(scene, 'drain');
    await scene.changeLeader();
    await scene.pass(5_000);
    assert.equal(scene.statuses, '');
    await tellDrain(scene, 'active');
    const next = await placedOn(scene);
    assert.ok(next !== undefined && next !== nodeId);
  });

  it('was drained before its node was cut off: that says nothing of the node', async () => {
    const scene = new Scene(1, { fences: false });
    await using _scene = scene;
    scene.array.isReliable = true;
    await scene.open();
    await scene.pass(5_000);
    const { nodeId } = (await scene.place())!;
    await scene.pass(5_000);
    scene.obey();
    await tellDrain(scene, 'drain');
    scene.cutOff.add(nodeId);
    await scene.setState(nodeId, 'down');
    await scene.pass(120_000);
    assert.equal(scene.statuses, `${nodeId} pending-controller-unpublish`);
    await tellDrain(scene, 'drain');
    await scene.pass(5_000);
    assert.equal(scene.statuses, '');
  });

  it('goes elsewhere once its node is removed by force, and not before', async () => {
    const { scene, nodeId } = await cutOff(false);
    await using _scene = scene;
    const node = scene.store.node(nodeId)!;
    assert.throws(
      () => withoutNode(scene.store, node, { force: false }),
      /may still have the volume v mounted: make sure that it is off, and remove it with --force/,
    );
    scene.mounted.delete(nodeId);
    const removed = { op: 'delete', table: 'node', id: nodeId, base: node.meta.version } as const;
    await scene.change(removed, ...withoutNode(scene.store, node, { force: true }));
    await scene.changeLeader();
    await scene.pass(5_000);
    const next = await placedOn(scene);
    assert.ok(next !== undefined && next !== nodeId);
  });

  it('is removed by force: its driver is asked for it first', async () => {
    const { scene } = await cutOff(false);
    await using _scene = scene;
    await scene.change(...planRemovedVolume(scene.store, { id: 'v', force: true }));
    await scene.changeLeader();
    await scene.pass(10_000);
    assert.equal(scene.store.volume('v'), undefined);
    assert.deepEqual(scene.array.deleted, ['id-v']);
    assert.deepEqual([...scene.array.published], []);
  });

  it('is removed by force where its driver fails, or there is nobody to ask', async () => {
    for (const isAsked of [true, false]) {
      const { scene } = await cutOff(false);
      await using _scene = scene;
      scene.array.isBroken = true;
      if (!isAsked) for (const id of nodeIds) await scene.setState(id, 'down');
      await scene.change(...planRemovedVolume(scene.store, { id: 'v', force: true }));
      await scene.pass(10_000);
      assert.equal(scene.store.volume('v'), undefined);
      assert.deepEqual(scene.array.deleted, []);
    }
  });

  for (const fences of [true, false]) {
    it(`is never had twice, whatever happens (${fences ? '' : 'un'}fenced)`, async () => {
      for (let seed = 1; seed <= 6; seed++) await whateverHappens(seed, fences);
    });
  }
});

async function whateverHappens(seed: number, fences: boolean): Promise<void> {
  await using scene = new Scene(seed, { fences });
  await scene.open();
  const random = seededRandom(seed);
  for (let step = 0; step < 80; step++) {
    const nodeId = nodeIds[random.integer(nodeIds.length)]!;
    const what = random.integer(8);
    if (what === 0) {
      scene.cutOff.add(nodeId);
      await scene.setState(nodeId, 'down');
    } else if (what === 1) {
      scene.cutOff.delete(nodeId);
      await scene.setState(nodeId, 'ready');
    } else if (what === 2) await scene.endTasks();
    else if (what === 3 || what === 4) scene.obey();
    else if (what === 5 && random.integer(3) === 0) await scene.changeLeader();
    else await scene.place();
    await scene.pass(100 + random.integer(1_500));
  }
  assert.deepEqual(scene.array.violations, [], `seed ${seed}`);
  scene.array.isReliable = true;
  scene.cutOff.clear();
  for (const id of nodeIds) await scene.setState(id, 'ready');
  await scene.endTasks();
  for (let round = 0; round < 10; round++) {
    scene.obey();
    await scene.pass(15_000);
  }
  assert.equal(scene.statuses, '', `seed ${seed}`);
  assert.ok((await scene.place()) !== undefined, `seed ${seed}: it is free for the next`);
}
