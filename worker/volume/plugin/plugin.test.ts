import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { silentLogger } from '../../../lib/log.ts';
import { isErrorCode } from '../../runtime/testing/errors.ts';
import { addressOf, parseSpec, pluginNames, type PluginFolders } from './address.ts';
import { callPlugin } from './client.ts';
import { PluginDrivers } from './plugin-drivers.ts';

const record = { name: 'v1', driver: 'far', labels: null, options: { a: 'b' }, createdAtMs: 0 };

describe('volume plugins', () => {
  let folder: string;
  let folders: PluginFolders;
  let servers: Server[];
  /** "Method body". */
  let asked: string[];
  let answers: Record<string, unknown>;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-plugins-'));
    folders = { sockets: join(folder, 'run'), specs: [join(folder, 'etc'), join(folder, 'usr')] };
    for (const path of [folders.sockets, ...folders.specs]) mkdirSync(path);
    [servers, asked] = [[], []];
    answers = {
      'Plugin.Activate': { Implements: ['VolumeDriver'] },
      'VolumeDriver.Capabilities': { Capabilities: { Scope: 'GLOBAL' } },
      'VolumeDriver.Get': { Err: 'none' },
      'VolumeDriver.Mount': { Mountpoint: '/mnt/v1' },
      'VolumeDriver.List': { Volumes: [{ Name: 'v1', Mountpoint: '/mnt/v1' }, 5, { Name: '' }] },
    };
  });
  afterEach(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    rmSync(folder, { recursive: true });
  });

  const serve = async (path: string) => {
    const server = createServer((request, response) => {
      void (async () => {
        const method = (request.url ?? '').slice(1);
        asked.push(`${method} ${await text(request)}`);
        const answer = method in answers ? answers[method] : {};
        if (answer === 'silence') return;
        response.statusCode = typeof answer === 'string' ? 500 : 200;
        response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
      })();
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    servers.push(server);
  };
  const drivers = () => new PluginDrivers([], folders, silentLogger);

  it('are found by their sockets and by files that name them', async () => {
    await serve(join(folders.sockets, 'one.sock'));
    mkdirSync(join(folders.sockets, 'two'));
    await serve(join(folders.sockets, 'two', 'two.sock'));
    writeFileSync(join(folders.specs[0]!, 'three.spec'), 'tcp://[::1]:99\n');
    writeFileSync(join(folders.specs[1]!, 'four.json'), '{"Name":"four","Addr":"unix:///x.sock"}');
    writeFileSync(join(folders.sockets, 'no.sock'), '');
    assert.deepEqual(await pluginNames(folders), ['four', 'one', 'three', 'two']);
    assert.deepEqual(await addressOf('two', folders), {
      socketPath: join(folders.sockets, 'two/two.sock'),
    });
    assert.deepEqual(await addressOf('three', folders), { host: '::1', port: 99 });
    assert.deepEqual(await addressOf('four', folders), { socketPath: '/x.sock' });
    for (const name of ['no', 'five', '../one', '']) {
      assert.equal(await addressOf(name, folders), undefined, name);
    }
  });

  for (const [given, kind, says] of [
    ['here', 'spec', /names "here": give a plugin's address as/],
    ['{', 'json', /is not JSON/],
    ['{"Addr":5}', 'json', /has no "Addr"/],
    ['{"Addr":"unix:///x","TLSConfig":{}}', 'json', /asks for TLS/],
  ] as const) {
    it(`refuses the ${kind} ${given}`, () =>
      assert.throws(() => parseSpec(given, kind, '/p'), isErrorCode('invalid-argument', says)));
  }

  it('drive volumes, after a handshake', async () => {
    await serve(join(folders.sockets, 'far.sock'));
    const all = drivers();
    let changes = 0;
    all.onChange = () => changes++;
    await all.refresh();
    await all.refresh();
    assert.deepEqual([all.names(), changes], [['far'], 1]);
    asked = [];
    const far = await all.get('far');
    assert.equal(far.scope, 'global');
    await far.create(record);
    assert.equal(far.path(record), '');
    assert.equal(await far.mount(record, 'c1'), '/mnt/v1');
    assert.equal(far.path(record), '/mnt/v1');
    await far.unmount(record, 'c1', true);
    await far.remove(record);
    assert.deepEqual(asked, [
      'VolumeDriver.Get {"Name":"v1"}',
      'VolumeDriver.Create {"Name":"v1","Opts":{"a":"b"}}',
      'VolumeDriver.Mount {"Name":"v1","ID":"c1"}',
      'VolumeDriver.Unmount {"Name":"v1","ID":"c1"}',
      'VolumeDriver.Remove {"Name":"v1"}',
    ]);
    const listed = await all.plugins()[0]?.list();
    assert.deepEqual(listed, [{ name: 'v1', mountpoint: '/mnt/v1' }]);
    servers[0]?.close();
    await all.refresh();
    assert.deepEqual([all.names(), changes], [[], 2]);
    await assert.rejects(all.get('far'), isErrorCode('not-found', /plugin "far" not found/));
  });

  it('that drive something else, or nothing, are none', async () => {
    answers['Plugin.Activate'] = { Implements: ['NetworkDriver'] };
    await serve(join(folders.sockets, 'far.sock'));
    writeFileSync(join(folders.specs[0]!, 'broken.spec'), 'nonsense');
    const all = drivers();
    await all.refresh();
    assert.deepEqual(all.names(), []);
    await assert.rejects(
      all.get('far'),
      isErrorCode('not-found', /error looking up volume plugin far: plugin "far" not found/),
    );
    await assert.rejects(all.get('broken'), isErrorCode('invalid-argument', /nonsense/));
  });

  const failures: [unknown, RegExp][] = [
    [{ Err: 'disk on fire' }, /^disk on fire$/],
    ['{"Err":"broken"}', /^VolumeDriver.Mount: broken$/],
    ['out of order', /^VolumeDriver.Mount: out of order$/],
    [{}, /tells no path where v1 is mounted/],
    [{ Mountpoint: 'here' }, /tells no path/],
  ];
  for (const [answer, says] of failures) {
    it(`tell what went wrong: ${JSON.stringify(answer)}`, async () => {
      await serve(join(folders.sockets, 'far.sock'));
      const far = await drivers().get('far');
      answers['VolumeDriver.Mount'] = answer;
      await assert.rejects(far.mount(record, 'c1'), isErrorCode('failed-precondition', says));
    });
  }

  it('that do not answer are not waited for', async () => {
    answers['X'] = 'silence';
    const socketPath = join(folders.sockets, 'far.sock');
    await serve(socketPath);
    await assert.rejects(
      callPlugin({ socketPath }, 'X', {}, { timeoutMs: 20 }),
      isErrorCode('unavailable', /^X: no answer within 0.02 s$/),
    );
  });
});
