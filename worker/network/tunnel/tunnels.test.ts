import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { realClock, type Clock } from '../../../lib/clock.ts';
import type { AssignedNetwork } from '../../../types/index.ts';
import { until } from '../../../test/lab/until.ts';
import {
  everything,
  runIn,
  testEndpoint,
  testNetwork,
  Wire,
  type TestHost,
} from '../testing/hosts.ts';
import { newKeyPair, publicKeyOf, tunnelAddressOf } from './keys.ts';
import { configText, parseDump } from './wg.ts';

/** The answer of every ping that is sent with it. */
const marker = 'f00dcafe';

describe('keys of tunnels', () => {
  it('are as WireGuard’s own tool makes them', () => {
    const { privateKey, publicKey } = newKeyPair();
    assert.equal(publicKeyOf(privateKey), publicKey);
    const told = execFileSync('wg', ['pubkey'], { input: privateKey, encoding: 'utf8' });
    assert.equal(told.trim(), publicKey);
    assert.match(tunnelAddressOf(publicKey), /^fd54:5357:/);
    assert.notEqual(tunnelAddressOf(publicKey), tunnelAddressOf(newKeyPair().publicKey));
  });

  it('and peers are written and read as the tool does', () => {
    const peer = { publicKey: 'AAA=', endpoint: '10.0.0.1:51820', address: 'fd54:5357::1' };
    assert.equal(
      configText({ privateKey: 'PPP=', port: 51_820, peers: [peer] }),
      '[Interface]\nPrivateKey = PPP=\nListenPort = 51820\n' +
        '[Peer]\nPublicKey = AAA=\nEndpoint = 10.0.0.1:51820\nAllowedIPs = fd54:5357::1/128\n',
    );
    const dump =
      'PPP=\tQQQ=\t51820\toff\nAAA=\t(none)\t10.0.0.1:51820\tfd54:5357::1/128\t0\t0\t0\toff\n';
    assert.deepEqual(parseDump(dump), { privateKey: 'PPP=', port: 51_820, peers: [peer] });
  });
});

