/** Three members of etcd on loopback, with TLS between them and to their clients. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, until } from '../../test/lab/index.ts';
import { Child } from './child.ts';
import type { EtcdClientConfig } from './etcd-client.ts';

const members = [1, 2, 3];
const firstPort = 23_790;

/** Started and elected; the client is connected to all three. Disposing ends and forgets them. */
export async function startEtcd(folder: string): Promise<AsyncDisposable & { client: Child }> {
  await using stack = new AsyncDisposableStack();
  mkdirSync(folder, { recursive: true });
  await makeCertificates(folder);
  const processes = members.map((member) => startMember(folder, member));
  stack.defer(async () => {
    for (const process of processes) process.kill('SIGKILL');
    for (const process of processes) {
      if (process.exitCode === null && process.signalCode === null) await once(process, 'exit');
    }
  });
  const hosts = members.map((member) => clientUrl(member));
  await until(
    'etcd is healthy',
    () => run(['etcdctl', ...tlsFlags(folder), `--endpoints=${hosts.join()}`, 'put', 'a', 'b']),
    { timeoutMs: 30_000 },
  );
  const config: EtcdClientConfig = { hosts, folder };
  const client = stack.use(new Child('etcd-client.ts', config));
  const running = stack.move();
  return { client, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

function startMember(folder: string, member: number): ChildProcess {
  const log = openSync(join(folder, `${member}.log`), 'a');
  const cluster = members.map((other) => `m${other}=${peerUrl(other)}`).join();
  const files = (kind: string) => [
    `--${kind}trusted-ca-file=${join(folder, 'ca.pem')}`,
    `--${kind}cert-file=${join(folder, 'node.pem')}`,
    `--${kind}key-file=${join(folder, 'node-key.pem')}`,
    `--${kind}client-cert-auth`,
  ];
  return spawn(
    'etcd',
    [
      `--name=m${member}`,
      `--data-dir=${join(folder, `data${member}`)}`,
      `--listen-client-urls=${clientUrl(member)}`,
      `--advertise-client-urls=${clientUrl(member)}`,
      `--listen-peer-urls=${peerUrl(member)}`,
      `--initial-advertise-peer-urls=${peerUrl(member)}`,
      `--initial-cluster=${cluster}`,
      '--initial-cluster-state=new',
      ...files(''),
      ...files('peer-'),
    ],
    { stdio: ['ignore', log, log] },
  );
}

async function makeCertificates(folder: string): Promise<void> {
  const path = (name: string) => join(folder, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  writeFileSync(
    path('node.ext'),
    'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
  );
  const ca = ['-subj', '/CN=bench-ca', '-keyout', path('ca-key.pem'), '-out', path('ca.pem')];
  await run(['openssl', 'req', '-x509', ...key, '-days', '2', ...ca]);
  const node = ['-subj', '/CN=bench', '-keyout', path('node-key.pem'), '-out', path('node.csr')];
  await run(['openssl', 'req', ...key, ...node]);
  const by = ['-CA', path('ca.pem'), '-CAkey', path('ca-key.pem'), '-CAcreateserial'];
  const made = ['-in', path('node.csr'), '-out', path('node.pem'), '-extfile', path('node.ext')];
  await run(['openssl', 'x509', '-req', '-days', '2', ...by, ...made]);
}

function tlsFlags(folder: string): string[] {
  return [
    `--cacert=${join(folder, 'ca.pem')}`,
    `--cert=${join(folder, 'node.pem')}`,
    `--key=${join(folder, 'node-key.pem')}`,
  ];
}

function clientUrl(member: number): string {
  return `https://127.0.0.1:${firstPort + member * 10}`;
}

function peerUrl(member: number): string {
  return `https://127.0.0.1:${firstPort + member * 10 + 1}`;
}
