/** What `npm pack` makes is all that a host with Node and Debian's packages needs. */
import { strict as assert } from 'node:assert';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Lab, run, runResult, until, type Host } from '../lab/index.ts';

const root = resolve(import.meta.dirname, '../..');

interface LockFile {
  readonly packages: Record<string, { readonly dev?: boolean; readonly link?: boolean }>;
}

describe('the package', () => {
  let lab: Lab;
  let host: Host;
  let program: string;

  before(async () => {
    lab = await Lab.create({ hosts: 1 });
    host = lab.host('h1');
    const folder = join(lab.folder, 'package');
    mkdirSync(folder);
    const packed = await run(
      ['npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder],
      { cwd: root, timeoutMs: 60_000 },
    );
    const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
    await run(['tar', '--extract', '--file', join(folder, filename), '--directory', folder]);
    await linkDependencies(join(folder, 'package'));
    program = join(folder, 'package', 'bin', 'ts-swarm');
  });
  after(() => lab.close());

  // The machine's own Node may be another: the one of the tests is put in front.
  const node = join(root, 'node_modules', 'node', 'bin', 'node');
  const PATH = `${dirname(node)}:${process.env['PATH']}`;

  it('runs a node of a swarm', async () => {
    const image = await lab.image('sleeper:1');
    const flags = [
      `--data-root=${host.dataRoot}`,
      `--run-root=${host.runRoot}`,
      `--insecure-registry=${lab.registry.address}`,
    ];
    const inside = (...argv: string[]) => host.exec(['env', `PATH=${PATH}`, program, ...argv]);
    const made = await inside('init', '--advertise-addr', host.address, ...flags);
    assert.match(made, /Swarm initialized/);
    await inside('-H', host.url, 'service', 'create', '--quiet', '--name', 'calm', image);
    await until('its container runs', () => host.containers().length === 1);
    const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Version)
      .version;
    assert.equal(await inside('--version'), `ts-swarm version ${version}\n`);
  });

  it('brings nothing that only tests need', () => {
    const helper = /(?:^|\/)(?:testing(?:\.js$|\/)|fake-[^/]*\.js$)|\.(?:test|contract)\.js$/;
    const dist = join(dirname(program), '..', 'dist');
    const files = readdirSync(dist, { encoding: 'utf8', recursive: true });
    assert.ok(files.includes(join('bundle', 'daemon.js')));
    assert.deepEqual(
      files.filter((file) => helper.test(file)),
      [],
    );
  });

  it('brings every module that another one of it needs, and the daemon’s once', () => {
    const dist = join(dirname(program), '..', 'dist');
    const modules = readdirSync(dist, { encoding: 'utf8', recursive: true })
      .filter((file) => file.endsWith('.js') && !file.startsWith('bundle'))
      .map((file) => join(dist, file));
    assert.ok(modules.length > 100);
    const missing = modules.flatMap((file) => {
      const needed = readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g);
      return [...needed]
        .map(([, path = '']) => join(dirname(file), path))
        .filter((path) => !existsSync(path));
    });
    assert.deepEqual(missing, []);
    const folders = readdirSync(dist).sort();
    assert.deepEqual(folders, ['bundle', 'cli', 'compose', 'lib', 'types']);
  });

  it('says which Node it needs', async () => {
    const main = join(dirname(program), '..', 'dist', 'cli', 'main.js');
    const older = "Object.defineProperty(process.versions, 'node', { value: '22.9.0' });";
    const result = await runResult([node, '--import', `data:text/javascript,${older}`, main]);
    assert.equal(result.code, 1);
    assert.match(
      result.stderr,
      /^ts-swarm needs Node 24 or newer, and \S+ is v\S+: put a newer one/,
    );
  });

  it('brings a unit for systemd that lets containers outlive the daemon', async () => {
    const unit = join(dirname(program), '..', 'packaging', 'ts-swarm.service');
    const text = readFileSync(unit, 'utf8');
    assert.match(text, /^KillMode=process$/m);
    const start = /^ExecStart=\/usr\/local\/bin\/ts-swarm (.*)$/m.exec(text)?.[1];
    assert.equal(start, 'daemon $TS_SWARM_FLAGS');
  });
});

interface Version {
  readonly version: string;
}

/** The packages that npm would install with it, and none that only development needs. */
async function linkDependencies(folder: string): Promise<void> {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
  for (const [path, { dev, link }] of Object.entries(lock.packages)) {
    const isTop = path.startsWith('node_modules/') && !path.includes('/node_modules/');
    if (!isTop || dev === true || link === true) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(join(root, path), join(folder, path));
  }
}
