import { strict as assert } from 'node:assert';
import { readImageConfig } from './image-config.ts';
import { chainIds, mediaTypes, parseConfig, parseManifest, sha256 } from './oci.ts';

const digest = sha256('x');
const bytes = (document: unknown) => Buffer.from(JSON.stringify(document));
const blob = { mediaType: 'm', digest, size: 1 };

describe('manifests', () => {
  it("are known by their own media type, their transport's, or by what they hold", () => {
    const manifest = { config: blob, layers: [blob] };
    const kinds = [
      parseManifest(bytes({ ...manifest, mediaType: mediaTypes.dockerManifest })),
      parseManifest(bytes(manifest), mediaTypes.dockerManifest),
      parseManifest(bytes(manifest), 'application/json'),
      parseManifest(bytes({ manifests: [] }), mediaTypes.dockerIndex),
      parseManifest(bytes({ manifests: [blob] }), 'text/plain'),
    ].map(({ kind, mediaType }) => [kind, mediaType]);
    assert.deepEqual(kinds, [
      ['manifest', mediaTypes.dockerManifest],
      ['manifest', mediaTypes.dockerManifest],
      ['manifest', mediaTypes.ociManifest],
      ['index', mediaTypes.dockerIndex],
      ['index', mediaTypes.ociIndex],
    ]);
  });

  const wrong: readonly { name: string; given: Buffer; message: RegExp }[] = [
    { name: 'no JSON', given: Buffer.from('<html>'), message: /manifest is not JSON/ },
    { name: 'a list', given: bytes([]), message: /is not a JSON object/ },
    { name: 'nothing known', given: bytes({ mediaType: 'x/y' }), message: /"x\/y" is no image/ },
    { name: 'no layers', given: bytes({ config: blob }), message: /no list of layers/ },
    {
      name: 'a digest that is none',
      given: bytes({ config: { ...blob, digest: '../../etc' }, layers: [] }),
      message: /names "..\/..\/etc" as a digest in config/,
    },
    {
      name: 'a size that is none',
      given: bytes({ config: blob, layers: [{ ...blob, size: -1 }] }),
      message: /gives -1 as the size/,
    },
    {
      name: 'too many layers',
      given: bytes({ config: blob, layers: Array.from({ length: 1001 }, () => blob) }),
      message: /more than 1000 layers/,
    },
  ];
  for (const { name, given, message } of wrong) {
    it(`are refused with ${name}`, () => {
      assert.throws(() => parseManifest(given), { code: 'failed-precondition', message });
    });
  }
});

describe('configurations', () => {
  it('give what a container inherits, and leave out what has the wrong type', () => {
    const raw = {
      config: {
        Cmd: ['a', 1],
        Entrypoint: 'shell',
        Env: null,
        ExposedPorts: { '80/tcp': {}, '53/udp': {} },
        Labels: { a: 'b', c: 1 },
        StopSignal: 'SIGINT',
        User: 7,
        Volumes: { '/data': {} },
        WorkingDir: '/srv',
        Healthcheck: { Test: ['CMD', 'x'], Interval: 5e9, Timeout: 'soon' },
      },
    };
    assert.deepEqual(readImageConfig(raw), {
      cmd: ['a'],
      entrypoint: [],
      env: [],
      exposedPorts: ['53/udp', '80/tcp'],
      labels: { a: 'b' },
      stopSignal: 'SIGINT',
      user: '',
      volumes: ['/data'],
      workingDir: '/srv',
      healthcheck: { Test: ['CMD', 'x'], Interval: 5e9 },
    });
  });

  it('refuse diff ids that are no digests', () => {
    const given = bytes({ rootfs: { diff_ids: ['x'] } });
    assert.throws(() => parseConfig(given), { code: 'failed-precondition', message: /"x" is no/ });
  });

  it('name snapshots by chain: the first by its diff id, each further one by all below', () => {
    const [a, b, c] = [sha256('a'), sha256('b'), sha256('c')];
    assert.deepEqual(chainIds([]), []);
    assert.deepEqual(chainIds([a, b, c]), [
      a,
      sha256(`${a} ${b}`),
      sha256(`${sha256(`${a} ${b}`)} ${c}`),
    ]);
  });
});
