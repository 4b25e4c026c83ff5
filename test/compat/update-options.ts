/** Options of `service update`, upon the service that create-options.ts makes. */
import { strict as assert } from 'node:assert';
import {
  chown,
  container,
  has,
  hasCapability,
  inspected,
  lacks,
  limit,
  netAdmin,
  template,
  type OptionCase,
} from './sight.ts';
import { policies } from './policy-options.ts';

/** One update after the service of `createOptions` changes every collection, entry by entry. */
export const updateOptions: readonly OptionCase[] = [
  { flag: '--args', args: ['--args', 'three four'], seen: has('args', /three four$/) },
  {
    flag: '--cap-add',
    args: ['--cap-add', 'CHOWN'],
    seen: (sight) => assert.ok(hasCapability(sight, chown)),
  },
  {
    flag: '--cap-drop',
    args: ['--cap-drop', 'NET_ADMIN'],
    seen: (sight) => assert.ok(!hasCapability(sight, netAdmin)),
  },
  {
    flag: '--constraint-add',
    args: ['--constraint-add', 'node.hostname==h3'],
    seen: ({ host }) => assert.equal(host, 'h3'),
  },
  {
    flag: '--constraint-rm',
    args: ['--constraint-rm', 'node.hostname==h2'],
    seen: inspected((sight) => template(sight).Placement.Constraints, ['node.hostname==h3']),
  },
  {
    flag: '--container-label-add',
    args: ['--container-label-add', 'core=2'],
    seen: inspected((sight) => container(sight).Labels, { core: '2' }),
  },
  {
    flag: '--container-label-rm',
    args: ['--container-label-rm', 'inner'],
    seen: inspected((sight) => container(sight).Labels.inner, undefined),
  },
  {
    flag: '--dns-add',
    args: ['--dns-add', '10.3.2.1'],
    seen: has('resolv', 'nameserver 10.3.2.1'),
  },
  { flag: '--dns-rm', args: ['--dns-rm', '10.1.2.3'], seen: lacks('resolv', /10\.1\.2\.3/) },
  {
    flag: '--dns-option-add',
    args: ['--dns-option-add', 'attempts:4'],
    seen: has('resolv', /^options .*attempts:4/),
  },
  {
    flag: '--dns-option-rm',
    args: ['--dns-option-rm', 'timeout:3'],
    seen: lacks('resolv', /timeout/),
  },
  {
    flag: '--dns-search-add',
    args: ['--dns-search-add', 'other.test'],
    seen: has('resolv', 'search other.test'),
  },
  {
    flag: '--dns-search-rm',
    args: ['--dns-search-rm', 'example.test'],
    seen: lacks('resolv', /example\.test/),
  },
  { flag: '--env-add', args: ['--env-add', 'SHAPE=round'], seen: has('env', 'SHAPE=round') },
  { flag: '--env-rm', args: ['--env-rm', 'COLOUR'], seen: lacks('env', /^COLOUR/) },
  { flag: '--group-add', args: ['--group-add', '5432'], seen: has('groups', /\b5432\b/) },
  { flag: '--group-rm', args: ['--group-rm', '4321'], seen: lacks('groups', /\b4321\b/) },
  {
    flag: '--host-add',
    args: ['--host-add', 'mail:10.9.8.6'],
    seen: has('hosts', /^10\.9\.8\.6\s+mail$/),
  },
  { flag: '--host-rm', args: ['--host-rm', 'db:10.9.8.7'], seen: lacks('hosts', /\bdb$/) },
  {
    flag: '--label-add',
    args: ['--label-add', 'rind=2'],
    seen: inspected((sight) => sight.service.Spec.Labels, { rind: '2' }),
  },
  {
    flag: '--label-rm',
    args: ['--label-rm', 'outer'],
    seen: inspected((sight) => sight.service.Spec.Labels.outer, undefined),
  },
  {
    flag: '--mount-add',
    args: ['--mount-add', 'type=tmpfs,target=/more'],
    seen: has('mount', /^tmpfs \/more tmpfs/),
  },
  { flag: '--mount-rm', args: ['--mount-rm', '/bound'], seen: lacks('mount', / \/bound /) },
  {
    flag: '--placement-pref-add',
    args: ['--placement-pref-add', 'spread=node.labels.zone'],
    seen: inspected(
      (sight) => template(sight).Placement.Preferences,
      [{ Spread: { SpreadDescriptor: 'node.labels.zone' } }],
    ),
  },
  {
    flag: '--publish-add',
    args: ['--publish-add', 'mode=host,target=99,published=18099'],
    seen: inspected(
      (sight) => sight.service.Spec.EndpointSpec.Ports,
      [{ Protocol: 'tcp', TargetPort: 99, PublishedPort: 18_099, PublishMode: 'host' }],
    ),
  },
  {
    flag: '--sysctl-add',
    args: ['--sysctl-add', 'net.ipv4.ip_unprivileged_port_start=2345'],
    seen: has('sysctl', '2345'),
  },
  {
    flag: '--ulimit-add',
    args: ['--ulimit-add', 'nproc=500'],
    seen: has('limit', /^Max processes +500 +500/),
  },
  {
    flag: '--ulimit-rm',
    args: ['--ulimit-rm', 'nofile'],
    seen: lacks('limit', /^Max open files +1234 +2345/),
  },
];

