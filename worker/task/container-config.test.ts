import { strict as assert } from 'node:assert';
import type { AssignedTask, ContainerSpec, TaskSpec } from '../../types/index.ts';
import type { ImageConfig } from '../image/images.ts';
import { containerIdOf, networkWishes, prepareTask } from './container-config.ts';

const id = 'abcdefghijklmnopqrstuvwxy';
const node = {
  id: 'node1',
  hostname: 'host1',
  platform: { architecture: 'amd64', os: 'linux' },
};
const imageConfig: ImageConfig = {
  entrypoint: ['/entry'],
  cmd: ['serve'],
  env: ['A=image', 'B=image'],
  workingDir: '/srv',
  user: 'web',
  stopSignal: 'SIGQUIT',
  labels: { from: 'image' },
  volumes: [],
  exposedPorts: [],
};
const rootfs = { name: 'web:1', chainId: 'chain' };

function prepare(
  container: Partial<ContainerSpec>,
  more: {
    task?: Partial<TaskSpec>;
    image?: Partial<ImageConfig>;
    assigned?: Partial<AssignedTask>;
  } = {},
) {
  const task: AssignedTask = {
    id,
    meta: { version: 1, createdAtMs: 0, updatedAtMs: 0 },
    serviceId: 'service1',
    slot: 3,
    nodeId: 'node1',
    spec: { forceUpdate: 0, container: { image: 'web:1', ...container }, ...more.task },
    specVersion: 1,
    name: `web.3.${id}`,
    serviceName: 'web',
    desiredState: 'running',
    status: { state: 'assigned', atMs: 0, message: '' },
    serviceLabels: { tier: 'front', 'a.b': 'dotted' },
    ...more.assigned,
  };
  return prepareTask(
    task,
    { id: 'sha256:1', config: { ...imageConfig, ...more.image }, rootfs },
    node,
    () => 'f'.repeat(64),
  );
}

