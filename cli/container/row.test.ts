import { strict as assert } from 'node:assert';
import { imageText } from './row.ts';

describe('the image of a container, in a table', () => {
  const id = `sha256:${'0123456789ab'.repeat(5)}cdef`;
  const digest = `@sha256:${'ef'.repeat(32)}`;
  const cases: [string, string][] = [
    ['web:1', 'web:1'],
    [`host:5000/web:1${digest}`, 'host:5000/web:1'],
    [`host:5000/web${digest}`, 'host:5000/web'],
    [id, '0123456789ab'],
    ['0123456789ab', '0123456789ab'],
  ];
  for (const [given, expected] of cases) {
    it(given, () => assert.equal(imageText({ Image: given, ImageID: id }), expected));
  }
});
