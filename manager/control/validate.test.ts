import { strict as assert } from 'node:assert';
import { assert as check, property, stringMatching } from 'fast-check';
import { SwarmError, type ErrorCode } from '../../lib/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import { serviceSpec } from '../../types/index.ts';
import { isImageReference } from './image-reference.ts';
import { normalizeService } from './normalize.ts';
import { refuseUnsupportedService } from './unsupported.ts';
import { validateService } from './validate-service.ts';

/** A good spec in Docker's JSON, with parts of it replaced. */
function good(overrides: Record<string, unknown> = {}, container: Record<string, unknown> = {}) {
  return {
    Name: 'web',
    TaskTemplate: { ContainerSpec: { Image: '10.99.0.254:5000/web:1', ...container } },
    ...overrides,
  };
}

function task(parts: Record<string, unknown>): Record<string, unknown> {
  return good({ TaskTemplate: { ContainerSpec: { Image: 'web' }, ...parts } });
}

function ports(...published: Record<string, unknown>[]): Record<string, unknown> {
  return good({ EndpointSpec: { Ports: published } });
}

const host = { TargetPort: 80, PublishMode: 'host' };

const every = { 'ts-swarm.cron.schedule': '@hourly' };
const cronMistakes: readonly {
  name: string;
  labels: Record<string, string>;
  mode?: object;
  says: string;
}[] = [
  {
    name: 'a schedule for tasks that run on',
    labels: every,
    mode: { Replicated: {} },
    says: 'only a job can have a schedule; use the mode cron, replicated-job or global-job',
  },
  {
    name: 'a schedule that is none',
    labels: { 'ts-swarm.cron.schedule': 'daily' },
    says:
      '"daily" is no schedule: it takes 5 fields (minute, hour, day of month, month, day of ' +
      'week), 6 with the second in front, or a name such as @hourly',
  },
  {
    name: 'a time zone that is none',
    labels: { ...every, 'ts-swarm.cron.time-zone': 'Berlin' },
    says: '"Berlin" is no time zone; use a name such as UTC or Europe/Berlin',
  },
  {
    name: 'a policy of overlaps that is none',
    labels: { ...every, 'ts-swarm.cron.overlap': 'maybe' },
    says: 'the label ts-swarm.cron.overlap is "maybe", and can be allow, forbid, replace',
  },
  {
    name: 'a policy of missed runs that is none',
    labels: { ...every, 'ts-swarm.cron.missed-run': 'all' },
    says: 'the label ts-swarm.cron.missed-run is "all", and can be run-once, skip',
  },
  {
    name: 'a history of runs that is no number',
    labels: { ...every, 'ts-swarm.cron.history': 'long' },
    says: 'the history of runs, "long", is no number from 0 to 1000',
  },
  {
    name: 'a setting of a schedule that there is not',
    labels: { ...every, 'ts-swarm.cron.timezone': 'UTC' },
    says:
      'the label ts-swarm.cron.timezone is no setting of a schedule; there are ' +
      'ts-swarm.cron.schedule, ts-swarm.cron.time-zone, ts-swarm.cron.missed-run, ' +
      'ts-swarm.cron.overlap, ts-swarm.cron.history',
  },
  {
    name: 'settings without a schedule',
    labels: { 'ts-swarm.cron.overlap': 'allow' },
    says: 'the label ts-swarm.cron.overlap needs a schedule; set ts-swarm.cron.schedule as well',
  },
  {
    name: 'runs that overlap and whose tasks take turns',
    labels: { ...every, 'ts-swarm.cron.overlap': 'allow' },
    mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 2 } },
    says:
      'runs that may overlap begin all their tasks at once; leave max-concurrent out, or let ' +
      'runs not overlap',
  },
];

