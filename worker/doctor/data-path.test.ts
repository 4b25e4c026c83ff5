import { strict as assert } from 'node:assert';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { NetworkTables } from '../network/tables.ts';
import {
  everything,
  runIn,
  testEndpoint,
  testNetwork,
  Wire,
  type TestHost,
} from '../network/testing/hosts.ts';
import { echoesOf, judgeDataPath, smallBytes, waysToPeers, type Outcome } from './data-path.ts';
import { echoAll } from './icmp.ts';

const mesh = testNetwork('mesh', 4096, { ingress: true });
const app = testNetwork('app', 4097);
const peer = (id: string, ingressAddresses: readonly string[] = []) => ({
  id,
  dataPath: { address: `192.0.2.${id.length}` },
  ingressAddresses,
});
const container = {
  id: 'c1',
  netnsPath: '/netns/c1',
  networks: [{ networkId: 'app', addresses: ['10.0.9.5/24'] }],
};

describe('ways to other nodes', () => {
  const tables = new NetworkTables();
  tables.apply(
    everything(
      [mesh, app],
      [peer('own', ['10.0.0.2/24']), peer('meshed', ['10.0.0.3/24']), peer('shared'), peer('far')],
      [testEndpoint('app', 't2', 'shared', ['10.0.9.6/24'])],
    ),
  );

  it('lead over the routing mesh, or from a container to another', () => {
    const around = { ownId: 'own', runRoot: '/run', tables, containers: [container] };
    const { ways, untried } = waysToPeers(around);
    assert.deepEqual(
      ways.map(({ peerId, netnsPath, address }) => [peerId, netnsPath, address]),
      [
        ['meshed', '/run/overlay/mesh', '10.0.0.3'],
        ['shared', '/netns/c1', '10.0.9.6'],
      ],
    );
    assert.deepEqual(untried, ['far']);
  });

  it('are tried with a small and a large packet', () => {
    const around = { ownId: 'own', runRoot: '/run', tables, containers: [container] };
    const sizes = echoesOf(waysToPeers(around).ways, () => 1450).map(({ bytes }) => bytes);
    assert.deepEqual(sizes, [smallBytes, 1450, smallBytes, 1450]);
  });
});

describe('what is said of the data path', () => {
  const way = {
    peerId: 'n2',
    dataPathAddr: '192.0.2.7',
    port: 4789,
    netnsPath: '/n',
    address: '10.0.0.3',
  };
  const outcome = (small: boolean, large: boolean, isAlive = true): Outcome => ({
    way,
    largeBytes: 1450,
    small,
    large,
    isAlive,
  });
  const cases: { name: string; outcomes: Outcome[]; untried?: string[]; expect: RegExp[] }[] = [
    {
      name: 'that it works',
      outcomes: [outcome(true, true)],
      expect: [/^ok.*1450 bytes.*other node/],
    },
    {
      name: 'that UDP is blocked',
      outcomes: [outcome(false, false)],
      expect: [/^error.*UDP port 4789/],
    },
    {
      name: 'that large packets vanish',
      outcomes: [outcome(true, false)],
      expect: [/^error.*MTU/],
    },
    {
      name: 'that a node is not there',
      outcomes: [outcome(false, false, false)],
      expect: [/^error.*does not answer at all/],
    },
    {
      name: 'only what is wrong, where something is',
      outcomes: [outcome(true, true), outcome(true, false)],
      expect: [/^error/],
    },
    {
      name: 'who was not asked',
      outcomes: [],
      untried: ['n3'],
      expect: [/^ok.*name-of-n3.*not tried/],
    },
    { name: 'nothing where there is nobody', outcomes: [], expect: [] },
  ];
  for (const { name, outcomes, untried = [], expect } of cases) {
    it(name, () => {
      const findings = judgeDataPath(outcomes, untried, (id) => `name-of-${id}`);
      assert.equal(findings.length, expect.length);
      for (const [index, pattern] of expect.entries()) {
        assert.match(`${findings[index]?.level} ${findings[index]?.text}`, pattern);
      }
    });
  }
});

describe('echoes over an overlay', function () {
  let wire: Wire;
  let one: TestHost;
  let two: TestHost;
  let netnsPath: string;

  before(async function () {
    if (process.getuid?.() !== 0) this.skip();
    wire = new Wire();
    [one, two] = [wire.addHost(1), wire.addHost(2)];
    const endpoints = [
      testEndpoint('app', 't1', one.id, ['10.0.9.5/24']),
      testEndpoint('app', 't2', two.id, ['10.0.9.6/24']),
    ];
    for (const host of [one, two]) {
      await host.assign(everything([app], [one.peer, two.peer], endpoints));
    }
    netnsPath = await one.attach('c1', [{ networkId: 'app', addresses: ['10.0.9.5/24'] }]);
    await two.attach('c2', [{ networkId: 'app', addresses: ['10.0.9.6/24'] }]);
  });

  after(async () => {
    await wire?.[Symbol.asyncDispose]();
  });

  async function tryBoth(): Promise<readonly boolean[]> {
    const echoes = [smallBytes, 1450].map((bytes) => ({ netnsPath, address: '10.0.9.6', bytes }));
    return echoAll(echoes, { clock: realClock, log: silentLogger });
  }

  it('come back', async () => {
    assert.deepEqual(await tryBoth(), [true, true]);
  });

  it('are lost where a link on the way carries less', async () => {
    wire.run('ip', 'link', 'set', 'h2', 'mtu', '1300');
    try {
      assert.deepEqual(await tryBoth(), [true, false]);
    } finally {
      wire.run('ip', 'link', 'set', 'h2', 'mtu', '1500');
    }
  });

  it('are lost where UDP is blocked', async () => {
    const table =
      'add table inet block; add chain inet block in { type filter hook input priority 0; }';
    runIn(two.path, 'nft', `${table}; add rule inet block in udp dport 4789 drop`);
    try {
      assert.deepEqual(await tryBoth(), [false, false]);
    } finally {
      runIn(two.path, 'nft', 'delete table inet block');
    }
  });

  it('are not sent where there is no way', async () => {
    const echoes = [{ netnsPath, address: '192.0.2.9', bytes: smallBytes }];
    assert.deepEqual(await echoAll(echoes, { clock: realClock, log: silentLogger }), [false]);
  });
});
