import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { isErrorCode } from '../runtime/testing/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import { containerDocument, hostDocument } from '../../types/index.ts';
import type { ImageConfig } from '../image/images.ts';
import { checkContainer } from './checks.ts';
import { argvOf, completedHost, mergedConfig } from './merge.ts';
import { mountsOf } from './mounts.ts';
import { generateName, isValidName } from './names.ts';
import { portRequests } from './port-requests.ts';
import {
  checkRestartPolicy,
  nextDelayMs,
  shouldRestart,
  startsWithDaemon,
} from './restart-policy.ts';
import { logOf } from './runtime-config.ts';
import { startFailure } from './start-failure.ts';

const config = (json: object = {}) => containerDocument.decode(json, '');
const host = (json: object = {}) => hostDocument.decode(json, '');

const image: ImageConfig = {
  entrypoint: ['/entry'],
  cmd: ['serve'],
  env: ['PATH=/bin', 'MODE=image'],
  workingDir: '/srv',
  user: 'web',
  labels: { from: 'image', both: 'image' },
  volumes: [],
  exposedPorts: ['80/tcp'],
};

describe('names of containers', () => {
  it('are made up of two words, and of a number when all are taken', () => {
    const name = generateName(seededRandom(1), () => false);
    assert.match(name, /^[a-z]+_[a-z]+$/);
    let asked = 0;
    assert.match(
      generateName(seededRandom(1), () => asked++ < 10),
      /^[a-z]+_[a-z]+\d+$/,
    );
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        assert.ok(isValidName(generateName(seededRandom(seed), () => false)));
      }),
    );
  });

  for (const [name, valid] of [
    ['web', true],
    ['/web.1-a_b', true],
    ['a', false],
    ['_web', false],
    ['we b', false],
    ['', false],
  ] as const) {
    it(`"${name}" ${valid ? 'is' : 'is not'} one`, () => assert.equal(isValidName(name), valid));
  }
});

