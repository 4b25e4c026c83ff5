/** `docker exec` and its kin, for containers on other nodes, from a leader and from a follower. */
import { strict as assert } from 'node:assert';
import { imageOf, useSwarm, words, type TestSwarm, type TaskView } from './swarm.ts';

describe('containers of other nodes', () => {
  const get = useSwarm({ hosts: 3, managers: 2, images: ['talker:1', 'busybox:1'] });

  /** A task on each host. */
  async function spread(swarm: TestSwarm): Promise<readonly TaskView[]> {
    await swarm.create('talk', ...words('--mode global --env LINES=3'), imageOf(swarm, 'talker:1'));
    return swarm.runs('talk', 3);
  }
  const idOf = async (swarm: TestSwarm, task: TaskView) => {
    const { Status } = await swarm.manager.api<{
      Status: { ContainerStatus: { ContainerID: string } };
    }>('GET', `/tasks/${task.id}`);
    return Status.ContainerStatus.ContainerID;
  };

  it('runs commands in them through any manager, with the docker CLI', async () => {
    const swarm = get();
    const tasks = await spread(swarm);
    const far = tasks.find(({ host }) => host === 'h3');
    assert.ok(far);
    const id = await idOf(swarm, far);
    for (const name of ['h1', 'h2']) {
      const manager = swarm.host(name);
      const ran = await manager.dockerResult(
        'exec',
        id,
        'sh',
        '-c',
        'echo out; echo err >&2; exit 7',
      );
      assert.deepEqual([ran.code, ran.stdout, ran.stderr], [7, 'out\n', 'err\n'], name);
      assert.match(await manager.docker('logs', id), /line 3 of /);
      assert.match(await manager.docker('top', id), /sleep 1000000/);
    }
  });
});
