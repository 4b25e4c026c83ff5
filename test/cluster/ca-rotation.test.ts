/** The swarm's root is replaced while everything runs. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary, Lab, until, type Host } from '../lab/index.ts';
import { ExternalSigner } from './external-signer.ts';
import { imageOf, TestSwarm, withDaemonLogs } from './swarm.ts';

interface TlsInfo {
  readonly TrustRoot: string;
  readonly CertIssuerPublicKey: string;
}
interface Swarm {
  readonly TLSInfo: TlsInfo;
  readonly RootRotationInProgress: boolean;
  readonly Version: { readonly Index: number };
  readonly Spec: { readonly CAConfig: { readonly ExternalCAs?: readonly { URL: string }[] } };
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
}
interface Node {
  readonly Description: { readonly Hostname: string; readonly TLSInfo: TlsInfo };
}

/** h1 to h3 are managers, h4 is a worker. */
describe('rotation of the root CA', () => {
  let swarm: TestSwarm;
  let h1: Host;
  let h2: Host;
  let h4: Host;

  before(async () => {
    const lab = await Lab.create({ hosts: 4 });
    swarm = new TestSwarm(lab);
    [h1, h2, h4] = [lab.host('h1'), lab.host('h2'), lab.host('h4')];
    await Promise.all([lab.startSwarm({ managers: 3 }), lab.image('sleeper:1')]);
    await swarm.create('calm', '--replicas', '4', imageOf(swarm, 'sleeper:1'));
    await swarm.runs('calm', 4);
  });
  afterEach(function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, swarm.lab);
  });
  after(() => swarm?.lab.close());

  it('gives every node a certificate of the new root, and touches no task', async () => {
    // No node is to be missed meanwhile on a busy machine, or its tasks are replaced.
    await h1.cli('swarm', 'update', '--dispatcher-heartbeat', '10s');
    const before = await inspect();
    const containers = swarm.containers();
    const out = await h1.cli('swarm', 'ca', '--rotate');
    assert.match(out, /^rotated TLS certificates: \d\/4 nodes/);
    assert.match(out, /rotated TLS certificates: 4\/4 nodes\n-----BEGIN CERTIFICATE-----/);
    const after = await inspect();
    assert.notEqual(after.TLSInfo.TrustRoot, before.TLSInfo.TrustRoot);
    assert.ok(out.endsWith(after.TLSInfo.TrustRoot));
    assert.equal(await h1.cli('swarm', 'ca'), after.TLSInfo.TrustRoot);
    assert.notEqual(after.JoinTokens.Worker, before.JoinTokens.Worker);
    assert.notEqual(after.JoinTokens.Manager, before.JoinTokens.Manager);
    await untilTrusted(after.TLSInfo.TrustRoot);
    assert.deepEqual(swarm.containers(), containers);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready, h4 ready');
    await h1.cli('swarm', 'update', '--dispatcher-heartbeat', '5s');
    await swarm.cli('service', 'scale', 'calm=6');
    await swarm.runs('calm', 6);
  });

  it('lets hosts join with the new token, and with no old one', async () => {
    const old = (await h1.cli('join-token', '-q', 'worker')).trim();
    await h1.cli('swarm', 'ca', '--rotate', '-q');
    const token = (await h1.cli('join-token', '-q', 'worker')).trim();
    const oldId = await nodeIdOf(h4);
    await h4.cli('leave');
    const refused = await h4.cliResult('join', '--token', old, `${h1.address}:2377`);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /remote CA does not match fingerprint/);
    await h4.cli('join', '--token', token, `${h1.address}:2377`);
    await replaced(oldId);
  });

  it('waits for a host that is off, and ends when that comes back', async () => {
    await h4.kill();
    await until('h4 is down', async () => (await swarm.nodeStates()).includes('h4 down'));
    const before = await inspect();
    const log = join(swarm.lab.folder, 'rotation.log');
    const shown = () => readFileSync(log, 'utf8');
    const rotation = await h1.start(
      'the rotation',
      [binary, '-H', h1.url, 'swarm', 'ca', '--rotate'],
      log,
    );
    await until('all others have gone over', async () => {
      const nodes = await h1.api<Node[]>('GET', '/nodes');
      const { TLSInfo: wanted } = await inspect();
      return (
        wanted.CertIssuerPublicKey !== before.TLSInfo.CertIssuerPublicKey &&
        nodes.filter(({ Description: { TLSInfo: own } }) => {
          return own.CertIssuerPublicKey === wanted.CertIssuerPublicKey;
        }).length === 3
      );
    });
    const during = await inspect();
    assert.equal(during.RootRotationInProgress, true);
    assert.equal(during.TLSInfo.TrustRoot, before.TLSInfo.TrustRoot);
    assert.deepEqual(during.JoinTokens, before.JoinTokens);
    await until('it is said who is waited for', () =>
      /rotated TLS certificates: 3\/4 nodes, waiting for h4\n/.test(shown()),
    );
    await h4.boot();
    await until('the rotation ends', () => !rotation.isRunning);
    assert.match(shown(), /: 4\/4 nodes\n-----BEGIN CERTIFICATE-----/);
    await untilTrusted((await inspect()).TLSInfo.TrustRoot);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready, h4 ready');
  });

  it('goes on under another leader', async () => {
    const before = await inspect();
    await h4.kill();
    await h1.cli('swarm', 'ca', '--rotate', '-d');
    await h1.killDaemon();
    await until('another leads', async () => (await h2.cliResult('node', 'ls')).code === 0);
    assert.equal((await inspect(h2)).RootRotationInProgress, true);
    await h1.startDaemon();
    await h4.boot();
    await until('the rotation ends', async () => {
      const { RootRotationInProgress: goesOn } = await h2.api<Swarm>('GET', '/swarm');
      return !goesOn;
    });
    const after = await inspect();
    assert.notEqual(after.TLSInfo.TrustRoot, before.TLSInfo.TrustRoot);
    await untilTrusted(after.TLSInfo.TrustRoot);
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready, h4 ready');
  });

  it('takes a root of the user’s own, and Docker’s client', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ca-'));
    try {
      const [cert, key] = [join(folder, 'ca.crt'), join(folder, 'ca.key')];
      const kind = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 800 -subj /CN=own';
      openssl('req', '-x509', ...kind.split(' '), '-keyout', key, '-out', cert);
      const flags = ['--rotate', '--ca-cert', cert, '--ca-key', key];
      await h1.docker('swarm', 'ca', ...flags, '--quiet');
      const { TLSInfo: own } = await inspect();
      assert.equal(
        new X509Certificate(own.TrustRoot).fingerprint256,
        new X509Certificate(readFileSync(cert)).fingerprint256,
      );
      await untilTrusted(own.TrustRoot);
      const same = await until('it is refused', () => h1.cliResult('swarm', 'ca', ...flags), {
        accept: ({ stderr }) => /the CA key is that of the present root/.test(stderr),
      });
      assert.equal(same.code, 1);
      await letSignOutside({ cert, key });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is not undone by restarts of all daemons', async () => {
    for (const host of swarm.hosts) {
      await host.stopDaemon();
      await host.startDaemon();
    }
    await swarm.untilNodes('h1 ready, h2 ready, h3 ready, h4 ready');
    await swarm.runs('calm', 6);
  });

  /** A CA outside that has the swarm's root signs for a host that joins, and no manager does. */
  async function letSignOutside({ cert, key }: { readonly cert: string; readonly key: string }) {
    const root = { certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') };
    const [address = ''] = swarm.lab.registry.address.split(':');
    await using signer = await ExternalSigner.start(root, address);
    const flag = `protocol=cfssl,url=${signer.url},cacert=${cert}`;
    // Docker's CLI does not try again where the managers have noted something meanwhile.
    await until('docker updates', () => h1.docker('swarm', 'update', '--external-ca', flag));
    const { JoinTokens, Spec } = await inspect();
    assert.deepEqual(
      Spec.CAConfig.ExternalCAs?.map(({ URL }) => URL),
      [signer.url],
    );
    const oldId = await nodeIdOf(h4);
    await h4.cli('leave');
    await h4.cli('join', '--token', JoinTokens.Worker, `${h1.address}:2377`);
    const joined = await nodeIdOf(h4);
    const asked = signer.asked.map(({ subject }) => subject.CN);
    assert.ok(asked.includes(joined), `${joined}: ${asked.join()}`);
    await replaced(oldId);
    await until('no CA outside is named any more', async () => {
      // Whoever changes the swarm in between has the update refused.
      const { Version, Spec: now } = await h1.api<Swarm>('GET', '/swarm');
      const body = { ...now, CAConfig: { ...now.CAConfig, ExternalCAs: [] } };
      const path = `/swarm/update?version=${Version.Index}`;
      return (await h1.apiResult('POST', path, body)).status === 200;
    });
  }

  /** An election, or a manager that has just started, is waited for. */
  function inspect(through = h1): Promise<Swarm> {
    return until('the swarm is told', () => through.api<Swarm>('GET', '/swarm'));
  }

  async function nodeIdOf(host: Host): Promise<string> {
    return (await host.cli('info', '--format', '{{.Swarm.NodeID}}')).trim();
  }

  /** Waits until h4 is ready as another node; the one that it was is then forgotten. */
  async function replaced(oldId: string): Promise<void> {
    await until('h4 is ready, and the old one down', () => swarm.nodes(), {
      accept: (nodes) => {
        const ofHost = nodes.filter(({ host }) => host === 'h4');
        const isRight = ofHost.every(
          ({ id, state }) => state === (id === oldId ? 'down' : 'ready'),
        );
        return ofHost.length === 2 && isRight;
      },
    });
    await h1.cli('node', 'rm', oldId);
  }

  async function untilTrusted(root: string): Promise<void> {
    await until('every node trusts the new root alone', async () => {
      const nodes = await h1.api<Node[]>('GET', '/nodes');
      const told = nodes.every(({ Description }) => Description.TLSInfo.TrustRoot === root);
      return (
        told &&
        swarm.hosts.every((host) => {
          return readFileSync(join(host.dataRoot, 'swarm/certificates/ca.crt'), 'utf8') === root;
        })
      );
    });
  }
});

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
