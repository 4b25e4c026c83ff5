import { strict as assert } from 'node:assert';
import { registryName, registryOfImage } from './registry.ts';

describe('the registry', () => {
  for (const [image, registry] of [
    ['busybox', 'docker.io'],
    ['team/web:1', 'docker.io'],
    ['docker.io/library/web', 'docker.io'],
    ['index.docker.io/library/web', 'docker.io'],
    ['registry.example/web:1', 'registry.example'],
    ['10.0.0.1:5000/a/b@sha256:00', '10.0.0.1:5000'],
    ['localhost/web', 'localhost'],
    ['web:1', 'docker.io'],
  ] as const) {
    it(`of ${image} is ${registry}`, () => assert.equal(registryOfImage(image), registry));
  }

  for (const [typed, registry] of [
    ['https://index.docker.io/v1/', 'docker.io'],
    ['', 'docker.io'],
    [' Registry.Example:5000 ', 'registry.example:5000'],
    ['https://ghcr.io/', 'ghcr.io'],
  ] as const) {
    it(`typed as "${typed}" is ${registry}`, () => assert.equal(registryName(typed), registry));
  }
});
