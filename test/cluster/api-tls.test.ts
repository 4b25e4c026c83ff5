/** The API on an address that a network reaches: over TLS, to clients with a certificate. */
import { strict as assert } from 'node:assert';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, Lab, run, runResult, until, type Host } from '../lab/index.ts';
import { newDocker, oldDocker } from '../compat/clients.ts';

const port = 2376;
const dockers = [oldDocker, newDocker].filter((cli) => cli !== undefined);

describe('the API over TLS', () => {
  let lab: Lab;
  let host: Host;
  /** Certificate folders as docker has them: ca.pem, cert.pem, key.pem. */
  let own: string;
  let foreign: string;

  before(async () => {
    lab = await Lab.create({ hosts: 1 });
    host = lab.host('h1');
    own = await certificates(join(lab.folder, 'tls'), host.address);
    foreign = await certificates(join(lab.folder, 'foreign'), host.address);
    const hosts = [`--host=${host.url}`, `--host=tcp://0.0.0.0:${port}`];
    await host.startDaemon({ flags: [...hosts, ...filesOf(own)] });
    await host.cli('init', '--advertise-addr', host.address);
    await until('its node is ready', async () => /h1 .*Ready .*Leader/.test(await nodes()));
  });
  after(() => lab.close());

  const nodes = () => host.cli('node', 'ls');
  const env = (folder: string) => ({
    DOCKER_HOST: `tcp://${host.address}:${port}`,
    DOCKER_TLS_VERIFY: '1',
    DOCKER_CERT_PATH: folder,
    DOCKER_CONFIG: join(lab.folder, 'config'),
  });

  for (const { name, path } of [...dockers, { name: 'ts-swarm', path: binary }]) {
    it(`is spoken by ${name} with a certificate, and with no other`, async () => {
      assert.match(await run([path, 'node', 'ls'], { env: env(own) }), /h1 .*Ready .*Leader/);
      const refused = await runResult([path, 'node', 'ls'], { env: env(foreign) });
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /certificate/);
    });

    it(`takes the files that ${name} is given by flags`, async () => {
      const { DOCKER_CONFIG } = env(own);
      const argv = [`--host=tcp://${host.address}:${port}`, '--tlsverify', ...filesOf(own)];
      const result = await run([path, ...argv, 'node', 'ls'], { env: { DOCKER_CONFIG } });
      assert.match(result, /h1 .*Ready .*Leader/);
    });
  }

  for (const { name, path } of dockers) {
    it(`is a context of ${name}`, async () => {
      const { DOCKER_CONFIG } = env(own);
      const context = `lab-${name.replaceAll(' ', '-')}`;
      const endpoint = [
        `host=tcp://${host.address}:${port}`,
        ...['ca', 'cert', 'key'].map((file) => `${file}=${join(own, `${file}.pem`)}`),
      ];
      const options = { env: { DOCKER_CONFIG } };
      await run([path, 'context', 'create', context, '--docker', endpoint.join(',')], options);
      const listed = await run([path, '--context', context, 'node', 'ls'], options);
      assert.match(listed, /h1 .*Ready .*Leader/);
    });
  }

  it('has the name in the certificate told by the history', async () => {
    for (const availability of ['pause', 'active']) {
      const argv = ['node', 'update', '--availability', availability, 'h1'];
      await run([binary, ...argv], { env: env(own) });
    }
    const told = await host.cli('history');
    assert.match(told, /node h1 +command \(h1\) +availability active → pause\n/);
    assert.match(told, /node h1 +command \(h1\) +availability pause → active\n/);
  });

  it('hangs up on those without a certificate', async () => {
    for (const scheme of ['http', 'https']) {
      const url = `${scheme}://${host.address}:${port}/info`;
      const result = await runResult(['curl', '--silent', '--insecure', '--max-time', '10', url]);
      assert.notEqual(result.code, 0, result.stdout);
      assert.equal(result.stdout, '');
    }
  });

  it('is not served where a file of it is missing', async () => {
    await host.stopDaemon();
    const flags = [`--tlscacert=${own}/none.pem`, `--tlscert=${own}/cert.pem`];
    const result = await host.execResult([
      binary,
      'daemon',
      `--data-root=${host.dataRoot}`,
      `--run-root=${host.runRoot}`,
      '--log-level=error',
      `--host=tcp://0.0.0.0:${port}`,
      ...flags,
      `--tlskey=${own}/key.pem`,
    ]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /cannot be served over TLS without .*none\.pem: ENOENT/);
  });
});

function filesOf(folder: string): string[] {
  return ['ca', 'cert', 'key'].map((file) => `--tls${nameOf(file)}=${join(folder, `${file}.pem`)}`);
}

function nameOf(file: string): string {
  return file === 'ca' ? 'cacert' : file;
}

/** An authority, and one certificate of it that serves and asks. */
async function certificates(folder: string, address: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const file = (name: string) => join(folder, name);
  writeFileSync(file('extensions'), `subjectAltName=IP:${address}\n`);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const days = ['-days', '2'];
  const openssl = (...argv: readonly string[][]) => run(['openssl', ...argv.flat()]);
  await openssl(
    ['req', '-x509', ...newKey, ...days, '-subj', '/CN=authority'],
    ['-keyout', file('ca-key.pem'), '-out', file('ca.pem')],
  );
  await openssl(
    ['req', ...newKey, '-subj', '/CN=h1'],
    ['-keyout', file('key.pem'), '-out', file('request.pem')],
  );
  await openssl(
    ['x509', '-req', '-in', file('request.pem'), ...days, '-CAcreateserial'],
    ['-CA', file('ca.pem'), '-CAkey', file('ca-key.pem')],
    ['-extfile', file('extensions'), '-out', file('cert.pem')],
  );
  return folder;
}
