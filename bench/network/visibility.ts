/** How soon every container on four hosts knows that an endpoint has come or gone. */
import { signal, startTicksOf, until } from '../../test/lab/index.ts';
import { median, type Metrics } from '../bench.ts';
import type { BenchService } from '../swarm/service.ts';
import type { Swarm } from '../swarm/swarm.ts';
import { addressOf, Ground, type Member } from './ground.ts';
import { Watch, type SeenByAll } from './watch.ts';

const hosts = 4;
const watchers = 12;
const replicas = 8;
/** The kernel's unit in /proc. */
const ticksPerS = 100;

/** Milliseconds from the event until the last container knew. */
type Kind = 'new' | 'stopped' | 'killed';
type Delays = Readonly<Record<Kind, SeenByAll[]>>;

/** In each round a container is killed and replaced, and a task more is made and taken back. */
export async function visibility(swarm: Swarm, rounds: number): Promise<Metrics> {
  await using ground = await Ground.open(swarm, hosts);
  const watching = await ground.service('watchers', watchers);
  const at = { RestartPolicy: { Condition: 'any', Delay: 0 } };
  const service = await ground.service('web', replicas, { task: at });
  const vip = swarm.hasVips ? { vip: await ground.vip(service) } : {};
  const members = await ground.members(watching);
  using watch = await Watch.start(members, { name: 'web', ...vip }, replicas);
  const delays: Delays = { new: [], stopped: [], killed: [] };
  for (let round = 0; round < rounds; round++) {
    await killOne({ ground, service, watch, delays, round });
    await watch.settled(replicas);
    await scaleByOne({ ground, service, watch, delays });
    await watch.settled(replicas);
  }
  return metricsOf(delays);
}

interface Round {
  readonly ground: Ground;
  readonly service: BenchService;
  readonly watch: Watch;
  readonly delays: Delays;
}

async function killOne(round: Round & { readonly round: number }): Promise<void> {
  const { ground, service, watch, delays } = round;
  const before = await ground.members(service);
  const victim = before[round.round % before.length];
  if (victim === undefined) throw new Error('there is nothing to kill');
  const startMs = nowMs();
  signal(victim.pid, 'SIGKILL');
  const gone = await watch.seenByAll(victim.address, false, startMs);
  delays.killed.push(since(gone, startMs));
  await newcomer(round, before, startMs);
}

async function scaleByOne(round: Round): Promise<void> {
  const { ground, service, watch, delays } = round;
  const before = await ground.members(service);
  const startMs = nowMs();
  await service.scale(replicas + 1);
  await newcomer(round, before, startMs);
  const running = await service.running();
  const stopMs = nowMs();
  await service.scale(replicas);
  const left = await until('a task is to go', () => service.running(), {
    accept: (tasks) => tasks.length === replicas,
    everyMs: 20,
  });
  const gone = running.find((task) => !left.some(({ ID }) => ID === task.ID));
  if (gone === undefined) throw new Error('no task has gone');
  delays.stopped.push(since(await watch.seenByAll(addressOf(gone), false, stopMs), stopMs));
}

/** Measures from the start of the new container's process, which is a little before it runs. */
async function newcomer(round: Round, before: readonly Member[], fromMs: number): Promise<void> {
  const { ground, service, watch, delays } = round;
  const isNew = ({ task }: Member) => !before.some((old) => old.task.ID === task.ID);
  const found = await until('a new container runs', () => ground.membersNow(service), {
    accept: (members) => members.some(isNew),
    timeoutMs: 30_000,
    everyMs: 20,
  });
  const member = found.find(isNew);
  const ticks = startTicksOf(member?.pid ?? 0);
  if (member === undefined || ticks === undefined) throw new Error('the new container has ended');
  const startMs = (ticks * 1000) / ticksPerS;
  const seen = await watch.seenByAll(member.address, true, fromMs);
  delays.new.push(since(seen, startMs));
}

function since({ dnsMs, vipMs }: SeenByAll, startMs: number): SeenByAll {
  return { dnsMs: dnsMs - startMs, ...(vipMs === undefined ? {} : { vipMs: vipMs - startMs }) };
}

/** On the machine's monotonic clock, which other processes read as well. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function metricsOf(delays: Delays): Metrics {
  const metrics: Record<string, number> = {};
  const note = (name: string, values: readonly number[]) => {
    if (values.length === 0) return;
    metrics[`${name}_p50_ms`] = median(values);
    metrics[`${name}_p99_ms`] = percentile(values, 99);
  };
  for (const [kind, all] of Object.entries(delays)) {
    note(
      `${kind}_in_dns`,
      all.map(({ dnsMs }) => dnsMs),
    );
    note(
      `${kind}_in_vip`,
      all.flatMap(({ vipMs }) => vipMs ?? []),
    );
  }
  const all = Object.values(delays).flat();
  note(
    'endpoint_change_everywhere',
    all.map(({ dnsMs, vipMs = 0 }) => Math.max(dnsMs, vipMs)),
  );
  return metrics;
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? Number.NaN;
}
