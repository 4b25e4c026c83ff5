import { strict as assert } from 'node:assert';
import { serviceSpec } from '../../types/index.ts';
import { refuseUnsupportedService } from './unsupported.ts';
import { validateService } from './validate-service.ts';

const image = { Type: 'image', Source: 'tools:1', Target: '/tools' };

function check(mount: object): void {
  const TaskTemplate = { ContainerSpec: { Image: 'web:1', Mounts: [mount] } };
  const spec = serviceSpec.decode({ Name: 'web', TaskTemplate }, '');
  refuseUnsupportedService(spec);
  validateService(spec);
}

describe('mounts of images in services', () => {
  it('may be of a part of one, named by placeholders', () => {
    check(image);
    check({ ...image, Source: 'tools:{{.Task.Slot}}', ImageOptions: { Subpath: 'a/../b' } });
  });

  const refused: [string, object, string][] = [
    ['no image', { ...image, Source: '' }, 'the image mount at /tools needs a source: the image'],
    [
      'what is outside',
      { ...image, ImageOptions: { Subpath: '../a' } },
      'the image mount at /tools: the subpath ../a must be a relative path within the image',
    ],
    [
      'options of another type',
      { ...image, TmpfsOptions: { SizeBytes: 1 } },
      'the image mount at /tools can have no options but ImageOptions',
    ],
    [
      'a volume with an image’s options',
      { ...image, Type: 'volume', ImageOptions: { Subpath: 'a' } },
      '/tools: ImageOptions are for mounts of type image, and this is a volume',
    ],
  ];
  for (const [name, mount, message] of refused) {
    it(`are refused for ${name}`, () => {
      assert.throws(() => check(mount), { code: 'invalid-argument', message });
    });
  }
});
