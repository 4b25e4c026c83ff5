/** Hosts that get other addresses: one of them, all managers at once, and all there are. */
import { strict as assert } from 'node:assert';
import { until, type Host } from '../lab/index.ts';
import { sessions, useManagers } from './managers.ts';

describe('hosts that move', () => {
  const get = useManagers({ hosts: 5, managers: 3, replicas: 8 });
  const hosts = () => get().lab.hosts.slice(0, 3);
  const workers = () => get().lab.hosts.slice(3);
  let moves = 0;

  /**
   * A busy machine may take long to start a daemon: no node is to be missed meanwhile, or its tasks
   * are replaced. But of hosts that move while their daemons run, silence alone tells.
   */
  async function heartbeat(period: '4s' | '30s'): Promise<void> {
    const leader = await get().leader(hosts());
    await leader.cli('swarm', 'update', '--dispatcher-heartbeat', period);
  }

  const stop = (moved: readonly Host[]) => Promise.all(moved.map((host) => host.stopDaemon()));

  /** No address is one that any host has had before. */
  async function renumber(moved: readonly Host[]): Promise<void> {
    moves += 1;
    for (const host of moved) await host.renumber(Number(host.name.slice(1)) + 10 * moves);
  }

  async function start(moved: readonly Host[], flags: readonly string[] = []): Promise<void> {
    await Promise.all(moved.map((host) => host.startDaemon({ flags })));
  }

  /** No question of who is there gets in: by IPv4 ("ip"), or by either ("inet"). */
  async function deafen(deaf: readonly Host[], family: 'ip' | 'inet'): Promise<void> {
    const chain = 'chain in { type filter hook input priority 0; udp dport 2377 drop; }';
    for (const host of deaf) await host.exec(['nft', `table ${family} deaf { \n${chain}\n}`]);
  }

  async function undeafen(deaf: readonly Host[]): Promise<void> {
    for (const host of deaf) {
      const tables = await host.exec(['nft', 'list', 'tables']);
      const family = tables.includes('table ip deaf') ? 'ip' : 'inet';
      await host.exec(['nft', `delete table ${family} deaf`]);
    }
  }

  /** Each worker has begun a session with whoever leads now, since then. */
  async function workersFound(sinceMs: number): Promise<void> {
    for (const worker of workers()) {
      await until(`${worker.name} has a session with the leader`, async () => {
        const { address } = await get().leader(hosts());
        const since = sessions(worker).filter(({ atMs }) => atMs >= sinceMs);
        return since.at(-1)?.addr === `${address}:2377`;
      });
    }
  }

  /** A leader is there, and all know where all managers are. */
  async function settled(): Promise<void> {
    const startMs = performance.now();
    const managers = get();
    await managers.leader(hosts());
    console.log(`      a leader after ${(performance.now() - startMs).toFixed(0)} ms`);
    await managers.agreed(hosts());
    const addrs = hosts().map(({ address }) => `${address}:2377`);
    await until(
      'the managers are known at their addresses',
      async () => (await managers.nodes(managers.host('h2'))).map(({ addr }) => addr),
      { accept: (found) => found.filter(Boolean).join() === addrs.join() },
    );
  }

  it('are found again where one manager moves, and the others are there', async () => {
    await heartbeat('30s');
    const leader = await get().leader(hosts());
    const [follower] = hosts().filter((host) => host !== leader);
    assert.ok(follower);
    for (const host of [follower, leader]) {
      await stop([host]);
      await renumber([host]);
      await start([host]);
      await settled();
    }
  });

  it('are found again where a manager moves while its daemon runs', async () => {
    await heartbeat('4s');
    const leader = await get().leader(hosts());
    await renumber([leader]);
    await settled();
  });

  it('elect a leader where all managers move at once, and workers find it', async () => {
    await heartbeat('30s');
    const sinceMs = Date.now();
    await stop(hosts());
    await renumber(hosts());
    await start(hosts());
    await settled();
    await workersFound(sinceMs);
  });

  it('elect a leader where all hosts move at once while their daemons run', async () => {
    await heartbeat('4s');
    const all = [...hosts(), ...workers()];
    // Here by IPv6 alone, which every network has, whatever the swarm's own addresses are.
    await deafen(all, 'ip');
    const sinceMs = Date.now();
    await renumber(all);
    await settled();
    await workersFound(sinceMs);
    await undeafen(all);
  });

  it('are found through addresses given by hand, where no datagram passes', async () => {
    await heartbeat('30s');
    const all = [...hosts(), ...workers()];
    await deafen(all, 'inet');
    await stop(all);
    await renumber(all);
    const flags = hosts().map(({ address }) => `--manager-addr=${address}`);
    const sinceMs = Date.now();
    await start(all, flags);
    await settled();
    await workersFound(sinceMs);
    await undeafen(all);
  });
});
