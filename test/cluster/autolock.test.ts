/** Managers whose keys on disk are locked, and what a restart then takes. */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary, Lab, runResult, until, type Host, type RunResult } from '../lab/index.ts';
import { withDaemonLogs } from './swarm.ts';

const locked =
  'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm ' +
  'unlock" to unlock it.';
const keyPattern = /^ {4}(SWMKEY-1-[A-Za-z0-9+/]{43})$/m;

interface Info {
  readonly Swarm: { readonly LocalNodeState: string; readonly ControlAvailable: boolean };
}

/** h1 to h3 are managers, h4 is a worker. */
describe('autolock', () => {
  let lab: Lab;
  let managers: readonly Host[];
  let h1: Host;
  let h2: Host;
  let h4: Host;

  before(async () => {
    lab = await Lab.create({ hosts: 4 });
    [h1, h2, h4] = [lab.host('h1'), lab.host('h2'), lab.host('h4')];
    managers = [h1, h2, lab.host('h3')];
    await lab.startSwarm({ managers: 3 });
  });
  afterEach(function () {
    const failure = this.currentTest?.err;
    if (failure !== undefined) withDaemonLogs(failure, lab);
  });
  after(() => lab?.close());

  it('keeps nothing readable on the disk, even without a lock', async () => {
    await h1.cli('service', 'create', '-d', '--name', 'swordfish', '--replicas', '0', 'x:1');
    await until('every manager has the service', async () => {
      const found = await Promise.all(managers.map((host) => host.cli('service', 'ls')));
      return found.every((text) => text.includes('swordfish'));
    });
    await untilKeysEncrypted(managers);
    for (const host of managers) {
      assert.equal(raftBytes(host).includes('swordfish'), false, `${host.name}'s log is readable`);
      assert.ok(keysOf(host)?.secrets, 'there is no lock yet');
    }
    assert.match(nodeKey(h4), /BEGIN PRIVATE KEY/, 'a worker starts without a person');
    await refused(h1, /no unlock key is set/, 'swarm', 'unlock-key');
    const early = ['swarm', 'unlock-key', '--rotate'];
    await refused(h1, /cannot rotate because autolock is not turned on/, ...early);
    assert.match((await unlock(h1, 'x')).stderr, /swarm is not locked/);
  });

  it('locks every manager, and a restarted one waits for the key', async () => {
    const out = await h1.cli('swarm', 'update', '--autolock');
    const key = keyPattern.exec(out)?.[1];
    assert.ok(key !== undefined, out);
    assert.match(out, /^Swarm updated\.\n/);
    assert.equal(await h2.cli('swarm', 'unlock-key', '-q'), `${key}\n`);
    assert.equal(await h2.docker('swarm', 'unlock-key', '-q'), `${key}\n`);
    await untilLocked(managers, 1);
    assert.equal(keysOf(h4), undefined);

    await restart(h2);
    assert.equal(await stateOf(h2), 'locked');
    for (const ask of [h2.cliResult('node', 'ls'), h2.dockerResult('node', 'ls')]) {
      const refused = await ask;
      assert.equal(refused.code, 1);
      assert.ok(refused.stderr.includes(locked), refused.stderr);
    }
    assert.match(await h2.docker('info'), /Swarm: locked/);
    const leave = await h2.cliResult('leave');
    assert.match(leave.stderr, /Swarm is encrypted and locked\. Please unlock it first or use/);
    const wrong = await unlock(h2, `SWMKEY-1-${'A'.repeat(43)}`);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /swarm could not be unlocked: invalid key provided/);
    assert.equal(await stateOf(h2), 'locked');

    assert.equal((await unlock(h2, key)).stderr, '');
    await untilActive(h2);
    await untilManages(h2);
    assert.match(await h2.cli('service', 'ls'), /swordfish/);
  });

  it('takes a new key on every manager, and the old one no more', async () => {
    const old = (await h1.cli('swarm', 'unlock-key', '-q')).trim();
    const out = await h2.cli('swarm', 'unlock-key', '--rotate');
    assert.match(out, /^Successfully rotated manager unlock key\.\n/);
    const key = keyPattern.exec(out)?.[1] ?? '';
    assert.notEqual(key, old);
    await untilLocked(managers, 2);
    for (const host of managers) {
      await restart(host);
      const refused = await unlock(host, old);
      assert.match(refused.stderr, /invalid key provided/, `${host.name} took the old key`);
      assert.equal((await unlock(host, key)).stderr, '');
      await untilManages(host);
    }
  });

  it('locks a manager that joins, and unlocks one that is demoted', async () => {
    await h1.cli('node', 'promote', 'h4');
    await until('h4 is locked as well', () => keysOf(h4)?.wrapped !== undefined);
    // It may be refused while h4 is not yet what it is to be, or while a leader is elected.
    await until('h4 is to be a worker', async () => {
      return (await h1.cliResult('node', 'demote', 'h4')).code === 0;
    });
    await until('h4 has no keys of a manager', () => keysOf(h4) === undefined);
    await until('h4 has a plain key', () => /BEGIN PRIVATE KEY/.test(nodeKey(h4)));
    await restart(h4);
    await untilActive(h4);
  });

  it('is taken off on every manager', async () => {
    assert.equal(await h1.cli('swarm', 'update', '--autolock=false'), 'Swarm updated.\n');
    await until('no manager is locked', () => managers.every((host) => keysOf(host)?.secrets));
    await restart(h2);
    await untilActive(h2);
    await refused(h1, /no unlock key is set/, 'swarm', 'unlock-key');
  });

  it('is there from the start where init asks for it', async () => {
    await h4.cli('leave');
    const out = await h4.cli('init', '--autolock', '--advertise-addr', h4.address);
    const key = keyPattern.exec(out)?.[1] ?? '';
    await untilLocked([h4], 1);
    await restart(h4);
    assert.equal(await stateOf(h4), 'locked');
    assert.equal((await unlock(h4, key)).stderr, '');
    await untilActive(h4);
  });

  it('ends with the swarm', async () => {
    await h4.cli('leave', '--force');
    await h4.cli('init', '--advertise-addr', h4.address);
    await restart(h4);
    await untilActive(h4);
    await h4.cli('leave', '--force');
    const none = await unlock(h4, 'x');
    assert.match(none.stderr, /This node is not part of a swarm/);
  });

  async function untilLocked(hosts: readonly Host[], version: number): Promise<void> {
    await until(`every manager has lock ${version}`, () =>
      hosts.every((host) => {
        const keys = keysOf(host);
        return keys?.wrapped !== undefined && keys.lockVersion === version;
      }),
    );
    await untilKeysEncrypted(hosts);
  }

  async function untilKeysEncrypted(hosts: readonly Host[]): Promise<void> {
    await until('private keys are encrypted', () =>
      hosts.every((host) => /BEGIN ENCRYPTED PRIVATE KEY/.test(nodeKey(host))),
    );
  }

  /** A manager that is made a worker, or a worker that is made a manager, is neither meanwhile. */
  async function untilActive(host: Host): Promise<void> {
    await until(`${host.name} is active`, () => stateOf(host), {
      accept: (state) => state === 'active',
    });
  }

  async function untilManages(host: Host): Promise<void> {
    await until(
      `${host.name} manages`,
      async () => (await host.cliResult('node', 'ls')).code === 0,
    );
  }
});

