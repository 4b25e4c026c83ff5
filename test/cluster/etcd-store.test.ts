/** Three managers whose store is an etcd on a fourth host. */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, until, type Host } from '../lab/index.ts';
import { TestSwarm, withDaemonLogs } from './swarm.ts';

describe('a swarm on etcd', () => {
  let lab: Lab;
  let swarm: TestSwarm;
  let etcd: Awaited<ReturnType<Host['start']>>;
  let lost: Host | undefined;
  before(async () => {
    lab = await Lab.create({ hosts: 4 });
    swarm = new TestSwarm(lab);
    etcd = await startEtcd();
    await Promise.all([...managers().map((host) => host.startDaemon()), lab.image('sleeper:1')]);
  });
  afterEach(function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, lab);
  });
  after(() => lab?.close());

  const managers = () => lab.hosts.slice(0, 3);
  const storeUrl = () => `etcd://${lab.host('h4').address}/lab`;

  async function startEtcd() {
    const host = lab.host('h4');
    const service = await host.start('etcd', [
      'etcd',
      `--data-dir=${join(host.dataRoot, 'etcd')}`,
      '--listen-client-urls=http://0.0.0.0:2379',
      `--advertise-client-urls=http://${host.address}:2379`,
      '--logger=zap',
      '--log-level=error',
    ]);
    const health = `http://${host.address}:2379/health`;
    await until('etcd is healthy', async () => (await fetch(health)).ok, { timeoutMs: 60_000 });
    return service;
  }

  const leader = (through: Host) =>
    until('one manager leads', async () => {
      const rows = await through.cli('node', 'ls', '--format', '{{.Hostname}} {{.ManagerStatus}}');
      return /^(\S+) Leader$/m.exec(rows)?.[1];
    });

  it('is begun with its address, which joining managers learn', async () => {
    const [first, ...others] = managers();
    const wrong = await first!.cliResult('init', '--store', 'etcd://h4:port');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /the address of the store is wrong: "h4:port" is not HOST:PORT/);
    await first!.cli('init', '--advertise-addr', first!.address, '--store', storeUrl());
    const token = (await first!.cli('join-token', '-q', 'manager')).trim();
    for (const host of others) {
      await host.cli('join', '--token', token, `${first!.address}:2377`);
    }
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
    for (const host of managers()) {
      assert.ok(existsSync(join(host.dataRoot, 'swarm', 'store.json')), host.name);
      assert.ok(!existsSync(join(host.dataRoot, 'swarm', 'raft')), `${host.name} keeps no log`);
    }
    await leader(others[1]!);
    await swarm.create('calm', '--replicas', '3', `${lab.registry.address}/sleeper:1`);
    await swarm.runs('calm', 3);
  });

  it('loses nothing that was acknowledged when its leader dies', async () => {
    const dead = lab.host((await leader(lab.host('h2'))) ?? '');
    lost = dead;
    const others = managers().filter((host) => host !== dead);
    const acknowledged: string[] = [];
    let lastMs = performance.now();
    let gapMs = 0;
    const stop = new AbortController();
    const writing = Promise.all(
      others.flatMap((host) =>
        [1, 2].map(async (writer) => {
          for (let i = 0; !stop.signal.aborted; i++) {
            const name = `${host.name}-${writer}-${i}`;
            const body = {
              Name: name,
              TaskTemplate: { ContainerSpec: { Image: 'none:1' } },
              Mode: { Replicated: { Replicas: 0 } },
            };
            const status = await host.apiResult('POST', '/services/create', body).then(
              (answer) => answer.status,
              // No answer in time: nobody knows.
              () => 0,
            );
            if (status !== 201) continue;
            acknowledged.push(name);
            gapMs = Math.max(gapMs, performance.now() - lastMs);
            lastMs = performance.now();
          }
        }),
      ),
    );
    const more = (count: number) => {
      const wanted = acknowledged.length + count;
      return until('writes are acknowledged', () => acknowledged.length >= wanted, {
        timeoutMs: 60_000,
      });
    };
    await more(100);
    gapMs = 0;
    await dead.kill();
    await more(100);
    stop.abort();
    await writing;
    console.log(`      no write was accepted for ${gapMs.toFixed()} ms`);
    assert.notEqual(await leader(others[0]!), dead.name);
    for (const host of others) {
      const services = await until('the services are told', () =>
        host.api<{ Spec: { Name: string } }[]>('GET', '/services'),
      );
      const names = new Set(services.map(({ Spec }) => Spec.Name));
      assert.deepEqual(
        acknowledged.filter((name) => !names.has(name)),
        [],
        `on ${host.name}`,
      );
      assert.equal(names.size, services.length, 'none is there twice');
    }
  });

  it('takes a manager back, and goes on when etcd was away', async () => {
    const h1 = lab.host('h1');
    await lost?.boot();
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready');
    await etcd.kill();
    const refused = await h1.apiResult('GET', '/services');
    assert.equal(refused.status, 503, refused.body);
    etcd = await startEtcd();
    await until(
      'the swarm takes changes again',
      async () => {
        return (await h1.cliResult('service', 'scale', '--detach', 'calm=4')).code === 0;
      },
      { timeoutMs: 60_000 },
    );
    await swarm.runs('calm', 4);
  });

  it('ends with its last manager, and leaves nothing in etcd', async () => {
    for (const host of managers().toReversed()) await host.cli('leave', '--force');
    const ask = ['env', 'ETCDCTL_API=3', 'etcdctl', 'get', '--prefix', '--keys-only', '/'];
    await until('nothing is left', () => lab.host('h4').exec(ask), {
      accept: (left) => left.trim() === '',
    });
  });
});
