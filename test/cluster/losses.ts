/** Losses that are repeated: a few times in the tests, and many times in `npm run chaos`. */
import { until, type Host } from '../lab/index.ts';
import { Ledger } from './ledger.ts';
import type { Managers } from './managers.ts';

interface Rounds {
  readonly rounds: number;
  /** Tells the services of one run from those of others. */
  readonly name: string;
  /** Between two changes of one client. */
  readonly pauseMs?: number;
}

/** Kill -9 for whoever leads, again and again, while clients write through all managers. */
export async function killLeaders(
  managers: Managers,
  hosts: readonly Host[],
  { rounds, name, pauseMs }: Rounds,
): Promise<void> {
  await using ledger = new Ledger(managers, hosts, name, pauseMs);
  await ledger.start(3);
  for (let round = 0; round < rounds; round++) {
    await ledger.goesOn();
    const leader = await managers.leader(hosts);
    await leader.killDaemon();
    const others = hosts.filter((host) => host !== leader);
    await managers.leader(others, leader);
    await ledger.goesOn();
    await leader.startDaemon();
  }
  await managers.agreed(hosts);
  await ledger.check();
  const [host] = hosts;
  if (host !== undefined) await managers.remove(host, `${name}-`);
}

/** A manager leaves by force and joins again at once, as often as it is told. */
export async function leaveAndJoin(
  managers: Managers,
  hosts: readonly Host[],
  times: number,
): Promise<void> {
  for (let time = 0; time < times; time++) {
    // In turn those that follow, and the one that leads.
    const leader = await managers.leader(hosts);
    const followers = hosts.filter((host) => host !== leader);
    const leaving = time % 3 === 0 ? leader : followers[time % followers.length];
    const staying = hosts.filter((host) => host !== leaving);
    const [through] = staying;
    if (leaving === undefined || through === undefined) throw new Error('there are too few hosts');
    const id = await managers.idOf(leaving, through);
    await leaves(leaving);
    await joins(leaving, await tokenOf(through, 'manager'), through);
    await until(`the node that ${leaving.name} was is forgotten`, async () => {
      const { code } = await through.cliResult('node', 'rm', '--force', id);
      return code === 0;
    });
    await managers.agreed(hosts);
  }
}

/** A command that ends in an election may be refused, or be done although it was. */
export async function leaves(host: Host): Promise<void> {
  await until(`${host.name} leaves`, () => host.cliResult('leave', '--force'), {
    accept: ({ code, stderr }) => code === 0 || /not part of a swarm/.test(stderr),
  });
}

export async function joins(host: Host, token: string, through: Host): Promise<void> {
  const args = ['join', '--token', token, `${through.address}:2377`];
  await until(`${host.name} joins`, () => host.cliResult(...args), {
    accept: ({ code, stderr }) => code === 0 || /already part of a swarm/.test(stderr),
  });
}

export async function tokenOf(
  through: Host,
  role: 'manager' | 'worker',
  ...flags: readonly string[]
): Promise<string> {
  const args = ['join-token', '--quiet', ...flags, role];
  return (await until('a manager tells the token', () => through.cli(...args))).trim();
}

/** All managers are killed and started at once, while clients write. */
export async function restartAll(
  managers: Managers,
  hosts: readonly Host[],
  { rounds, name, pauseMs }: Rounds,
): Promise<void> {
  await using ledger = new Ledger(managers, hosts, name, pauseMs);
  await ledger.start(3);
  for (let round = 0; round < rounds; round++) {
    await ledger.goesOn();
    await Promise.all(hosts.map((host) => host.killDaemon()));
    await Promise.all(hosts.map((host) => host.startDaemon()));
    await managers.leader(hosts);
  }
  await ledger.goesOn();
  await managers.agreed(hosts);
  await ledger.check();
  const [host] = hosts;
  if (host !== undefined) await managers.remove(host, `${name}-`);
}
