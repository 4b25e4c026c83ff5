/** A real etcd of one member on loopback, in a folder that goes with it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../lab/until.ts';

export class TestEtcd implements AsyncDisposable {
  readonly #folder: string;
  readonly #ports: readonly number[];
  readonly #tls: boolean;
  #child: ChildProcess | undefined;

  private constructor(folder: string, ports: readonly number[], tls: boolean) {
    this.#folder = folder;
    this.#ports = ports;
    this.#tls = tls;
  }

  /** With `tls` it takes only clients with a certificate of its CA: see `pem`. */
  static async start({ tls = false } = {}): Promise<TestEtcd> {
    const folder = await mkdtemp(join(tmpdir(), 'etcd-'));
    const etcd = new TestEtcd(folder, [await freePort(), await freePort()], tls);
    try {
      if (tls) await etcd.#makeCertificates();
      await etcd.run();
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** "ca.crt", and "node.crt" with "node.key", which are for server and clients alike. */
  pem(name: string): Promise<string> {
    return readFile(join(this.#folder, name), 'utf8');
  }

  /** HOST:PORT, as clients reach it. */
  get address(): string {
    return `127.0.0.1:${this.#ports[0]}`;
  }

  /** Starts it again after `kill`, with what it had. */
  async run(): Promise<void> {
    const client = this.#url;
    const peer = `http://127.0.0.1:${this.#ports[1]}`;
    const flags = {
      ...(this.#tls ? this.#tlsFlags() : {}),
      'data-dir': join(this.#folder, 'data'),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': `default=${peer}`,
      logger: 'zap',
      'log-level': 'error',
    };
    const argv = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    this.#child = spawn('etcd', argv, { stdio: ['ignore', 'ignore', 'inherit'] });
    await until('etcd is healthy', () => this.ctl('endpoint', 'health'), {
      timeoutMs: 20_000,
      // It says so on its standard error, and ends well.
      accept: () => true,
    });
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  /** Holds still, as behind a cable that was pulled. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  goOn(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Runs etcdctl against it. */
  async ctl(...args: readonly string[]): Promise<string> {
    const file = (name: string) => join(this.#folder, name);
    const tls = this.#tls
      ? ['--cacert', file('ca.crt'), '--cert', file('node.crt'), '--key', file('node.key')]
      : [];
    const child = spawn('etcdctl', ['--endpoints', this.#url, ...tls, ...args], {
      env: { PATH: process.env['PATH'], ETCDCTL_API: '3' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(`etcdctl ${args.join(' ')} ended with ${code}`);
    return out;
  }

  get #url(): string {
    return `${this.#tls ? 'https' : 'http'}://${this.address}`;
  }

  #tlsFlags(): Record<string, string> {
    const file = (name: string) => join(this.#folder, name);
    return {
      'cert-file': file('node.crt'),
      'key-file': file('node.key'),
      'trusted-ca-file': file('ca.crt'),
      'client-cert-auth': 'true',
    };
  }

  async #makeCertificates(): Promise<void> {
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { cwd: this.#folder, stdio: 'ignore' });
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await writeFile(
      join(this.#folder, 'extensions'),
      'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
    );
    const outputs = ['-keyout', 'ca.key', '-out', 'ca.crt'];
    openssl('req', '-x509', ...curve, '-subj', '/CN=ca', '-days', '2', ...outputs);
    openssl('req', ...curve, '-subj', '/CN=node', '-keyout', 'node.key', '-out', 'node.csr');
    const issuer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    const issued = ['-extfile', 'extensions', '-out', 'node.crt'];
    openssl('x509', '-req', '-in', 'node.csr', ...issuer, ...issued);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goOn();
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
