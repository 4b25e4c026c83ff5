import { strict as assert } from 'node:assert';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { TestEtcd } from '../../../test/contract/etcd.ts';
import { describeKills } from '../../../test/contract/store-kill.ts';
import { describeStoreLog } from '../../../test/contract/store-log.ts';
import { until } from '../../../test/lab/until.ts';
import { Store } from '../store.ts';
import { makeNode, makeService, makeTask } from '../testing.ts';
import { EtcdLog, type EtcdLogOptions } from './etcd-log.ts';

let etcd: TestEtcd;
let swarms = 0;

function openLog(prefix: string, options: Partial<EtcdLogOptions> = {}): EtcdLog {
  const store = { url: `etcd://${etcd.address}${prefix}` };
  return new EtcdLog(
    { id: 'manager1', store, bootstrap: false, ...options },
    { clock: realClock, log: silentLogger },
  );
}

describe('EtcdLog on a real etcd', () => {
  before(async function () {
    this.timeout(180_000);
    etcd = await TestEtcd.start();
  });
  after(() => etcd[Symbol.asyncDispose]());

  describeStoreLog('EtcdLog', () => {
    const prefix = `/swarm${++swarms}`;
    let bootstrap = true;
    return Promise.resolve({
      open({ maxPending }) {
        const log = openLog(prefix, {
          bootstrap,
          ...(maxPending === undefined ? {} : { maxProposals: maxPending }),
        });
        bootstrap = false;
        return log;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  });

  describe('a store on etcd', () => {
    let prefix: string;
    beforeEach(() => {
      prefix = `/swarm${++swarms}`;
    });

    const openStore = async (options: Partial<EtcdLogOptions> = {}) => {
      const log = openLog(prefix, options);
      const store = new Store(log);
      await store.open();
      return Object.assign(store, { log });
    };

    /** A second manager, let in by the first. */
    const joined = async (first: { log: EtcdLog }, id: string) => {
      const store = await openStore({ id });
      await first.log.changeMembership({
        steps: [{ op: 'add-voter', node: id }],
        transition: 'auto',
      });
      return store;
    };

    it('keeps each object under its own key, as JSON', async () => {
      await using store = await openStore({ bootstrap: true });
      const service = makeService('s1');
      await store.propose(
        [
          { op: 'put', table: 'service', object: service, base: 0 },
          { op: 'put', table: 'task', object: makeTask('t1', service), base: 0 },
        ],
        { atMs: 1 },
      );
      const text = await etcd.ctl('get', '--print-value-only', `${prefix}/objects/service/s1`);
      assert.deepEqual(JSON.parse(text), store.service('s1'));
      const { index: base } = store;
      await store.propose([{ op: 'delete', table: 'task', id: 't1', base }], { atMs: 2 });
      const keys = await etcd.ctl('get', '--prefix', '--keys-only', `${prefix}/objects/`);
      assert.equal(keys.trim(), `${prefix}/objects/service/s1`);
      assert.deepEqual(store.audit(), []);
    });

    it('is the same on every manager, and after a restart', async () => {
      const first = await openStore({ bootstrap: true });
      await using second = await joined(first, 'manager2');
      await Promise.all(Array.from({ length: 300 }, (_, i) => change(first, i)));
      await second.read();
      assert.equal(second.index, first.index);
      assert.equal(second.digest(), first.digest());
      await using third = await openStore({ id: 'manager3' });
      assert.equal(third.digest(), first.digest());
      assert.deepEqual(third.audit(), []);
      assert.equal(second.isLeader, false);
      await assert.rejects(change(second, 1), { code: 'unavailable' });
      await first[Symbol.asyncDispose]();
      await until('the second leads', () => second.isLeader);
      await change(second, 301);
      await third.read();
      assert.equal(third.digest(), second.digest());
    });

    it('takes changes larger than an etcd transaction, whole or not at all', async () => {
      await using first = await openStore({ bootstrap: true });
      await using second = await joined(first, 'manager2');
      const { spec: short, ...rest } = makeService('s1');
      const service = { ...rest, spec: { ...short, labels: { long: 'x'.repeat(3_000) } } };
      await first.propose([{ op: 'put', table: 'service', object: service, base: 0 }], { atMs: 1 });
      const tasks = Array.from({ length: 2_000 }, (_, i) => makeTask(`t${i}`, service));
      const wide = await first.propose(
        tasks.map((object) => ({ op: 'put', table: 'task', object, base: 0 })),
        { atMs: 2 },
      );
      assert.equal(wide.applied, true);
      await first.propose(
        tasks
          .slice(0, 150)
          .map(({ id }) => ({ op: 'delete', table: 'task', id, base: wide.index })),
        { atMs: 3 },
      );
      await second.read();
      assert.equal([...second.tasks()].length, 1_850);
      assert.equal(second.digest(), first.digest());
      await using third = await openStore({ id: 'manager3' });
      assert.equal(third.digest(), first.digest());
      const parts = await etcd.ctl('get', '--prefix', '--keys-only', `${prefix}/parts/`);
      assert.equal(parts, '', 'nothing is left lying about');
      const huge = makeNode('huge');
      const spec = { ...huge.spec, labels: { a: 'x'.repeat(1_500_000) } };
      await assert.rejects(
        first.propose([{ op: 'put', table: 'node', object: { ...huge, spec }, base: 0 }], {
          atMs: 4,
        }),
        { code: 'invalid-argument', message: /node huge is larger than etcd takes/ },
      );
      await change(first, 5);
    });

    it('hands the lead to the manager that is asked for', async () => {
      await using first = await openStore({ bootstrap: true });
      await using second = await joined(first, 'manager2');
      await using third = await joined(first, 'manager3');
      for (const [from, to] of [
        [first, third],
        [third, second],
        [second, first],
      ] as const) {
        const id = [first, second, third].indexOf(to) + 1;
        await until('all know of all', () =>
          [first, second, third].every(({ log }) =>
            ['manager1', 'manager2', 'manager3'].every((one) => log.progressOf(one).active),
          ),
        );
        await from.log.transferLeadership(`manager${id}`);
        await until(`manager ${id} leads`, () => to.isLeader);
        await change(to, id);
      }
      assert.equal(first.log.status?.leader, 'manager1');
      assert.deepEqual(second.log.status?.conf.voters, ['manager1', 'manager2', 'manager3']);
    });

    it('goes on when etcd comes back, and loses nothing that was acknowledged', async function () {
      this.timeout(180_000);
      await using first = await openStore({ bootstrap: true });
      await using second = await joined(first, 'manager2');
      const acknowledged = new Set<number>();
      const stop = new AbortController();
      const writing = Promise.all(
        Array.from({ length: 8 }, async (_, writer) => {
          for (let i = writer; !stop.signal.aborted; i += 8) {
            const leader = [first, second].find(({ isLeader }) => isLeader);
            try {
              if (leader === undefined) await realClock.sleep(20);
              else acknowledged.add((await change(leader, i)).index);
            } catch (error) {
              assert.equal((error as { code?: string }).code, 'unavailable', String(error));
            }
          }
        }),
      );
      for (const stopFor of [
        async () => {
          await etcd.kill();
          await etcd.run();
        },
        async () => {
          etcd.pause();
          await realClock.sleep(4_500);
          etcd.goOn();
        },
      ]) {
        const before = acknowledged.size;
        await until('writes are acknowledged', () => acknowledged.size > before + 50, {
          timeoutMs: 20_000,
        });
        await stopFor();
      }
      const before = acknowledged.size;
      await until('writes are acknowledged again', () => acknowledged.size > before + 50, {
        timeoutMs: 20_000,
      });
      stop.abort();
      await writing;
      await Promise.all([first.read(), second.read()]);
      await using third = await openStore({ id: 'manager3' });
      const versions = new Set([...third.nodes()].map(({ meta }) => meta.version));
      assert.deepEqual([...acknowledged.difference(versions)], []);
      assert.equal(first.digest(), third.digest());
      assert.equal(second.digest(), third.digest());
    });

    it('loads the state anew where history has been compacted away', async () => {
      await using first = await openStore({ bootstrap: true });
      await using second = await joined(first, 'manager2');
      await second.read();
      const log = openLog(prefix, { id: 'manager3' });
      for (let i = 0; i < 20; i++) await change(first, i);
      const status = JSON.parse(await etcd.ctl('endpoint', 'status', '-w', 'json')) as {
        Status: { header: { revision: number } };
      }[];
      await etcd.ctl('compact', String(status[0]?.Status.header.revision));
      await using third = new Store(log);
      await third.open();
      assert.equal(third.digest(), first.digest());
      await change(first, 21);
      await second.read();
      assert.equal(second.digest(), first.digest());
    });

    it('is not begun where a swarm is, and begins with what a backup holds', async () => {
      const first = await openStore({ bootstrap: true });
      await change(first, 1);
      const initial = { index: 1_000, snapshot: first.snapshot() };
      const digest = first.digest();
      await assert.rejects(openStore({ bootstrap: true }), {
        code: 'already-exists',
        message: /holds a swarm already: join that one, or put another prefix/,
      });
      await first[Symbol.asyncDispose]();
      prefix = `/swarm${++swarms}`;
      await using restored = await openStore({ bootstrap: true, initial });
      assert.equal(restored.digest(), digest);
      const { index } = await change(restored, 2);
      assert.equal(index, 1_001);
      await using other = await openStore({ id: 'manager2' });
      assert.equal(other.digest(), restored.digest());
    });

    it('goes on with one manager that was told that the others are lost', async () => {
      const first = await openStore({ bootstrap: true });
      const second = await joined(first, 'manager2');
      await change(first, 1);
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
      await using alone = await openStore({ id: 'manager2', forceNew: true });
      assert.equal(alone.isLeader, true);
      assert.deepEqual(alone.log.status?.conf.voters, ['manager2']);
      await change(alone, 2);
    });
  });

  describeKills(
    'EtcdLog',
    (url) => openLog(new URL(url).pathname),
    async () => {
      const prefix = `/swarm${++swarms}`;
      const log = openLog(prefix, { bootstrap: true });
      await using store = new Store(log);
      await store.open();
      return `etcd://${etcd.address}${prefix}`;
    },
  );
});

let serial = 0;

function change(store: Store, atMs: number) {
  const object = makeNode(`node${++serial}`);
  return store.propose([{ op: 'put', table: 'node', object, base: 0 }], { atMs });
}
