/** Every option of `service create` that one service can have together with all others. */
import { strict as assert } from 'node:assert';
import {
  chown,
  container,
  has,
  hasCapability,
  inspected,
  limit,
  netAdmin,
  template,
  type OptionCase,
} from './sight.ts';
import { policies } from './policy-options.ts';
import { told } from './probe.ts';

/** All of them go together on one service; `folder` is a folder that every host has. */
export function createOptions(folder: string): readonly OptionCase[] {
  return [
    {
      flag: '--cap-add',
      args: ['--cap-add', 'NET_ADMIN'],
      seen: (sight) => assert.ok(hasCapability(sight, netAdmin)),
    },
    {
      flag: '--cap-drop',
      args: ['--cap-drop', 'CHOWN'],
      seen: (sight) => assert.ok(!hasCapability(sight, chown)),
    },
    {
      flag: '--constraint',
      args: ['--constraint', 'node.hostname==h2'],
      seen: ({ host }) => assert.equal(host, 'h2'),
    },
    {
      flag: '--container-label',
      args: ['--container-label', 'inner=1'],
      seen: inspected((sight) => container(sight).Labels, { inner: '1' }),
    },
    { flag: '--dns', args: ['--dns', '10.1.2.3'], seen: has('resolv', 'nameserver 10.1.2.3') },
    {
      flag: '--dns-option',
      args: ['--dns-option', 'timeout:3'],
      seen: has('resolv', /^options .*timeout:3/),
    },
    {
      flag: '--dns-search',
      args: ['--dns-search', 'example.test'],
      seen: has('resolv', 'search example.test'),
    },
    {
      flag: '--endpoint-mode',
      args: ['--endpoint-mode', 'dnsrr'],
      seen: inspected((sight) => sight.service.Endpoint.Spec.Mode, 'dnsrr'),
    },
    {
      flag: '--entrypoint',
      args: ['--entrypoint', '/bin/other "two words"'],
      seen: has('args', 'other two words one two'),
    },
    { flag: '--env', args: ['--env', 'COLOUR=blue'], seen: has('env', 'COLOUR=blue') },
    {
      flag: '--env-file',
      args: ['--env-file', `${folder}/env`],
      seen: has('env', 'FROM_FILE=yes'),
    },
    { flag: '--group', args: ['--group', '4321'], seen: has('groups', /\b4321\b/) },
    { flag: '--host', args: ['--host', 'db:10.9.8.7'], seen: has('hosts', /^10\.9\.8\.7\s+db$/) },
    {
      flag: '--hostname',
      args: ['--hostname', '{{.Node.Hostname}}-{{.Task.Slot}}'],
      seen: has('hostname', 'h2-1'),
    },
    {
      flag: '--init',
      args: ['--init'],
      seen(sight) {
        assert.ok(!told(sight.output, 'pid').includes('1'), 'the program itself is process 1');
        has('pid1', /init/)(sight);
      },
    },
    {
      flag: '--label',
      args: ['--label', 'outer=1'],
      seen: inspected((sight) => sight.service.Spec.Labels, { outer: '1' }),
    },
    {
      flag: '--limit-cpu',
      args: ['--limit-cpu', '0.5'],
      seen(sight) {
        const quota = limit(sight, 'cpu', 'cpu.cfs_quota_us', 'cpu.max');
        assert.equal(quota.split(' ')[0], '50000');
      },
    },
    {
      flag: '--limit-memory',
      args: ['--limit-memory', '64M'],
      seen(sight) {
        const bytes = limit(sight, 'memory', 'memory.limit_in_bytes', 'memory.max');
        assert.equal(bytes, String(64 * 2 ** 20));
      },
    },
    {
      flag: '--limit-pids',
      args: ['--limit-pids', '77'],
      seen: (sight) => assert.equal(limit(sight, 'pids', 'pids.max', 'pids.max'), '77'),
    },
    {
      flag: '--mount',
      args: [
        '--mount',
        `type=bind,source=${folder},target=/bound,readonly`,
        '--mount',
        'type=tmpfs,target=/scratch,tmpfs-size=1048576,tmpfs-mode=700',
      ],
      seen(sight) {
        has('mount', /^\S+ \/bound \S+ ro\b/)(sight);
        has(
          'mount',
          /^tmpfs \/scratch tmpfs \S*size=1024k\S*mode=700|mode=700\S*size=1024k/,
        )(sight);
      },
    },
    {
      flag: '--read-only',
      args: ['--read-only'],
      seen: has('root', 'read-only'),
    },
    {
      flag: '--reserve-cpu',
      args: ['--reserve-cpu', '0.1'],
      seen: inspected((sight) => template(sight).Resources.Reservations.NanoCPUs, 100_000_000),
    },
    {
      flag: '--reserve-memory',
      args: ['--reserve-memory', '8M'],
      seen: inspected((sight) => template(sight).Resources.Reservations.MemoryBytes, 8 * 2 ** 20),
    },
    {
      flag: '--sysctl',
      args: ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=1234'],
      seen: has('sysctl', '1234'),
    },
    { flag: '--tty', args: ['--tty'], seen: has('tty', 'yes') },
    {
      flag: '--ulimit',
      args: ['--ulimit', 'nofile=1234:2345'],
      seen: has('limit', /^Max open files +1234 +2345/),
    },
    { flag: '--user', args: ['--user', 'nobody'], seen: has('user', '65534:65534') },
    { flag: '--workdir', args: ['--workdir', '/var'], seen: has('workdir', '/var') },
    {
      flag: '--oom-score-adj',
      args: ['--oom-score-adj', '123'],
      seen: has('oom', '123'),
      isNew: true,
    },
    {
      flag: '--stop-signal',
      args: ['--stop-signal', 'SIGUSR1'],
      seen: inspected((sight) => container(sight).StopSignal, 'SIGUSR1'),
    },
    ...policies('first'),
  ];
}
