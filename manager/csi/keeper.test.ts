import { strict as assert } from 'node:assert';
import { nodeIds, Scene } from './testing.ts';

describe('VolumeKeeper', () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`never lets two nodes at a volume of one, and comes to rest (seed ${seed})`, async () => {
      await using scene = new Scene(seed);
      await scene.open();
      const { random } = scene;
      for (let step = 0; step < 120; step++) {
        const nodeId = nodeIds[random.integer(nodeIds.length)]!;
        const what = random.integer(6);
        if (what === 0) await scene.setState(nodeId, 'down');
        else if (what === 1) await scene.setState(nodeId, 'ready');
        else if (what === 2) await scene.endTasks();
        else if (what === 3) scene.obey();
        else if (what === 4 && random.integer(4) === 0) {
          scene.keeper.setLeads(false);
          await scene.pass(3_000);
          scene.keeper.setLeads(true);
        } else await scene.place();
        await scene.pass(100 + random.integer(1_500));
      }
      assert.deepEqual(scene.array.violations, []);
      scene.array.isReliable = true;
      for (const id of nodeIds) await scene.setState(id, 'ready');
      await scene.endTasks();
      for (let round = 0; round < 10; round++) {
        scene.obey();
        await scene.pass(15_000);
      }
      assert.equal(scene.statuses, '');
      assert.deepEqual([...scene.array.published], []);
      const task = await scene.place();
      await scene.pass(10_000);
      assert.equal(scene.statuses, `${task?.nodeId} published`);
      assert.deepEqual(scene.store.audit(), []);
    });
  }
});
