import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { containerDocument, createExtras } from '../../types/index.ts';
import { FakeImages } from '../executor/testing/fakes.ts';
import type { Images } from '../image/images.ts';
import { FakeRuntime } from '../runtime/fake-runtime.ts';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { testContainers, type TestContainers } from './testing.ts';

describe('links on the network bridge', () => {
  let clock: VirtualClock;
  let runtime: FakeRuntime;
  let made: TestContainers;
  let recordsFolder: string;
  const envs = new Map<string, readonly string[]>();

  const keepEnv: FakeRuntime['program'] = ({ id, env }) => {
    envs.set(id, env);
    return {};
  };
  const open = async () => {
    const images = new FakeImages() as unknown as Images;
    const random = seededRandom(clock.nowMs());
    made = testContainers({ clock, random, images, runtime, recordsFolder });
    await made.manager.open();
  };

  beforeEach(async () => {
    recordsFolder = mkdtempSync(join(tmpdir(), 'ts-swarm-records-'));
    clock = new VirtualClock();
    runtime = new FakeRuntime({ clock });
    runtime.program = keepEnv;
    await open();
  });
  afterEach(async () => {
    await made.manager[Symbol.asyncDispose]();
    rmSync(recordsFolder, { recursive: true });
    rmSync(made.dataRoot, { recursive: true, force: true });
  });

  const create = async (name: string, host: object = {}, config: object = {}) => {
    const { id } = await made.manager.create({
      name,
      platform: '',
      config: containerDocument.decode({ Image: 'web', ...config }, ''),
      extras: createExtras.decode({ HostConfig: host }, ''),
    });
    return id;
  };
  const own = async (name: string) => {
    const { own: container } = await made.manager.find(name);
    assert.ok(container !== undefined);
    return container;
  };
  const start = async (name: string) => (await own(name)).start();
  const viewOf = async (name: string) => (await made.manager.find(name)).view;
  const hostsOf = async (name: string) => {
    const path = (await viewOf(name)).files['/etc/hosts'] ?? '';
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('172.'))
      .map((line) => line.replace('\t', ' '));
  };
  const linked = async () => {
    await create('db', {}, { Hostname: 'dbhost', Env: ['A=b'], ExposedPorts: { '80/tcp': {} } });
    await start('db');
    await create('web', { Links: ['db:data', 'db'] }, { Hostname: 'webhost' });
    await start('web');
  };

  it('are names and variables of what runs, and shown', async () => {
    await linked();
    const { record, links } = await viewOf('web');
    assert.deepEqual(links, ['/db:/web/data', '/db:/web/db']);
    assert.equal(record.host.links, null);
    assert.deepEqual(await hostsOf('web'), [
      '172.18.0.2 data dbhost db',
      '172.18.0.2 db dbhost',
      '172.18.0.3 webhost',
    ]);
    const env = envs.get(record.id) ?? [];
    assert.ok(env.includes('DATA_PORT=tcp://172.18.0.2:80'), env.join(' '));
    assert.ok(env.includes('DB_ENV_A=b') && env.includes('DATA_NAME=/web/data'), env.join(' '));
    const target = await viewOf('web/data');
    assert.equal(target.record.name, 'db');
    assert.deepEqual(target.otherNames, ['web/data', 'web/db']);
  });

  it('follow the other to its next address, and to its next name', async () => {
    await linked();
    await (await own('db')).stop();
    await start('db');
    assert.deepEqual((await hostsOf('web')).slice(0, 2), [
      '172.18.0.4 data dbhost db',
      '172.18.0.4 db dbhost',
    ]);
    await made.manager.rename(await made.manager.find('db'), 'base');
    assert.deepEqual((await viewOf('web')).links, ['/base:/web/data', '/base:/web/db']);
  });

  it('are refused where they would lead nowhere', async () => {
    await create('alone', { NetworkMode: 'none' });
    await create('hosty', { NetworkMode: 'host' });
    await create('db');
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ Links: ['nosuch:x'] }, /^could not get container for nosuch: No such container: nosuch$/],
      [{ Links: [':'] }, /^could not get container for : invalid name or ID supplied: ""$/],
      [{ Links: ['a:b:c'] }, /^bad format for links: a:b:c$/],
      [{ Links: ['hosty:x'] }, /^conflicting options: host type networking can't be used with/],
      [{ Links: ['db:x'], NetworkMode: 'host' }, /^conflicting options: host type networking/],
      [
        { Links: ['db:x'], NetworkMode: 'container:db' },
        /^conflicting options: container type network can't be used with links/,
      ],
    ];
    for (const [host, says] of cases) {
      await assert.rejects(create('web', host), isErrorCode('invalid-argument', says));
    }
    await create('web', { Links: ['db:x'] });
    const stopped = /^Cannot link to a non running container: \/db AS \/web\/x$/;
    await assert.rejects(start('web'), isErrorCode('internal', stopped));
    await create('other', { Links: ['alone:x'] });
    const elsewhere = /^Cannot link to \/alone, as it does not belong to the default network$/;
    await assert.rejects(start('other'), isErrorCode('internal', elsewhere));
    assert.equal((await viewOf('web')).state.status, 'created');
  });

  it('are taken away by their names', async () => {
    await linked();
    const { links } = made.manager;
    await links.remove('web/data');
    assert.deepEqual((await viewOf('web')).links, ['/db:/web/db']);
    assert.deepEqual(await hostsOf('web'), ['172.18.0.2 db dbhost', '172.18.0.3 webhost']);
    await assert.rejects(made.manager.find('web/data'), isErrorCode('not-found'));
    await assert.rejects(
      links.remove('db'),
      isErrorCode('internal', /^Conflict, cannot remove the default link name of the container$/),
    );
  });

  it('are known to the next daemon, and lead to where the other is by then', async () => {
    const policy = { RestartPolicy: { Name: 'always' } };
    await create('filler');
    await start('filler');
    await create('db', policy);
    await start('db');
    const webId = await create('web', { ...policy, Links: ['db'] });
    await start('web');
    await made.manager[Symbol.asyncDispose]();
    // As after a reboot: nothing runs.
    runtime = new FakeRuntime({ clock });
    runtime.program = keepEnv;
    await open();
    const turnsMax = 2_000_000;
    const isUp = async (name: string) => (await viewOf(name)).state.status === 'running';
    for (let turn = 0; turn < turnsMax && !(await isUp('web')); turn++) {
      clock.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(await isUp('web'));
    const address = (await viewOf('db')).networks[0]?.addresses[0]?.split('/')[0] ?? '';
    assert.match(address, /^172\./);
    assert.equal((await hostsOf('web'))[0]?.split(' ')[0], address);
    assert.ok(envs.get(webId)?.includes('DB_NAME=/web/db'));
  });
});
