/** Who is a manager and who leads, changed by command: three managers and a worker. */
import { strict as assert } from 'node:assert';
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, until, type Host } from '../lab/index.ts';
import { Ledger } from './ledger.ts';
import { leaveAndJoin } from './losses.ts';
import { useManagers } from './managers.ts';
import { imageOf, TestSwarm } from './swarm.ts';

describe('managers by command', () => {
  const get = useManagers({ hosts: 4, managers: 3, replicas: 0 });
  const hosts = () => get().lab.hosts.slice(0, 3);
  const but = (...out: readonly Host[]) => hosts().filter((host) => !out.includes(host));

  it('hand the lead to the one that is named, and nothing is lost or restarted', async () => {
    const managers = get();
    await using ledger = new Ledger(managers, hosts(), 'lead');
    await ledger.start(2);
    for (const next of [...hosts(), ...hosts()]) {
      const [through] = but(next);
      const out = await through?.cli('node', 'lead', next.name);
      assert.equal(out, `Node ${next.name} leads the swarm.\n`);
      assert.equal(await managers.leader([next]), next);
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
    const worker = await other.cliResult('node', 'lead', 'h4');
    assert.equal(worker.code, 1);
    assert.match(worker.stderr, /is no manager: promote it first/);
    const nobody = await other.cliResult('node', 'lead', 'nobody');
    assert.match(nobody.stderr, /node nobody not found/);
    await lost.killDaemon();
    const refused = await until(
      'the lead is not given to one that is lost',
      () => other.cliResult('node', 'lead', lost.name),
      { accept: ({ code }) => code === 1 },
    );
    assert.match(refused.stderr, /cannot be reached|has not taken the lead/);
    assert.equal((await managers.write(other, 'after-refusal')).status, 201);
    assert.equal(await managers.leader(hosts().filter((host) => host !== lost)), leader);
    await lost.startDaemon();
    await managers.remove(leader, 'after-refusal');
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
    assert.notEqual(await managers.leader(but(leader)), leader);
    await until('it says that it is a worker', async () => {
      const answer = await leader.apiResult('GET', '/nodes');
      return answer.status === 503 && /Worker nodes can't be used/.test(answer.body);
    });
    await through.cli('node', 'promote', leader.name);
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
      await leader.cli('node', 'promote', worker.name);
      await sleep(delayMs);
      await leader.cli('node', 'demote', worker.name);
      await managers.agreed(hosts());
      await until('it says that it is a worker', async () => {
        const { Swarm } = await worker.api<SwarmInfo>('GET', '/info');
        return Swarm.LocalNodeState === 'active' && !Swarm.ControlAvailable;
      });
    }
    await managers.host('h1').cli('node', 'promote', worker.name);
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
    const refused = await leader.cliResult('node', 'demote', other.name);
    assert.match(refused.stderr, /this would result in a loss of quorum/);
    // The one that is lost may go, and then there are two.
    await managers.demote(leader, lost);
    await lost.startDaemon();
    await managers.agreed([leader, other].toSorted(byName));
    await managers.demote(leader, other);
    await managers.agreed([leader]);
    const last = await leader.cliResult('node', 'demote', leader.name);
    assert.equal(last.code, 1);
    assert.match(last.stderr, /attempting to demote the last manager of the swarm/);
    for (const host of [other, lost]) {
      await leader.cli('node', 'promote', host.name);
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
    await leader.cli('node', 'demote', old);
    await until('it can be removed', async () => {
      const { code } = await leader.cliResult('node', 'rm', '--force', old);
      return code === 0;
    });
    await wiped.startDaemon();
    const token = (await leader.cli('join-token', '--quiet', 'manager')).trim();
    await wiped.cli('join', '--token', token, `${leader.address}:2377`);
    await managers.agreed(hosts());
  });

  it('lead a manager whose log is damaged as a worker, and let it have theirs anew', async () => {
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
    const { stderr } = await damaged.cliResult('node', 'ls');
    assert.match(
      stderr,
      /swarm\/raft\/wal.* is damaged.*goes on as a worker; .*"ts-swarm node demote"/,
    );
    const row = ['node', 'ls', '--filter', `name=${damaged.name}`, '--format'];
    const ofRow = async () => (await leader.cli(...row, '{{.Status}} {{.ManagerStatus}}')).trim();
    const is = (state: string) =>
      until(`it is ${state}`, ofRow, { accept: (now) => now === state, timeoutMs: 60_000 });
    await is('Ready Unreachable');
    await leader.cli('node', 'demote', damaged.name);
    await is('Ready');
    await leader.cli('node', 'promote', damaged.name);
    await managers.agreed(hosts());
    await is('Ready Reachable');
    await swarm.runs('kept', 1);
    assert.deepEqual(swarm.containers(), before);
    await swarm.clear();
  });

  it('let nobody in by a token that was replaced, through any of them', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [follower] = but(leader);
    const worker = managers.host('h4');
    assert.ok(follower);
    const id = await managers.idOf(worker, leader);
    await worker.cli('leave');
    await until('the worker has gone', async () => {
      const nodes = await managers.nodes(leader);
      return nodes.find((node) => node.id === id)?.state === 'down';
    });
    await leader.cli('node', 'rm', id);
    const old = (await follower.cli('join-token', '--quiet', 'worker')).trim();
    const fresh = (await follower.cli('join-token', '--rotate', '--quiet', 'worker')).trim();
    for (const through of hosts()) {
      const refused = await worker.cliResult('join', '--token', old, `${through.address}:2377`);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /A valid join token is necessary/);
    }
    await worker.cli('join', '--token', fresh, `${follower.address}:2377`);
    await managers.agreed(hosts());
  });

  it('leave by force and join again, time after time', async () => {
    await leaveAndJoin(get(), hosts(), 6);
  });
});

interface SwarmInfo {
  readonly Swarm: { readonly LocalNodeState: string; readonly ControlAvailable: boolean };
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
