import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../lib/log.ts';
import { deviceRequest, type DeviceRequest } from '../../types/index.ts';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { NodeDevices } from './node-devices.ts';
import { checkDeviceRequests, namesAskedFor } from './requests.ts';

const request = (json: object): DeviceRequest => deviceRequest.decode(json, '');
const gpus = (json: object) => request({ Capabilities: [['gpu']], ...json });
const named = (...names: readonly string[]) => names.map((name) => `nvidia.com/gpu=${name}`);

describe('requests for devices', () => {
  const eleven = named(...Array.from({ length: 11 }, (_, at) => String(at)));
  const byUuid = named('GPU-5', '0', 'GPU-4', '1');
  const given: {
    name: string;
    asked: readonly DeviceRequest[];
    present: readonly string[];
    expect: readonly string[];
  }[] = [
    { name: 'all', asked: [gpus({ Count: -1 })], present: byUuid, expect: named('0', '1') },
    {
      name: 'all where the vendor has a word for it',
      asked: [gpus({ Count: -1, Driver: 'nvidia' })],
      present: named('0', '1', 'all'),
      expect: named('all'),
    },
    {
      name: 'the first of them',
      asked: [gpus({ Count: 3 })],
      present: eleven.toSorted(),
      expect: named('0', '1', '2'),
    },
    {
      name: 'one without a number',
      asked: [gpus({ Count: 1 })],
      present: named('all', 'big'),
      expect: named('big'),
    },
    {
      name: 'some, by their names of either form',
      asked: [gpus({ DeviceIDs: ['GPU-5', 'nvidia.com/gpu=0'] })],
      present: byUuid,
      expect: named('GPU-5', '0'),
    },
    {
      name: 'capabilities of the driver',
      asked: [gpus({ Count: 1, Capabilities: [['tpu'], ['utility', 'gpu']] })],
      present: byUuid,
      expect: named('0'),
    },
    {
      name: 'devices of vendors, each once',
      asked: [
        request({ Driver: 'cdi', DeviceIDs: ['a.b/c=x', 'nvidia.com/gpu=0'] }),
        gpus({ Count: 1 }),
      ],
      present: ['a.b/c=x', ...byUuid],
      expect: ['a.b/c=x', 'nvidia.com/gpu=0'],
    },
    { name: 'none at all', asked: [gpus({})], present: byUuid, expect: [] },
  ];
  for (const { name, asked, present, expect } of given) {
    it(`are for ${name}`, () => {
      checkDeviceRequests(asked);
      assert.deepEqual(namesAskedFor(asked, present), expect);
    });
  }

  const missing: [string, DeviceRequest, readonly string[], RegExp][] = [
    [
      'there are no GPUs',
      gpus({ Count: -1 }),
      ['a.b/c=x'],
      /^could not select device driver "" with capabilities: \[\[gpu\]\]$/,
    ],
    [
      'there are too few',
      gpus({ Count: 3 }),
      named('0', '1', 'all'),
      /^3 of nvidia.com\/gpu were asked for, and this node has 2$/,
    ],
    [
      'one is not there',
      gpus({ DeviceIDs: ['0', '7'] }),
      named('0'),
      /unresolvable CDI devices nvidia.com\/gpu=7$/,
    ],
    [
      'a kind is not there',
      request({ Driver: 'cdi', DeviceIDs: ['a.b/c=x', 'a.b/c=y'] }),
      [],
      /^CDI device injection failed: unresolvable CDI devices a.b\/c=x, a.b\/c=y$/,
    ],
  ];
  for (const [name, asked, present, says] of missing) {
    it(`fail in Docker’s words where ${name}`, () => {
      assert.throws(() => namesAskedFor([asked], present), isErrorCode('internal', says));
    });
  }

  const wrong: [object, RegExp][] = [
    [{}, /^could not select device driver "" with capabilities: \[\]$/],
    [
      { Driver: 'amd', Capabilities: [['gpu', 'x'], ['y']] },
      /device driver "amd" with capabilities: \[\[gpu x\] \[y\]\]$/,
    ],
    [{ Capabilities: [['gpu', 'tpu']] }, /device driver "" with capabilities: \[\[gpu tpu\]\]$/],
    [{ Capabilities: [['gpu']], Count: 1, DeviceIDs: ['0'] }, /both Count and DeviceIDs/],
    [{ Capabilities: [['gpu']], Options: { a: 'b' } }, /options of a device request/],
    [{ Driver: 'cdi', Count: 1 }, /unexpected count in CDI/],
    [{ Driver: 'cdi', Options: { a: 'b' } }, /unexpected options in CDI/],
    [{ Driver: 'cdi', DeviceIDs: ['/dev/null'] }, /invalid CDI device name "\/dev\/null"/],
  ];
  for (const [json, says] of wrong) {
    it(`are refused: ${JSON.stringify(json)}`, () => {
      const check = () => checkDeviceRequests([request(json)]);
      assert.throws(check, isErrorCode('invalid-argument', says));
    });
  }

  it('find what files describe at that moment, with what is common to all once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ts-swarm-requests-'));
    try {
      const devices = new NodeDevices({ own: [], cdiFolders: [folder] }, silentLogger);
      assert.deepEqual((await devices.requested([])).devices, []);
      await assert.rejects(devices.requested([gpus({ Count: 2 })]), /could not select/);
      const spec = {
        kind: 'nvidia.com/gpu',
        containerEdits: { env: ['A=b'], mounts: [{ hostPath: '/usr', containerPath: '/x' }] },
        devices: ['0', '1'].map((name) => ({
          name,
          containerEdits: { deviceNodes: [{ path: `/dev/nvidia${name}` }], env: [`GPU=${name}`] },
        })),
      };
      writeFileSync(join(folder, 'nvidia.json'), JSON.stringify(spec));
      const edits = await devices.requested([gpus({ Count: 2 })]);
      assert.deepEqual(
        edits.devices.map(({ pathOnHost }) => pathOnHost),
        ['/dev/nvidia0', '/dev/nvidia1'],
      );
      assert.deepEqual(edits.env, ['A=b', 'GPU=0', 'GPU=1']);
      assert.equal(edits.mounts.length, 1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
