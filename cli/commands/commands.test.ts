/** Whole command lines against a daemon that answers as told. */
import { strict as assert } from 'node:assert';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '../../lib/clock.ts';
import { tree, type Group, type Verb } from '../command/tree.ts';
import { flagsOf } from '../command/command.ts';
import type { Context } from '../command/context.ts';
import { runCli } from '../testing/run-cli.ts';
import { StubDaemon, type Answer } from '../testing/stub-daemon.ts';

const time = '2026-01-02T03:04:05.678Z';
const meta = { Version: { Index: 7 }, CreatedAt: time, UpdatedAt: time };
const service = {
  ...meta,
  ID: 'svc1',
  Spec: {
    Name: 'web',
    Mode: { Replicated: { Replicas: 1 } },
    TaskTemplate: { ContainerSpec: { Image: 'web:1' }, ForceUpdate: 3 },
  },
};
const node = {
  ...meta,
  ID: 'node1',
  Spec: { Role: 'manager', Availability: 'active', Labels: { a: '1' } },
  Description: { Hostname: 'h1' },
  Status: { State: 'ready', Addr: '10.0.0.1' },
  ManagerStatus: { Leader: true, Reachability: 'reachable', Addr: '10.0.0.1:2377' },
};
const task = {
  ...meta,
  ID: 'task1',
  ServiceID: 'svc1',
  Slot: 1,
  NodeID: 'node1',
  DesiredState: 'running',
  Spec: { ContainerSpec: { Image: 'web:1' } },
  Status: { Timestamp: time, State: 'running' },
};
const swarm = {
  ...meta,
  ID: 'swarm1',
  Spec: { Name: 'default' },
  JoinTokens: { Worker: 'SWMTKN-w', Manager: 'SWMTKN-m' },
};
const info = {
  Name: 'h1',
  Swarm: { NodeID: 'node1', LocalNodeState: 'active', ControlAvailable: true },
};

const answers: Record<string, Answer> = {
  'GET /info': { json: info },
  'GET /swarm': { json: swarm },
  'POST /swarm/init': { json: 'node1' },
  'POST /swarm/update': { status: 200 },
  'GET /nodes': { json: [node] },
  'GET /nodes/node1': { json: node },
  'POST /nodes/node1/update': { status: 200 },
  'POST /nodes/node1/lead': { status: 200 },
  'GET /services': { json: [service] },
  'GET /services/svc1': { json: service },
  'GET /services/web': { json: service },
  'GET /services/nope': { status: 404, message: 'service nope not found' },
  'POST /services/create': { json: { ID: 'svc1', Warnings: null } },
  'POST /services/svc1/update': { json: { Warnings: null } },
  'GET /tasks': { json: [task] },
  'GET /distribution/web:1/json': {
    json: {
      Descriptor: { digest: 'sha256:abc' },
      Platforms: [{ architecture: 'amd64', os: 'linux' }],
    },
  },
};

/** A clock whose waits are over at once, and count. */
class HastyClock extends VirtualClock {
  override async sleep(delayMs: number, options: { signal?: AbortSignal } = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.advance(delayMs);
    await Promise.resolve();
  }
}