describe('restart policies', () => {
  const ended = { exitCode: 1, ranMs: 0, restartCount: 0, wasStopped: false };
  const table: [string, number, Partial<typeof ended>, boolean][] = [
    ['no', 0, {}, false],
    ['', 0, {}, false],
    ['always', 0, { exitCode: 0 }, true],
    ['always', 0, { wasStopped: true }, false],
    ['unless-stopped', 0, { exitCode: 0 }, true],
    ['on-failure', 0, { exitCode: 0 }, false],
    ['on-failure', 0, { restartCount: 1000 }, true],
    ['on-failure', 2, { restartCount: 1 }, true],
    ['on-failure', 2, { restartCount: 2 }, false],
  ];
  for (const [name, maximumRetryCount, given, expected] of table) {
    it(`"${name}:${maximumRetryCount}" after ${JSON.stringify(given)}: ${expected}`, () => {
      const policy = { name, maximumRetryCount };
      assert.equal(shouldRestart(policy, { ...ended, ...given }), expected);
    });
  }

  it('wait twice as long each time, a minute at most, and anew after a good run', () => {
    const delays = [0];
    for (let index = 0; index < 12; index++) delays.push(nextDelayMs(delays.at(-1) ?? 0, 1));
    assert.deepEqual(delays.slice(1, 5), [100, 200, 400, 800]);
    assert.equal(delays.at(-1), 60_000);
    assert.equal(nextDelayMs(60_000, 10_000), 100);
  });

  it('start with the daemon what was not stopped by a person, or whatever is to run always', () => {
    const starts = (name: string, wasStopped: boolean) =>
      startsWithDaemon({ name, maximumRetryCount: 0 }, { wasStopped, hasRun: true });
    assert.deepEqual(
      [starts('always', true), starts('unless-stopped', true), starts('unless-stopped', false)],
      [true, false, true],
    );
    assert.equal(starts('on-failure', false), false);
  });

  for (const [name, count, autoRemove, says] of [
    ['sometimes', 0, false, /unknown policy 'sometimes'/],
    ['always', 3, false, /maximum retry count can only be used with 'on-failure'/],
    ['always', 0, true, /can't create 'AutoRemove' container with restart policy/],
  ] as const) {
    it(`refuse ${name}:${count}`, () => {
      assert.throws(
        () => checkRestartPolicy({ name, maximumRetryCount: count }, autoRemove),
        isErrorCode('invalid-argument', says),
      );
    });
  }
});

describe('an image’s defaults', () => {
  const merge = (json: object, from: Partial<ImageConfig> = {}) =>
    mergedConfig(
      config(json),
      { ...image, ...from },
      { id: 'ab'.repeat(32), hostname: 'h1' },
      'bridge',
    );

  const commands: [string, object, readonly string[]][] = [
    ['both of the image', {}, ['/entry', 'serve']],
    ['a command of its own', { Cmd: ['x', 'y'] }, ['/entry', 'x', 'y']],
    ['an entrypoint drops the image’s command', { Entrypoint: ['/sh'] }, ['/sh']],
    ['both of its own', { Entrypoint: '/sh', Cmd: ['-c', 'x'] }, ['/sh', '-c', 'x']],
    ['an empty entrypoint takes the image’s away', { Entrypoint: [''], Cmd: ['x'] }, ['x']],
  ];
  for (const [name, json, expected] of commands) {
    it(name, () => assert.deepEqual(argvOf(merge(json)), expected));
  }

  it('are added to, variable by variable and label by label', () => {
    const merged = merge({ Env: ['MODE=mine', 'A=b'], Labels: { both: 'mine' } });
    assert.deepEqual(merged.env, ['MODE=mine', 'A=b', 'PATH=/bin']);
    assert.deepEqual(merged.labels, { from: 'image', both: 'mine' });
    assert.deepEqual([merged.user, merged.workingDir], ['web', '/srv']);
    assert.equal(merged.hostname, 'abababababab');
    assert.deepEqual(merged.exposedPorts, ['80/tcp']);
  });

  it('of the host are what Docker fills in', () => {
    const full = completedHost(host({ Memory: 100, NetworkMode: 'default' }), 1);
    assert.deepEqual(
      [full.networkMode, full.memorySwap, full.ipcMode, full.cgroupnsMode, full.logConfig.type],
      ['bridge', 200, 'private', 'host', 'json-file'],
    );
  });
});

describe('mounts of containers', () => {
  it('are read from all three ways to say them', () => {
    const mounts = mountsOf(
      config(),
      host({
        Binds: ['/a:/x:ro,rshared'],
        Mounts: [{ Type: 'tmpfs', Target: '/y' }],
        Tmpfs: { '/z': 'size=1m,ro' },
      }),
    );
    assert.deepEqual(
      mounts.map(({ type, target, readOnly }) => [type, target, readOnly]),
      [
        ['bind', '/x', true],
        ['tmpfs', '/y', undefined],
        ['tmpfs', '/z', true],
      ],
    );
    assert.equal(mounts[0]?.bindOptions?.propagation, 'rshared');
    assert.deepEqual(mounts[2]?.tmpfsOptions?.options, [['size', '1m']]);
  });

  it('have volumes, named and not, of the image and of others', () => {
    const mounts = mountsOf(
      config({ Volumes: { '/image': {}, '/x': {}, '/other/': {} } }),
      host({
        Binds: ['data:/x:ro,nocopy', '/bare'],
        Mounts: [{ Type: 'volume', Target: '/y', VolumeOptions: { Subpath: 'a' }, Source: 'sub' }],
        VolumeDriver: 'far',
      }),
      [
        { type: 'volume', source: 'theirs', target: '/other' },
        { type: 'bind', source: '/theirs', target: '/x' },
      ],
    );
    const far = { driverConfig: { name: 'far' } };
    assert.deepEqual(mounts, [
      { type: 'volume', source: 'theirs', target: '/other' },
      {
        type: 'volume',
        source: 'data',
        target: '/x',
        readOnly: true,
        volumeOptions: { noCopy: true, ...far },
      },
      { type: 'volume', target: '/bare', volumeOptions: far },
      { type: 'volume', source: 'sub', target: '/y', volumeOptions: { subpath: 'a' } },
      { type: 'volume', target: '/image', volumeOptions: far },
    ]);
  });

  const refused: [string, object, RegExp][] = [
    ['a volume at a relative path', { Binds: ['data:x'] }, /mount path must be absolute/],
    [
      'a volume without a name that is read only',
      { Mounts: [{ Type: 'volume', Target: '/x', ReadOnly: true }] },
      /must not set ReadOnly mode/,
    ],
    ['a propagation for a volume', { Binds: ['data:/x:rshared'] }, /invalid mode: rshared/],
    ['a target twice', { Binds: ['/a:/x', '/b:/x/'] }, /Duplicate mount point: \/x/],
    ['two words for one', { Binds: ['/a:/x:ro,rw'] }, /invalid mode: ro,rw/],
    ['a word twice', { Binds: ['a:/x:nocopy,nocopy'] }, /invalid mode: nocopy,nocopy/],
    ['a wrong word', { Binds: ['/a:/x:quick'] }, /invalid mode: quick/],
    ['the root', { Binds: ['/a:/'] }, /destination can't be '\/'$/],
    [
      'an image of no name',
      { Mounts: [{ Type: 'image', Target: '/x' }] },
      /config for type "image": field Source must not be empty/,
    ],
    [
      'what is outside of an image',
      { Mounts: [{ Type: 'image', Source: 'i', Target: '/x', ImageOptions: { Subpath: '/a' } }] },
      /config for type "image": subpath must be a relative path/,
    ],
    [
      'an image with options of volumes',
      { Mounts: [{ Type: 'image', Source: 'i', Target: '/x', VolumeOptions: { NoCopy: true } }] },
      /field VolumeOptions must not be specified/,
    ],
    [
      'a bind with options of images',
      { Mounts: [{ Type: 'bind', Source: '/a', Target: '/x', ImageOptions: { Subpath: 'a' } }] },
      /field ImageOptions must not be specified/,
    ],
    [
      'a bind with options of volumes',
      { Mounts: [{ Type: 'bind', Source: '/a', Target: '/x', VolumeOptions: { NoCopy: true } }] },
      /config for type "bind": field VolumeOptions must not be specified/,
    ],
    ['a bind that copies nothing', { Binds: ['/a:/x:nocopy'] }, /invalid mode: nocopy/],
    [
      'the root in other words',
      { Mounts: [{ Type: 'tmpfs', Target: '/a/..' }] },
      /config for type "tmpfs": .* destination can't be '\/'$/,
    ],
    ['tmpfs nowhere', { Tmpfs: { x: '' } }, /invalid mount path: 'x' mount path must be absolute$/],
    [
      'an option of tmpfs',
      { Tmpfs: { '/x': 'size=1m,nosuch' } },
      /invalid tmpfs option \["nosuch"\]$/,
    ],
    ['a value of tmpfs', { Tmpfs: { '/x': 'a=b,ro' } }, /invalid tmpfs option \["a" "b"\]$/],
    ['a bind of nothing', { Mounts: [{ Type: 'bind', Target: '/x' }] }, /field Source must not/],
  ];
  for (const [name, json, says] of refused) {
    it(`refuse ${name}`, () => assert.throws(() => mountsOf(config(), host(json)), says));
  }
});

describe('published ports', () => {
  it('are asked for one by one, on any address unless said', () => {
    const requests = portRequests(
      config({ ExposedPorts: { '53/udp': {}, '80/tcp': {} } }),
      host({
        PublishAllPorts: true,
        PortBindings: {
          '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }, { HostPort: '9000-9009' }],
          '81': null,
        },
      }),
    );
    assert.deepEqual(
      requests.map((one) => [one.containerPort, one.protocol, one.hostIp, one.first, one.last]),
      [
        [81, 'tcp', '', 0, 0],
        [80, 'tcp', '127.0.0.1', 8080, 8080],
        [80, 'tcp', '', 9000, 9009],
        [53, 'udp', '', 0, 0],
      ],
    );
  });

  it('may be asked for on an IPv6 address, in brackets or not', () => {
    const given = { '80/tcp': [{ HostIp: '[FD00:0::1]' }, { HostIp: '::' }] };
    const requests = portRequests(config(), host({ PortBindings: given }));
    assert.deepEqual(
      requests.map(({ hostIp }) => hostIp),
      ['fd00::1', '::'],
    );
  });

  for (const [port, hostPort, hostIp] of [
    ['80/tcp', '', 'fe80::1%eth0'],
    ['0/tcp', '', ''],
    ['80/ip', '', ''],
    ['80/tcp', '70000', ''],
    ['80/tcp', '9-3', ''],
    ['80/tcp', '', '300.1.1.1'],
  ] as const) {
    it(`refuse ${hostIp}:${hostPort}:${port}`, () => {
      const bindings = { [port]: [{ HostIp: hostIp, HostPort: hostPort }] };
      assert.throws(
        () => portRequests(config(), host({ PortBindings: bindings })),
        isErrorCode('invalid-argument'),
      );
    });
  }
});

describe('what a container cannot have', () => {
  const limits = { cpus: 2, cpuLists: { cpus: '0-1', mems: '0' } };
  const refused: [object, RegExp][] = [
    [{ LogConfig: { Type: 'gelf' } }, /no log driver named 'gelf'/],
    [{ LogConfig: { Type: 'syslog', Config: { 'syslog-facility': 'x' } } }, /syslog-facility/],
    [{ LogConfig: { Type: 'json-file', Config: { speed: '1' } } }, /unknown log opt 'speed'/],
    [{ Memory: 1000 }, /Minimum memory limit allowed is 6MB/],
    [{ MemoryReservation: 1000 }, /Minimum memory reservation allowed is 6MB/],
    [{ CpuShares: -1 }, /Invalid CPU shares: -1/],
    [
      { CpuRealtimeRuntime: 9, CpuRealtimePeriod: 5 },
      /runtime cannot be higher than cpu real-time/,
    ],
    [{ StorageOpt: { speed: '1' } }, /Unknown option speed$/],
    [{ NanoCpus: 1e6 }, /Range of CPUs is from 0\.01 to 2\.00/],
    [{ NanoCpus: 99e9 }, /Range of CPUs is from 0\.01 to 2\.00/],
    [{ NanoCpus: 1e9, CpuQuota: 5000 }, /Conflicting options: Nano CPUs and CPU Quota/],
    [{ SecurityOpt: ['seccomp={}'] }, /the seccomp profile cannot be used: its defaultAction is/],
    [{ SecurityOpt: ['apparmor=own'] }, /the security option apparmor=own is not supported/],
    [{ SecurityOpt: ['no-new-privileges=maybe'] }, /invalid --security-opt 2: "no-new-/],
    [{ DeviceRequests: [{}] }, /could not select device driver "" with capabilities: \[\]$/],
    [{ DeviceRequests: [{ Driver: 'cdi', Count: 1 }] }, /unexpected count in CDI device/],
    [{ Runtime: 'kata' }, /unknown or invalid runtime name: kata/],
    [{ IpcMode: 'container:x' }, /IPC namespace of another container/],
    [{ NetworkMode: 'container:x', PublishAllPorts: true }, /port publishing and the container/],
    [{ CapAdd: ['nosuch'] }, /invalid CapAdd: unknown capability: "CAP_NOSUCH"$/],
    [{ CapDrop: ['x'] }, /invalid CapDrop: unknown capability: "CAP_X"$/],
    [{ OomScoreAdj: 2000 }, /range for oom score adj/],
    [{ CpusetCpus: '1,77' }, /Requested CPUs are not available - requested 1,77, available: 0-1$/],
    [{ CpusetCpus: '1-x' }, /Invalid value 1-x for cpuset cpus: invalid format: 1-x$/],
    [{ CpusetCpus: '1-0' }, /Invalid value 1-0 for cpuset cpus/],
    [{ CpusetMems: '0-3' }, /Requested memory nodes are not available/],
  ];
  for (const [json, says] of refused) {
    it(`${JSON.stringify(json)} is refused`, () => {
      assert.throws(() => checkContainer(config(), host(json), limits), says);
    });
  }

  for (const [json, says] of [
    [{ Interval: 1 }, 'Interval in Healthcheck cannot be less than 1ms'],
    [{ Timeout: -5 }, 'Timeout in Healthcheck cannot be less than 1ms'],
    [{ StartPeriod: 999_999 }, 'StartPeriod in Healthcheck cannot be less than 1ms'],
    [{ Retries: -1 }, 'Retries in Healthcheck cannot be negative'],
  ] as const) {
    it(`a health check with ${JSON.stringify(json)} is refused`, () => {
      const checked = config({ Healthcheck: { Test: ['CMD', 'x'], ...json } });
      assert.throws(() => checkContainer(checked, host(), limits), { message: says });
    });
  }

  it('and what it can', () => {
    checkContainer(config(), host({ CpusetCpus: '0-1', CpusetMems: '0' }), limits);
    const options = ['no-new-privileges', 'seccomp=unconfined', 'label=disable'];
    checkContainer(config(), host({ SecurityOpt: options, Privileged: true }), limits);
  });
});

describe('logs of containers', () => {
  it('are rotated as asked, and have an end in any case', () => {
    const of = (options: object) => logOf({ host: host({ LogConfig: { Config: options } }) });
    assert.deepEqual(of({}), { driver: 'json-file', maxSizeBytes: 20 * 2 ** 20, maxFiles: 5 });
    assert.deepEqual(of({ 'max-size': '10k' }).maxFiles, 1);
    assert.deepEqual(of({ 'max-size': '1.5m', 'max-file': '3' }).maxSizeBytes, 1.5 * 2 ** 20);
    assert.throws(() => of({ 'max-size': 'much' }), /invalid size: 'much'/);
  });

  it('carry what their options name, and take no option that would do nothing', () => {
    const options = { labels: 'tier', env: 'A', tag: '{{.Name}}' };
    const made = config({ Labels: { tier: 'web', other: 'x' }, Env: ['A=b', 'C=d'] });
    const of = (Type: string, Config: object) =>
      logOf({ name: 'aa', config: made, host: host({ LogConfig: { Type, Config } }) });
    assert.deepEqual(of('json-file', options).attributes, { tier: 'web', A: 'b', tag: 'aa' });
    for (const driver of ['json-file', 'local']) {
      assert.throws(() => of(driver, { compress: 'true' }), /compress is not supported/);
    }
  });
});

describe('a start that fails', () => {
  const table: [string, readonly string[], number, RegExp][] = [
    [
      'executable file `/x/y` not found in $PATH: No such file',
      ['/x/y'],
      127,
      /stat \/x\/y: no such/,
    ],
    ['exec: "nope": executable file not found in $PATH', ['nope'], 127, /"nope": executable file/],
    [
      'exec: "/x": stat /x: no such file or directory',
      ['/x'],
      127,
      /"\/x": stat \/x: no such file/,
    ],
    [
      'exec: "/etc": is a directory: permission denied',
      ['/etc'],
      126,
      /"\/etc": permission denied/,
    ],
    [
      'chdir `/w`: Not a directory',
      ['true'],
      126,
      /cwd \("\/w"\) set .*: not a directory: unknown/,
    ],
    ['chdir `/w`: No such file or directory', ['true'], 127, /cwd \("\/w"\) set .*: no such file/],
    [
      'chdir to cwd ("/w") set in config.json failed: no such file or directory',
      ['true'],
      127,
      /"\/w"/,
    ],
    [
      'exec container process (missing dynamic library?) `/b`: No such file or directory',
      ['/b'],
      127,
      /exec \/b: no such/,
    ],
    ['exec container process `/b`: Exec format error', ['/b'], 126, /exec \/b: exec format error/],
    // These words hold the letters of a command, and of what a command's trouble is called.
    ['executor lost: permission denied for /var/lib/x', ['x'], 128, /^executor lost/],
    [
      'mount `/etc` to `etc/passwd`: Not a directory',
      ['etc'],
      127,
      /^mount .*Are you trying to mount/,
    ],
    ['stat /dev/nowhere: no such file or directory', ['dev'], 128, /^stat \/dev\/nowhere/],
    ['no command specified', [''], 127, /exec: "": executable file not found/],
    [
      'executable file `nope` not found in $PATH: No such file',
      ['nope'],
      127,
      /"nope": executable/,
    ],
    ['open executable: Permission denied', ['/etc/x'], 126, /"\/etc\/x": permission denied/],
    ['no space left on device', ['sh'], 128, /^no space left on device$/],
    ['open `blkio.weight`: No such file or directory', ['sh'], 128, /^this kernel has no weights/],
  ];
  for (const [message, argv, exitCode, says] of table) {
    it(`is told in Docker’s words: ${message}`, () => {
      const found = startFailure(new Error(message), argv);
      assert.equal(found.exitCode, exitCode);
      assert.match(found.failure.message, says);
    });
  }
});
