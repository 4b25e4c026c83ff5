/** Whole command lines that lock managers and replace the root, against a daemon as told. */
import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../../lib/clock.ts';
import { runCli } from '../../testing/run-cli.ts';
import { StubDaemon, type Answer } from '../../testing/stub-daemon.ts';

const swarm = {
  ID: 'swarm1',
  Version: { Index: 7 },
  Spec: { Name: 'default' },
  JoinTokens: { Worker: 'SWMTKN-w', Manager: 'SWMTKN-m' },
};
const node = { ID: 'node1', Spec: { Role: 'manager' }, Status: { State: 'ready' } };
const answers: Record<string, Answer> = {
  'GET /info': { json: { Name: 'h1', Swarm: { LocalNodeState: 'active' } } },
  'GET /swarm': { json: swarm },
  'POST /swarm/update': { status: 200 },
};

/** A clock whose waits are over at once, and count. */
class HastyClock extends VirtualClock {
  override async sleep(delayMs: number): Promise<void> {
    this.advance(delayMs);
    await Promise.resolve();
  }
}

describe('cli/commands/swarm', () => {
  let daemon: StubDaemon;
  beforeEach(async () => (daemon = await new StubDaemon(answers).listen()));
  afterEach(() => daemon[Symbol.asyncDispose]());
  const cli = (line: string, options: Parameters<typeof runCli>[2] = {}) =>
    runCli(daemon.host, line.split(' '), { clock: new HastyClock(), ...options });

  it('locks managers, and shows the key', async () => {
    daemon.answer({ 'GET /swarm/unlockkey': { json: { UnlockKey: 'SWMKEY-1-k' } } });
    const ran = await cli('swarm update --autolock');
    assert.match(
      ran.out,
      /^Swarm updated\.\n\nTo unlock a swarm manager .*\n.*\n\n {4}SWMKEY-1-k\n/,
    );
    assert.equal((await cli('swarm update --autolock=false')).out, 'Swarm updated.\n');
    assert.equal((await cli('swarm unlock-key -q')).out, 'SWMKEY-1-k\n');
    const early = await cli('swarm unlock-key --rotate');
    assert.match(early.err, /cannot rotate because autolock is not turned on/);
    const Spec = { ...swarm.Spec, EncryptionConfig: { AutoLockManagers: true } };
    daemon.answer({ 'GET /swarm': { json: { ...swarm, Spec } } });
    const rotated = await cli('swarm unlock-key --rotate');
    assert.match(rotated.out, /^Successfully rotated manager unlock key\.\n\nTo unlock/);
    const update = daemon.asked.findLast(({ path }) => path === '/swarm/update');
    assert.equal(update?.query.get('rotateManagerUnlockKey'), 'true');
    daemon.answer({ 'GET /swarm/unlockkey': { json: { UnlockKey: '' } } });
    assert.match((await cli('swarm unlock-key')).err, /no unlock key is set/);
  });

  it('unlocks with a key from the standard input', async () => {
    assert.match((await cli('unlock', { stdin: 'k' })).err, /swarm is not locked/);
    const locked = { Name: 'h1', Swarm: { LocalNodeState: 'locked' } };
    daemon.answer({ 'GET /info': { json: locked }, 'POST /swarm/unlock': { status: 200 } });
    assert.deepEqual(await cli('unlock', { stdin: 'SWMKEY-1-k\n' }), { code: 0, err: '', out: '' });
    assert.deepEqual(daemon.bodyOf('POST /swarm/unlock'), { UnlockKey: 'SWMKEY-1-k' });
  });

  it('lets go of a backup that it has no file for', async () => {
    const { promise: given, resolve } = Promise.withResolvers<void>();
    // It never ends: a command that held on to it would never end either.
    daemon.answer({
      'GET /swarm/backup': (_asked, response) => {
        response.once('close', resolve);
        response.write('the beginning');
      },
    });
    const ran = await cli('swarm backup -o /nonexistent/swarm.backup');
    assert.match(ran.err, /^no backup was made: ENOENT/);
    assert.equal(ran.code, 1);
    await given;
  });

  it('reads no more of a file than a secret may have', async () => {
    const ran = await cli('secret create endless /dev/zero');
    assert.equal(ran.err, '/dev/zero holds more than 2 MiB\n');
    const missing = await cli('secret create none /nonexistent');
    assert.match(missing.err, /^Error reading content from "\/nonexistent": ENOENT/);
  });

  it('replaces the root, and says whom it waits for', async () => {
    const at = (done: boolean, key: string) => ({
      'GET /swarm': {
        json: {
          ...swarm,
          TLSInfo: { TrustRoot: done ? 'NEW' : 'OLD', CertIssuerPublicKey: 'new' },
          RootRotationInProgress: !done,
        },
      },
      'GET /nodes': {
        json: [{ ...node, Description: { Hostname: 'h1', TLSInfo: { CertIssuerPublicKey: key } } }],
      },
    });
    daemon.answer(at(false, 'old'));
    const late = await cli('swarm ca --rotate');
    assert.equal(late.out, 'rotated TLS certificates: 0/1 nodes, waiting for h1\n');
    assert.match(late.err, /the rotation goes on, .*missing: h1/);
    assert.equal((await cli('swarm ca --rotate -d')).out, '');
    daemon.answer(at(true, 'new'));
    const ran = await cli('swarm ca --rotate');
    assert.equal(ran.out, 'rotated TLS certificates: 1/1 nodes\nNEW\n');
    assert.equal((await cli('swarm ca --rotate -q')).out, '');
    const body = daemon.bodyOf('POST /swarm/update') as { CAConfig: { ForceRotate: number } };
    assert.equal(body.CAConfig.ForceRotate, 1);
  });
});
