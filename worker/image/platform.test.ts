import { strict as assert } from 'node:assert';
import type { Descriptor } from './oci.ts';
import {
  chooseManifest,
  formatPlatform,
  normalizePlatform,
  runnablePlatforms,
} from './platform.ts';

const entry = (text: string): Descriptor => {
  const [os = '', architecture = '', variant] = text.split('/');
  return {
    mediaType: 'm',
    digest: text,
    size: 1,
    platform: { os, architecture, ...(variant === undefined ? {} : { variant }) },
  };
};

describe('choice of platform', () => {
  const cases: readonly { host: string; offers: string[]; expect: string | undefined }[] = [
    { host: 'linux/amd64', offers: ['linux/arm64', 'linux/amd64'], expect: 'linux/amd64' },
    { host: 'linux/amd64', offers: ['linux/386'], expect: 'linux/386' },
    { host: 'linux/amd64', offers: ['linux/amd64/v3', 'linux/amd64/v1'], expect: 'linux/amd64/v1' },
    { host: 'linux/amd64', offers: ['linux/amd64/v3'], expect: undefined },
    { host: 'linux/amd64/v3', offers: ['linux/amd64', 'linux/amd64/v2'], expect: 'linux/amd64/v2' },
    { host: 'linux/arm64', offers: ['linux/arm/v7', 'linux/arm64/v8'], expect: 'linux/arm64/v8' },
    { host: 'linux/arm64', offers: ['linux/arm/v6', 'linux/arm/v7'], expect: 'linux/arm/v7' },
    { host: 'linux/arm/v6', offers: ['linux/arm/v7', 'linux/arm/v5'], expect: 'linux/arm/v5' },
    { host: 'linux/arm', offers: ['linux/arm/v8', 'linux/arm'], expect: 'linux/arm' },
    { host: 'linux/amd64', offers: ['windows/amd64', 'unknown/unknown'], expect: undefined },
    { host: 'linux/constructor', offers: ['linux/amd64'], expect: undefined },
    { host: 'linux/s390x', offers: ['linux/amd64', 'linux/s390x'], expect: 'linux/s390x' },
  ];
  for (const { host, offers, expect } of cases) {
    it(`${host} of ${offers.join(', ')}`, () => {
      const runnable = runnablePlatforms(entry(host).platform!);
      assert.equal(chooseManifest(offers.map(entry), runnable)?.digest, expect);
    });
  }

  it('knows the other names of architectures', () => {
    const normal = (os: string, architecture: string, variant?: string) =>
      formatPlatform(
        normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) }),
      );
    assert.equal(normal('Linux', 'x64'), 'linux/amd64');
    assert.equal(normal('linux', 'aarch64', '8'), 'linux/arm64');
    assert.equal(normal('', 'armhf'), 'linux/arm/v7');
  });
});
