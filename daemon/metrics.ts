/** What the daemon tells those who watch it: `--metrics-addr`. Names that Docker has are Docker's. */
import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics, Sample } from '../lib/metrics.ts';
import type { StoreView } from '../manager/store/index.ts';
import type { Manager } from './manager.ts';
import type { SwarmPart } from './swarm-part.ts';

const eventLoopResolutionMs = 20;
const none = {};

/** Told what each step of a reconcile pass took. */
export function stepTimes(metrics: Metrics): (step: 'plan' | 'commit', tookMs: number) => void {
  const times = metrics.histogram<'step'>(
    'ts_swarm_reconcile_pass_seconds',
    'Reconcile passes: what planning takes, and committing.',
  );
  return (step, tookMs) => times.observe(tookMs / 1_000, { step });
}

/** Told what has been put right of the node's networks. */
export function repairCount(metrics: Metrics): (kind: string, times: number) => void {
  const repairs = metrics.counter<'kind'>(
    'ts_swarm_network_repairs_total',
    'What of the networks was not as it should be, and has been put right.',
  );
  return (kind, times) => repairs.add(times, { kind });
}

type Kinds = Iterable<readonly [value: string, count: number]>;

/** Of the process itself; the event loop is watched until it is disposed. */
export function watchProcess(metrics: Metrics, processes: NodeJS.Process = process): Disposable {
  const loop = monitorEventLoopDelay({ resolution: eventLoopResolutionMs });
  loop.enable();
  const one = (name: string, help: string, read: () => number) =>
    metrics.gauge(name, help, () => [{ labels: none, value: read() }]);
  const startedS = Date.now() / 1_000 - processes.uptime();
  one('process_start_time_seconds', 'When the process began, since the epoch.', () => startedS);
  one('process_cpu_seconds_total', 'Processor time, user and system.', () => {
    const { user, system } = processes.cpuUsage();
    return (user + system) / 1e6;
  });
  one('process_resident_memory_bytes', 'Memory in use.', () => processes.memoryUsage.rss());
  one('process_open_fds', 'Open file descriptors.', () => readdirSync('/proc/self/fd').length);
  one('nodejs_heap_size_used_bytes', 'Memory of JavaScript objects.', () => {
    return processes.memoryUsage().heapUsed;
  });
  one('nodejs_eventloop_lag_p99_seconds', 'Delay of the event loop since last asked.', () => {
    const seconds = loop.percentile(99) / 1e9;
    loop.reset();
    return seconds;
  });
  return { [Symbol.dispose]: () => void loop.disable() };
}

/** Of the swarm, as far as this node knows it; `part` is undefined while it is in none. */
export function watchSwarm(metrics: Metrics, part: () => SwarmPart | undefined): void {
  watchNode(metrics, part);
  const gauge = <L extends string>(
    name: string,
    help: string,
    read: (manager: Manager) => Iterable<Sample<L>>,
  ) =>
    metrics.gauge<L>(name, help, () => {
      const manager = part()?.manager;
      return manager?.isMember === true ? read(manager) : [];
    });
  const counts = (name: string, help: string, label: string, read: (store: StoreView) => Kinds) =>
    gauge<string>(name, help, ({ store }) => samples(label, read(store)));
  const one = (name: string, help: string, read: (manager: Manager) => number | undefined) =>
    gauge(name, help, (manager) => {
      const value = read(manager);
      return value === undefined ? [] : [{ labels: none, value }];
    });

  one('swarm_manager_leader', 'Whether this manager leads.', ({ store }) => Number(store.isLeader));
  counts('swarm_manager_nodes', 'Nodes by state.', 'state', (store) =>
    tally(store.nodes(), ({ status }) => status.state),
  );
  counts('swarm_manager_tasks_total', 'Tasks by state.', 'state', (store) =>
    tally(store.tasks(), ({ status }) => status.state),
  );
  counts('ts_swarm_store_objects', 'Objects in the store by kind.', 'kind', (store) => [
    ['node', sizeOf(store.nodes())],
    ['service', sizeOf(store.services())],
    ['task', sizeOf(store.tasks())],
    ['network', sizeOf(store.networks())],
  ]);
  one('ts_swarm_dispatcher_sessions', 'Nodes that have a session with this manager.', (manager) => {
    return manager.sessions;
  });
  one('ts_swarm_raft_term', 'Raft: the term.', ({ raft }) => raft?.term);
  one('ts_swarm_raft_commit_index', 'Raft: the last entry that is committed.', ({ raft }) => {
    return raft?.committed;
  });
  one('ts_swarm_raft_applied_index', 'Raft: the last entry that is applied here.', ({ raft }) => {
    return raft?.appliedIndex;
  });
  one('ts_swarm_raft_has_leader', 'Raft: whether a leader is known.', ({ raft }) => {
    return raft && Number(raft.leader !== '');
  });
  gauge<string>('ts_swarm_raft_members', 'Raft: members by kind.', ({ raft }) =>
    samples('kind', [
      ['voter', raft?.conf.voters.length ?? 0],
      ['learner', raft?.conf.learners.length ?? 0],
    ]),
  );
  one('ts_swarm_raft_disk_full', 'Raft: whether the log finds no room.', ({ raft }) => {
    return raft && Number(raft.isDiskFull);
  });
}

function watchNode(metrics: Metrics, part: () => SwarmPart | undefined): void {
  const one = (name: string, help: string, read: (present: SwarmPart) => number) =>
    metrics.gauge(name, help, () => {
      const present = part();
      return present === undefined ? [] : [{ labels: none, value: read(present) }];
    });
  metrics.gauge<'swarm_id' | 'node_id'>('swarm_node_info', 'Which node of which swarm.', () => {
    const membership = part()?.membership;
    if (membership === undefined) return [];
    const { clusterId: swarm_id, nodeId: node_id } = membership;
    return [{ labels: { swarm_id, node_id }, value: 1 }];
  });
  one('swarm_node_manager', 'Whether this node is a manager.', ({ manager }) => {
    return Number(manager?.isMember ?? false);
  });
  one('ts_swarm_agent_connected', 'Whether this node has a session with a manager.', (present) => {
    return Number(present.agent.connectedTo !== undefined);
  });
}

function* samples(label: string, kinds: Kinds): Iterable<Sample<string>> {
  for (const [kind, value] of kinds) yield { labels: { [label]: kind }, value };
}

function tally<T>(all: Iterable<T>, kindOf: (one: T) => string): Kinds {
  const counts = new Map<string, number>();
  for (const one of all) counts.set(kindOf(one), (counts.get(kindOf(one)) ?? 0) + 1);
  return counts;
}

function sizeOf(all: Iterable<unknown>): number {
  let size = 0;
  for (const _ of all) size += 1;
  return size;
}
