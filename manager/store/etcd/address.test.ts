import { strict as assert } from 'node:assert';
import { hidePassword, parseStore } from './address.ts';

describe('the address of an external store', () => {
  const good = [
    {
      given: 'etcd://10.0.0.1',
      expect: { hosts: ['http://10.0.0.1:2379'], prefix: '/ts-swarm' },
    },
    {
      given: 'etcd://a:1,[::1]:2,c/some/prefix/?tls=true',
      expect: {
        hosts: ['https://a:1', 'https://[::1]:2', 'https://c:2379'],
        prefix: '/some/prefix',
      },
    },
    {
      given: 'etcd://me:a%40b:c@a/p',
      expect: { hosts: ['http://a:2379'], prefix: '/p', user: { name: 'me', password: 'a@b:c' } },
    },
  ];
  for (const { given, expect } of good) {
    it(`is read from ${given}`, () => assert.deepEqual(parseStore({ url: given }), expect));
  }

  it('means TLS where there are certificates', () => {
    const { hosts } = parseStore({ url: 'etcd://a', caPem: 'PEM' });
    assert.deepEqual(hosts, ['https://a:2379']);
  });

  const wrong = [
    { given: { url: 'http://a' }, message: /"http:\/\/a" is not one such as etcd:/ },
    { given: { url: 'etcd://a:port' }, message: /"a:port" is not HOST:PORT/ },
    { given: { url: 'etcd://me@a' }, message: /write user:password before the @/ },
    { given: { url: 'etcd://me:%zz@a' }, message: /write it as %25/ },
    { given: { url: 'etcd://a?tsl=true' }, message: /"tsl=true" is not known/ },
    { given: { url: 'etcd://a?tls=false', caPem: 'x' }, message: /make no sense without TLS/ },
    { given: { url: 'etcd://a', certPem: 'x' }, message: /a client certificate and its key go/ },
  ];
  for (const { given, message } of wrong) {
    it(`is refused as ${JSON.stringify(given)}`, () => {
      assert.throws(() => parseStore(given), { code: 'invalid-argument', message });
    });
  }

  it('is shown without its password', () => {
    assert.equal(hidePassword('etcd://me:secret@a/p'), 'etcd://me:…@a/p');
    assert.equal(hidePassword('etcd://a:1/p'), 'etcd://a:1/p');
  });
});
