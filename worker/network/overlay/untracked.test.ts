import { strict as assert } from 'node:assert';
import {
  everything,
  runIn,
  testEndpoint,
  testNetwork,
  Wire,
  type TestHost,
} from '../testing/hosts.ts';

/** Counts what leaves and comes by VXLAN, by whether connection tracking has seen it. */
const probe = `
table inet probe {
  counter tracked {}
  counter untracked {}
  chain out {
    type filter hook output priority 0
    udp dport 4789 ct state untracked counter name untracked
    udp dport 4789 ct state != untracked counter name tracked
  }
  chain in {
    type filter hook input priority 0
    udp dport 4789 ct state untracked counter name untracked
    udp dport 4789 ct state != untracked counter name tracked
  }
}`;
const table = 'ts_swarm_vxlan';

describe('VXLAN beside connection tracking', function () {
  this.timeout(180_000);
  let wire: Wire;
  let a: TestHost;
  let b: TestHost;
  const network = testNetwork('net1', 4097);
  const addresses = new Map<TestHost, string>();

  beforeEach(async () => {
    wire = new Wire();
    [a, b] = [wire.addHost(1), wire.addHost(2)];
    addresses.set(a, '10.0.9.11').set(b, '10.0.9.12');
    const endpoints = [a, b].map((host) =>
      testEndpoint('net1', `of-${host.id}`, host.id, [`${addresses.get(host)}/24`]),
    );
    const peers = [a.peer, b.peer];
    for (const host of [a, b]) await host.assign(everything([network], peers, endpoints));
  });

  afterEach(() => wire[Symbol.asyncDispose]());

  const attach = async (host: TestHost) =>
    host.attach(`of-${host.id}`, [{ networkId: 'net1', addresses: [`${addresses.get(host)}/24`] }]);
  const packets = (counter: string) =>
    Number(/packets (\d+)/.exec(a.run('nft', 'list', 'counter', 'inet', 'probe', counter))?.[1]);

  it('is not seen by it, in either direction', async () => {
    const from = await attach(a);
    await attach(b);
    a.run('nft', probe);
    const ping = runIn(from, 'busybox', 'ping', '-c20', '-i0.02', addresses.get(b) ?? '');
    assert.match(ping, /packets received/);
    assert.ok(packets('untracked') > 20, 'both ways');
    assert.equal(packets('tracked'), 0);
  });

  it('is kept so', async () => {
    await attach(a);
    for (const [damage, what] of [
      [`flush table inet ${table}`, 'the chain prerouting has 0 rules'],
      [`delete table inet ${table}`, 'the chain prerouting is missing'],
    ] as const) {
      a.run('nft', damage);
      assert.deepEqual(await a.overlay.audit(), [
        { kind: 'nft', what: `${what} in the host's table of VXLAN` },
      ]);
      assert.deepEqual(await a.overlay.audit(), []);
    }
  });

  it('is seen again when the networks go', async () => {
    await attach(a);
    assert.match(a.run('nft', 'list', 'tables'), new RegExp(table));
    await a.overlay.clear();
    assert.doesNotMatch(a.run('nft', 'list', 'tables'), new RegExp(table));
  });
});