describe('container configuration', () => {
  const commands: [string, Partial<ContainerSpec>, readonly string[]][] = [
    ['the image alone', {}, ['/entry', 'serve']],
    ['args replace the image’s', { args: ['x', 'y'] }, ['/entry', 'x', 'y']],
    ['a command drops the image’s arguments', { command: ['/other'] }, ['/other']],
    ['both', { command: ['/other'], args: ['x'] }, ['/other', 'x']],
  ];
  for (const [name, spec, argv] of commands) {
    it(`command: ${name}`, () => assert.deepEqual(prepare(spec).container.argv, argv));
  }

  it('refuses an image and a spec without a command', () => {
    assert.throws(
      () => prepare({}, { image: { entrypoint: [], cmd: [] } }),
      /no command specified/,
    );
  });

  it('logs as its service says, else as the swarm does', () => {
    const assigned = { defaultLogDriver: { name: 'local', options: { 'max-file': '2' } } };
    const logOf = (task: Partial<TaskSpec>) => prepare({}, { assigned, task }).container.log;
    assert.deepEqual([logOf({}).driver, logOf({}).maxFiles], ['local', 2]);
    assert.equal(logOf({ logDriver: { name: 'none' } }).driver, 'none');
    assert.equal(prepare({}).container.log.driver, 'json-file');
  });

  it('has the service’s mounts, expanded, and the image’s other volumes', () => {
    const { mounts } = prepare(
      {
        mounts: [
          {
            type: 'volume',
            source: 'data-{{.Task.Slot}}',
            target: '/data/',
            volumeOptions: {
              labels: { slot: '{{.Task.Slot}}' },
              driverConfig: { name: 'far', options: { node: '{{.Node.Hostname}}' } },
            },
          },
          {
            type: 'image',
            source: 'tools:{{.Task.Slot}}',
            target: '/tools',
            imageOptions: { subpath: '{{.Node.Hostname}}' },
          },
        ],
      },
      { image: { volumes: ['/data', '/more'] } },
    ).container;
    assert.deepEqual(mounts, [
      {
        type: 'volume',
        source: 'data-3',
        target: '/data/',
        volumeOptions: {
          labels: { slot: '3' },
          driverConfig: { name: 'far', options: { node: 'host1' } },
        },
      },
      {
        type: 'image',
        source: 'tools:3',
        target: '/tools',
        imageOptions: { subpath: 'host1' },
      },
      { type: 'volume', target: '/more' },
    ]);
  });

  it('merges the environment, and expands placeholders', () => {
    const { env } = prepare({
      env: ['B=spec', 'C={{.Node.Hostname}}-{{ .Task.Slot }}', 'A'],
      hostname: '{{.Service.Name}}-{{.Task.Slot}}',
    }).container;
    assert.deepEqual(env, [
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOSTNAME=web-3',
      'B=spec',
      'C=host1-3',
    ]);
  });

  it('expands every placeholder, and names the one that it does not know', () => {
    const text =
      '{{.Service.ID}} {{.Service.Labels.tier}} {{index .Service.Labels "a.b"}} {{.Node.ID}} ' +
      '{{.Task.ID}} {{.Task.Name}} {{.Service.Labels.none}}.';
    assert.equal(
      prepare({ env: [`X=${text}`] }).container.env.at(-1),
      `X=service1 front dotted node1 ${id} web.3.${id} .`,
    );
    assert.throws(() => prepare({ env: ['X={{.Node.Nope}}'] }), /"X=\{\{\.Node\.Nope\}\}" is not/);
  });

  it('takes the image’s defaults where the spec says nothing', () => {
    const { container, stopGraceMs, networkMode } = prepare({});
    assert.deepEqual(
      [container.workdir, container.user, container.stopSignal, container.hostname],
      ['/srv', 'web', 'SIGQUIT', id.slice(0, 12)],
    );
    assert.deepEqual([stopGraceMs, networkMode], [10_000, 'bridge']);
    assert.equal(container.labels['from'], 'image');
    assert.equal(container.labels['com.docker.swarm.task.name'], `web.3.${id}`);
    const own = prepare({ dir: '/x', user: '5', stopSignal: 'INT', stopGracePeriodMs: 1 });
    assert.deepEqual(
      [own.container.workdir, own.container.user, own.container.stopSignal, own.stopGraceMs],
      ['/x', '5', 'INT', 1],
    );
  });

  it('stops with a signal that there is, whatever the image says', () => {
    const { container } = prepare({}, { image: { stopSignal: 'SIGFOO' } });
    assert.equal(container.stopSignal, 'SIGTERM');
    assert.throws(() => prepare({ stopSignal: 'SIGFOO' }), /invalid signal: SIGFOO/);
  });

  it('honours the networks host and none', () => {
    const host = prepare({}, { task: { networks: [{ target: 'host' }] } });
    assert.deepEqual([host.networkMode, host.container.hostname], ['host', 'host1']);
    assert.equal(prepare({}, { task: { networks: [{ target: 'none' }] } }).networkMode, 'none');
  });

  it('merges health checks field by field', () => {
    const healthcheck = { Test: ['CMD-SHELL', 'wget x'], Interval: 1e9, Retries: 5 };
    const image = { healthcheck };
    assert.deepEqual(prepare({ healthCheck: { retries: 2 } }, { image }).healthCheck, {
      argv: ['/bin/sh', '-c', 'wget x'],
      intervalMs: 1000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      startIntervalMs: 5000,
      retries: 2,
    });
    assert.equal(prepare({ healthCheck: { test: ['NONE'] } }, { image }).healthCheck, undefined);
    const other = prepare({ healthCheck: { test: ['CMD', 'a', 'b'] } }, { image }).healthCheck;
    assert.deepEqual(other?.argv, ['a', 'b']);
  });

  it('reads log options, and refuses drivers that are not there', () => {
    const log = (name: string, options: Record<string, string>) =>
      prepare({}, { task: { logDriver: { name, options } } }).container.log;
    assert.deepEqual(log('json-file', { 'max-size': '10m', 'max-file': '2' }), {
      driver: 'json-file',
      maxSizeBytes: 10 * 1024 * 1024,
      maxFiles: 2,
    });
    assert.equal(log('json-file', { 'max-size': '10m' }).maxFiles, 1, 'as in Docker');
    assert.equal(log('local', { 'max-size': '10m' }).maxFiles, 5, 'as in Docker');
    assert.throws(() => log('gelf', {}), /no log driver named 'gelf' is registered/);
    assert.throws(() => log('local', { 'max-size': 'big' }), /invalid size: 'big'/);
    assert.throws(() => log('local', { 'max-file': '0' }), /invalid value for max-file: '0'/);
    assert.throws(() => log('local', { tag: 'x' }), /unknown log opt 'tag' for local log driver/);
    assert.deepEqual(log('json-file', { labels: 'from', tag: '{{.ImageName}}' }).attributes, {
      from: 'image',
      tag: 'web:1',
    });
    const ring = (options: Record<string, string>) => log('local', options).ringBytes;
    assert.equal(ring({}), undefined);
    assert.equal(ring({ mode: 'blocking' }), undefined);
    assert.equal(ring({ mode: 'non-blocking' }), 2 ** 20, 'as in Docker');
    assert.equal(ring({ mode: 'non-blocking', 'max-buffer-size': '4m' }), 4 * 2 ** 20);
    assert.throws(() => ring({ mode: 'maybe' }), /logger: logging mode not supported: maybe/);
    assert.throws(
      () => ring({ 'max-buffer-size': '4m' }),
      /max-buffer-size option is only supported with 'mode=non-blocking'/,
    );
    assert.throws(() => ring({ compress: 'true' }), /compress is not supported: older files/);
    assert.throws(() => log('json-file', { 'env-regex': '(' }), /can be a regular expression/);
    for (const size of ['0', '0.5', '-1', 'big']) {
      const says = new RegExp(`cache-max-size is "${size}", and can be a size such as 20m`);
      assert.throws(() => log('syslog', { 'cache-max-size': size }), says);
    }
  });

  it('knows where a log is sent, and what of it is kept', () => {
    const log = (name: string, options: Record<string, string>) =>
      prepare({ env: ['A=1'] }, { task: { logDriver: { name, options } } }).container.log;
    const tag = '{{.Name}}/{{.ID}}/{{.ImageName}}/{{index .ContainerLabels "from"}}';
    const options = { 'syslog-address': 'tcp://[::1]:601', 'cache-max-size': '1m', tag };
    const { remote, ...kept } = log('syslog', { ...options, 'syslog-facility': 'local3' });
    assert.deepEqual(kept, { driver: 'syslog', maxSizeBytes: 2 ** 20, maxFiles: 5 });
    assert.deepEqual(remote, {
      kind: 'syslog',
      address: { kind: 'tcp', host: '::1', port: 601 },
      facility: 19,
      format: '',
      tag: `web.3.${id}/ffffffffffff/web:1/image`,
      tls: { isUnverified: false },
      bufferBytes: 2 ** 20,
      isBlocking: false,
    });
    const journal = log('journald', { env: 'A', 'cache-disabled': 'true' });
    assert.equal(journal.isUnkept, true);
    assert.equal(journal.remote?.kind === 'journald' && journal.remote.fields['A'], '1');
    assert.throws(() => log('syslog', { tag: '{{.Nope}}' }), /the log option tag: template/);
    assert.throws(() => log('syslog', { 'syslog-address': 'http://x' }), /can be udp:\/\/HOST/);
    const blocks = log('syslog', { mode: 'blocking' }).remote;
    assert.equal(blocks?.isBlocking, true);
  });

  it('names containers as containerd takes it', () => {
    const names: [string, string][] = [
      [`web.3.${id}`, `web.3.${id}`],
      [`my_--app.1.${id}`, `my-app.1.${id}`],
      [`${'x'.repeat(63)}.1.${id}`, `${'x'.repeat(50)}.${id}`],
    ];
    for (const [name, expected] of names) assert.equal(containerIdOf({ id, name }), expected);
  });
});

describe("what a spec says of the container's interfaces", () => {
  const off = { 'net.ipv6.conf.all.disable_ipv6': '1' };
  const cases = [
    { name: 'nothing', given: undefined, expect: {} },
    {
      name: 'name servers',
      given: { dnsConfig: { nameservers: ['192.0.2.1'] } },
      expect: { nameservers: ['192.0.2.1'] },
    },
    { name: 'IPv6 off', given: { sysctls: off }, expect: { ipv4Only: true } },
    {
      name: 'IPv6 off, with slashes',
      given: { sysctls: { 'net/ipv6/conf/eth0/disable_ipv6': '1' } },
      expect: { ipv4Only: true },
    },
    { name: 'IPv6 on', given: { sysctls: { 'net.ipv6.conf.all.disable_ipv6': '0' } }, expect: {} },
  ] as const;
  for (const { name, given, expect } of cases) {
    it(name, () => assert.deepEqual(networkWishes(given), expect));
  }
});
