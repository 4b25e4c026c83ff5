import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../lib/log.ts';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { parseCdi } from './cdi.ts';
import { NodeDevices } from './node-devices.ts';
import { parseResources, resourceEnv } from './resources.ts';

const gpus = {
  cdiVersion: '0.6.0',
  kind: 'example.com/gpu',
  containerEdits: {
    env: ['GPUS=yes'],
    mounts: [{ hostPath: '/usr/lib', containerPath: '/opt/gpu', options: ['ro', 'bind'] }],
    hooks: [{ hookName: 'createContainer', path: '/bin/hook', args: ['hook', 'x'], timeout: 5 }],
  },
  devices: [
    {
      name: '0',
      containerEdits: {
        deviceNodes: [{ path: '/dev/gpu0', hostPath: '/dev/full', permissions: 'rw', gid: 44 }],
        additionalGids: [44],
      },
    },
    { name: '1', containerEdits: { deviceNodes: [{ path: '/dev/gpu1' }] } },
    { name: 'all', containerEdits: {} },
  ],
};

describe('devices', () => {
  it('are described by their vendors', () => {
    const { kind, devices } = parseCdi(JSON.stringify(gpus));
    assert.equal(kind, 'example.com/gpu');
    assert.deepEqual(devices.get('0'), {
      devices: [
        { pathOnHost: '/dev/full', pathInContainer: '/dev/gpu0', permissions: 'rw', gid: 44 },
      ],
      env: ['GPUS=yes'],
      mounts: [{ type: 'bind', source: '/usr/lib', target: '/opt/gpu', readOnly: true }],
      hooks: [{ hookName: 'createContainer', path: '/bin/hook', args: ['hook', 'x'], timeout: 5 }],
      groups: ['44'],
    });
    const yaml = 'kind: a.b/c\ndevices:\n- name: x\n  containerEdits:\n    env: [A=b]\n';
    assert.deepEqual(parseCdi(yaml).devices.get('x')?.env, ['A=b']);
  });

  const edits = (containerEdits: object) => ({ ...gpus, containerEdits });
  const wrong: [object | string, RegExp][] = [
    ['[', /neither JSON nor YAML/],
    ['5', /the file is not an object/],
    [{ ...gpus, kind: 'gpu' }, /kind "gpu" is not VENDOR\/CLASS/],
    [{ ...gpus, devices: [{ name: '../x' }] }, /is no name of a device/],
    [edits({ intelRdt: {} }), /containerEdits.intelRdt is not supported/],
    [edits({ deviceNodes: [{ path: 'dev' }] }), /"dev", is not an absolute path/],
    [edits({ hooks: [{ hookName: 'later', path: '/x' }] }), /no hooks named later/],
    [edits({ env: [5] }), /containerEdits.env is not a text/],
  ];
  for (const [given, says] of wrong) {
    const text = typeof given === 'string' ? given : JSON.stringify(given);
    it(`are not taken from ${text.slice(0, 60)} (${says.source})`, () =>
      assert.throws(() => parseCdi(text), isErrorCode('invalid-argument', says)));
  }

  it('are offered, and given with all that they need', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ts-swarm-cdi-'));
    const folders = ['etc', 'run', 'none'].map((name) => join(folder, name));
    for (const path of folders.slice(0, 2)) mkdirSync(path);
    try {
      const own = parseResources(['disk=5', 'fpga=left']);
      const devices = new NodeDevices({ own, cdiFolders: folders }, silentLogger);
      let changes = 0;
      devices.onChange = () => changes++;
      await devices.refresh();
      assert.deepEqual(devices.resources(), own);
      writeFileSync(join(folders[0]!, 'gpu.json'), JSON.stringify(gpus));
      writeFileSync(join(folders[1]!, 'broken.json'), '{');
      await devices.refresh();
      await devices.refresh();
      const named = (value: string) => ({ named: { kind: 'example.com/gpu', value } });
      assert.deepEqual(devices.resources(), [...own, named('0'), named('1')]);
      assert.equal(changes, 2);
      const given = devices.given([named('1'), { discrete: { kind: 'disk', value: 2 } }]);
      assert.deepEqual(given.env, [
        'DOCKER_RESOURCE_EXAMPLE_COM_GPU=1',
        'DOCKER_RESOURCE_DISK=2',
        'GPUS=yes',
      ]);
      assert.deepEqual(
        given.devices.map(({ pathInContainer }) => pathInContainer),
        ['/dev/gpu1'],
      );
      const gone = isErrorCode('failed-precondition', /example.com\/gpu=7 is not on this node/);
      assert.throws(() => devices.given([named('7')]), gone);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('go by one name each, however many they have', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ts-swarm-cdi-'));
    try {
      const device = (name: string, path: string) => ({
        name,
        containerEdits: { deviceNodes: [{ path }], env: [`DEVICE=${name}`] },
      });
      const common = { deviceNodes: [{ path: '/dev/control' }] };
      const spec = {
        ...gpus,
        containerEdits: common,
        devices: [
          device('GPU-b', '/dev/gpu1'),
          device('GPU-a', '/dev/gpu0'),
          device('1', '/dev/gpu1'),
          device('0', '/dev/gpu0'),
          device('GPU-c', '/dev/gpu2'),
          { name: 'all', containerEdits: {} },
        ],
      };
      const path = join(folder, 'gpu.json');
      writeFileSync(path, JSON.stringify(spec));
      const named = (value: string) => ({ named: { kind: 'example.com/gpu', value } });
      const devices = new NodeDevices({ own: [], cdiFolders: [folder] }, silentLogger);
      await devices.refresh();
      assert.deepEqual(devices.resources(), ['0', '1', 'GPU-c'].map(named));
      const [byNumber, byName, other] = devices.identitiesOf(['1', 'GPU-b', '0'].map(named));
      assert.equal(byNumber, byName);
      assert.notEqual(byNumber, other);
      assert.ok(devices.given([named('GPU-b')]).env.includes('DEVICE=GPU-b'), 'claimed before');
      const own = [named('GPU-a')];
      const told = new NodeDevices({ own, cdiFolders: [folder] }, silentLogger);
      await told.refresh();
      assert.deepEqual(told.resources(), [...own, named('1'), named('GPU-c')]);
      writeFileSync(path, '{ "kind": ');
      await devices.refresh();
      assert.equal(devices.resources().length, 3, 'while it is written anew, it is what it was');
      rmSync(path);
      await devices.refresh();
      assert.deepEqual(devices.resources(), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('of a node are counted or named', () => {
    assert.deepEqual(parseResources(['a=3', 'b=x,b=y']), [
      { discrete: { kind: 'a', value: 3 } },
      { named: { kind: 'b', value: 'x' } },
      { named: { kind: 'b', value: 'y' } },
    ]);
    assert.deepEqual(resourceEnv(parseResources(['b=x,b=y'])), ['DOCKER_RESOURCE_B=x,y']);
    for (const word of ['a', '=1', 'a=', 'a=1,a=x', 'a=99999999999999999']) {
      assert.throws(() => parseResources([word]), isErrorCode('invalid-argument'), word);
    }
  });
});
