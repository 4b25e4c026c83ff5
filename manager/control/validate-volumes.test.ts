import { strict as assert } from 'node:assert';
import { serviceSpec } from '../../types/index.ts';
import { validateVolumes } from './validate-volumes.ts';

const own = { Type: 'volume', Source: 'data', Target: '/d' };
const replicated = { Replicated: { Replicas: 1 } };
const follow = 'ts-swarm.volumes.follow';

function specOf(labels: object, mount: object = own, mode: object = replicated) {
  const TaskTemplate = { ContainerSpec: { Image: 'web:1', Mounts: [mount] } };
  return serviceSpec.decode({ Name: 'web', Labels: labels, Mode: mode, TaskTemplate }, '');
}

describe('labels of volumes', () => {
  it('may say whether replicas follow them', () => {
    for (const policy of ['prefer', 'require', 'ignore']) {
      validateVolumes(specOf({ [follow]: policy }));
    }
    validateVolumes(specOf({}, { ...own, VolumeOptions: { DriverConfig: { Name: 'far' } } }));
  });

  const nfs = { DriverConfig: { Options: { type: 'nfs', device: ':/x' } } };
  const refused: [string, Parameters<typeof specOf>, RegExp][] = [
    ['another word', [{ [follow]: 'always' }], /is "always", and can be prefer, require, ignore/],
    ['another label', [{ 'ts-swarm.volumes.size': '1' }], /is no setting of volumes; there is/],
    ['global services', [{ [follow]: 'require' }, own, { Global: {} }], /only they have slots/],
    [
      'a file server',
      [{ [follow]: 'require' }, { ...own, VolumeOptions: nfs }],
      /needs a volume to follow/,
    ],
    [
      'a volume without a name',
      [{ [follow]: 'require' }, { Type: 'volume', Target: '/d' }],
      /needs a volume to follow/,
    ],
  ];
  for (const [name, args, says] of refused) {
    it(`refuse ${name}`, () => assert.throws(() => validateVolumes(specOf(...args)), says));
  }
});
