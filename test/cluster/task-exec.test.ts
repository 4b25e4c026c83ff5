/** Commands in containers of other nodes: through any manager, by our CLI and by docker's. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { binary, runResult, until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm, words, type TaskView } from './swarm.ts';

const saying = (word: string) => ['exec', 'talk.1', 'sh', '-c', `echo ${word} >/proc/1/fd/1`];

describe('containers of other nodes', () => {
  // A node that is lost in the end is to be missed soon, and none that is only busy.
  const get = useSwarm({ heartbeat: '3s', hosts: 3, managers: 2, images: ['talker:1'] });
  let far: TaskView;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-task-'));
    const swarm = get();
    const flags = words('--constraint node.hostname==h3 --env LINES=3 --env COLOUR=blue');
    await swarm.create('talk', ...flags, imageOf(swarm, 'talker:1'));
    const [task] = await swarm.runs('talk', 1);
    far = task ?? assert.fail('no task');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** The leader, and one that follows. */
  const managers = () => [get().host('h1'), get().host('h2')];
  const containerOf = async () => {
    const { Status } = await get().manager.api<{
      Status: { ContainerStatus: { ContainerID: string } };
    }>('GET', `/tasks/${far.id}`);
    return Status.ContainerStatus.ContainerID;
  };
  const onTerminal = (host: Host, size: string, args: readonly string[], script: string) =>
    runResult(
      ['python3', join(import.meta.dirname, 'terminal.py'), size, binary, '-H', host.url, ...args],
      { input: script, timeoutMs: 120_000 },
    );

  it('run commands, and tell how they ended', async () => {
    const command = ['sh', '-c', 'echo out; echo err >&2; exit 7'];
    const container = await containerOf();
    for (const manager of managers()) {
      for (const name of ['talk.1', far.id.slice(0, 10), 'talk', container]) {
        const ran = await manager.cliResult('exec', name, ...command);
        assert.deepEqual([ran.code, ran.stdout, ran.stderr], [7, 'out\n', 'err\n'], name);
      }
      const ran = await manager.dockerResult('exec', container, ...command);
      assert.deepEqual([ran.code, ran.stdout, ran.stderr], [7, 'out\n', 'err\n'], 'docker');
    }
    const [follower] = managers().toReversed();
    assert.ok(follower);
    const run = (...args: string[]) => follower.cliResult('task', 'exec', ...args);
    const flags = ['-w', '/tmp', '-e', 'SHAPE=round', '-u', '65534:65534'];
    const inside = await run(...flags, 'talk.1', 'sh', '-c', 'pwd; echo $SHAPE $COLOUR; id -u');
    assert.equal(inside.stdout, '/tmp\nround blue\n65534\n');
    const missing = await run('talk.1', 'no-such-command');
    assert.ok([126, 127].includes(missing.code ?? 0), `ends with ${missing.code}`);
    const nobody = await run('talk.9', 'true');
    assert.match(nobody.stderr, /task talk\.9 not found/);
    const typed = await runResult(
      [binary, '-H', follower.url, 'exec', '-i', 'talk.1', 'sh', '-c', 'wc -c; exit 3'],
      { input: 'x'.repeat(300_000) },
    );
    assert.deepEqual([typed.code, typed.stdout.trim()], [3, '300000']);
  });

  it('have a terminal, of the size that the user has and changes it to', async () => {
    for (const manager of managers()) {
      const atEnd = '[ "$(stty size)" = "25 70" ] && { tty; exit 9; }';
      const wait = `trap 'stty size; ${atEnd}' WINCH; echo ready; while :; do sleep 0.1; done`;
      // The size is asked of the terminal, and not of the environment; it comes with the start or,
      // as from Docker, right after it.
      const size = 'until stty size 2>/dev/null; do sleep 0.1; done';
      const command = `unset LINES; ${size}; echo "name?"; read x; echo "hello $x"; ${wait}`;
      const text = 'name?\tjo\\n\nready\tresize 25x70\n';
      const args = ['exec', '-it', 'talk.1', 'sh', '-c', command];
      const ran = await onTerminal(manager, '31x97', args, text);
      assert.equal(ran.code, 9, ran.stdout + ran.stderr);
      assert.match(ran.stdout, /31 97[^]*hello jo[^]*25 70[^]*\/dev\/pts\/\d/);
    }
  });

  it('are attached to by WebSocket', async () => {
    const container = await containerOf();
    for (const manager of managers()) {
      const path = `/v1.41/containers/${container}/attach/ws?logs=1&stream=1&stdout=1`;
      const client = new WebSocket(`ws+unix:${manager.socketPath}:${path}`);
      let shown = '';
      client.on('message', (data: Buffer) => (shown += data.toString()));
      const seen = async (text: string, more: () => Promise<unknown>) => {
        const look = async () => {
          await more();
          return shown;
        };
        const accept = (all: string) => all.includes(text);
        await until(`${manager.name} shows ${text}`, look, { accept, timeoutMs: 60_000 });
      };
      await once(client, 'open');
      await seen('line 3 of ', () => Promise.resolve());
      // The stream is joined after what was logged before: what is said anew comes in the end.
      const word = `live-by-${manager.name}`;
      await seen(word, () => manager.cliResult(...saying(word)));
      client.close();
      await once(client, 'close');
    }
  });

  it('are left with the detach keys, and the command goes on', async () => {
    const args = ['exec', '-it', 'talk.1', 'sh', '-c', 'echo up; sleep 4321'];
    const ran = await onTerminal(get().manager, '24x80', args, 'up\t\\x10\\x11');
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    assert.match(ran.stdout, /read escape sequence/);
    const processes = await get().manager.cli('task', 'top', 'talk.1');
    assert.match(processes, /sleep 4321/);
  });

  it('show logs, processes, use and files', async () => {
    const [, follower] = managers();
    assert.ok(follower);
    const shows = (pattern: RegExp, look: () => Promise<string>) =>
      until(`${pattern} is shown`, look, { accept: (text) => pattern.test(text) });
    await shows(/line 3 of /, () => follower.cli('task', 'logs', '--raw', 'talk.1'));
    const container = await containerOf();
    await shows(/line 3 of /, () => follower.docker('logs', container));
    await shows(/PID[^]*sleep 1000000/, () => follower.cli('task', 'top', 'talk.1'));
    assert.match(await follower.cli('task', 'ls'), /talk\.1 .* h3 /);
    assert.match(
      await follower.cli('task', 'stats', '--no-stream', 'talk.1'),
      /CONTAINER ID[^]*talk\.1\.\S+ +\d+\.\d+% +\S+ \/ \S+/,
    );
    const [document] = JSON.parse(await follower.cli('task', 'inspect', 'talk.1')) as object[];
    assert.equal((document as { ID: string }).ID, far.id);

    const source = join(folder, 'source');
    writeFileSync(source, 'from here', { mode: 0o640 });
    await follower.cli('task', 'cp', source, 'talk.1:/tmp/there');
    const shown = await follower.cli('exec', 'talk.1', 'sh', '-c', 'cat /tmp/there; mkdir /tmp/d');
    assert.equal(shown, 'from here');
    await follower.cli('cp', source, 'talk.1:/tmp/d');
    await follower.cli('task', 'cp', 'talk.1:/tmp', join(folder, 'copy'));
    assert.equal(readFileSync(join(folder, 'copy/there'), 'utf8'), 'from here');
    assert.equal(readFileSync(join(folder, 'copy/d/source'), 'utf8'), 'from here');
    assert.equal(statSync(join(folder, 'copy/there')).mode & 0o777, 0o640);
    const none = await follower.cliResult('task', 'cp', 'talk.1:/nope', folder);
    assert.match(none.stderr, /Could not find the file \/nope in the container/);
  });

  it('end with a sentence when their node dies', async () => {
    const swarm = get();
    const [, follower] = managers();
    assert.ok(follower);
    const args = ['exec', 'talk.1', 'sh', '-c', 'echo up; sleep 1000'];
    const under = [swarm.manager, follower].map((manager) => {
      const log = join(folder, manager.name);
      const command = ['sh', '-c', 'log=$1; shift; exec "$@" >"$log"', 'sh', log];
      const over = runResult([...command, binary, '-H', manager.url, ...args], {
        timeoutMs: 120_000,
      });
      return { log, over };
    });
    for (const { log } of under) {
      await until('what it says is here', () => readFileSync(log, 'utf8') === 'up\n');
    }
    // As soon as nodes have been told, they are missed after three seconds.
    await swarm.cli('swarm', 'update', '--dispatcher-heartbeat', '5s');
    await swarm.host('h3').kill();
    for (const { log, over } of under) {
      const { code, stderr } = await over;
      assert.equal(readFileSync(log, 'utf8'), 'up\n');
      assert.equal(code, 1);
      assert.match(stderr, /the connection to node h3 broke off/);
    }
    await until('its loss is told', () => swarm.manager.cliResult('exec', far.id, 'true'), {
      accept: ({ stderr }) => /node h3 is down/.test(stderr),
    });
  });
});
