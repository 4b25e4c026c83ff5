/** How long three managers take no writes when the one that leads is lost. */
import { signal, sleep, until, type Host, type Lab } from '../../test/lab/index.ts';
import { isDaemonOf, type Swarm } from './swarm.ts';

interface ManagerNode {
  readonly ID: string;
  readonly Description: { readonly Hostname: string };
  readonly Status: { readonly State: string };
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability: string };
}

export type Loss = 'killed' | 'cut';

/** Longer than anything that either side takes; what takes longer is an error, not a figure. */
const timeoutMs = 60_000;
/** One new attempt each: those before it may wait long for the leader that is lost, and go on. */
const attemptEveryMs = 25;
const attemptsAtOnce = 1_000;
/** Connections that break with the loss shall not still be under repair from the round before. */
const settleMs = 3_000;

/** The host whose manager leads, as any of the others sees it. */
async function leaderOf(hosts: readonly Host[]): Promise<Host> {
  const [host] = hosts;
  if (host === undefined) throw new Error('there is no host to ask');
  const nodes = await host.api<ManagerNode[]>('GET', '/nodes');
  const leader = nodes.find(({ ManagerStatus }) => ManagerStatus?.Leader === true);
  const found = hosts.find(({ name }) => name === leader?.Description.Hostname);
  if (found === undefined) throw new Error(`${host.name} sees no leader`);
  return found;
}

/** Loses the leader, waits for the next write through another manager, and brings it back. */
export async function failover(swarm: Swarm, lab: Lab, loss: Loss): Promise<number> {
  const leader = await until('there is a leader', () => leaderOf(lab.hosts), { timeoutMs });
  const others = lab.hosts.filter((host) => host !== leader);
  await sleep(settleMs);
  const startMs = performance.now();
  await lose(swarm, leader, loss);
  const elapsedMs = (await firstWrite(others)) - startMs;
  if (loss === 'cut') await leader.restoreLink();
  else await swarm.startDaemon(lab, leader);
  await allReady(lab);
  return elapsedMs / 1000;
}

async function lose(swarm: Swarm, leader: Host, loss: Loss): Promise<void> {
  if (loss === 'cut') {
    await leader.cutLink();
    return;
  }
  const daemon = leader.processes().find(({ argv }) => isDaemonOf(swarm, leader, argv));
  if (daemon === undefined) throw new Error(`${leader.name} has no daemon to kill`);
  signal(daemon.pid, 'SIGKILL');
}

/** When the first write was accepted by any of the hosts. */
async function firstWrite(hosts: readonly Host[]): Promise<number> {
  const endMs = performance.now() + timeoutMs;
  const accepted: number[] = [];
  const failures: string[] = [];
  let serial = 0;
  const attempt = async (host: Host) => {
    serial += 1;
    const { status, body } = await host.apiResult('POST', '/services/create', {
      Name: `probe-${Math.round(endMs)}-${serial}`,
      TaskTemplate: { ContainerSpec: { Image: 'none' } },
      Mode: { Replicated: { Replicas: 0 } },
    });
    if (status >= 400) failures.push(body);
    else accepted.push(performance.now());
  };
  await Promise.all(
    hosts.map(async (host) => {
      let underWay = 0;
      while (accepted.length === 0) {
        if (performance.now() > endMs) {
          throw new Error(`no write within ${timeoutMs} ms; ${failures.at(-1) ?? 'no answer'}`);
        }
        if (underWay < attemptsAtOnce) {
          underWay += 1;
          attempt(host)
            .catch((error: unknown) => failures.push(String(error)))
            .finally(() => (underWay -= 1));
        }
        await sleep(attemptEveryMs);
      }
    }),
  );
  return accepted[0] ?? Number.NaN;
}

/** All managers are back, and nodes ready, before the next round. */
async function allReady(lab: Lab): Promise<void> {
  await until(
    'all managers are reachable',
    async () => {
      const views = await Promise.all(
        lab.hosts.map((host) => host.api<ManagerNode[]>('GET', '/nodes')),
      );
      return views.flat().every(({ Status, ManagerStatus }) => {
        return Status.State === 'ready' && ManagerStatus?.Reachability === 'reachable';
      });
    },
    { timeoutMs },
  );
}