interface StoredKeys {
  readonly lockVersion: number;
  readonly secrets?: object;
  readonly wrapped?: string;
}

function keysOf(host: Host): StoredKeys | undefined {
  const folder = join(host.dataRoot, 'swarm', 'certificates');
  if (!readdirSync(folder).includes('manager-keys.json')) return undefined;
  return JSON.parse(readFileSync(join(folder, 'manager-keys.json'), 'utf8')) as StoredKeys;
}

function nodeKey(host: Host): string {
  return readFileSync(join(host.dataRoot, 'swarm', 'certificates', 'node.key'), 'utf8');
}

function raftBytes(host: Host): Buffer {
  const folder = join(host.dataRoot, 'swarm', 'raft');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Buffer.concat(
    files
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(file.parentPath, file.name))),
  );
}

async function restart(host: Host): Promise<void> {
  await host.stopDaemon();
  await host.startDaemon();
}

async function stateOf(host: Host): Promise<string> {
  return (await host.api<Info>('GET', '/info')).Swarm.LocalNodeState;
}

/** Of a swarm that has a leader. */
async function refused(host: Host, says: RegExp, ...args: readonly string[]): Promise<void> {
  const { code } = await until(`it is said: ${says}`, () => host.cliResult(...args), {
    accept: (result) => result.code === 0 || says.test(result.stderr),
  });
  assert.equal(code, 1);
}

function unlock(host: Host, key: string): Promise<RunResult> {
  return runResult([binary, '-H', host.url, 'unlock'], { input: `${key}\n`, timeoutMs: 120_000 });
}