const cases: { name: string; given: unknown; code: ErrorCode; says: string }[] = [
  {
    name: 'a name that is no DNS label',
    given: good({ Name: 'we b' }),
    code: 'invalid-argument',
    says: 'name must be valid as a DNS name component',
  },
  {
    name: 'a name that ends in a dash',
    given: good({ Name: 'web-' }),
    code: 'invalid-argument',
    says: 'name must be valid as a DNS name component',
  },
  {
    name: 'a long name',
    given: good({ Name: 'a'.repeat(64) }),
    code: 'invalid-argument',
    says: 'name must be 63 characters or fewer',
  },
  {
    name: 'no container',
    given: { Name: 'web' },
    code: 'invalid-argument',
    says: 'TaskSpec: missing runtime',
  },
  {
    name: 'no image',
    given: good({}, { Image: '' }),
    code: 'invalid-argument',
    says: 'ContainerSpec: image reference must be provided',
  },
  {
    name: 'an image that cannot be',
    given: good({}, { Image: 'Web:1' }),
    code: 'invalid-argument',
    says: 'ContainerSpec: "Web:1" is not a valid repository/tag',
  },
  {
    name: 'a stop signal that there is not',
    given: good({}, { Image: 'web', StopSignal: 'SIGFOO' }),
    code: 'invalid-argument',
    says: 'invalid signal: SIGFOO',
  },
  {
    name: 'a name for a DNS server',
    given: good({}, { Image: 'web', DNSConfig: { Nameservers: ['10.0.0.9', 'dns.example'] } }),
    code: 'invalid-argument',
    says: 'ContainerSpec: "dns.example" is no address of a DNS server',
  },
  {
    name: 'too little memory',
    given: task({ Resources: { Limits: { MemoryBytes: 4 * 1024 * 1024 - 1 } } }),
    code: 'invalid-argument',
    says: 'invalid memory value 4194303: Must be at least 4MiB',
  },
  {
    name: 'too little CPU',
    given: task({ Resources: { Reservations: { NanoCPUs: 999_999 } } }),
    code: 'invalid-argument',
    says: 'invalid cpu value 0.000999999: Must be at least 0.001',
  },
  {
    name: 'a negative reservation',
    given: task({ Resources: { Reservations: { NanoCPUs: -1 } } }),
    code: 'invalid-argument',
    says: 'invalid cpu value -1e-9: Must be at least 0.001',
  },
  {
    name: 'more preferences than levels of any labels',
    given: task({
      Placement: {
        Preferences: Array.from({ length: 33 }, () => ({
          Spread: { SpreadDescriptor: 'node.labels.rack' },
        })),
      },
    }),
    code: 'invalid-argument',
    says: '33 placement preferences are too many: give at most 32',
  },
  {
    name: 'a negative restart delay',
    given: task({ RestartPolicy: { Delay: -1 } }),
    code: 'invalid-argument',
    says: 'TaskSpec: restart-delay cannot be negative',
  },
  {
    name: 'a runtime of plugins',
    given: task({ Runtime: 'plugin' }),
    code: 'unimplemented',
    says: 'the runtime "plugin" is not supported: tasks run containers',
  },
  {
    name: 'a preference for nothing known',
    given: task({ Placement: { Preferences: [{ Spread: { SpreadDescriptor: 'zone' } }] } }),
    code: 'invalid-argument',
    says: 'placement preference "zone": spread over node.labels.<key> or engine.labels.<key>',
  },
  {
    name: 'two mounts in one place',
    given: good(
      {},
      {
        Mounts: [
          { Type: 'bind', Source: '/a', Target: '/x' },
          { Type: 'tmpfs', Target: '/x' },
        ],
      },
    ),
    code: 'invalid-argument',
    says: 'ContainerSpec: duplicate mount point: /x',
  },
  {
    name: 'a bind mount from a relative path',
    given: good({}, { Mounts: [{ Type: 'bind', Source: 'a', Target: '/x' }] }),
    code: 'invalid-argument',
    says: 'invalid bind mount source, must be an absolute path: a',
  },
  {
    name: 'a health check that would never rest',
    given: good({}, { Healthcheck: { Interval: 1000 } }),
    code: 'invalid-argument',
    says: 'ContainerSpec: Interval in HealthConfig cannot be less than 1ms',
  },
  {
    name: 'two modes',
    given: good({ Mode: { Global: {}, Replicated: { Replicas: 1 } } }),
    code: 'invalid-argument',
    says: 'must specify only one service mode',
  },
  {
    name: 'more replicas than managers have room for',
    given: good({ Mode: { Replicated: { Replicas: 100_001 } } }),
    code: 'invalid-argument',
    says: '100001 replicas are too many: a service may have 100000; split it up if it needs more',
  },
  {
    name: 'a ratio above one',
    given: good({ UpdateConfig: { MaxFailureRatio: 1.5 } }),
    code: 'invalid-argument',
    says: 'TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1',
  },
  {
    name: 'a port published twice',
    given: ports({ ...host, PublishedPort: 80 }, { ...host, TargetPort: 81, PublishedPort: 80 }),
    code: 'invalid-argument',
    says: 'EndpointSpec: duplicate published ports provided',
  },
  {
    name: 'a port out of range',
    given: ports({ ...host, PublishedPort: 65_536 }),
    code: 'invalid-argument',
    says: 'EndpointSpec: published port 65536 is more than 65535',
  },
  {
    name: 'no target port',
    given: ports({ PublishMode: 'host', PublishedPort: 80 }),
    code: 'invalid-argument',
    says: 'EndpointSpec: target port 0 is not between 1 and 65535',
  },
  {
    name: 'ingress with dnsrr',
    given: good({ EndpointSpec: { Mode: 'dnsrr', Ports: [{ TargetPort: 80 }] } }),
    code: 'invalid-argument',
    says: "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
  },
  {
    name: 'the network of the host beside another',
    given: good({ Networks: [{ Target: 'host' }, { Target: 'backend' }] }),
    code: 'invalid-argument',
    says: 'a service on the network host cannot be on another network as well',
  },
  {
    name: 'the routing mesh for the network of the host',
    given: good({
      Networks: [{ Target: 'host' }],
      EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort: 80 }] },
    }),
    code: 'invalid-argument',
    says:
      'a service on the network host cannot publish ports through the routing mesh; its ports ' +
      'are those of its nodes',
  },
  {
    name: 'a secret without an id',
    given: good({}, { Secrets: [{ SecretName: 'x' }] }),
    code: 'invalid-argument',
    says: 'malformed secret reference',
  },
  {
    name: 'a config without a target',
    given: good({}, { Configs: [{ ConfigID: 'x', ConfigName: 'x' }] }),
    code: 'invalid-argument',
    says: 'malformed config reference, no target provided',
  },
  {
    name: 'a secret whose target is nothing',
    given: good({}, { Secrets: [{ SecretID: 'x', SecretName: 'x', File: {} }] }),
    code: 'invalid-argument',
    says: 'malformed file secret reference, invalid target file name provided',
  },
  {
    name: 'a secret that is to lie elsewhere than it says',
    given: good({}, { Secrets: [{ SecretID: 'x', SecretName: 'x', File: { Name: '../x' } }] }),
    code: 'invalid-argument',
    says: "the target '../x' of secret x must not leave its folder",
  },
  {
    name: 'a secret that belongs to a name',
    given: good(
      {},
      { Secrets: [{ SecretID: 'x', SecretName: 'x', File: { Name: 'x', UID: 'root' } }] },
    ),
    code: 'invalid-argument',
    says: "the uid 'root' of secret x is not a number",
  },
  {
    name: 'two configs in one place',
    given: good(
      {},
      {
        Configs: [
          { ConfigID: 'x', ConfigName: 'x', File: { Name: '/etc/x' } },
          { ConfigID: 'y', ConfigName: 'y', File: { Name: '/etc/x' } },
        ],
      },
    ),
    code: 'invalid-argument',
    says: "config references 'x' and 'y' have a conflicting target: '/etc/x'",
  },
  {
    name: 'a config for the runtime',
    given: good({}, { Configs: [{ ConfigID: 'x', ConfigName: 'x', Runtime: {} }] }),
    code: 'unimplemented',
    says:
      'configs for the runtime are credential specs, which are for Windows containers; ' +
      'this swarm runs Linux ones',
  },
  {
    name: 'a mount of a named pipe',
    given: good({}, { Mounts: [{ Type: 'npipe', Source: 'data', Target: '/data' }] }),
    code: 'unimplemented',
    says:
      'the mount at /data is of type npipe, which this version does not support; use bind, ' +
      'volume, tmpfs, image or cluster',
  },
  {
    name: 'a job that is to be updated bit by bit',
    given: good({ Mode: { ReplicatedJob: {} }, UpdateConfig: { Parallelism: 1 } }),
    code: 'invalid-argument',
    says: 'Jobs may not have an update config',
  },
  {
    name: 'a job that is to be rolled back bit by bit',
    given: good({ Mode: { GlobalJob: {} }, RollbackConfig: { Parallelism: 1 } }),
    code: 'invalid-argument',
    says: 'Jobs may not have a rollback config',
  },
  {
    name: 'a job of too many tasks',
    given: good({ Mode: { ReplicatedJob: { TotalCompletions: 3e9 } } }),
    code: 'invalid-argument',
    says: '3000000000 tasks are too many for one job: it may have 100000; split it up if it needs more',
  },
  ...cronMistakes.map(({ name, labels, mode = { ReplicatedJob: {} }, says }) => ({
    name,
    given: good({ Mode: mode, Labels: labels }),
    code: 'invalid-argument' as const,
    says,
  })),
  {
    name: 'a placeholder that no node knows',
    given: good({}, { Env: ['A={{.Task.ID}} {{.Node.Name}}'] }),
    code: 'invalid-argument',
    says:
      '"A={{.Task.ID}} {{.Node.Name}}" is not a template that can be filled in (template: ' +
      ':1:17: executing "" at <.Node.Name>: map has no entry for key "Name"): use ' +
      '.Service.ID, .Service.Name, ' +
      '.Service.Labels.<name>, .Node.ID, .Node.Hostname, .Node.Platform.Architecture, ' +
      '.Node.Platform.OS, .Task.ID, .Task.Name or .Task.Slot',
  },
  {
    name: 'a seccomp profile of one’s own',
    given: good({}, { Privileges: { Seccomp: { Mode: 'custom', Profile: 'e30=' } } }),
    code: 'unimplemented',
    says: 'seccomp profiles of your own are not supported by this version; use default or unconfined',
  },
  {
    name: 'a log driver from elsewhere',
    given: task({ LogDriver: { Name: 'gelf' } }),
    code: 'unimplemented',
    says:
      'the log driver "gelf" is not supported by this version; ' +
      'use json-file, local, syslog, journald or none',
  },
  {
    name: 'an option of another log driver',
    given: task({ LogDriver: { Name: 'local', Options: { tag: 'x' } } }),
    code: 'unimplemented',
    says:
      'the log option "tag" is not supported by this version; ' +
      'local has max-size, max-file, compress, mode and max-buffer-size',
  },
  {
    name: 'an address of no log server',
    given: task({ LogDriver: { Name: 'syslog', Options: { 'syslog-address': 'h:1' } } }),
    code: 'invalid-argument',
    says:
      'the log option syslog-address is "h:1", and can be udp://HOST:PORT, tcp://HOST:PORT, ' +
      'tcp+tls://HOST:PORT, unix:///PATH or unixgram:///PATH',
  },
];

