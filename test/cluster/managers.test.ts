/** Three managers and a worker: any one manager may be lost, and nothing that was promised is. */
import { strict as assert } from 'node:assert';
import { sleep, until, type Host } from '../lab/index.ts';
import { Ledger } from './ledger.ts';
import { sessions, useManagers } from './managers.ts';
import { killLeaders } from './losses.ts';

describe('three managers', () => {
  const get = useManagers({ hosts: 4, managers: 3, replicas: 8 });
  const hosts = () => get().lab.hosts.slice(0, 3);
  const but = (host: Host) => hosts().filter((other) => other !== host);

  it('show every write at once to those who read elsewhere', async () => {
    const managers = get();
    for (let round = 0; round < 20; round++) {
      for (const writer of hosts()) {
        const name = `read-${round}-${writer.name}`;
        assert.equal((await managers.write(writer, name)).status, 201);
        const seen = await Promise.all(
          but(writer).map((reader) => reader.apiResult('GET', `/services/${name}`)),
        );
        assert.deepEqual(
          seen.map(({ status }) => status),
          [200, 200],
        );
      }
    }
    await managers.remove(managers.host('h1'), 'read-');
  });

  it('lose nothing and do nothing twice when the leader is killed again and again', async () => {
    await killLeaders(get(), hosts(), { rounds: 3, name: 'kill' });
  });

  it('have another leader when the first is cut off, which then follows', async () => {
    const managers = get();
    await using ledger = new Ledger(managers, hosts(), 'cut');
    const old = await managers.leader(hosts());
    await ledger.start(2);
    await ledger.goesOn();
    await old.cutLink();
    const refused = managers.refuses(old);
    const next = await managers.leader(but(old), old);
    await ledger.goesOn(20);
    await refused;
    await old.restoreLink();
    await managers.agreed(hosts());
    assert.equal(await managers.leader(hosts()), next, 'the lead stays where it is');
    await ledger.goesOn(20);
    await ledger.check();
    await managers.remove(next, 'cut-');
  });

  it('refuse writes in a minority, and go on in the majority', async () => {
    const managers = get();
    const leader = await managers.leader(hosts());
    for (const lonely of [but(leader)[0], leader]) {
      assert.ok(lonely);
      const others = managers.lab.hosts.filter((host) => host !== lonely);
      await lonely.isolateFrom(...others);
      await managers.refuses(lonely);
      const next = await managers.leader(but(lonely), lonely);
      const many = but(lonely).map((host) => managers.write(host, `majority-${host.name}`));
      assert.deepEqual(
        (await Promise.all(many)).map(({ status }) => status),
        [201, 201],
      );
      await lonely.isolateFrom();
      await managers.agreed(hosts());
      await managers.remove(next, 'majority-');
    }
  });

  it('go on after all of them were killed and started at once', async () => {
    const managers = get();
    const name = 'before-the-fall';
    assert.equal((await managers.write(managers.host('h2'), name)).status, 201);
    for (let round = 0; round < 2; round++) {
      await Promise.all(hosts().map((host) => host.killDaemon()));
      await Promise.all(hosts().map((host) => host.startDaemon()));
      const leader = await managers.leader(hosts());
      assert.ok((await managers.services(leader)).has(name));
      await managers.agreed(hosts());
    }
    await managers.remove(managers.host('h3'), name);
  });

  it('hand the lead over when they are stopped, and the worker follows', async () => {
    const managers = get();
    const worker = managers.host('h4');
    const leader = await managers.leader(hosts());
    const startMs = Date.now();
    const stopping = leader.stopDaemon();
    const next = await managers.leader(but(leader), leader);
    const ledMs = Date.now();
    await until(`the worker has a session with ${next.name}`, () =>
      sessions(worker).some(({ atMs, addr }) => {
        return atMs >= startMs && addr.startsWith(`${next.address}:`);
      }),
    );
    const tookMs = (sessions(worker).at(-1)?.atMs ?? Infinity) - ledMs;
    console.log(
      `      the next led after ${ledMs - startMs} ms, the worker came ${tookMs} ms later`,
    );
    await stopping;
    await leader.startDaemon();
  });

  it('are restarted one by one while a service is scaled', async () => {
    const managers = get();
    const image = `${managers.lab.registry.address}/sleeper:1`;
    const [first] = hosts();
    await first?.cli('service', 'create', '-d', '--name', 'scaled', '--replicas', '4', image);
    for (const host of hosts()) {
      const [other] = but(host);
      await host.stopDaemon();
      const replicas = 4 + 2 * Number(host.name.slice(1));
      await other?.cli('service', 'scale', '-d', `scaled=${replicas}`);
      await host.startDaemon();
      await sleep(200);
    }
    await managers.agreed(hosts());
    const tasks = () =>
      managers
        .host('h2')
        .api<WireTask[]>('GET', `/tasks?filters=${encodeURIComponent('{"service":["scaled"]}')}`);
    const all = await until('ten replicas run', tasks, {
      accept: (found) => found.filter(({ Status }) => Status.State === 'running').length === 10,
      timeoutMs: 60_000,
    });
    assert.equal(all.length, 10, 'none was started twice');
    await managers.host('h3').api('DELETE', '/services/scaled');
  });
});

interface WireTask {
  readonly Status: { readonly State: string };
}