describe('cli/commands', () => {
  let daemon: StubDaemon;

  beforeEach(async () => {
    daemon = await new StubDaemon(answers).listen();
  });

  afterEach(async () => {
    await daemon[Symbol.asyncDispose]();
  });

  const cli = (line: string, options: Parameters<typeof runCli>[2] = {}) =>
    runCli(daemon.host, line.split(' '), { clock: new HastyClock(Date.parse(time)), ...options });

  it('creates, pins the digest, and waits until the service has converged', async () => {
    const ran = await cli('service create --name web web:1 sleep --detach');
    assert.deepEqual(ran, {
      code: 0,
      err: '',
      out: [
        'svc1',
        'overall progress: 1 out of 1 tasks',
        'verify: Waiting 5 seconds to verify that tasks are stable...',
        'verify: Service svc1 converged',
        '',
      ].join('\n'),
    });
    const body = daemon.bodyOf('POST /services/create') as typeof service.Spec;
    assert.deepEqual(body.TaskTemplate, {
      ContainerSpec: { Image: 'web:1@sha256:abc', Args: ['sleep', '--detach'] },
      Placement: { Platforms: [{ Architecture: 'amd64', OS: 'linux' }] },
      ForceUpdate: 0,
    });
  });

  it('draws bars on a terminal', async () => {
    const { out } = await cli('service create --no-resolve-image web:1', { columns: 100 });
    assert.match(out, /1\/1: running {3}\[={50}>\]\n/);
    assert.ok(out.includes('\u001B[3A\r\u001B[J'), 'it draws over what it drew');
    assert.match(out, /verify: Service svc1 converged\n$/);
  });

  it('shows nothing but the id when it is to be quiet or not to wait', async () => {
    assert.equal((await cli('service create -q web:1')).out, 'svc1\n');
    assert.equal((await cli('service create -d web:1')).out, 'svc1\n');
  });

  it('warns where the registry does not answer, and goes on', async () => {
    daemon.answer({ 'GET /distribution/web:1/json': { status: 500, message: 'no route' } });
    const ran = await cli('service create -d web:1');
    assert.equal(ran.code, 0);
    assert.match(
      ran.err,
      /^image web:1 could not be accessed on a registry to record\nits digest\./,
    );
    const body = daemon.bodyOf('POST /services/create') as typeof service.Spec;
    assert.equal(body.TaskTemplate.ContainerSpec.Image, 'web:1');
  });

  it('asks a node that is no manager once', async () => {
    const message = 'This node is not a swarm manager.';
    daemon.answer({ 'POST /services/create': { status: 503, message } });
    const ran = await cli('service create --name web --no-resolve-image web:1');
    assert.match(ran.err, /This node is not a swarm manager/);
    assert.equal(daemon.asked.filter(({ path }) => path === '/services/create').length, 1);
  });

  it('ends with 1 and the reasons when a service cannot converge', async () => {
    const Status = { Timestamp: time, State: 'failed', Err: 'exit 3' };
    const failed = ['a', 'b', 'c'].map((ID) => ({ ...task, ID, DesiredState: 'shutdown', Status }));
    daemon.answer({ 'GET /tasks': { json: failed } });
    const ran = await cli('service create web:1');
    assert.equal(ran.code, 1);
    assert.equal(
      ran.err,
      'service web does not converge: 0 out of 1 tasks running\n' +
        '  web.1 on h1 failed: exit 3 (3 times)\n',
    );
  });

  it('leaves the operation going at Ctrl-C', async () => {
    let interrupt = () => {};
    daemon.answer({
      'GET /tasks': (_asked, response) => {
        interrupt();
        response.end('[]');
      },
    });
    const ran = await cli('service scale web=2', { onStart: (send) => (interrupt = send) });
    assert.equal(ran.code, 0);
    assert.equal(
      ran.out,
      'web scaled to 2\nOperation continuing in background.\n' +
        'Use `ts-swarm service ps web` to check progress.\n',
    );
  });

  it('scales from the version that it read, and keeps the rest of the spec', async () => {
    const ran = await cli('service scale -d web=5');
    assert.deepEqual(ran, { code: 0, out: 'web scaled to 5\n', err: '' });
    const asked = daemon.asked.at(-1);
    assert.equal(asked?.query.get('version'), '7');
    assert.deepEqual(daemon.bodyOf('POST /services/svc1/update'), {
      ...service.Spec,
      Labels: {},
      Mode: { Replicated: { Replicas: 5 } },
    });
  });

  it('scales what it can, and tells what it cannot', async () => {
    const ran = await cli('service scale -d nope=1 web=2');
    assert.equal(ran.code, 1);
    assert.equal(ran.out, 'web scaled to 2\n');
    assert.equal(ran.err, 'nope: Error response from daemon: service nope not found\n');
  });

  it('refuses a rollback with other changes, and asks for one as Docker does', async () => {
    const refused = await cli('service update --rollback --env-add A=1 web');
    assert.deepEqual(refused, {
      code: 1,
      out: '',
      err: 'other flags may not be combined with --rollback\n',
    });
    await cli('service update -d --rollback web');
    const query = daemon.asked.at(-1)?.query;
    assert.equal(query?.get('rollback'), 'previous');
    assert.equal(query?.get('registryAuthFrom'), 'previous-spec');
  });

  it('sends the credentials of docker login when told to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-auth-'));
    try {
      const auth = Buffer.from('me:pa:ss').toString('base64');
      writeFileSync(
        join(folder, 'config.json'),
        JSON.stringify({ auths: { 'reg:5000': { auth } }, credHelpers: { 'other:1': 'test' } }),
      );
      const helper = join(folder, 'bin', 'docker-credential-test');
      mkdirSync(join(folder, 'bin'));
      writeFileSync(helper, '#!/bin/sh\ncat >/dev/null; echo \'{"Username":"u","Secret":"s"}\'\n');
      chmodSync(helper, 0o755);
      const env = { DOCKER_CONFIG: folder };
      const sent = async (image: string) => {
        await cli(`service create -d --no-resolve-image --with-registry-auth ${image}`, { env });
        const header = String(daemon.asked.at(-1)?.headers['x-registry-auth']);
        return JSON.parse(Buffer.from(header, 'base64url').toString()) as unknown;
      };
      assert.deepEqual(await sent('reg:5000/web:1'), {
        username: 'me',
        password: 'pa:ss',
        serveraddress: 'reg:5000',
      });
      const path = process.env['PATH'];
      process.env['PATH'] = `${join(folder, 'bin')}:${path}`;
      try {
        assert.deepEqual(await sent('other:1/web:1'), {
          username: 'u',
          password: 's',
          serveraddress: 'other:1',
        });
      } finally {
        process.env['PATH'] = path;
      }
      assert.deepEqual(await sent('web:1'), { serveraddress: 'https://index.docker.io/v1/' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('initializes a swarm and prints how others join it', async () => {
    const ran = await cli('init --no-daemon --advertise-addr 10.0.0.1 --task-history-limit 2');
    assert.equal(
      ran.out,
      [
        'Swarm initialized: current node (node1) is now a manager.',
        '',
        'To add a worker to this swarm, run the following command:',
        '',
        '    ts-swarm join --token SWMTKN-w 10.0.0.1:2377',
        '',
        "To add a manager to this swarm, run 'ts-swarm join-token manager' and follow the instructions.",
        '',
        '',
      ].join('\n'),
    );
    const body = daemon.bodyOf('POST /swarm/init') as Record<string, unknown>;
    assert.equal(body['AdvertiseAddr'], '10.0.0.1');
    assert.equal(body['ListenAddr'], '0.0.0.0:2377');
    const spec = body['Spec'] as { Orchestration: unknown };
    assert.deepEqual(spec.Orchestration, { TaskHistoryRetentionLimit: 2 });
  });

  it('joins, and needs a token for it', async () => {
    daemon.answer({ 'POST /swarm/join': { status: 200 } });
    const ran = await cli('swarm join --token T 10.0.0.1:2377');
    assert.equal(ran.out, 'This node joined a swarm as a manager.\n');
    assert.match((await cli('join 10.0.0.1:2377')).err, /^a join token is needed/);
  });

  it('rotates a join token', async () => {
    const ran = await cli('join-token --rotate worker');
    assert.match(ran.out, /^Successfully rotated worker join token\.\n\nTo add a worker/);
    const update = daemon.asked.find(({ path }) => path === '/swarm/update');
    assert.equal(update?.query.get('rotateWorkerToken'), 'true');
    assert.equal(update?.query.get('rotateManagerToken'), 'false');
    assert.equal((await cli('join-token -q manager')).out, 'SWMTKN-m\n');
  });

  it('changes nodes', async () => {
    const ran = await cli('node update --availability drain --label-add b=2 --label-rm a node1');
    assert.equal(ran.out, 'node1\n');
    assert.deepEqual(daemon.bodyOf('POST /nodes/node1/update'), {
      Labels: { b: '2' },
      Role: 'manager',
      Availability: 'drain',
    });
    assert.match((await cli('node update --label-rm zz node1')).err, /key zz doesn't exist/);
    assert.equal((await cli('node promote self')).out, 'Node self is already a manager.\n');
    assert.equal((await cli('node lead node1')).out, 'Node node1 leads the swarm.\n');
    assert.equal((await cli('node demote node1')).out, 'Manager node1 demoted in the swarm.\n');
  });

  it('shows logs line by line, each with its task', async () => {
    const frame = (stream: number, text: string) => {
      const data = Buffer.from(text);
      const head = Buffer.alloc(8);
      head[0] = stream;
      head.writeUInt32BE(data.length, 4);
      return Buffer.concat([head, data]);
    };
    const details =
      'com.docker.swarm.node.id=node1,com.docker.swarm.service.id=svc1,com.docker.swarm.task.id=task1';
    const bytes = Buffer.concat([
      frame(1, `${details} hello\n`),
      frame(2, `${details},x=a%2Cb oops\n`),
    ]);
    daemon.answer({
      'GET /tasks/task1': { json: task },
      'GET /services/svc1/logs': (_asked, response) => {
        // Cut where it hurts: inside a header.
        response.write(bytes.subarray(0, 5));
        response.end(bytes.subarray(5));
      },
    });
    const ran = await cli('service logs --tail 5 --since 10m web');
    assert.equal(ran.out, 'web.1.task1@h1    | hello\n');
    assert.equal(ran.err, 'web.1.task1@h1    | oops\n');
    const query = daemon.asked.find(({ path }) => path === '/services/svc1/logs')?.query;
    assert.equal(query?.get('tail'), '5');
    assert.equal(query?.get('since'), ((Date.parse(time) - 600_000) / 1000).toFixed(3));
    assert.match((await cli('service logs --details web')).err, / \| x=a,b oops\n$/);

    const failure = frame(3, 'Error grabbing logs: logs on node h2 cannot be had\n');
    daemon.answer({
      'GET /services/svc1/logs': (_asked, response) => {
        response.end(Buffer.concat([bytes, failure]));
      },
    });
    const failed = await cli('service logs web');
    assert.equal(failed.code, 1, 'what is missing is told, and is a failure');
    assert.equal(failed.out, 'web.1.task1@h1    | hello\n');
    assert.match(failed.err, /Error grabbing logs: logs on node h2 cannot be had/);
  });

  it('streams images in and out of words', async () => {
    daemon.answer({
      'POST /images/load': { json: { stream: 'Loaded image: web:1\n' } },
      'POST /images/create': (asked, response) => {
        const from = asked.query.get('fromImage');
        response.write(`${JSON.stringify({ status: `Pulling ${from}`, id: '1' })}\n`);
        if (from === 'bad') response.write(JSON.stringify({ errorDetail: { message: 'denied' } }));
        response.end();
      },
    });
    const loaded = await cli('image load', { stdin: 'tar' });
    assert.equal(loaded.out, 'Loaded image: web:1\n');
    assert.equal(daemon.asked.at(-1)?.body, 'tar');
    const pulled = await cli('pull web');
    assert.equal(
      pulled.out,
      'Using default tag: latest\n1: Pulling web\ndocker.io/library/web:latest\n',
    );
    assert.deepEqual(await cli('pull bad:1'), {
      code: 1,
      out: '1: Pulling bad\n',
      err: 'denied\n',
    });
  });

  it('follows events and ends at Ctrl-C', async () => {
    daemon.answer({
      'GET /events': (_asked, response) => {
        const Actor = { ID: 'svc1', Attributes: { name: 'web', b: '2' } };
        const event = {
          Type: 'service',
          Action: 'create',
          Actor,
          timeNano: 1_795_325_658_295_000_000,
        };
        response.write(`${JSON.stringify(event)}\n`);
      },
    });
    const options = { interruptAtOutput: true };
    const ran = await cli('events --filter type=service', options);
    assert.equal(ran.code, 0);
    assert.match(ran.out, /^2026-11-\S+\.295000000\S+ service create svc1 \(b=2, name=web\)\n$/);
    assert.equal(daemon.asked[0]?.query.get('filters'), '{"type":{"service":true}}');
    assert.equal((await cli('events --format {{.Type}}:{{.ID}}', options)).out, 'service:svc1\n');
  });

  const failures: { line: string; code: number; err: RegExp }[] = [
    {
      line: 'service create',
      code: 1,
      err: /^"ts-swarm service create" requires at least 1 argument\.\nSee 'ts-swarm service create --help'\.\n\nUsage: {2}ts-swarm service create \[OPTIONS\] IMAGE \[COMMAND\] \[ARG\.\.\.\]\n\nCreate a new service\n$/,
    },
    { line: 'service ls x', code: 1, err: /^"ts-swarm service ls" accepts no arguments\./ },
    { line: 'service inspect', code: 1, err: /requires at least 1 argument/ },
    { line: 'node update', code: 1, err: /requires exactly 1 argument\./ },
    { line: 'image import a b c', code: 1, err: /requires at least 1 and at most 2 arguments/ },
    {
      line: 'service create --nope x',
      code: 125,
      err: /^unknown flag: --nope\nSee 'ts-swarm service create --help'\.\n$/,
    },
    { line: 'service foo', code: 125, err: /^ts-swarm: 'service foo' is not a ts-swarm command\./ },
    { line: '--nope', code: 125, err: /^unknown flag: --nope\nSee 'ts-swarm --help'\.\n$/ },
    { line: 'service ps nope', code: 1, err: /^no such service: nope\n$/ },
    { line: 'service inspect nope', code: 1, err: /^Error: no such service: nope\n$/ },
    { line: 'service update nope', code: 1, err: /^Error response from daemon: service nope not/ },
    { line: 'service ls --filter x', code: 125, err: /bad format of filter/ },
    {
      line: 'service ls --format {{.X}}',
      code: 1,
      err: /^template parsing error: template: :1:2:/,
    },
    { line: 'service scale web', code: 1, err: /^invalid scale specifier 'web'\./ },
    { line: 'service scale web=x', code: 1, err: /^web: invalid replicas value x: strconv/ },
    { line: 'leave', code: 1, err: /^Error response from daemon: page not found\n$/ },
    { line: '-H foo://x node ls', code: 125, err: /^unable to parse docker host "foo:\/\/x"/ },
    {
      line: '-H unix:///nope.sock node ls',
      code: 1,
      err: /^Cannot connect to the ts-swarm daemon at unix:\/\/\/nope\.sock\. Is the/,
    },
  ];
  for (const { line, code, err } of failures) {
    it(`ends \`${line}\` with ${code}`, async () => {
      const ran = await cli(line);
      assert.match(ran.err, err);
      assert.equal(ran.code, code);
    });
  }

  it('speaks the version that the daemon speaks', async () => {
    await using old = await new StubDaemon(answers, { apiVersion: '1.41' }).listen();
    assert.equal((await runCli(old.host, ['version', '-f', '{{.Client.ApiVersion}}'])).code, 1);
    assert.match((await runCli(old.host, ['info', '-f', '{{.Name}}'])).out, /^h1\n$/);
    await using ancient = await new StubDaemon(answers, { apiVersion: '1.12' }).listen();
    const ran = await runCli(ancient.host, ['node', 'ls']);
    assert.match(ran.err, /speaks version 1\.12 of the API, and this CLI needs 1\.24 at least/);
  });

  it('takes the socket from the environment', async () => {
    const asked = async (env: Record<string, string>) =>
      (await runCli('', ['node', 'ls', '-q'], { env })).out;
    assert.equal(await asked({ TS_SWARM_HOST: daemon.host }), 'node1\n');
    assert.equal(await asked({ DOCKER_HOST: daemon.host }), 'node1\n');
  });

  it('has a file, help and flags without clashes for every verb', async () => {
    const context = { env: {} } as Context;
    const visit = async (entry: Verb | Group, path: readonly string[]): Promise<void> => {
      if ('verbs' in entry) {
        for (const [name, inner] of Object.entries(entry.verbs))
          await visit(inner, [...path, name]);
        return;
      }
      const { command } = await entry.load();
      const flags = flagsOf(command, context);
      const names = flags.flatMap(({ name, short }) =>
        short === undefined ? [name] : [name, short],
      );
      assert.deepEqual(names, [...new Set(names)], `${path.join(' ')} declares a flag twice`);
      if (command.rawArguments === true) return;
      const ran = await runCli(daemon.host, [...path, '--help']);
      assert.equal(ran.code, 0);
      assert.ok(ran.out.startsWith(`Usage:  ts-swarm ${path.join(' ')}`), ran.out);
      for (const { name } of flags) assert.match(ran.out, new RegExp(`--${name}( |\n)`));
    };
    await visit(tree, []);
    assert.match(
      (await cli('--help')).out,
      /Management Commands:\n {2}builder .*\n {2}config .*\n {2}container .*\n {2}image +Manage/,
    );
  });
});
