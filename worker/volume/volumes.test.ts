import { strict as assert } from 'node:assert';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import type { Mount } from '../../types/index.ts';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { FakeContent, testVolumes } from './testing.ts';
import type { VolumeDriver } from './volume.ts';
import type { Volumes, VolumeUser } from './volumes.ts';

const image = { name: 'web:1', chainId: 'chain' };
const noOptions = { driver: '', labels: null, options: null };

describe('volumes', () => {
  let folder: string;
  let content: FakeContent;
  let calls: string[];
  let unmountError: Error | undefined;
  let users: VolumeUser[];
  let volumes: Volumes;
  let events: string[];

  const far: VolumeDriver = {
    name: 'far',
    scope: 'global',
    create: async ({ name }) => void calls.push(`create ${name}`),
    remove: async ({ name }) => void calls.push(`remove ${name}`),
    mount: async ({ name }, id) => {
      calls.push(`mount ${name} ${id}`);
      return folder;
    },
    unmount: async ({ name }, id, isLast) => {
      if (unmountError !== undefined) throw unmountError;
      calls.push(`unmount ${name} ${id} ${isLast}`);
    },
    path: () => '',
  };
  const open = () => {
    volumes = testVolumes({
      folder: join(folder, 'volumes'),
      recordsFolder: join(folder, 'records'),
      clock: new VirtualClock(),
      random: seededRandom(1),
      content,
      drivers: [far],
    });
    volumes.attach({ users: () => users, shownId: (id) => `shown ${id}` });
    volumes.events.listen(({ action, id, attributes }) =>
      events.push([action, id, ...Object.values(attributes)].join(' ')),
    );
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-volumes-'));
    content = new FakeContent();
    [calls, users, events] = [[], [], []];
    open();
  });
  afterEach(() => {
    volumes[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  const create = (name: string, more: object = {}) =>
    volumes.create({ name, ...noOptions, ...more });

  it('are folders, kept over a restart, and removed with what is in them', async () => {
    const { mountpoint } = await create('data', { labels: { tier: 'db' } });
    assert.equal(mountpoint, join(folder, 'volumes/data/_data'));
    writeFileSync(join(mountpoint, 'file'), 'x'.repeat(100));
    volumes[Symbol.dispose]();
    open();
    assert.deepEqual(volumes.get('data').labels, { tier: 'db' });
    assert.equal(await volumes.sizeOf(volumes.get('data')), 100);
    assert.deepEqual(await create('data'), volumes.get('data'));
    await volumes.remove('data', { force: false });
    assert.ok(!existsSync(join(folder, 'volumes/data')));
    assert.throws(() => volumes.get('data'), isErrorCode('not-found', /get data: no such volume/));
    await assert.rejects(volumes.remove('data', { force: false }), isErrorCode('not-found'));
    await volumes.remove('data', { force: true });
    assert.deepEqual(events, ['create data local', 'destroy data local']);
  });

  const refused: [string, object, Parameters<typeof isErrorCode>][] = [
    ['x', {}, ['invalid-argument', /create x: volume name is too short/]],
    ['a/b', {}, ['invalid-argument', /"a\/b" includes invalid characters/]],
    ['..', {}, ['invalid-argument', /includes invalid characters/]],
    ['data', { options: { foo: '1' } }, ['invalid-argument', /invalid option: "foo"/]],
    ['data', { options: { type: 'nfs' } }, ['invalid-argument', /missing required option: "dev/]],
    ['data', { options: { o: 'ro', device: '/x' } }, ['invalid-argument', /option: "type"/]],
    ['data', { options: { size: '1g' } }, ['invalid-argument', /no quota support/]],
    ['data', { driver: 'nosuch' }, ['not-found', /volume plugin nosuch: plugin "nosuch" not fo/]],
    ['taken', { driver: 'far' }, ['aborted', /driver 'local' already has volume 'taken'/]],
  ];
  for (const [name, more, [code, says]] of refused) {
    it(`refuses ${name} ${JSON.stringify(more)}`, async () => {
      await create('taken');
      await assert.rejects(create(name, more), isErrorCode(code, says));
      assert.deepEqual(
        volumes.list().map((one) => one.name),
        ['taken'],
      );
    });
  }

  it('are not removed while a container has them', async () => {
    await create('data');
    users.push({ id: 'abc', mounts: [{ type: 'volume', source: 'data', target: '/x' }] });
    const inUse = isErrorCode('aborted', /remove data: volume is in use - \[abc\]/);
    await assert.rejects(volumes.remove('data', { force: true }), inUse);
    assert.deepEqual((await volumes.prune(() => true)).names, []);
    users = [];
    await create('kept');
    const { names } = await volumes.prune(({ name }) => name !== 'kept');
    assert.deepEqual(names, ['data']);
    assert.equal(events.at(-1), 'prune  0');
  });

  const mounts: readonly Mount[] = [
    { type: 'volume', source: 'data', target: '/data' },
    { type: 'volume', target: '/own' },
    { type: 'volume', source: 'raw', target: '/raw', volumeOptions: { noCopy: true } },
    { type: 'bind', source: '/etc', target: '/etc' },
  ];

  it('are made for containers, filled once, and go with them if nobody named them', async () => {
    const provided = await volumes.provide('c1', mounts);
    const own = provided[1]?.source ?? '';
    assert.match(own, /^[0-9a-f]{64}$/);
    assert.deepEqual(await volumes.provide('c1', mounts), provided);
    const connected = await volumes.connect({ containerId: 'c1', mounts: provided, image });
    const path = (name: string) => join(folder, 'volumes', name, '_data');
    assert.deepEqual(connected, [
      { type: 'bind', source: path('data'), target: '/data' },
      { type: 'bind', source: path(own), target: '/own' },
      { type: 'bind', source: path('raw'), target: '/raw' },
      mounts[3],
    ]);
    assert.deepEqual(content.copies, [`/data ${path('data')}`, `/own ${path(own)}`]);
    writeFileSync(join(path('data'), 'file'), '');
    await volumes.connect({ containerId: 'c2', mounts: [mounts[0]!], image });
    assert.equal(content.copies.length, 2);
    await volumes.disconnect('c1');
    await volumes.disconnect('c1');
    assert.deepEqual(
      events.filter((line) => line.startsWith('unmount')),
      ['data', own, 'raw'].map((name) => `unmount ${name} shown c1 local`),
    );
    await volumes.removeOwnedBy('c1');
    assert.deepEqual(
      volumes.list().map(({ name }) => name),
      ['data', 'raw'],
    );
  });

  it('tells a driver of each container, and which is the last', async () => {
    await create('v1', { driver: 'far' });
    const mount: Mount = { type: 'volume', source: 'v1', target: '/x' };
    writeFileSync(join(folder, 'not empty'), '');
    for (const containerId of ['a', 'b']) {
      await volumes.connect({ containerId, mounts: [mount], image });
    }
    await volumes.disconnect('a');
    await volumes.disconnect('b');
    await volumes.remove('v1', { force: false });
    assert.deepEqual(calls, [
      'create v1',
      'mount v1 a',
      'mount v1 b',
      'unmount v1 a false',
      'unmount v1 b true',
      'remove v1',
    ]);
  });

  it('let a container go whose driver fails', async () => {
    await create('v1', { driver: 'far' });
    writeFileSync(join(folder, 'not empty'), '');
    const mount: Mount = { type: 'volume', source: 'v1', target: '/x' };
    await volumes.connect({ containerId: 'a', mounts: [mount], image });
    unmountError = new Error('out of order');
    await volumes.disconnect('a');
    unmountError = undefined;
    await volumes.disconnect('a');
    assert.deepEqual(calls, ['create v1', 'mount v1 a']);
    assert.equal(events.at(-1), 'unmount v1 shown a far');
  });

  it('lets go of what it has mounted when another volume fails', async () => {
    await create('v1', { driver: 'far' });
    writeFileSync(join(folder, 'not empty'), '');
    const both: Mount[] = ['v1', 'gone'].map((source) => ({
      type: 'volume',
      source,
      target: `/${source}`,
    }));
    await assert.rejects(
      volumes.connect({ containerId: 'a', mounts: both, image }),
      isErrorCode('not-found', /get gone: no such volume/),
    );
    assert.deepEqual(calls, ['create v1', 'mount v1 a', 'unmount v1 a true']);
  });

  it('have folders that only root can look into from above', async () => {
    const { mountpoint } = await create('data');
    assert.equal(statSync(join(mountpoint, '..')).mode & 0o777, 0o701);
    assert.equal(statSync(mountpoint).mode & 0o777, 0o755);
  });
});
