/** What the swarm's settings say of the managers' log. */
import { strict as assert } from 'node:assert';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../lab/index.ts';
import { useSwarm } from './swarm.ts';

describe('the settings of the swarm', () => {
  const get = useSwarm({ hosts: 1, images: [] });

  it('say when snapshots of the log are made, and how many older ones stay', async () => {
    const { manager } = get();
    const snapshots = () =>
      readdirSync(join(manager.dataRoot, 'swarm', 'raft', 'snapshots')).filter((name) =>
        name.endsWith('.snap'),
      ).length;
    assert.equal(snapshots(), 0, 'a new swarm has had no need of one');
    await manager.docker('swarm', 'update', '--snapshot-interval', '4', '--max-snapshots', '1');
    let made = 0;
    await until('there are as many as are kept', async () => {
      assert.ok(made < 100, 'there are two within 400 entries');
      await manager.api('POST', '/networks/create', { Name: `net${made++}`, Driver: 'overlay' });
      return snapshots() === 2;
    });
  });
});
