import { strict as assert } from 'node:assert';
import type { Service } from '../../types/index.ts';
import { Store, type Change } from './index.ts';
import { MemoryLog } from './memory-log.ts';
import { makeFile, makeService, makeTask, withSecrets } from './testing.ts';

const put = (object: Service, base = 0): Change => ({ op: 'put', table: 'service', object, base });
const putSecret = (id: string, name = id, revision = 1): Change => {
  const { spec } = makeFile(id);
  const object = makeFile(id, { revision, spec: { ...spec, name } });
  return { op: 'put', table: 'secret', object, base: 0 };
};

describe('secrets in the store', () => {
  let store: Store;
  const propose = async (...changes: Change[]) => {
    const result = await store.propose(changes, { atMs: 0 });
    assert.deepEqual(store.audit(), []);
    return 'conflict' in result ? result.conflict : '';
  };

  beforeEach(async () => {
    store = new Store(new MemoryLog());
    await store.open();
  });

  it('have revisions, and each only once', async () => {
    assert.equal(await propose(putSecret('b', 'key', 2), putSecret('a', 'key', 1)), '');
    assert.deepEqual(
      store.revisions('secret', 'key').map(({ id }) => id),
      ['a', 'b'],
    );
    assert.deepEqual(store.revisions('config', 'key'), []);
    const taken = 'revision key 2 is in use by secret b';
    assert.equal(await propose(putSecret('c', 'key', 2)), taken);
  });

  it('stay while a service names them, and are there when one does', async () => {
    const service = withSecrets(makeService('web'), 'a');
    const gone = 'secret a, which service web is to have, does not exist';
    assert.equal(await propose(put(service)), gone);
    assert.equal(await propose(putSecret('a'), put(service)), '');
    const base = store.file('secret', 'a')?.meta.version ?? 0;
    const deletion: Change = { op: 'delete', table: 'secret', id: 'a', base };
    assert.equal(await propose(deletion), 'secret a is in use by service web');
    const at = store.service('web')?.meta.version ?? 0;
    assert.equal(
      await propose({ op: 'delete', table: 'service', id: 'web', base: at }, deletion),
      '',
    );
  });

  it('are used while a service may go back to them, or a task has not ended', async () => {
    const first = withSecrets(makeService('web'), 'a');
    await propose(putSecret('a'), put(first));
    const task = makeTask('t1', first, { specVersion: 1 });
    await propose({ op: 'put', table: 'task', object: task, base: 0 });
    const at = () => store.service('web')?.meta.version ?? 0;
    const plain = makeService('web', { specVersion: 2 });
    const second = { ...plain, previousSpec: first.spec, previousSpecVersion: 1 };
    await propose(put(second, at()));
    assert.deepEqual([...store.servicesOfFile('a')], []);
    assert.equal(store.isFileUsed('a'), true, 'by the spec before');
    await propose(put({ ...plain, specVersion: 3 }, at()));
    assert.equal(store.isFileUsed('a'), true, 'by a task');
    const status = { state: 'shutdown', atMs: 1, message: '' } as const;
    await propose({ op: 'task-status', id: 't1', status });
    assert.equal(store.isFileUsed('a'), false);
  });

  it('survive snapshots', async () => {
    await propose(putSecret('a'), put(withSecrets(makeService('web'), 'a')));
    const other = new Store(new MemoryLog());
    await other.open();
    other.restore(store.index, store.snapshot());
    assert.equal(other.digest(), store.digest());
    assert.deepEqual(other.audit(), []);
    assert.equal(other.revisions('secret', 'a').length, 1);
  });
});
