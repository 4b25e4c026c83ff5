/** Managers whose log's disk fills up: they follow, say so, and go on when there is room. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { until, type Host } from '../lab/index.ts';
import { Ledger } from './ledger.ts';
import { serviceOf, useManagers } from './managers.ts';

/** Room for a log that nothing holds back, and for its snapshots. */
const enough = '400m';
/** Changes that are large, to fill what the log has allocated already. */
const ballastBytes = 500_000;
const maxBallast = 150;
const noRoom = /no room is left in .*raft/;

describe('managers on a full disk', () => {
  const get = useManagers({
    hosts: 4,
    managers: 3,
    replicas: 2,
    // Daemons are killed: no node is to be missed on a busy machine, or its tasks are replaced.
    heartbeat: '10s',
    prepare: async ({ hosts }) => {
      for (const host of hosts.slice(0, 3)) await mountLog(host);
    },
  });
  const hosts = () => get().lab.hosts.slice(0, 3);
  const but = (...out: readonly Host[]) => hosts().filter((host) => !out.includes(host));

  afterEach(async () => {
    for (const host of hosts()) await giveRoom(host);
    await get().remove(get().host('h1'), 'ballast-');
  });

  it('follow while the others go on, say why, and catch up when there is room', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [full] = but(leader);
    assert.ok(full);
    await using ledger = new Ledger(managers, hosts(), 'follower');
    await ledger.start(2);
    const pid = full.daemonPid;
    await fill(full, leader);

    // On a busy machine another may come to lead in an election; but they are not forced to.
    await until('the same manager leads all the while', async () => {
      const first = await managers.leader(but(full));
      await ledger.goesOn(30);
      return (await managers.leader(but(full))) === first;
    });
    assert.match(await full.docker('info'), / Error: no room is left in .*raft/);
    const refused = await full.apiResult('GET', '/nodes');
    assert.equal(refused.status, 503, refused.body);
    assert.match(refused.body, noRoom);
    assert.match(full.daemonOutput(), /the disk is full: the node goes on when there is room/);
    assert.equal(full.daemonPid, pid, 'it runs on');

    // A daemon that starts on a full disk is no worse off.
    await full.killDaemon();
    await full.startDaemon();
    await until('it says so again', async () => noRoom.test(await troubleOf(full)));
    await ledger.goesOn(10);

    await giveRoom(full);
    await until('it is well again', async () => (await troubleOf(full)) === '');
    // To list tens of megabytes on each manager takes a slow machine long.
    await managers.remove(leader, 'ballast-');
    await managers.same(hosts());
    await ledger.check();
    await managers.remove(leader, 'follower-');
  });

  it('hand the lead over when they have it, and lose nothing', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    const [other] = but(leader);
    assert.ok(other);
    await using ledger = new Ledger(managers, hosts(), 'leader');
    await ledger.start(2);
    const pid = leader.daemonPid;
    await fill(leader, other);

    const next = await managers.leader(but(leader), leader);
    await ledger.goesOn(30);
    assert.notEqual(next, leader);
    assert.match(await troubleOf(leader), noRoom);
    assert.equal(leader.daemonPid, pid, 'it runs on');

    await giveRoom(leader);
    await managers.remove(next, 'ballast-');
    await managers.same(hosts());
    await ledger.check();
    await managers.remove(next, 'leader-');
  });
});

describe('a manager alone on a full disk', () => {
  const get = useManagers({
    hosts: 1,
    managers: 1,
    replicas: 2,
    prepare: ({ hosts }) => mountLog(hosts[0]),
  });

  it('refuses changes, says why, and takes them again when there is room', async () => {
    const managers = get();
    const host = managers.host('h1');
    const pid = host.daemonPid;
    await fill(host, host);
    const refused = await managers.write(host, 'refused');
    assert.equal(refused.status, 503, refused.body);
    assert.match(refused.body, noRoom);
    assert.match(await host.docker('info'), / Error: no room is left in .*raft/);
    assert.equal(host.daemonPid, pid, 'it runs on');
    await giveRoom(host);
    await until('it takes changes', async () => {
      const { status } = await managers.write(host, 'taken');
      return status === 201 || status === 409;
    });
    assert.ok(!(await managers.services(host)).has('refused'), 'what was refused was not done');
    await managers.remove(host, 'ballast-');
    await managers.remove(host, 'taken');
  });
});

async function mountLog(host: Host | undefined): Promise<void> {
  assert.ok(host);
  const folder = logFolder(host);
  await host.exec(`mkdir -p ${folder} && mount -t tmpfs -o size=${enough} raft ${folder}`);
}

function logFolder(host: Host): string {
  return join(host.dataRoot, 'swarm', 'raft');
}

async function giveRoom(host: Host): Promise<void> {
  await host.exec(['mount', '-o', `remount,size=${enough}`, logFolder(host)]);
}

/** Lets no file of the log grow any more, and then makes so many changes that one would have to. */
async function fill(host: Host, through: Host): Promise<void> {
  // What is written between the two makes the room too small for what there is, and is refused.
  await until(`the disk of ${host.name} has no room`, async () => {
    const used = await host.exec(`df --output=used -k ${logFolder(host)} | tail -1`);
    await host.exec(['mount', '-o', `remount,size=${used.trim()}k`, logFolder(host)]);
    return true;
  });
  const ballast = 'x'.repeat(ballastBytes);
  for (let count = 0; count < maxBallast; count++) {
    if (noRoom.test(await troubleOf(host))) return;
    // While the lead changes, one may be refused: the next will do.
    const large = serviceOf(`ballast-${host.name}-${count}`, { ballast });
    await through.apiResult('POST', '/services/create', large);
  }
  assert.fail(`the disk of ${host.name} is not full after ${maxBallast} large changes`);
}

async function troubleOf(host: Host): Promise<string> {
  const { Swarm } = await host.api<{ Swarm: { Error: string } }>('GET', '/info');
  return Swarm.Error;
}
