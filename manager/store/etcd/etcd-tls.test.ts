import { strict as assert } from 'node:assert';
import { realClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { TestEtcd } from '../../../test/contract/etcd.ts';
import { Store } from '../store.ts';
import { makeNode } from '../testing.ts';
import type { ExternalStore } from './address.ts';
import { EtcdLog } from './etcd-log.ts';

describe('an etcd that asks for certificates and a password', () => {
  it('is reached with both, and says what is wrong without', async function () {
    this.timeout(180_000);
    await using etcd = await TestEtcd.start({ tls: true });
    await etcd.ctl('user', 'add', 'root:secret');
    await etcd.ctl('user', 'grant-role', 'root', 'root');
    await etcd.ctl('auth', 'enable');
    const [caPem, certPem, keyPem] = await Promise.all(
      ['ca.crt', 'node.crt', 'node.key'].map((name) => etcd.pem(name)),
    );
    assert.ok(caPem !== undefined && certPem !== undefined && keyPem !== undefined);
    const open = async (store: ExternalStore, bootstrap = true) => {
      const log = new EtcdLog(
        { id: 'manager1', store, bootstrap },
        { clock: realClock, log: silentLogger },
      );
      const opened = new Store(log);
      try {
        await opened.open();
        return opened;
      } catch (error) {
        await opened[Symbol.asyncDispose]();
        throw error;
      }
    };
    const url = `etcd://root:secret@${etcd.address}/tls`;
    await using store = await open({ url, caPem, certPem, keyPem });
    const object = makeNode('n1');
    await store.propose([{ op: 'put', table: 'node', object, base: 0 }], { atMs: 1 });
    await using other = await open({ url, caPem, certPem, keyPem }, false);
    assert.equal(other.digest(), store.digest());

    const wrong = `etcd://root:guess@${etcd.address}/tls`;
    await assert.rejects(open({ url: wrong, caPem, certPem, keyPem }), (error: Error) => {
      assert.match(error.message, /^the store at etcd:\/\/root:…@.* does not answer: .*password/);
      return true;
    });
    await assert.rejects(open({ url, caPem }), { code: 'unavailable' });
  });
});
