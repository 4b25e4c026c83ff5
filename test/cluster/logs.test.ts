/** `service logs`: lines of all replicas, wherever they run. */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { binary, until, type Host } from '../lab/index.ts';
import { imageOf, useSwarm, words } from './swarm.ts';

/** Of the talker: "talk.1.abcdefghijkl@h1    | line 3 of abcdefghijkl". */
const talkerLine = /^talk\.(\d)\.([0-9a-z]{12})@(h\d) +\| line (\d+) of \2$/;

describe('logs', () => {
  const get = useSwarm({ hosts: 3, images: ['talker:1', 'crasher:1'] });

  it('shows all lines of all replicas, and the last ones of each', async () => {
    const swarm = get();
    const flags = words('--replicas 3 --env LINES=5');
    await swarm.create('talk', ...flags, imageOf(swarm, 'talker:1'));
    const linesOf = async (...args: readonly string[]) =>
      (await swarm.cli('service', 'logs', ...args, 'talk')).split('\n').filter(Boolean);
    const all = await until('all have spoken', () => linesOf(), {
      accept: ({ length }) => length === 15,
    });
    const parsed = all.map((line) => talkerLine.exec(line) ?? assert.fail(line));
    for (const slot of ['1', '2', '3']) {
      const own = parsed.filter((match) => match[1] === slot).map((match) => match[4]);
      assert.deepEqual(own, ['1', '2', '3', '4', '5'], 'in order');
    }
    assert.deepEqual(new Set(parsed.map((match) => match[3])), new Set(['h1', 'h2', 'h3']));

    // A node that does not begin to answer in time is passed over, and then lines are missing.
    const complete = (count: number, ...args: readonly string[]) =>
      until(`${count} lines are told`, () => linesOf(...args), {
        accept: ({ length }) => length >= count,
      });
    const last = (await complete(6, '--tail', '2')).map(
      (line) => talkerLine.exec(line)?.[4] ?? line,
    );
    assert.equal(last.toSorted().join(''), '444555');
    assert.deepEqual(await linesOf('--tail', '0'), []);
    for (const line of await complete(15, '--timestamps')) {
      assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z talk\./);
    }
    const raw = await complete(15, '--raw');
    assert.equal(raw.filter((line) => /^line \d of [0-9a-z]{12}$/.test(line)).length, 15);
    for (const host of swarm.hosts) {
      assert.equal((await host.apiResult('GET', '/_ping')).status, 200, 'its daemon lives');
    }
  });

  it('go where the swarm says for services that say nothing', async () => {
    const swarm = get();
    const flags = words('--replicas 1 --env LINES=1');
    const image = imageOf(swarm, 'talker:1');
    const refused = await swarm.manager.cliResult('swarm', 'update', '--task-log-driver', 'gelf');
    assert.match(refused.stderr, /the log driver "gelf" is not supported by this version/);
    await swarm.cli('swarm', 'update', '--task-log-driver', 'none');
    try {
      await swarm.create('mute', ...flags, image);
      await swarm.create('loud', ...flags, '--log-driver', 'json-file', image);
      await until('the one is heard', () => swarm.cli('service', 'logs', '--raw', 'loud'), {
        accept: (lines) => lines.startsWith('line 1 of'),
      });
      const { stdout } = await until(
        'the other says why not',
        () => swarm.manager.cliResult('service', 'logs', 'mute'),
        {
          accept: ({ stderr }) => /configured logging driver does not support reading/.test(stderr),
        },
      );
      assert.equal(stdout, '');
    } finally {
      await swarm.cli('swarm', 'update', '--task-log-driver', '');
    }
    const defaults = await swarm.manager.api<{ Spec: { TaskDefaults: unknown } }>('GET', '/swarm');
    assert.deepEqual(defaults.Spec.TaskDefaults, {});
  });

  it('are sent to servers of logs, and can be read here as well', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'talker:1');
    const [gateway = ''] = swarm.lab.registry.address.split(':');
    const server = createSocket('udp4');
    const heard: string[] = [];
    server.on('message', (bytes) => heard.push(bytes.toString()));
    server.bind(0, gateway);
    await once(server, 'listening');
    try {
      const options = [
        `--log-opt=syslog-address=udp://${gateway}:${server.address().port}`,
        ...words('--log-opt syslog-facility=local0 --log-opt syslog-format=rfc5424'),
        '--log-opt=tag={{.Name}}',
      ];
      const flags = ['--env', 'LINES=2', '--log-driver', 'syslog', ...options];
      await swarm.create('sent', ...words('--replicas 2'), ...flags, image);
      await until('the server has all', () => heard.length === 4, { timeoutMs: 30_000 });
      for (const message of heard) {
        assert.match(message, /^<134>1 \S+Z \S+ sent\.[12]\.\S+ \d+ \S+ - line [12] of \S+\n$/);
      }
      await until('all is kept here', () => swarm.cli('service', 'logs', '--raw', 'sent'), {
        accept: (kept) => kept.split('\n').filter(Boolean).length === 4,
        timeoutMs: 30_000,
      });
      // docker's own CLI, a container of one host, and nothing kept.
      const own = ['--log-opt', 'cache-disabled=true', '--env', 'LINES=1', '--name', 'one', image];
      const run = ['run', '-d', '--log-driver', 'syslog', ...options, ...own];
      await swarm.manager.docker(...run);
      await until('the server has that too', () => heard.some((text) => text.includes(' one ')), {
        timeoutMs: 30_000,
      });
      const { stderr } = await swarm.manager.cliResult('logs', 'one');
      assert.match(stderr, /configured logging driver does not support reading/);
    } finally {
      server.close();
      await swarm.manager.cliResult('rm', '-f', 'one');
    }
  });

  it('never wait for a server that is away, and go to a journal where there is one', async () => {
    const swarm = get();
    const image = imageOf(swarm, 'talker:1');
    const [gateway = ''] = swarm.lab.registry.address.split(':');
    // More than pipe and queue have room for.
    const much = 'i=0; while [ $i -lt 60000 ]; do echo "$i and more"; i=$((i+1)); done';
    const job = words('--restart-condition none --log-driver syslog');
    const nobody = `--log-opt=syslog-address=tcp://${gateway}:9`;
    await swarm.createDetached('deaf', ...job, nobody, image, 'sh', '-c', much);
    await swarm.untilTasks(
      'it ends all the same',
      'deaf',
      ([task]) => task?.state === 'complete',
      240_000,
    );

    await swarm.createDetached('noted', '--log-driver', 'journald', image);
    await swarm.untilTasks(
      'no host has a journal',
      'noted',
      ([task]) => task?.err.includes('missing plugin on 3 nodes') === true,
    );
    // With a journal on its node it would run, and be heard by it.
    await swarm.cli('service', 'rm', 'noted');
    const { manager } = swarm;
    const run = ['run', '--rm', '--name', 'noter', '--log-driver', 'journald', image, 'echo', 'hi'];
    const refused = await manager.cliResult(...run);
    assert.match(refused.stderr, /journald is not enabled on this host/);
    await manager.cliResult('rm', '-f', 'noter');
    const socket = '/run/systemd/journal/socket';
    const folder = socket.slice(0, socket.lastIndexOf('/'));
    const listen = [
      'import socket',
      's=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)',
      `s.bind("${socket}")`,
      'print(s.recv(70000).decode())',
    ];
    const heard = manager.exec(`mkdir -p ${folder} && exec timeout 240 python3 -`, {
      input: listen.join('\n'),
      timeoutMs: 240_000,
    });
    await until('the journal listens', () => manager.exec(`ls ${folder} || true`), {
      accept: (names) => names.includes('socket'),
      timeoutMs: 30_000,
    });
    assert.equal(await manager.docker(...run), 'hi\n');
    assert.match(await heard, /^MESSAGE=hi\nPRIORITY=6\nCONTAINER_ID=\w{12}\n/);
    await manager.exec(`rm ${socket}`);
  });

  it('follows replicas on all hosts, also those that start later', async () => {
    const swarm = get();
    const flags = words('--replicas 2 --env LINES=1000 --env EVERY=0.2');
    await swarm.create('talk', ...flags, imageOf(swarm, 'talker:1'));
    await using following = new Following(swarm.manager, 'service', 'logs', '--follow', 'talk');
    const slots = () => new Set(following.lines().map((line) => talkerLine.exec(line)?.[1]));
    await until('two are heard', () => slots().size === 2);
    await swarm.cli('service', 'scale', 'talk=3');
    await until('the third is heard', () => slots().size === 3);
    const before = following.lines().length;
    await until('they go on', () => following.lines().length >= before + 10);
    for (const line of following.lines()) assert.match(line, talkerLine);
    assert.equal(new Set(following.lines()).size, following.lines().length, 'no line comes twice');
  });

  // What is on its way from the container to the file at the moment of the kill is lost (see ADR
  // 0005); so the container speaks when it is told to, and is silent at that moment.
  it('goes on following a host whose daemon is killed and comes back', async () => {
    const swarm = get();
    const flags = words('--replicas 3 --env LINES=1');
    await swarm.create('talk', ...flags, imageOf(swarm, 'talker:1'));
    const told = (await swarm.running('talk')).find(({ host }) => host === 'h3');
    assert.ok(told !== undefined, 'a replica is on h3');
    let said = 1;
    const say = (count: number) => {
      const numbers = Array.from({ length: count }, () => ++said);
      const lines = numbers.map((number) => `line ${number} of h3\n`);
      appendFileSync(`/proc/${swarm.pidOf(told)}/fd/1`, lines.join(''));
    };
    await using following = new Following(swarm.manager, 'service', 'logs', '--follow', 'talk');
    const numbers = () =>
      following
        .lines()
        .filter((line) => line.includes('@h3 '))
        .map((line) => Number(/line (\d+) of/.exec(line)?.[1]));
    const heard = () => until(`line ${said} is heard`, () => numbers().includes(said));
    // Its own one, before others go the same way.
    await heard();
    say(4);
    await heard();
    await swarm.host('h3').killDaemon();
    say(5);
    await swarm.host('h3').startDaemon();
    say(6);
    await heard();
    const all = Array.from({ length: said }, (_, index) => index + 1);
    assert.deepEqual(numbers(), all, 'no line is missing, and none comes twice');
  });

  it('keeps what a container said before it failed, its errors apart', async () => {
    const swarm = get();
    const once = words('--restart-condition none --env CODE=7');
    await swarm.createDetached('crash', ...once, imageOf(swarm, 'crasher:1'));
    await swarm.untilTasks('it has failed', 'crash', ([task]) => task?.state === 'failed');
    const result = await until(
      'its error is told',
      () => swarm.manager.cliResult('service', 'logs', 'crash'),
      { accept: ({ stderr }) => stderr.includes('crashing') },
    );
    assert.equal(result.code, 0);
    assert.equal(result.stdout, '');
    assert.match(result.stderr, /^crash\.1\.\S+@h\d +\| crashing after 0 s with code 7\n$/);
  });

  it('says so when there is no such service', async () => {
    const result = await get().manager.cliResult('service', 'logs', 'nobody');
    assert.equal(result.code, 1);
    assert.match(result.stderr, /no such task or service: nobody/);
  });
});

/** A command that goes on printing until it is disposed of. */
class Following implements AsyncDisposable {
  readonly #child: ReturnType<typeof spawn>;
  readonly #ended: Promise<unknown>;
  #text = '';

  constructor(host: Host, ...args: readonly string[]) {
    this.#child = spawn(binary, ['-H', host.url, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = new Promise((resolve) => this.#child.on('close', resolve));
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#text += chunk.toString()));
  }

  /** Whole lines on standard output so far. */
  lines(): readonly string[] {
    return this.#text.split('\n').slice(0, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGINT');
    await this.#ended;
  }
}
