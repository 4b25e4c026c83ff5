/** The flags of `docker run` and `docker create`: which scripts pass them, and what is refused. */
import { strict as assert } from 'node:assert';
import { dockers, newDocker } from './clients.ts';
import { containerFlagScripts } from './container-flag-scripts.ts';
import { containerScripts } from './container-scripts.ts';
import { refuses, shows } from './covered.ts';
import type { Field } from './field.ts';
import { flagsPassed } from './passed-flags.ts';
import { daemonScripts } from './daemon-scripts.ts';
import { linkScripts } from './link-scripts.ts';
import { runFlagScripts } from './run-flag-scripts.ts';

const realtime =
  'CPU real-time scheduling is not supported: no time of this host is set aside for it; leave ' +
  '--cpu-rt-period and --cpu-rt-runtime out';

/** Refused by our daemon: the flag with a value, and the sentence. */
const refused: readonly (readonly [flag: string, value: string, sentence: string])[] = [
  ['--cpu-rt-period', '1000', realtime],
  ['--cpu-rt-runtime', '1000', realtime],
  ['--kernel-memory', '64m', 'Linux has no limit of kernel memory any more: use a limit of memory'],
  [
    '--storage-opt',
    'size=1g',
    "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
  ],
];

/** Docker's CLI offers these to daemons on Windows alone. */
const foreign: readonly (readonly [flag: string, value: string])[] = [
  ['--cpu-count', '1'],
  ['--cpu-percent', '10'],
  ['--io-maxbandwidth', '1m'],
  ['--io-maxiops', '9'],
];

const verbs = ['run', 'create'] as const;
const pulling = 'run and create pull as they are told';
const wishing = 'create keeps what GPUs are asked for';
const choosingMac = 'run and create choose the MAC address of an interface';
const newer = 'flags of run and create that only newer CLIs have';

export function runFlagCases(get: () => Field): void {
  for (const { name, script } of [
    ...containerScripts,
    ...containerFlagScripts,
    ...runFlagScripts,
    ...linkScripts,
    ...daemonScripts,
  ]) {
    for (const verb of verbs) {
      const passed = flagsPassed(script, verb);
      if (passed.size > 0) shows(name, verb, '', ...passed);
    }
  }
  for (const verb of verbs) {
    for (const [flag, , sentence] of refused) refuses(verb, flag, sentence);
    for (const [flag] of foreign) {
      refuses(verb, flag, "docker's own CLI (28.2) says that it is for daemons on Windows");
    }
    shows(choosingMac, verb, '--mac-address');
    if (newDocker === undefined) continue;
    shows(pulling, verb, '--quiet');
    shows(newer, verb, '--annotation', '--health-start-interval');
  }

  shows('test/cluster/devices.test.ts', 'run', '--gpus');
  shows(wishing, 'create', '--gpus');

  for (const cli of dockers) {
    it(`${wishing}, by ${cli.name}`, async () => {
      const { manager } = get();
      await cli.run(manager, 'create', '--name', 'wishes', '--gpus', '2', 'busybox', 'true');
      const format = '{{range .HostConfig.DeviceRequests}}{{.Count}} {{.Capabilities}}{{end}}';
      assert.equal(await cli.run(manager, 'inspect', '-f', format, 'wishes'), '2 [[gpu]]\n');
      await cli.run(manager, 'rm', 'wishes');
    });

    // The newer CLI asks for a newer daemon than Debian's: nothing is compared.
    it(`${choosingMac}, by ${cli.name}`, async () => {
      const { manager } = get();
      const mac = '02:00:00:7e:07:09';
      const own = ['--mac-address', mac, 'busybox', 'cat', '/sys/class/net/eth0/address'];
      assert.equal(await cli.run(manager, 'run', '--rm', ...own), `${mac}\n`);
      await cli.run(manager, 'create', '--name', 'chosen', ...own);
      assert.equal(await cli.run(manager, 'start', '-a', 'chosen'), `${mac}\n`);
      await cli.run(manager, 'rm', 'chosen');
    });

    it(`refused flags of run and create are told with a sentence, by ${cli.name}`, async () => {
      const { manager } = get();
      const networks = ['--network', 'refusing'];
      await cli.run(manager, 'network', 'create', '--subnet', '10.127.7.0/24', 'refusing');
      for (const [flag, value, sentence] of refused) {
        // The newer CLI drops it before the daemon could say so.
        if (flag === '--kernel-memory' && cli === newDocker) continue;
        const args = ['create', ...networks, flag, value, 'busybox', 'true'];
        const { code, stderr } = await cli.result(manager, args);
        assert.equal(code, 1, `${flag}: ${stderr}`);
        assert.ok(stderr.includes(sentence), `${flag}: ${stderr}`);
      }
      await cli.run(manager, 'network', 'rm', 'refusing');
      if (cli !== newDocker) return;
      for (const [flag, value] of foreign) {
        const { stderr } = await cli.result(manager, ['create', flag, value, 'busybox', 'true']);
        assert.match(stderr, /only supported on a Docker daemon running on windows/i, flag);
      }
    });

    it(`${pulling}, by ${cli.name}`, async () => {
      const field = get();
      const image = field.image('busybox:1');
      const { manager } = field;
      const pulled = await cli.result(manager, ['run', '--rm', '--pull', 'always', image, 'true']);
      assert.match(pulled.stderr + pulled.stdout, /Image is up to date for/);
      const absent = ['create', '--pull', 'never', 'nowhere:1'];
      assert.match((await cli.result(manager, absent)).stderr, /No such image: nowhere:1/);
      if (cli !== newDocker) return;
      const quiet = await cli.result(manager, [
        'run',
        '-q',
        '--rm',
        '--pull=always',
        image,
        'true',
      ]);
      assert.deepEqual(quiet, { code: 0, stdout: '', stderr: '' });
    });
  }

  it(newer, async () => {
    const { manager } = get();
    const cli = newDocker;
    if (cli === undefined) return;
    const flags = ['--annotation', 'org.example=b', '--health-start-interval', '2s'];
    const health = ['--health-cmd', 'true', '--health-start-period', '9s'];
    const name = ['--name', 'newer'];
    const format = '{{json .HostConfig.Annotations}} {{.Config.Healthcheck.StartInterval}}';
    for (const verb of [['create'], ['run', '-d']]) {
      await cli.run(manager, ...verb, ...name, ...flags, ...health, 'busybox', 'sleep', '1000');
      const shown = await cli.run(manager, 'inspect', '-f', format, 'newer');
      assert.equal(shown, '{"org.example":"b"} 2s\n');
      await cli.run(manager, 'rm', '-f', 'newer');
    }
  });
}
