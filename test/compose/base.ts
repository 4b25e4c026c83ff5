/**
 * The image that the Dockerfile begins with, made of Debian's packages and the machine's own Node:
 * for machines that reach package registries, but no registry of images.
 */
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { run } from '../lab/index.ts';

export const baseName = 'ts-swarm-base';

const root = resolve(import.meta.dirname, '../..');
const certificates = '/etc/ssl/certs/ca-certificates.crt';
/** Where this machine's apt gets its packages, and how. */
const aptSettings = ['/etc/apt/sources.list', '/etc/apt/sources.list.d', '/etc/apt/apt.conf.d'];

/** Imports it into the Docker daemon at `url`. Takes about two minutes. */
export async function importBase(url: string, scratch: string): Promise<void> {
  const rootfs = join(scratch, 'rootfs');
  await run(['debootstrap', '--variant=minbase', '--include=ca-certificates', 'bookworm', rootfs], {
    timeoutMs: 600_000,
  });
  for (const path of aptSettings) {
    if (existsSync(path)) cpSync(path, join(rootfs, path), { recursive: true, force: true });
  }
  cpSync(certificates, join(rootfs, certificates));
  await addNode(join(rootfs, 'usr', 'local'));
  const tar = join(scratch, 'base.tar');
  await run(['tar', '--create', '--file', tar, '--directory', rootfs, '.'], { timeoutMs: 120_000 });
  const environment = `ENV NODE_EXTRA_CA_CERTS=${certificates}`;
  await run(['docker', '-H', url, 'import', '--change', environment, tar, baseName], {
    timeoutMs: 120_000,
  });
}

/** npm is the one that runs the tests. */
async function addNode(prefix: string): Promise<void> {
  const npmCli = process.env['npm_execpath'];
  if (npmCli === undefined) throw new Error('run this with npm run test:compose');
  const modules = join(prefix, 'lib', 'node_modules');
  mkdirSync(modules, { recursive: true });
  mkdirSync(join(prefix, 'bin'), { recursive: true });
  cpSync(join(root, 'node_modules', 'node', 'bin', 'node'), join(prefix, 'bin', 'node'));
  cpSync(dirname(dirname(npmCli)), join(modules, 'npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(prefix, 'bin', 'npm'));
  const registry = (await run(['npm', 'config', 'get', 'registry'])).trim();
  mkdirSync(join(prefix, 'etc'), { recursive: true });
  writeFileSync(join(prefix, 'etc', 'npmrc'), `registry=${registry}\ncafile=${certificates}\n`);
}
