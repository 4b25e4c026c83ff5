/** Losses that are repeated: a few times in the tests, and many times in `npm run chaos`. */
import type { Host } from '../lab/index.ts';
import { Ledger } from './ledger.ts';
import type { Managers } from './managers.ts';

interface Rounds {
  readonly rounds: number;
  /** Tells the services of one run from those of others. */
  readonly name: string;
}

/** Kill -9 for whoever leads, again and again, while clients write through all managers. */
export async function killLeaders(
  managers: Managers,
  hosts: readonly Host[],
  { rounds, name }: Rounds,
): Promise<void> {
  const ledger = new Ledger(managers, hosts, name);
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