describe('service specs', () => {
  const check = (given: unknown) => {
    const spec = normalizeService(serviceSpec.decode(given, ''), seededRandom(1));
    validateService(spec);
    refuseUnsupportedService(spec);
    return spec;
  };

  for (const { name, given, code, says } of cases) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => check(given),
        (error) => {
          assert.ok(error instanceof SwarmError);
          assert.equal(error.message, says);
          assert.equal(error.code, code);
          return true;
        },
      );
    });
  }

  it('takes what is good, and fills in what was left open', () => {
    const spec = check(good({ EndpointSpec: { Ports: [{ ...host, PublishedPort: 8080 }] } }));
    assert.deepEqual(spec.mode, { replicated: { replicas: 1 } });
    assert.equal(spec.task.runtime, 'container');
    const named = check({ ...good(), Name: '' });
    assert.match(named.name, /^[a-z]+_[a-z]+_[a-z0-9]{5}$/);
    check(good({}, { Hostname: '{{.Service.Name}}-{{ .Task.Slot }}', Env: ['A=}} {'] }));
    assert.deepEqual(check(good({ Mode: { Global: {} } })).mode, { global: {} });
    assert.deepEqual(check(good({ Networks: [{ Target: 'host' }] })).task.networks, [
      { target: 'host' },
    ]);
  });

  it('refuses a hostile name as fast as a good one', () => {
    const hostile = good({ Name: `${'a'.repeat(60)}${'-_'.repeat(100_000)}` });
    const before = process.cpuUsage();
    assert.throws(() => check(hostile), /DNS name component/);
    assert.ok(process.cpuUsage(before).user < 2_000_000, 'two seconds of the CPU');
  });
});

describe('image references', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const good = [
    'web',
    'web:1',
    'team/web',
    'localhost/web',
    'registry:5000/web:1.2-x_y',
    '10.99.0.254:5000/a/b/c:1',
    '[::1]:5000/web',
    `web@${digest}`,
    `example.org/web:1@${digest}`,
    'a__b/c--d.e',
  ];
  const bad = [
    '',
    ':1',
    'web:',
    'Web',
    'web/',
    '/web',
    'web@sha256:0',
    'a//b',
    'a..b',
    'a___b',
    `web:${'x'.repeat(129)}`,
    'a'.repeat(256),
    'f'.repeat(64),
    'web 1',
    'host:port/web',
  ];
  for (const reference of good) {
    it(`takes ${reference}`, () => assert.ok(isImageReference(reference)));
  }
  for (const reference of bad) {
    it(`refuses "${reference.slice(0, 20)}"`, () => assert.ok(!isImageReference(reference)));
  }

  it('never hangs on what it is given', () => {
    check(
      property(stringMatching(/^[a-z0-9._:/@-]{0,300}$/), (text) => {
        const before = process.cpuUsage();
        isImageReference(text);
        return process.cpuUsage(before).user < 1_000_000;
      }),
    );
  });
});
