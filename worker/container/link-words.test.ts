import { strict as assert } from 'node:assert';
import { linkEnv, parseLink } from './link-words.ts';

describe('links as people write them', () => {
  const cases: readonly (readonly [text: string, name: string, alias: string])[] = [
    ['db', 'db', 'db'],
    ['db:data', 'db', 'data'],
    ['/db:/web/data', 'db', 'data'],
    [':x', '', 'x'],
  ];
  for (const [text, name, alias] of cases) {
    it(text, () => assert.deepEqual(parseLink(text), { name, alias }));
  }

  it('are refused where they are none', () => {
    assert.throws(() => parseLink('a:b:c'), /^SwarmError: bad format for links: a:b:c$/);
    assert.throws(() => parseLink(''), /^SwarmError: empty string specified for links$/);
  });
});

describe('variables of links', () => {
  const given = { alias: 'my-db', path: '/web/my-db', address: '10.0.0.2', env: [] };

  it('tell of the first port, of each, and of rows of three and more', () => {
    const exposedPorts = ['82/tcp', '80/udp', '81/tcp', '80/tcp', '90/tcp', '91/tcp'];
    assert.deepEqual(linkEnv({ ...given, exposedPorts }), [
      'MY_DB_PORT=tcp://10.0.0.2:80',
      'MY_DB_PORT_80_TCP_START=tcp://10.0.0.2:80',
      'MY_DB_PORT_80_TCP_PORT_START=80',
      'MY_DB_PORT_80_TCP_END=tcp://10.0.0.2:82',
      'MY_DB_PORT_80_TCP_PORT_END=82',
      ...['80/tcp', '80/udp', '81/tcp', '82/tcp', '90/tcp', '91/tcp'].flatMap((port) => {
        const [number, protocol = ''] = port.split('/');
        const name = `MY_DB_PORT_${number}_${protocol.toUpperCase()}`;
        return [
          `${name}=${protocol}://10.0.0.2:${number}`,
          `${name}_ADDR=10.0.0.2`,
          `${name}_PORT=${number}`,
          `${name}_PROTO=${protocol}`,
        ];
      }),
      'MY_DB_NAME=/web/my-db',
    ]);
  });

  it('tell of the other’s own, but not of what each image has', () => {
    const env = ['A=b=c', 'HOME=/x', 'PATH=/y', 'NONE', 'EMPTY='];
    assert.deepEqual(linkEnv({ ...given, alias: '/x/y', exposedPorts: [], env }), [
      'Y_NAME=/web/my-db',
      'Y_ENV_A=b=c',
      'Y_ENV_EMPTY=',
    ]);
  });
});
