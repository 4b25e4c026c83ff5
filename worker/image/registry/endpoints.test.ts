import { strict as assert } from 'node:assert';
import { EndpointPolicy } from './endpoints.ts';

const addresses: Readonly<Record<string, readonly string[]>> = {
  'registry.lab': ['10.1.2.3'],
  'both.lab': ['192.0.2.1', 'fd00::5'],
  localhost: ['127.0.0.1', '::1'],
};

function policy(insecureRegistries: readonly string[], mirrors: readonly string[] = []) {
  return new EndpointPolicy({
    insecureRegistries,
    mirrors,
    lookup: (host) => Promise.resolve(addresses[host] ?? []),
  });
}

describe('endpoints of a registry', () => {
  const cases: readonly { insecure: string[]; domain: string; expect: string[] }[] = [
    { insecure: [], domain: 'r.example', expect: ['https://r.example'] },
    { insecure: [], domain: 'unknown.lab:5000', expect: ['https://unknown.lab:5000'] },
    {
      insecure: [],
      domain: '127.1.2.3:5',
      expect: ['https://127.1.2.3:5?', 'http://127.1.2.3:5?'],
    },
    { insecure: [], domain: '[::1]:5', expect: ['https://[::1]:5?', 'http://[::1]:5?'] },
    { insecure: [], domain: 'localhost', expect: ['https://localhost?', 'http://localhost?'] },
    { insecure: ['10.0.0.1:5'], domain: '10.0.0.1:6', expect: ['https://10.0.0.1:6'] },
    {
      insecure: ['10.0.0.1:5'],
      domain: '10.0.0.1:5',
      expect: ['https://10.0.0.1:5?', 'http://10.0.0.1:5?'],
    },
    {
      insecure: ['10.0.0.0/8'],
      domain: 'registry.lab:5000',
      expect: ['https://registry.lab:5000?', 'http://registry.lab:5000?'],
    },
    {
      insecure: ['fd00::/8'],
      domain: 'both.lab',
      expect: ['https://both.lab?', 'http://both.lab?'],
    },
    {
      insecure: ['registry.lab'],
      domain: 'registry.lab:7',
      expect: ['https://registry.lab:7?', 'http://registry.lab:7?'],
    },
    { insecure: [], domain: 'docker.io', expect: ['https://registry-1.docker.io'] },
  ];
  for (const { insecure, domain, expect } of cases) {
    it(`${domain}, insecure: ${insecure.join(' ') || 'loopback'}`, async () => {
      const endpoints = await policy(insecure).endpointsOf(domain);
      assert.deepEqual(
        endpoints.map(({ origin, verifyTls }) => origin + (verifyTls ? '' : '?')),
        expect,
      );
    });
  }

  it('asks mirrors before docker.io, and for nothing else', async () => {
    const mirrored = policy([], ['http://10.0.0.9:5000/', 'https://mirror.example']);
    const origins = async (domain: string) =>
      (await mirrored.endpointsOf(domain)).map(({ origin, mirror }) => [origin, mirror]);
    assert.deepEqual(await origins('docker.io'), [
      ['http://10.0.0.9:5000', true],
      ['https://mirror.example', true],
      ['https://registry-1.docker.io', false],
    ]);
    assert.deepEqual(await origins('r.example'), [['https://r.example', false]]);
  });

  it('refuses what cannot be meant', () => {
    for (const wrong of ['10.0.0.0/33', '10.0.0/8', 'http://r.example', 'r.example/8', '::/x']) {
      assert.throws(() => policy([wrong]), {
        code: 'invalid-argument',
        message: /neither HOST:PORT/,
      });
    }
    for (const wrong of ['mirror', 'ftp://m', 'https://m/path', 'https://user@m', 'https://m/?q']) {
      assert.throws(() => policy([], [wrong]), { code: 'invalid-argument', message: /is no URL/ });
    }
  });
});
