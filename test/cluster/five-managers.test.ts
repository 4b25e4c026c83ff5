/** Five managers: two may be lost at once. */
import { strict as assert } from 'node:assert';
import { Ledger } from './ledger.ts';
import { killLeaders } from './losses.ts';
import { useManagers } from './managers.ts';

describe('five managers', () => {
  const get = useManagers({ hosts: 5, managers: 5, replicas: 0 });

  it('go on while two are lost, stop when three are, and lose nothing', async () => {
    const managers = get();
    const { hosts } = managers.lab;
    await using ledger = new Ledger(managers, hosts, 'five');
    await ledger.start(3);
    await ledger.goesOn();
    const leader = await managers.leader(hosts);
    const [second, third, ...rest] = hosts.filter((host) => host !== leader);
    assert.ok(second && third);
    await Promise.all([leader.killDaemon(), second.killDaemon()]);
    const next = await managers.leader([third, ...rest], leader, second);
    await ledger.goesOn(20);

    const [another] = [third, ...rest].filter((host) => host !== next);
    assert.ok(another);
    await another.killDaemon();
    await managers.refuses(next);
    const acknowledged = ledger.acknowledged;
    await another.startDaemon();
    await managers.leader([third, ...rest]);
    await ledger.goesOn();
    assert.ok(ledger.acknowledged > acknowledged);
    await Promise.all([leader.startDaemon(), second.startDaemon()]);
    await managers.agreed(hosts);
    await ledger.check();
  });

  it('lose nothing and do nothing twice when the leader is killed again and again', async () => {
    await killLeaders(get(), get().lab.hosts, { rounds: 2, name: 'kill' });
  });

  it('are cut in two: three go on, two refuse, and all agree when they meet again', async () => {
    const managers = get();
    const { hosts } = managers.lab;
    const leader = await managers.leader(hosts);
    const [mate, ...majority] = hosts.filter((host) => host !== leader);
    assert.ok(mate);
    await using ledger = new Ledger(managers, majority, 'split');
    await ledger.start(2);
    await Promise.all([leader, mate].map((host) => host.isolateFrom(...majority)));
    await Promise.all([leader, mate].map((host) => managers.refuses(host)));
    await managers.leader(majority, leader, mate);
    await ledger.goesOn(20);
    await Promise.all([leader, mate].map((host) => host.isolateFrom()));
    await managers.agreed(hosts);
    await ledger.check();
  });
});
