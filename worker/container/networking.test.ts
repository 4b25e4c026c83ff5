import { strict as assert } from 'node:assert';
import { createExtras, endpointSettings } from '../../types/index.ts';
import { sysctlsOption } from '../network/endpoint-settings.ts';
import { wantedNetwork, wantedNetworks } from './networking.ts';

const martians = { [sysctlsOption]: 'net.ipv4.conf.IFNAME.log_martians=1' };
const settings = (document: object) => endpointSettings.decode(document, '');

describe('networks that a container is to be on', () => {
  const refusals: readonly (readonly [string, string, object, RegExp])[] = [
    ['an address on the bridge', 'bridge', { IPAMConfig: { IPv4Address: '10.0.0.5' } }, /user def/],
    ['an alias on the bridge', 'bridge', { Aliases: ['x'] }, /network-scoped alias/],
    ['links on the bridge', 'bridge', { Links: ['a:b'] }, /from its beginning, or none/],
    ['what is no link', 'own', { Links: ['a:b:c'] }, /bad format for links: a:b:c/],
    ['a link to nobody', 'own', { Links: [':b'] }, /bad format for links: :b/],
    ['options', 'own', { DriverOpts: { a: 'b' } }, /driver option a .* is not known/],
    ['settings on the bridge', 'bridge', { DriverOpts: martians }, /not for the network bridge/],
    ['what is no setting', 'own', { DriverOpts: { [sysctlsOption]: 'x=1' } }, /unrecognised/],
    ['what is no MAC address', 'own', { MacAddress: '02:42' }, /invalid MAC address: 02:42/],
    [
      'link-local addresses',
      'own',
      { IPAMConfig: { LinkLocalIPs: ['10.7.7.7'] } },
      /^SwarmError: invalid link local IP address: 10.7.7.7$/,
    ],
    ['no address', 'own', { IPAMConfig: { LinkLocalIPs: ['x'] } }, /invalid link-local IP addre/],
    ['IPv6 link-local', 'own', { IPAMConfig: { LinkLocalIPs: ['fe80::7'] } }, /one of its own/],
    [
      'link-local addresses on the bridge',
      'bridge',
      { IPAMConfig: { LinkLocalIPs: ['169.254.1.1'] } },
      /user specified IP address is supported on user defined networks only/,
    ],
    ['what is no address', 'own', { IPAMConfig: { IPv4Address: 'ten' } }, /invalid IPv4 address/],
    ['the other family', 'own', { IPAMConfig: { IPv6Address: '10.0.0.5' } }, /invalid IPv6 addr/],
  ];
  for (const [name, network, document, says] of refusals) {
    it(`cannot be asked for with ${name}`, () => {
      assert.throws(() => wantedNetwork(network, settings(document)), says);
    });
  }

  const cases: readonly (readonly [string, string, object, readonly string[]])[] = [
    ['the bridge, where nothing is said', 'bridge', {}, ['bridge']],
    ['the bridge by its other name', 'bridge', { default: {} }, ['bridge']],
    ['its own', 'own', { own: { Aliases: ['www'] } }, ['own www']],
    ['several, that of its mode first', 'own', { two: null, own: null }, ['own', 'two']],
    ['none beside the host', 'host', {}, []],
    ["none beside another container's", 'container:x', {}, []],
  ];
  it('can have settings of the kernel', () => {
    assert.deepEqual(wantedNetwork('own', settings({ DriverOpts: martians })).driverOpts, martians);
  });

  it('have the MAC address that they are given, or that of the container', () => {
    const macOf = (ofContainer: string, ofNetwork: object) => {
      const json = { NetworkingConfig: { EndpointsConfig: { own: ofNetwork } } };
      const config = { networkDisabled: false, macAddress: ofContainer };
      return wantedNetworks('own', config, createExtras.decode(json, ''))[0]?.macAddress;
    };
    assert.equal(macOf('0200.0000.0a07', {}), '02:00:00:00:0a:07');
    assert.equal(macOf('', { MacAddress: '02-00-00-00-0A-08' }), '02:00:00:00:0a:08');
    const both = { MacAddress: '02:00:00:00:0a:08' };
    assert.equal(macOf('02:00:00:00:0A:08', both), '02:00:00:00:0a:08');
    assert.throws(() => macOf('02:00:00:00:0a:07', both), /conflicting options: the MAC address/);
  });

  it('have the links that they are given, or else those of the container', () => {
    const linksOf = (mode: string, links: object) => {
      const endpoints = { EndpointsConfig: { [mode]: links } };
      const json = { HostConfig: { Links: ['a:b'] }, NetworkingConfig: endpoints };
      const extras = createExtras.decode(json, '');
      return wantedNetworks(mode, { networkDisabled: false }, extras)[0]?.links;
    };
    assert.deepEqual(linksOf('own', { Links: ['c:d'] }), ['c:d']);
    assert.deepEqual(linksOf('own', {}), ['a:b']);
    assert.deepEqual(linksOf('bridge', {}), undefined);
  });

  for (const [name, mode, endpoints, expected] of cases) {
    it(`are ${name}`, () => {
      const extras = createExtras.decode({ NetworkingConfig: { EndpointsConfig: endpoints } }, '');
      const wanted = wantedNetworks(mode, { networkDisabled: false }, extras);
      assert.deepEqual(
        wanted.map(({ network, aliases }) => [network, ...aliases].join(' ')),
        expected,
      );
    });
  }
});