describe('encrypted networks on the real kernel', function () {
  this.timeout(180_000);
  let wire: Wire;
  let hosts: TestHost[];
  let paths: string[];
  let shiftMs: number;

  const clock: Clock = { ...realClock, nowMs: () => realClock.nowMs() + shiftMs };
  const networks: readonly AssignedNetwork[] = [
    testNetwork('plain', 4097),
    testNetwork('secret', 4098, { encrypted: true }),
  ];
  const addressOf = (network: string, host: TestHost) =>
    `10.0.9.${10 * networks.findIndex(({ id }) => id === network) + Number(host.id.slice(4))}/24`;
  const whole = () =>
    everything(
      networks,
      hosts.map(({ peer }) => peer),
      networks.flatMap(({ id }) =>
        hosts.map((host) => testEndpoint(id, `${id}-${host.id}`, host.id, [addressOf(id, host)])),
      ),
    );
  /** As the managers do, once a node has told its key. */
  const tellAll = async () => {
    for (const host of hosts) await host.assign(whole());
  };
  const target = (network: string) => addressOf(network, hosts[1]!).split('/')[0] ?? '';
  const reaches = (network: string) => {
    const from = paths[networks.findIndex(({ id }) => id === network)] ?? '';
    const ping = ['busybox', 'ping', '-c1', '-W20', '-p', marker.slice(0, 2)];
    return runIn(from, ...ping, target(network)).includes(' 0% packet loss');
  };
  const keys = () => hosts.map(({ tunnels }) => tunnels.published?.publicKey);
  const audits = async (host: TestHost) => (await host.overlay.audit()).map(({ kind }) => kind);
  const steadyPing = (count: number) => {
    const options = ['-i', '0.01', '-c', String(count)];
    const child = wire.start(paths[1]!, 'busybox', 'ping', ...options, target('secret'));
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-400);
    });
    return once(child, 'close').then(() => /(\d+) packets received/.exec(output)?.[1]);
  };
  const pids = () =>
    hosts.map(({ runRoot }) => {
      const records = readFileSync(join(runRoot, 'tunnel', 'tunnels.json'), 'utf8');
      return (JSON.parse(records) as { pid: number }[]).map(({ pid }) => pid);
    });

  beforeEach(async () => {
    shiftMs = 0;
    wire = new Wire();
    hosts = [1, 2].map((number) => wire.addHost(number, 1500, clock));
    paths = [];
    await tellAll();
    for (const host of hosts) {
      for (const { id } of networks) {
        const attachment = [{ networkId: id, addresses: [addressOf(id, host)] }];
        paths.push(await host.attach(`${id}-${host.id}`, attachment));
      }
    }
    await tellAll();
  });

  afterEach(() => wire[Symbol.asyncDispose]());

  it('show nothing of what they carry on the wire', async () => {
    const captured = async (network: string, isThere: (bytes: Buffer) => boolean) => {
      const file = join(wire.folder, `${network}.pcap`);
      const options = ['--immediate-mode', '-q', '-U', '-s0', '-i', 'eth0', '-w', file];
      const dump = wire.start(hosts[1]!.path, 'tcpdump', ...options);
      await until('packets are written down', () => existsSync(file));
      for (let times = 0; times < 5; times++) assert.ok(reaches(network), network);
      await until('packets were captured', () => isThere(readFileSync(file)));
      dump.kill('SIGINT');
      await once(dump, 'exit');
      return readFileSync(file);
    };
    const pattern = Buffer.from(marker.slice(0, 2).repeat(40), 'hex');
    // What is not encrypted can be seen.
    await captured('plain', (bytes) => bytes.includes(pattern));
    const secret = await captured('secret', ({ length }) => length > 1000);
    assert.equal(secret.includes(pattern), false);
    const inner = Buffer.from(target('secret').split('.').map(Number));
    assert.equal(secret.includes(inner), false, 'nor is an address of the network');
    const link = runIn(paths[1]!, 'ip', 'link', 'show', 'eth0');
    assert.match(link, /mtu 1370/);
    for (const host of hosts) assert.deepEqual(await audits(host), []);
  });

  it('take up their tunnels after a restart without losing a packet', async () => {
    assert.ok(reaches('secret'));
    const before = [keys(), pids()];
    const pinged = steadyPing(300);
    for (const host of hosts) {
      await host.restart(whole());
      await tellAll();
      assert.deepEqual(await audits(host), []);
    }
    assert.equal(await pinged, '300');
    assert.deepEqual([keys(), pids()], before);
  });

  it('replace their keys without losing a packet', async () => {
    assert.ok(reaches('secret'));
    const before = keys();
    const step = async (afterMs: number) => {
      shiftMs += afterMs;
      for (const host of hosts) assert.deepEqual(await audits(host), []);
      await tellAll();
      assert.ok(reaches('secret'));
    };
    const pinged = steadyPing(500);
    await step(12 * 3_600_000);
    const after = keys();
    assert.ok(after.every((key, index) => key !== undefined && key !== before[index]));
    assert.deepEqual(
      pids().map(({ length }) => length),
      [2, 2],
    );
    await step(20_000);
    await step(40_000);
    await step(20_000);
    assert.equal(await pinged, '500');
    assert.deepEqual(keys(), after);
    assert.deepEqual(
      pids().map(({ length }) => length),
      [1, 1],
    );
  });

  it('replace their keys when they are asked to, once each time', async () => {
    const before = keys();
    const rotate = async (keyRotation: number) => {
      const update = whole().update.map((one) =>
        one.type === 'network' && one.object.encrypted
          ? { ...one, object: { ...one.object, keyRotation } }
          : one,
      );
      for (const host of hosts) await host.assign({ ...whole(), update });
      for (const host of hosts) assert.deepEqual(await audits(host), []);
      await tellAll();
    };
    await rotate(1);
    const after = keys();
    assert.ok(after.every((key, index) => key !== undefined && key !== before[index]));
    await rotate(1);
    await rotate(2);
    assert.deepEqual(keys(), after, 'the replacement before is not done with yet');
    shiftMs += 20_000;
    await rotate(2);
    shiftMs += 40_000;
    await rotate(2);
    await rotate(2);
    assert.ok(keys().every((key, index) => key !== undefined && key !== after[index]));
    assert.ok(reaches('secret'));
  });

  it('get a new tunnel where the old one has been ended', async () => {
    assert.ok(reaches('secret'));
    const [before] = keys();
    process.kill(pids()[0]![0]!, 'SIGKILL');
    const found = await until('its end is noticed', () => audits(hosts[0]!), {
      accept: ({ length }) => length > 0,
    });
    assert.deepEqual(found, ['tunnel']);
    assert.notEqual(keys()[0], before);
    await tellAll();
    assert.ok(reaches('secret'));
    assert.deepEqual(await audits(hosts[0]!), []);
  });

  it('end with the last encrypted network', async () => {
    const [[pid]] = pids() as [[number], [number]];
    await hosts[0]!.detach(`secret-${hosts[0]!.id}`);
    const rest = networks.slice(0, 1);
    await hosts[0]!.assign(everything(rest, [], []));
    assert.equal(hosts[0]!.peer.dataPath.wireguard, undefined);
    await until('its process has ended', () => !existsSync(`/proc/${pid}`));
  });
});
