import { strict as assert } from 'node:assert';
import { parseOptions } from './options.ts';

describe('daemon options', () => {
  it('has defaults for everything', () => {
    const options = parseOptions([]);
    assert.deepEqual(options.hosts, ['unix:///run/ts-swarm/docker.sock']);
    assert.equal(options.dataRoot, '/var/lib/ts-swarm');
    assert.equal(options.containerd, undefined);
    assert.equal(options.ociRuntime, 'auto');
  });

  it('serves the API under the run root that is given', () => {
    const options = parseOptions(['--run-root', '/run/a', '--label', 'disk=ssd', '--label', 'x']);
    assert.deepEqual(options.hosts, ['unix:///run/a/docker.sock']);
    assert.deepEqual(options.labels, { disk: 'ssd', x: '' });
  });

  it('takes what the node has for services that reserve it', () => {
    const flag = '--node-generic-resource';
    const { genericResources } = parseOptions([flag, 'disk=5', flag, 'gpu=id1']);
    assert.deepEqual(genericResources, [
      { discrete: { kind: 'disk', value: 5 } },
      { named: { kind: 'gpu', value: 'id1' } },
    ]);
    assert.throws(() => parseOptions([flag, 'gpu']), /--node-generic-resource: "gpu" is not KIND=/);
  });

  it('fills in the ports that are left out', () => {
    const options = parseOptions([
      '--metrics-addr=127.0.0.1',
      '--manager-addr=managers.example',
      '--manager-addr=10.0.0.1:4000',
      '--advertise-addr=eth0',
    ]);
    assert.equal(options.metricsAddr, '127.0.0.1:9323');
    assert.deepEqual(options.managerAddrs, ['managers.example:2377', '10.0.0.1:4000']);
    assert.equal(options.advertiseAddr, 'eth0');
    assert.equal(parseOptions([]).metricsAddr, undefined);
  });

  it('serves addresses that others reach over TLS', () => {
    const files = ['--tlscacert=/tls/ca.pem', '--tlscert=/tls/cert.pem', '--tlskey=/tls/key.pem'];
    for (const host of ['tcp://0.0.0.0:2376', 'tcp://[fd00::1]:2376', 'tcp://h1.example:2376']) {
      const options = parseOptions(['-H', host, ...files]);
      assert.deepEqual(options.hosts, [host]);
      assert.equal(options.tls?.caFile, '/tls/ca.pem');
    }
  });

  it('tells metrics to whom it is told', () => {
    const files = ['--tlscacert=/tls/ca.pem', '--tlscert=/tls/cert.pem', '--tlskey=/tls/key.pem'];
    const token = '--metrics-token-file=/etc/token';
    const options = parseOptions(['--metrics-addr=10.0.0.1', '--metrics-tls', token, ...files]);
    assert.deepEqual([options.metricsTls, options.metricsTokenFile], [true, '/etc/token']);
    assert.equal(parseOptions([]).metricsTls, false);
  });

  const refused: readonly [string, readonly string[], RegExp][] = [
    ['an unknown flag', ['--bogus'], /--bogus/],
    ['a relative path', ['--data-root', 'data'], /--data-root "data" is not an absolute path/],
    ['an unknown level', ['--log-level', 'loud'], /--log-level "loud" is not one of debug/],
    ['an open API', ['-H', 'tcp://0.0.0.0:2375'], /without TLS .* loopback/],
    ['half of TLS', ['--tlscert=/c.pem', '--tlskey=/k.pem'], /give all three/],
    ['TLS of a relative path', ['--tlscacert=a', '--tlscert=/b', '--tlskey=/c'], /--tlscacert "a"/],
    ['another scheme', ['-H', 'ssh://host'], /neither unix/],
    ['a subnet that is none', ['--bridge-subnet', '172.300.0.0/16'], /--bridge-subnet/],
    ['an MTU that is none', ['--mtu', '12'], /--mtu "12"/],
    ['a label without key', ['--label', '=x'], /has no key/],
    ['an address that is none', ['--manager-addr', '10.0.0.1:x'], /--manager-addr: "10.0.0.1:x"/],
    ['readers of no metrics', ['--metrics-tls'], /need --metrics-addr/],
    ['metrics by a TLS that is not there', ['--metrics-addr=::1', '--metrics-tls'], /needs --tls/],
    ['an argument', ['start'], /start/],
  ];
  for (const [name, argv, message] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseOptions(argv), { code: 'invalid-argument', message });
    });
  }
});
