/** Who is a manager and who leads, changed by command: three managers and a worker. */
import { strict as assert } from 'node:assert';
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, until, type Host } from '../lab/index.ts';
import { Ledger } from './ledger.ts';
import { joins, leaveAndJoin, leaves, tokenOf } from './losses.ts';
import { serviceOf, useManagers } from './managers.ts';
import { imageOf, TestSwarm } from './swarm.ts';

describe('managers by command', () => {
  const get = useManagers({ hosts: 4, managers: 3, replicas: 0, heartbeat: '10s' });
  const hosts = () => get().lab.hosts.slice(0, 3);
  const but = (...out: readonly Host[]) => hosts().filter((host) => !out.includes(host));

  it('hand the lead to the one that is named, and nothing is lost or restarted', async () => {
    const managers = get();
    await using ledger = new Ledger(managers, hosts(), 'lead');
    await ledger.start(2);
    for (const next of [...hosts(), ...hosts()]) {
      const [through] = but(next);
      assert.ok(through);
      // On a busy machine an election may give the lead to another one at any moment.
      await until(`${next.name} is given the lead, and has it`, async () => {
        const { code, stdout } = await through.cliResult('node', 'lead', next.name);
        if (code === 0) assert.equal(stdout, `Node ${next.name} leads the swarm.\n`);
        const leading = (await managers.nodes(through)).filter(({ leads }) => leads);
        return code === 0 && leading.map(({ host }) => host).join() === next.name;
      });
      await ledger.goesOn();
    }
    await ledger.check();
    await managers.remove(managers.host('h1'), 'lead-');
  });

  it('hand the lead to nobody who cannot have it', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [lost, other] = but(leader);
    assert.ok(lost && other);
    await managers.refusal(other, /is no manager: promote it first/, 'node', 'lead', 'h4');
    await managers.refusal(other, /node nobody not found/, 'node', 'lead', 'nobody');
    await lost.killDaemon();
    const says = /cannot be reached|has not taken the lead/;
    // A busy machine may have an election of its own at any one time, but not every time.
    let stays = false;
    for (let times = 0; times < 3 && !stays; times++) {
      const before = await managers.leader(but(lost));
      await managers.refusal(other, says, 'node', 'lead', lost.name);
      stays = (await managers.leader(but(lost))) === before;
    }
    assert.ok(stays, 'who leads goes on leading when the lead is not taken');
    const serviceName = 'after-refusal';
    const body = serviceOf(serviceName);
    const made = await managers.whenLed(other, 'POST', '/services/create', body);
    assert.ok(made.status === 201 || made.status === 409, made.body);
    await lost.startDaemon();
    await managers.remove(other, serviceName);
  });

  it('demote the leader, who hands over first, and promote it: its tasks run on', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [through] = but(leader);
    assert.ok(through);
    const swarm = new TestSwarm(managers.lab, through);
    const there = ['--constraint', `node.hostname==${leader.name}`, '--replicas', '2'];
    await swarm.create('steady', ...there, imageOf(swarm, 'sleeper:1'));
    await swarm.runs('steady', 2);
    const before = swarm.containers();
    await managers.demote(through, leader);
    await managers.agreed(but(leader));
    await until('it says that it is a worker', async () => {
      const answer = await leader.apiResult('GET', '/nodes');
      return answer.status === 503 && /Worker nodes can't be used/.test(answer.body);
    });
    await managers.promote(through, leader);
    await managers.agreed(hosts());
    await swarm.runs('steady', 2);
    assert.deepEqual(swarm.containers(), before);
    await swarm.clear();
  });

  it('demote at once what was promoted a moment ago, whenever that moment is', async () => {
    const managers = get();
    const worker = managers.host('h4');
    for (const delayMs of [0, 100, 250, 500, 750, 1_000]) {
      const leader = await managers.leader(hosts());
      await managers.promote(leader, worker);
      await sleep(delayMs);
      await managers.demote(leader, worker);
      await managers.agreed(hosts());
      await until('it says that it is a worker', async () => {
        const { Swarm } = await worker.api<SwarmInfo>('GET', '/info');
        return Swarm.LocalNodeState === 'active' && !Swarm.ControlAvailable;
      });
    }
    await managers.promote(managers.host('h1'), worker);
    await managers.agreed(managers.lab.hosts);
    await managers.demote(managers.host('h1'), worker);
    await managers.agreed(hosts());
  });

  it('refuse to demote where that would cost the quorum, and the last one always', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [lost, other] = but(leader);
    assert.ok(lost && other);
    await lost.killDaemon();
    const costly = /this would result in a loss of quorum/;
    await managers.refusal(leader, costly, 'node', 'demote', other.name);
    // The one that is lost may go, and then there are two.
    await managers.demote(leader, lost);
    await lost.startDaemon();
    await managers.agreed([leader, other].toSorted(byName));
    await managers.demote(leader, other);
    await managers.agreed([leader]);
    const lastOne = /attempting to demote the last manager of the swarm/;
    await managers.refusal(leader, lastOne, 'node', 'demote', leader.name);
    for (const host of [other, lost]) {
      await managers.promote(leader, host);
      await until(`${host.name} is a manager`, async () => {
        const nodes = await managers.nodes(leader);
        return nodes.some((node) => node.host === host.name && node.addr !== '');
      });
    }
    await managers.agreed(hosts());
  });

  it('let a manager whose disk was wiped join again, after the old one is forgotten', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [wiped] = but(leader);
    assert.ok(wiped);
    const old = await managers.idOf(wiped, leader);
    await wiped.stopDaemon();
    rmSync(join(wiped.dataRoot, 'swarm'), { recursive: true });
    await managers.command(leader, 'node', 'demote', old);
    await managers.command(leader, 'node', 'rm', '--force', old);
    await wiped.startDaemon();
    await joins(wiped, await tokenOf(leader, 'manager'), leader);
    await managers.agreed(hosts());
  });

  for (const { name, isUp } of [
    {
      name: 'lead a manager whose log is damaged as a worker, and let it have theirs anew',
      isUp: true,
    },
    { name: 'let a damaged manager have theirs also if it was away meanwhile', isUp: false },
  ]) {
    it(name, async () => {
      const managers = get();
      const leader = await managers.leader(hosts());
      const [damaged] = but(leader);
      assert.ok(damaged);
      const swarm = new TestSwarm(managers.lab, leader);
      const there = ['--constraint', `node.hostname==${damaged.name}`];
      await swarm.create('kept', ...there, imageOf(swarm, 'sleeper:1'));
      await swarm.runs('kept', 1);
      const before = swarm.containers();
      await damaged.stopDaemon();
      damage(damaged);
      await damaged.startDaemon();
      const lost = /swarm\/raft\/wal.* is damaged.*goes on as a worker; .*"ts-swarm node demote"/;
      await managers.refusal(damaged, lost, 'node', 'ls');
      await untilShown(leader, damaged, /^Ready\/Unreachable$/);
      if (!isUp) await damaged.stopDaemon();
      await managers.demote(leader, damaged);
      await untilShown(leader, damaged, /\/$/);
      await managers.promote(leader, damaged);
      if (!isUp) await damaged.startDaemon();
      await managers.agreed(hosts());
      await untilShown(leader, damaged, /^Ready\/Reachable$/);
      await swarm.runs('kept', 1);
      assert.deepEqual(swarm.containers(), before);
      await swarm.clear();
    });
  }

  it('let in anew who was demoted and promoted while it was away', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [away] = but(leader);
    assert.ok(away);
    await away.stopDaemon();
    await managers.demote(leader, away);
    await untilShown(leader, away, /\/$/);
    await managers.promote(leader, away);
    await away.startDaemon();
    await managers.agreed(hosts());
  });

  it('let nobody in by a token that was replaced, through any of them', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [follower] = but(leader);
    const worker = managers.host('h4');
    assert.ok(follower);
    const id = await managers.idOf(worker, leader);
    await leaves(worker);
    await until('the worker has gone', async () => {
      const nodes = await managers.nodes(leader);
      return nodes.find((node) => node.id === id)?.state === 'down';
    });
    await managers.command(leader, 'node', 'rm', id);
    const old = await tokenOf(follower, 'worker');
    const fresh = await tokenOf(follower, 'worker', '--rotate');
    for (const through of hosts()) {
      const args = ['join', '--token', old, `${through.address}:2377`];
      await managers.refusal(worker, /A valid join token is necessary/, ...args);
    }
    await joins(worker, fresh, follower);
    await managers.agreed(hosts());
  });

  it('leave by force and join again, time after time', async () => {
    await leaveAndJoin(get(), hosts(), 6);
  });
});

interface SwarmInfo {
  readonly Swarm: { readonly LocalNodeState: string; readonly ControlAvailable: boolean };
}

/** Waits for what `node ls` shows of the host: "STATUS/MANAGER STATUS". */
async function untilShown(through: Host, host: Host, wanted: RegExp): Promise<void> {
  const row = ['node', 'ls', '--filter', `name=${host.name}`, '--format'];
  const shown = async () => (await through.cli(...row, '{{.Status}}/{{.ManagerStatus}}')).trim();
  await until(`${host.name} is ${wanted}`, shown, { accept: (now) => wanted.test(now) });
}

function byName(a: Host, b: Host): number {
  return a.name < b.name ? -1 : 1;
}

/** Its disk has lost the beginning of what it kept of the log. */
function damage(host: Host): void {
  const folder = join(host.dataRoot, 'swarm', 'raft', 'wal');
  const [first] = readdirSync(folder).filter((name) => /^\d+\.wal$/.test(name));
  assert.ok(first !== undefined, 'there is no log');
  const file = openSync(join(folder, first), 'r+');
  writeSync(file, Buffer.alloc(4096), 0, 4096, 0);
  closeSync(file);
}
