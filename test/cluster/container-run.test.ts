/** Our CLI's `run` and its kin, on a real container and with a real terminal. */
import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary, runResult, until } from '../lab/index.ts';
import { SctpPeers } from './sctp.ts';
import { imageOf, useSwarm, words } from './swarm.ts';

describe('containers by our CLI', () => {
  // Before the swarm's own looks whether anything is left.
  afterEach(async () => {
    const left = (await cli('ps', '-aq')).split('\n').filter(Boolean);
    if (left.length > 0) await cli('rm', '-f', ...left);
  });
  const get = useSwarm({ hosts: 1, images: ['talker:1'] });
  let image: string;
  let folder: string;

  before(() => {
    image = imageOf(get(), 'talker:1');
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-run-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const cli = (...args: readonly string[]) => get().manager.cli(...args);
  const cliResult = (...args: readonly string[]) => get().manager.cliResult(...args);
  const withInput = (input: string, ...args: readonly string[]) =>
    runResult([binary, '-H', get().manager.url, ...args], { input, timeoutMs: 120_000 });
  const onTerminal = (script: string, ...args: readonly string[]) =>
    runResult(
      [
        'python3',
        join(import.meta.dirname, 'terminal.py'),
        '31x97',
        binary,
        '-H',
        get().manager.url,
        ...args,
      ],
      { input: script, timeoutMs: 120_000 },
    );

  it('pulls what is not there, shows both streams, and ends with the exit code', async () => {
    const script = 'echo out; echo err >&2; exit 7';
    const first = await cliResult('run', '--rm', image, 'sh', '-c', script);
    assert.deepEqual([first.code, first.stdout], [7, 'out\n']);
    assert.match(first.stderr, /^Unable to find image '\S+talker:1' locally\n[^]*err\n$/);
    const again = await cliResult('run', '--rm', image, 'sh', '-c', script);
    assert.deepEqual([again.code, again.stdout, again.stderr], [7, 'out\n', 'err\n']);
    assert.equal(await cli('ps', '-aq'), '', 'it has removed itself');
    const typed = await withInput('abc\n', 'run', '-i', '--rm', image, 'tr', 'a-c', 'x-z');
    assert.deepEqual([typed.code, typed.stdout], [0, 'xyz\n']);
  });

  it('ends with 125, 126 and 127 as docker does', async () => {
    const cases = [
      { args: ['--network', 'container:nobody', image, 'true'], code: 125 },
      { args: [image, '/etc'], code: 126 },
      { args: [image, 'no-such-command'], code: 127 },
    ];
    for (const { args, code } of cases) {
      const ran = await cliResult('run', '--rm', ...args);
      assert.equal(ran.code, code, ran.stderr);
      assert.match(ran.stderr, /^Error response from daemon: /);
    }
  });

  it('has a terminal of the size that the user has', async () => {
    const command = 'stty size; echo "name?"; read x; echo "hello $x"; exit 4';
    const ran = await onTerminal('name?\tjo\\n', 'run', '-it', '--rm', image, 'sh', '-c', command);
    assert.equal(ran.code, 4, ran.stdout + ran.stderr);
    assert.match(ran.stdout, /31 97\r\n[^]*hello jo\r\n/);
    const noTerminal = await withInput('', 'run', '-it', '--rm', image, 'true');
    assert.match(noTerminal.stderr, /the input device is not a TTY/);
  });

  it('is left with the detach keys, and started again and again', async () => {
    const command = 'while read x; do echo "got $x"; [ "$x" = end ] && exit 5; done';
    const left = await onTerminal(
      '\\n\t\\x10\\x11',
      ...words('run -it --name shell'),
      image,
      'sh',
      '-c',
      `echo; ${command}`,
    );
    assert.equal(left.code, 0, left.stdout + left.stderr);
    assert.equal((await cli('ps', '--format', '{{.Names}}')).trim(), 'shell');
    const ended = await withInput('one\nend\n', 'exec', '-i', 'shell', 'sh', '-c', command);
    assert.deepEqual([ended.code, ended.stdout], [5, 'got one\ngot end\n']);
    await cli('stop', '-t', '0', 'shell');
    await cli('container', 'create', '-i', '--name', 'again', image, 'sh', '-c', command);
    for (let times = 0; times < 2; times++) {
      const started = await withInput('end\n', 'start', '-ai', 'again');
      assert.deepEqual([started.code, started.stdout], [5, 'got end\n']);
    }
  });

  it('shows and changes what runs', async () => {
    const flags = words('-d --name web -p 127.0.0.1::80 -p 81/udp --memory 64m --restart no');
    const id = (await cli('run', ...flags, image)).trim();
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.match(
      await cli('port', 'web'),
      /^80\/tcp -> 127\.0\.0\.1:\d+\n81\/udp -> 0\.0\.0\.0:\d+/,
    );
    assert.match(await cli('port', 'web', '80'), /^127\.0\.0\.1:\d+\n$/);
    assert.match((await cliResult('port', 'web', '99')).stderr, /no public port '99' published/);
    await cli(
      'update',
      '--memory',
      '32m',
      '--memory-swap',
      '64m',
      '--restart',
      'on-failure:3',
      'web',
    );
    const shown = '{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}';
    assert.equal((await cli('inspect', '-f', shown, 'web')).trim(), '33554432 3');
    assert.match(await cli('stats', '--no-stream', 'web'), /web +\d+\.\d+% +\S+ \/ 32MiB/);
    assert.match(await cli('stats', '--no-stream'), /web /);
    const powers = words('web grep CapEff /proc/self/status');
    assert.notEqual(await cli('exec', ...powers), await cli('exec', '--privileged', ...powers));
    await cli('exec', 'web', 'sh', '-c', 'echo new >/tmp/new');
    assert.match(await cli('diff', 'web'), /^A \/tmp\/new$/m);
    writeFileSync(join(folder, 'in'), 'from here');
    await cli('cp', join(folder, 'in'), 'web:/tmp/new');
    await cli('cp', 'web:/tmp/new', join(folder, 'out'));
    assert.equal(readFileSync(join(folder, 'out'), 'utf8'), 'from here');
    const piped = await runResult(
      ['sh', '-c', `${binary} -H ${get().manager.url} cp web:/tmp/. - | tar -tf -`],
      { timeoutMs: 60_000 },
    );
    assert.match(piped.stdout, /new$/m);
    await cli('export', '-o', join(folder, 'all.tar'), 'web');
    const listed = await runResult(['tar', '-tf', join(folder, 'all.tar')]);
    assert.match(listed.stdout, /^tmp\/new$/m);
    await until('it has said all', () => cli('logs', '-n', '1', 'web'), {
      accept: (last) => last.startsWith('line 10 of '),
    });
    await cli('restart', '--signal', 'KILL', 'web');
    await cli('stop', '--signal', 'KILL', 'web');
    const code = await cli('inspect', '-f', '{{.State.ExitCode}}', 'web');
    assert.equal(code.trim(), '137', 'the signal was not its own');
  });

  it('sets the kernel’s settings of an interface as asked', async () => {
    await cli('network', 'create', 'yard');
    try {
      const option = (value: string) => ['--driver-opt', `${sysctls}=${value}`];
      const sysctls = 'com.docker.network.endpoint.sysctls';
      const martians = 'net.ipv4.conf.IFNAME.log_martians=1';
      const connect = (...flags: readonly string[]) =>
        cliResult('network', 'connect', ...flags, 'yard', 'box');
      await cli('run', '-d', '--name', 'box', image, 'sleep', '1000');
      const wrong = await connect(...option('net.ipv4.conf.eth1.log_martians=1'));
      assert.match(wrong.stderr, /unrecognised network interface sysctl/);
      const unknown = await connect(...option('net.ipv4.conf.IFNAME.nosuch=1'));
      assert.match(unknown.stderr, /does not take the setting net\.ipv4\.conf\.IFNAME\.nosuch=1/);
      assert.equal((await connect(...option(martians))).code, 0);
      const files = ['eth0', 'eth1'].map((name) => `/proc/sys/net/ipv4/conf/${name}/log_martians`);
      assert.equal(await cli('exec', 'box', 'cat', ...files), '0\n1\n');
      const shown = '{{json .NetworkSettings.Networks.yard.DriverOpts}}';
      const options = JSON.parse(await cli('inspect', '-f', shown, 'box')) as unknown;
      assert.deepEqual(options, { [sysctls]: martians });
      await cli('rm', '-f', 'box');
    } finally {
      await cliResult('rm', '-f', 'box');
      await cli('network', 'rm', 'yard');
    }
  });

  it('leave by the network of the highest priority, also while they run', async () => {
    const networks = ['low', 'high'];
    for (const [index, name] of networks.entries()) {
      await cli('network', 'create', '--subnet', `10.125.${index}.0/24`, name);
    }
    try {
      const way = async () => (await cli('exec', 'box', 'ip', 'route')).split('\n')[0] ?? '';
      await cli('run', '-d', '--name', 'box', image, 'sleep', '1000');
      const first = await way();
      assert.match(first, /^default via \S+ dev eth0/);
      await cli('network', 'connect', '--gw-priority', '-1', 'low', 'box');
      assert.equal(await way(), first);
      await cli('network', 'disconnect', 'low', 'box');
      await cli('network', 'connect', '--gw-priority', '1', 'low', 'box');
      assert.match(await way(), /^default via 10\.125\.0\.1 dev eth1/);
      await cli('network', 'connect', '--gw-priority', '2', 'high', 'box');
      assert.match(await way(), /^default via 10\.125\.1\.1 dev eth2/);
      await cli('restart', '-t', '0', 'box');
      assert.match(await way(), /^default via 10\.125\.1\.1 /);
      await cli('network', 'disconnect', 'high', 'box');
      assert.match(await way(), /^default via 10\.125\.0\.1 /);
      await cli('network', 'disconnect', 'low', 'box');
      // After a restart it has another place among the interfaces.
      assert.equal((await way()).split(' dev ')[0], first.split(' dev ')[0]);
      await cli('rm', '-f', 'box');
      const flags = ['--network', 'low', '--network', 'name=high,gw-priority=1'];
      await cli('run', '-d', '--name', 'box', ...flags, image, 'sleep', '1000');
      assert.match(await way(), /^default via 10\.125\.1\.1 /);
    } finally {
      await cliResult('rm', '-f', 'box');
      await cli('network', 'rm', ...networks);
    }
  });

  it('are on networks of IPv6 alone', async () => {
    await cli('network', 'create', '--ipv4=false', '--ipv6', 'six');
    try {
      const format = '{{.EnableIPv4}} {{.EnableIPv6}} {{len .IPAM.Config}}';
      assert.equal(await cli('network', 'inspect', '-f', format, 'six'), 'false true 1\n');
      await cli('run', '-d', '--name', 'box', '--network', 'six', image, 'sleep', '1000');
      const ping = ['run', '--rm', '--network', 'six', image, 'ping', '-c1', 'box'];
      await until('box is found', () => cli(...ping), {
        accept: (found) => /^PING box \(fd[^]* 1 packets received/.test(found),
      });
      assert.equal(await cli('exec', 'box', 'ip', '-4', 'addr', 'show', 'eth0'), '');
      const six = ['run', '--rm', '--network', 'six', '-p', '127.0.0.1:80:80', image, 'true'];
      assert.match((await cliResult(...six)).stderr, /the container leaves by IPv6/);
      await cli('rm', '-f', 'box');
      const serve = ['nc', '-ll', '-p', '80', '-e', 'cat', '/proc/net/if_inet6'];
      const flags = ['--name', 'box', '--network', 'six', '-p', '8106:80', '-p', '80'];
      await cli('run', '-d', ...flags, image, ...serve);
      const taken = await cliResult(
        'run',
        '--rm',
        '--network',
        'six',
        '-p',
        '8106:1',
        image,
        'true',
      );
      assert.match(taken.stderr, /Bind for \[::\]:8106 failed: port is already allocated/);
      assert.match(await cli('port', 'box', '80'), /^\[::\]:8106\n\[::\]:\d+\n$/);
      await get().manager.killDaemon();
      await get().manager.startDaemon();
      await cli('network', 'create', '--ipv6', 'seven');
      const gateways = '{{range .IPAM.Config}}{{.Gateway}} {{end}}';
      const [, gateway = ''] = (await cli('network', 'inspect', '-f', gateways, 'seven')).split(
        ' ',
      );
      const client = ['run', '--rm', '--network', 'seven', image];
      const answers = (what: string, ask: () => Promise<{ readonly stdout: string }>) =>
        until(`the port of box answers ${what}`, ask, {
          accept: ({ stdout }) => stdout.includes('eth0'),
          timeoutMs: 60_000,
        });
      const port = ['8106'];
      await answers('a container elsewhere', () => cliResult(...client, 'nc', gateway, ...port));
      await answers('this host', () => get().manager.execResult(['busybox', 'nc', '::1', ...port]));
    } finally {
      await cliResult('rm', '-f', 'box');
      await cliResult('network', 'rm', 'seven');
      await cli('network', 'rm', 'six');
    }
    for (const flags of [
      ['-d', 'overlay'],
      ['--scope', 'swarm', '-d', 'bridge'],
    ]) {
      const ofSwarm = await cliResult('network', 'create', '--ipv4=false', ...flags, 'six');
      assert.match(ofSwarm.stderr, /IPv4 cannot be disabled in a Swarm scoped network/);
    }
    const none = await cliResult('network', 'create', '--ipv4=false', 'six');
    assert.match(none.stderr, /IPv4 or IPv6 must be enabled/);
  });

  it('publish by both families where they have both, and again after rules were flushed', async () => {
    await cli('network', 'create', '--ipv6', 'both');
    try {
      const serve = ['nc', '-ll', '-p', '80', '-e', 'cat', '/proc/net/if_inet6'];
      const flags = ['--name', 'box', '--network', 'both', '-p', '8107:80'];
      await cli('run', '-d', ...flags, image, ...serve);
      assert.equal(await cli('port', 'box', '80'), '0.0.0.0:8107\n[::]:8107\n');
      await get().manager.exec('nft flush ruleset');
      const format = '{{range .IPAM.Config}}{{.Gateway}} {{end}}';
      const gateways = (await cli('network', 'inspect', '-f', format, 'both')).trim().split(' ');
      const run = ['run', '--rm', '--network', 'both', image];
      for (const address of [...gateways, '127.0.0.1', '::1']) {
        const nc = ['nc', address, '8107'];
        const isGateway = gateways.includes(address);
        const ask = () =>
          isGateway ? cliResult(...run, ...nc) : get().manager.execResult(['busybox', ...nc]);
        await until(`the port of box answers at ${address}`, ask, {
          accept: ({ stdout }) => stdout.includes('eth0'),
          timeoutMs: 60_000,
        });
      }
    } finally {
      await cliResult('rm', '-f', 'box');
      await cli('network', 'rm', 'both');
    }
  });

  it('publishes SCTP ports, each once', async () => {
    await using sctp = new SctpPeers();
    const run = ['-d', '-p', '3999:3868/sctp', image, 'sleep', '1000'];
    await cli('run', '--name', 'gateway', ...run);
    const [{ pid } = { pid: 0 }] = get().manager.containers();
    await sctp.serve({ name: 'gateway', path: `/proc/${pid}/ns/net` }, 3868, 'gateway');
    const { lab, manager } = get();
    const outside = { name: 'outside', path: '/proc/self/ns/net' };
    const [own = ''] = lab.registry.address.split(':');
    assert.deepEqual(await sctp.ask(outside, manager.address, 3999, 2), [`gateway ${own}`]);
    const second = await cliResult('run', '--name', 'second', ...run);
    assert.match(second.stderr, /Bind for 0\.0\.0\.0:3999 failed: port is already allocated/);
  });
});
