/** What a daemon tells those who watch it, on real hosts. */
import { strict as assert } from 'node:assert';
import { until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm } from './swarm.ts';

describe('metrics', () => {
  const get = useSwarm({
    hosts: 2,
    images: ['sleeper:1'],
    daemonFlags: ['--metrics-addr=0.0.0.0:9323'],
  });

  /** Each line's value by what stands before it. */
  async function metricsOf(host: Host): Promise<ReadonlyMap<string, number>> {
    const response = await fetch(`http://${host.address}:9323/metrics`);
    const lines = (await response.text()).split('\n');
    return new Map(
      lines
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => {
          const at = line.lastIndexOf(' ');
          return [line.slice(0, at), Number(line.slice(at + 1))];
        }),
    );
  }

  it('tell what the swarm is like, as far as the node knows it', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '3', imageOf(swarm, 'sleeper:1'));
    const [manager, worker] = swarm.hosts;
    assert.ok(manager && worker);
    const metrics = await until('three tasks run', () => metricsOf(manager), {
      accept: (found) => found.get('swarm_manager_tasks_total{state="running"}') === 3,
    });
    for (const [name, expected] of [
      ['swarm_node_manager', 1],
      ['swarm_manager_leader', 1],
      ['swarm_manager_nodes{state="ready"}', 2],
      ['ts_swarm_store_objects{kind="service"}', 1],
      ['ts_swarm_dispatcher_sessions', 2],
      ['ts_swarm_raft_members{kind="voter"}', 1],
      ['ts_swarm_raft_has_leader', 1],
      ['ts_swarm_raft_disk_full', 0],
      ['ts_swarm_agent_connected', 1],
    ] as const) {
      assert.equal(metrics.get(name), expected, name);
    }
    const applied = metrics.get('ts_swarm_raft_applied_index') ?? 0;
    assert.ok(applied > 5 && (metrics.get('ts_swarm_raft_commit_index') ?? 0) >= applied);
    const passes = metrics.get('ts_swarm_reconcile_pass_seconds_count{step="plan"}') ?? 0;
    assert.ok(passes > 0);
    assert.ok((metrics.get('process_cpu_seconds_total') ?? 0) > 0);

    const ofWorker = await metricsOf(worker);
    assert.equal(ofWorker.get('swarm_node_manager'), 0);
    assert.equal(ofWorker.get('ts_swarm_agent_connected'), 1);
    assert.ok(![...ofWorker.keys()].some((name) => name.includes('raft')));
  });
});