/** Scalars of `createOptions` once more, as `service update` sets them: other values. */
export const updatedScalars: readonly OptionCase[] = [
  ...policies('second'),
  {
    flag: '--oom-score-adj',
    args: ['--oom-score-adj', '321'],
    seen: has('oom', '321'),
    isNew: true,
  },
  { flag: '--hostname', args: ['--hostname', 'renamed'], seen: has('hostname', 'renamed') },
  { flag: '--user', args: ['--user', '1000:1001'], seen: has('user', '1000:1001') },
  { flag: '--workdir', args: ['--workdir', '/tmp'], seen: has('workdir', '/tmp') },
  { flag: '--entrypoint', args: ['--entrypoint', '/bin/probe'], seen: has('args', 'three four') },
  { flag: '--tty', args: ['--tty=false'], seen: has('tty', 'no') },
  { flag: '--init', args: ['--init=false'], seen: has('pid', '1') },
  {
    flag: '--limit-memory',
    args: ['--limit-memory', '32M'],
    seen(sight) {
      const bytes = limit(sight, 'memory', 'memory.limit_in_bytes', 'memory.max');
      assert.equal(bytes, String(32 * 2 ** 20));
    },
  },
  {
    flag: '--limit-cpu',
    args: ['--limit-cpu', '0.25'],
    seen(sight) {
      const quota = limit(sight, 'cpu', 'cpu.cfs_quota_us', 'cpu.max');
      assert.equal(quota.split(' ')[0], '25000');
    },
  },
  {
    flag: '--limit-pids',
    args: ['--limit-pids', '66'],
    seen: (sight) => assert.equal(limit(sight, 'pids', 'pids.max', 'pids.max'), '66'),
  },
  {
    flag: '--read-only',
    args: ['--read-only=false'],
    // A user who is not root cannot write there either way: the mount itself tells.
    seen: has('mount', /^\S+ \/ \S+ rw\b/),
  },
  {
    flag: '--reserve-cpu',
    args: ['--reserve-cpu', '0.2'],
    seen: inspected((sight) => template(sight).Resources.Reservations.NanoCPUs, 200_000_000),
  },
  {
    flag: '--reserve-memory',
    args: ['--reserve-memory', '16M'],
    seen: inspected((sight) => template(sight).Resources.Reservations.MemoryBytes, 16 * 2 ** 20),
  },
  {
    flag: '--endpoint-mode',
    args: ['--endpoint-mode', 'vip'],
    seen: inspected((sight) => sight.service.Spec.EndpointSpec.Mode, 'vip'),
  },
  {
    flag: '--stop-signal',
    args: ['--stop-signal', 'SIGTERM'],
    seen(sight) {
      assert.equal(container(sight).StopSignal, 'SIGTERM');
      // What it was created with is what the update stopped it with.
      has('signal', 'USR1')(sight);
    },
  },
];

/** What only an update can be asked for, once there is something to take away. */
export const furtherUpdates: readonly OptionCase[] = [
  {
    flag: '--placement-pref-rm',
    args: ['--placement-pref-rm', 'spread=node.labels.zone'],
    seen: inspected((sight) => template(sight).Placement.Preferences ?? [], []),
  },
  {
    flag: '--sysctl-rm',
    args: ['--sysctl-rm', 'net.ipv4.ip_unprivileged_port_start'],
    seen: lacks('sysctl', /^2345$/),
  },
  ...healthOptions(),
];

function healthOptions(): OptionCase[] {
  const one = (flag: string, value: string, key: string, expected: unknown): OptionCase => ({
    flag,
    args: [flag, value],
    seen: inspected((sight) => container(sight).Healthcheck[key], expected),
  });
  return [
    one('--health-cmd', 'true', 'Test', ['CMD-SHELL', 'true']),
    one('--health-interval', '150ms', 'Interval', 150_000_000),
    one('--health-retries', '4', 'Retries', 4),
    one('--health-start-period', '2s', 'StartPeriod', 2_000_000_000),
    one('--health-timeout', '3s', 'Timeout', 3_000_000_000),
  ];
}
