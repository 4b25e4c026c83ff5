import { strict as assert } from 'node:assert';
import { SwarmError } from '../../lib/errors.ts';
import type { ClusterVolumeSpec, VolumeSpec } from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask, makeVolume } from '../store/testing.ts';
import { planChangedVolume, planNewVolume, planRemovedVolume } from './volume-commands.ts';

const good = makeVolume('v').spec;
const cluster = (change: Partial<ClusterVolumeSpec>): VolumeSpec => ({
  ...good,
  cluster: { ...good.cluster, ...change },
});
const mode = (change: object) => {
  const accessMode = { scope: 'single', sharing: 'none', mountVolume: {}, ...change } as const;
  return cluster({ accessMode });
};

async function storeOf(...changes: Change[]): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  if (changes.length > 0) await store.propose(changes, { atMs: 0 });
  return store;
}

const said = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof SwarmError);
    return `${error.code}: ${error.message}`;
  }
  return 'nothing';
};

describe('commands on cluster volumes', () => {
  const refusals: readonly (readonly [string, VolumeSpec, RegExp])[] = [
    ['a bad name', { ...good, name: '../x' }, /"\.\.\/x" is no name for a cluster volume/],
    ['no driver', { ...good, driver: {} }, /needs a CSI driver/],
    ['the driver local', { ...good, driver: { name: 'local' } }, /needs a CSI driver/],
    ['no access mode', { ...good, cluster: { availability: 'active' } }, /AccessMode must be/],
    ['no access type', mode({ mountVolume: undefined }), /either Mount or Block access type/],
    ['both access types', mode({ blockVolume: {} }), /either Mount or Block access type/],
    ['many nodes that do not share', mode({ scope: 'multi' }), /is there to be shared/],
    [
      'less than nothing',
      cluster({ capacityRange: { requiredBytes: -1, limitBytes: 0 } }),
      /negative/,
    ],
    [
      'more than the limit',
      cluster({ capacityRange: { requiredBytes: 2, limitBytes: 1 } }),
      /at most 1/,
    ],
    ['an unknown secret', cluster({ secrets: [{ key: 'k', secret: 's' }] }), /secret s not found/],
    [
      'a topology without a value',
      cluster({ accessibilityRequirements: { requisite: [{ segments: { zone: '' } }] } }),
      /lacks a word/,
    ],
  ];
  for (const [name, spec, reason] of refusals) {
    it(`refuse ${name}`, async () => {
      const store = await storeOf();
      assert.match(
        said(() => planNewVolume(store, { id: 'i', spec, nowMs: 0 })),
        reason,
      );
    });
  }

  it('change the availability, and nothing else', async () => {
    const store = await storeOf({ op: 'put', table: 'volume', object: makeVolume('v'), base: 0 });
    const { version } = store.volume('v')!.meta;
    const change = (spec: ClusterVolumeSpec, at = version) =>
      planChangedVolume(store, { id: 'v', version: at, spec });
    assert.match(
      said(() => change(good.cluster, 0)),
      /update out of sequence/,
    );
    assert.match(
      said(() => change(cluster({ group: 'g' }).cluster)),
      /Group cannot be updated/,
    );
    assert.deepEqual(change(good.cluster), []);
    await store.propose(change(cluster({ availability: 'drain' }).cluster), { atMs: 1 });
    assert.equal(store.volume('v')?.spec.cluster.availability, 'drain');
  });

  it('remove what nobody uses', async () => {
    const service = makeService('web');
    const mounts = [{ type: 'cluster' as const, source: 'v', target: '/v' }];
    const using = {
      ...service,
      spec: { ...service.spec, task: { ...service.spec.task, container: { image: 'i', mounts } } },
    };
    const volumes = [{ id: 'v', source: 'v', target: '/v', isWriter: true }];
    const store = await storeOf(
      { op: 'put', table: 'node', object: makeNode('a'), base: 0 },
      { op: 'put', table: 'service', object: using, base: 0 },
      { op: 'put', table: 'volume', object: makeVolume('v'), base: 0 },
      { op: 'put', table: 'volume', object: makeVolume('w'), base: 0 },
      { op: 'put', table: 'task', object: makeTask('t', using, { nodeId: 'a', volumes }), base: 0 },
    );
    const remove = (id: string, force: boolean) => planRemovedVolume(store, { id, force });
    const inUse = /failed-precondition: remove v: volume is in use by the service web/;
    for (const force of [true, false])
      assert.match(
        said(() => remove('v', force)),
        inUse,
      );
    const status = { state: 'complete', atMs: 0, message: '' } as const;
    await store.propose([{ op: 'task-status', id: 't', status }], { atMs: 0 });
    assert.match(
      said(() => remove('v', false)),
      inUse,
    );
    await store.propose(remove('v', true), { atMs: 0 });
    assert.deepEqual([store.volume('v')?.isRemoved, store.volume('v')?.isForced], [true, true]);
    assert.equal(remove('v', true)[0]?.op, 'delete');
    await store.propose(remove('w', false), { atMs: 0 });
    assert.equal(store.volume('w')?.isRemoved, true);
    assert.deepEqual(remove('w', false), []);
  });
});
