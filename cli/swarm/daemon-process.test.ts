import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../../lib/clock.ts';
import { StubDaemon } from '../testing/stub-daemon.ts';
import { ensureDaemon } from './daemon-process.ts';

describe('swarm/daemon-process', () => {
  let runRoot: string;

  beforeEach(() => {
    runRoot = mkdtempSync(join(tmpdir(), 'cli-daemon-'));
  });

  afterEach(() => rmSync(runRoot, { recursive: true }));

  const options = (host: string, ...argv: string[]) => ({ host, runRoot, argv, clock: realClock });

  it('starts none where one answers', async () => {
    await using daemon = await new StubDaemon({}).listen();
    assert.equal(await ensureDaemon(options(daemon.host)), false);
  });

  it('shows the end of the log of a daemon that dies at once', async () => {
    const host = `unix://${runRoot}/docker.sock`;
    await assert.rejects(ensureDaemon(options(host, '--no-such-flag')), (error: Error) => {
      assert.match(
        error.message,
        /^the daemon ended before it answered \(exit code \d+\)\. The end/,
      );
      assert.match(error.message, /no-such-flag/);
      return true;
    });
    assert.match(readFileSync(join(runRoot, 'daemon.log'), 'utf8'), /no-such-flag/);
  });

  it('does not start one behind an address of another host', async () => {
    await assert.rejects(ensureDaemon(options('tcp://127.0.0.1:1')), {
      message: /^no daemon answers at tcp:\/\/127\.0\.0\.1:1: only one on a unix socket/,
    });
  });

  it('says when the log cannot be written', async () => {
    const host = `unix://${runRoot}/docker.sock`;
    const inFile = { ...options(host), runRoot: '/dev/null/x' };
    await assert.rejects(ensureDaemon(inFile), {
      message: /^\/dev\/null\/x\/daemon\.log cannot be written \(ENOTDIR/,
    });
  });
});
