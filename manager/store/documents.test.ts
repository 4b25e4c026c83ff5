import { strict as assert } from 'node:assert';
import type { Change } from './change.ts';
import { encodeEntry } from './entry-codec.ts';
import { MemoryLog } from './memory-log.ts';
import { SpecPool } from './spec-pool.ts';
import { Store } from './store.ts';
import { makeNetwork, makeNode, makeService, makeTask } from './testing.ts';

async function openStore(): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  return store;
}

const put = (table: 'network' | 'node' | 'service' | 'task', object: object, base = 0): Change =>
  ({ op: 'put', table, object, base }) as Change;

describe('the state as documents', () => {
  const made = makeService('s1');
  const task = { ...made.spec.task, networks: [{ target: 'w1' }] };
  const service = { ...made, spec: { ...made.spec, task } };
  const begin = [
    put('service', service),
    put('task', makeTask('t1', service)),
    put('node', makeNode('n1')),
    put('network', makeNetwork('w1')),
  ];

  it('is previewed as applying makes it, and left as it was', async () => {
    await using store = await openStore();
    await store.propose(begin, { atMs: 1 });
    const before = { digest: store.digest(), index: store.index };
    const steps: readonly (readonly Change[])[] = [
      [put('node', makeNode('n2')), { op: 'task-desire', id: 't1', desiredState: 'shutdown' }],
      [{ op: 'delete', table: 'node', id: 'n1', base: before.index }],
      [put('service', { ...service, specVersion: 2 }, 99)],
      [{ op: 'task-desire', id: 't1', desiredState: 'remove' }],
      [{ op: 'delete', table: 'node', id: 'n2', base: before.index + 1 }],
    ];
    const entries = steps.map((changes) => encodeEntry({ changes, atMs: 2 }, new SpecPool()));
    const previewed = store.preview(before.index + 1, entries);
    assert.deepEqual({ digest: store.digest(), index: store.index }, before);
    assert.deepEqual(store.audit(), []);
    assert.deepEqual([...previewed.keys()].toSorted(), ['node/n1', 'node/n2', 'task/t1']);
    const documents = new Map(store.documents());
    for (const [key, text] of previewed) {
      if (text === undefined) documents.delete(key);
      else documents.set(key, text);
    }
    for (const [i, entry] of entries.entries()) store.apply(before.index + 1 + i, entry);
    assert.deepEqual(new Map(store.documents()), documents);
  });

  it('is whole again, with specs shared, when it is made of them', async () => {
    await using store = await openStore();
    await store.propose(begin, { atMs: 1 });
    await using other = await openStore();
    const shuffled = [...store.documents()].toReversed();
    other.restore(store.index, other.snapshotOf(shuffled));
    assert.equal(other.digest(), store.digest());
    assert.equal(other.task('t1')?.spec, other.service('s1')?.spec.task);
    assert.throws(() => other.snapshotOf([['nothing/x', '{}']]), { message: /of no known table/ });
  });
});
