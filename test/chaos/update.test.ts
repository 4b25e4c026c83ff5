/** Fifty replicas on real containers: an update of five at a time, and one that goes back. */
import { strict as assert } from 'node:assert';
import { imageOf, useSwarm, words, type TaskView } from '../cluster/swarm.ts';
import { until } from '../lab/index.ts';

const replicas = 50;
const parallelism = 5;
const patienceMs = 180_000;

interface WireService {
  readonly UpdateStatus?: { readonly State: string; readonly Message: string };
}

describe('fifty replicas', () => {
  const get = useSwarm({ hosts: 3, images: ['sleeper:1', 'sleeper:2'] });

  it('are updated five at a time, and go back when health checks fail', async function () {
    this.timeout(2 * patienceMs);
    const swarm = get();
    const flags = words(`--replicas ${replicas} --update-parallelism ${parallelism}`);
    await swarm.create('crowd', ...flags, imageOf(swarm, 'sleeper:1'));
    await swarm.runs('crowd', replicas, patienceMs);

    const fewest = await during(() => update('--image', imageOf(swarm, 'sleeper:2')));
    assert.ok(fewest >= replicas - parallelism, `at one time only ${fewest} containers ran`);
    const all = await swarm.tasks('crowd');
    const most = mostAtOnce(all);
    assert.ok(most > 1 && most <= parallelism, `${most} at once`);
    const updated = await swarm.runs('crowd', replicas, patienceMs);
    assert.ok(updated.every(({ image }) => image.endsWith('sleeper:2')));

    const ill = ['--health-cmd', 'exit 1', ...words('--health-interval 200ms --health-retries 1')];
    const back = words('--update-failure-action rollback --rollback-parallelism 5');
    await update(...back, ...ill);
    const after = await swarm.runs('crowd', replicas, patienceMs);
    const { UpdateStatus: status } = await service();
    assert.equal(status?.State, 'rollback_completed', status?.Message);
    const before = new Set(updated.map(({ id }) => id));
    const kept = after.filter(({ id }) => before.has(id)).length;
    assert.ok(kept >= replicas - parallelism, `only ${kept} were left alone`);
  });

  const service = () => get().manager.api<WireService>('GET', '/services/crowd');

  async function update(...args: readonly string[]): Promise<void> {
    await get().cli('service', 'update', '--detach', ...args, 'crowd');
    await until('the update is over', service, {
      accept: ({ UpdateStatus: status }) => /completed|paused/.test(status?.State ?? ''),
      timeoutMs: patienceMs,
    });
  }

  /** The fewest containers that the kernel had while the work was being done. */
  async function during(work: () => Promise<void>): Promise<number> {
    let fewest = replicas;
    let isOver = false;
    const done = work().finally(() => (isOver = true));
    await until(
      'the work is done',
      () => {
        fewest = Math.min(fewest, get().containers().length);
        return isOver;
      },
      { timeoutMs: patienceMs },
    );
    await done;
    return fewest;
  }
});

/** Slots whose old task had ended and whose new one did not run yet, at the worst moment. */
function mostAtOnce(tasks: readonly TaskView[]): number {
  const gaps = [...Map.groupBy(tasks, ({ slot }) => slot).values()].flatMap((ofSlot) => {
    const old = ofSlot.find(({ desired }) => desired === 'shutdown');
    const next = ofSlot.find(({ state, desired }) => state === 'running' && desired === 'running');
    return old === undefined || next === undefined ? [] : [[old.atMs, next.atMs] as const];
  });
  assert.equal(gaps.length, replicas, 'each slot has been updated once');
  return Math.max(...gaps.map(([at]) => gaps.filter(([from, to]) => from <= at && at < to).length));
}
