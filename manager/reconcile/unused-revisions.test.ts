import { strict as assert } from 'node:assert';
import { seededRandom } from '../../lib/random.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeFile, makeService, withSecrets } from '../store/testing.ts';
import { planPass } from './pass.ts';

describe('a pass', () => {
  it('removes the contents of secrets that nobody can go back to', async () => {
    const store = new Store(new MemoryLog());
    await store.open();
    const revision = (id: string, number: number): Change => {
      const { spec } = makeFile(id);
      const object = makeFile(id, { revision: number, spec: { ...spec, name: 'key' } });
      return { op: 'put', table: 'secret', object, base: 0 };
    };
    const service = withSecrets(makeService('web', { specVersion: 2 }), 'c');
    const before = withSecrets(makeService('web'), 'b').spec;
    const object = { ...service, previousSpec: before, previousSpecVersion: 1 };
    await store.propose(
      [
        revision('a', 1),
        revision('b', 2),
        revision('c', 3),
        { op: 'put', table: 'service', object, base: 0 },
      ],
      { atMs: 0 },
    );
    const env = { nowMs: 0, random: seededRandom(1) };
    const { changes } = planPass(store, { services: [], retryUnassigned: false }, env);
    assert.deepEqual(changes, [{ op: 'delete', table: 'secret', id: 'a', base: 1 }]);
  });
});
