/** What a daemon tells those who watch it, on real hosts. */
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

  /** The first metrics in which all of these are as they are to be. */
  async function metricsWith(host: Host, wanted: readonly (readonly [string, number])[]) {
    let found: ReadonlyMap<string, number> = new Map();
    const differing = async () => {
      found = await metricsOf(host);
      return wanted
        .filter(([name, value]) => found.get(name) !== value)
        .map(([name, value]) => `${name} is ${found.get(name)} and not ${value}`);
    };
    await until(`${host.name} tells what is`, differing, { accept: ({ length }) => length === 0 });
    return found;
  }

  it('tell what the swarm is like, as far as the node knows it', async () => {
    const swarm = get();
    await swarm.create('web', '--replicas', '3', imageOf(swarm, 'sleeper:1'));
    const [manager, worker] = swarm.hosts;
    assert.ok(manager && worker);
    const expected = [
      ['swarm_manager_tasks_total{state="running"}', 3],
      ['swarm_node_manager', 1],
      ['swarm_manager_leader', 1],
      ['swarm_manager_nodes{state="ready"}', 2],
      ['ts_swarm_store_objects{kind="service"}', 1],
      ['ts_swarm_dispatcher_sessions', 2],
      ['ts_swarm_raft_members{kind="voter"}', 1],
      ['ts_swarm_raft_has_leader', 1],
      ['ts_swarm_raft_disk_full', 0],
      ['ts_swarm_agent_connected', 1],
    ] as const;
    const metrics = await metricsWith(manager, expected);
    const applied = metrics.get('ts_swarm_raft_applied_index') ?? 0;
    assert.ok(applied > 5 && (metrics.get('ts_swarm_raft_commit_index') ?? 0) >= applied);
    const passes = metrics.get('ts_swarm_reconcile_pass_seconds_count{step="plan"}') ?? 0;
    assert.ok(passes > 0);
    assert.ok((metrics.get('process_cpu_seconds_total') ?? 0) > 0);

    const ofWorker = await metricsWith(worker, [
      ['swarm_node_manager', 0],
      ['ts_swarm_agent_connected', 1],
    ]);
    assert.ok(![...ofWorker.keys()].some((name) => name.includes('raft')));
  });

  it('are found and read by Prometheus, which asks the API what runs where', async () => {
    const swarm = get();
    const [manager, worker] = swarm.hosts;
    assert.ok(manager && worker);
    const image = imageOf(swarm, 'sleeper:1');
    const port = 'published=9100,target=9100,mode=host';
    await swarm.cli('network', 'create', '--driver', 'overlay', 'shop');
    const labels = ['--label', 'team=shop', '--network', 'shop'];
    await swarm.create('shop', '--mode', 'global', '--publish', port, ...labels, image);
    await startPrometheus(manager, join(swarm.lab.folder, 'prometheus'));
    const targets = await until('it has found them all', () => targetsOf(manager), {
      accept: (found) =>
        of(found, 'nodes').filter(({ health }) => health === 'up').length === 2 &&
        ofShop(found).filter(isRunning).length >= 2 &&
        of(found, 'services').length > 0,
      timeoutMs: 60_000,
    });
    const nodes = of(targets, 'nodes').map(({ discoveredLabels }) => ({
      name: discoveredLabels['__meta_dockerswarm_node_hostname'],
      role: discoveredLabels['__meta_dockerswarm_node_role'],
      status: discoveredLabels['__meta_dockerswarm_node_status'],
    }));
    assert.deepEqual(
      nodes.toSorted((a, b) => String(a.name).localeCompare(String(b.name))),
      [
        { name: 'h1', role: 'manager', status: 'ready' },
        { name: 'h2', role: 'worker', status: 'ready' },
      ],
    );
    const tasks = ofShop(targets);
    const addresses = tasks.map(({ discoveredLabels }) => discoveredLabels['__address__']);
    for (const host of [manager, worker]) {
      assert.ok(addresses.includes(`${host.address}:9100`), addresses.join());
    }
    for (const { discoveredLabels } of tasks) {
      assert.equal(discoveredLabels['__meta_dockerswarm_service_label_team'], 'shop');
      assert.equal(discoveredLabels['__meta_dockerswarm_task_state'], 'running');
    }
  });
});

interface Target {
  readonly discoveredLabels: Readonly<Record<string, string>>;
  readonly health?: string;
}

const of = (targets: readonly Target[], job: string) =>
  targets.filter(({ discoveredLabels }) => discoveredLabels['job'] === job);

const ofShop = (targets: readonly Target[]) =>
  of(targets, 'tasks').filter(
    ({ discoveredLabels: found }) => found['__meta_dockerswarm_service_name'] === 'shop',
  );

const isRunning = ({ discoveredLabels: found }: Target) =>
  found['__meta_dockerswarm_task_state'] === 'running';

async function targetsOf(host: Host): Promise<readonly Target[]> {
  const text = await host.exec('curl -s --max-time 5 localhost:9090/api/v1/targets');
  const { data } = JSON.parse(text) as {
    data: { activeTargets: Target[]; droppedTargets: Target[] };
  };
  return [...data.activeTargets, ...data.droppedTargets];
}

/** Debian's, on the manager: it reads every daemon's metrics, and only lists tasks and services. */
async function startPrometheus(host: Host, folder: string): Promise<void> {
  const discovery = (role: string) =>
    `dockerswarm_sd_configs: [{ host: '${host.url}', role: ${role}, port: 9323, refresh_interval: 1s }]`;
  const drop = 'relabel_configs: [{ action: drop, source_labels: [job] }]';
  const file = `${folder}.yml`;
  writeFileSync(
    file,
    `global: { scrape_interval: 3s }
scrape_configs:
  - { job_name: nodes, ${discovery('nodes')} }
  - { job_name: tasks, ${discovery('tasks')}, ${drop} }
  - { job_name: services, ${discovery('services')}, ${drop} }
`,
  );
  const flags = [`--config.file=${file}`, `--storage.tsdb.path=${folder}`];
  const service = await host.start('prometheus', ['prometheus', ...flags], `${folder}.log`);
  await service.ready(async () => {
    const result = await host.execResult('curl -s --max-time 2 localhost:9090/-/ready');
    return result.code === 0 && result.stdout.includes('Ready');
  });
}
