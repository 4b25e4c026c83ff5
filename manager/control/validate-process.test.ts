import { strict as assert } from 'node:assert';
import { SwarmError } from '../../lib/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import { serviceSpec } from '../../types/index.ts';
import { checkedSpec } from './service-commands.ts';

const volume = { Type: 'volume', Source: 'data' };

/** What the container asks for, and what is said of it: undefined where it may have it. */
const cases: readonly (readonly [name: string, container: object, says?: RegExp])[] = [
  ['a capability', { CapabilityAdd: ['net_admin'], CapabilityDrop: ['ALL'] }],
  ['a capability to add that there is not', { CapabilityAdd: ['FOO'] }, /CapAdd: .*"CAP_FOO"$/],
  ['one to drop that there is not', { CapabilityDrop: ['FOO'] }, /CapDrop: .*"CAP_FOO"$/],
  ['a ulimit', { Ulimits: [{ Name: 'foo', Soft: 1, Hard: 1 }] }, /invalid ulimit type: foo$/],
  ['a sysctl', { Sysctls: { foo: '1' } }, /the sysctl "foo" is no container's own/],
  ['a user', { User: '-1' }, /^ContainerSpec: uids and gids must be in range/],
  ['a group', { Groups: [''] }, /a group without a name/],
  ['a folder', { Dir: 'srv' }, /'srv' is invalid, it needs to be an absolute path$/],
  ['a hostname', { Hostname: 'a'.repeat(65) }, /is too long/],
  ['a hostname that is filled in', { Hostname: `{{.Node.Hostname}}-${'a'.repeat(60)}` }],
  ['a variable', { Env: ['=x'] }, /invalid environment variable: =x$/],
  ['an argument', { Args: ['a\0b'] }, /NUL/],
  ['a command of nothing', { Command: [''] }, /no command specified/],
  ['a command that takes the image’s away', { Command: [''], Args: ['sleep', '9'] }],
  ['a health check', { Healthcheck: { Test: ['curl'] } }, /begins with "curl"/],
  ['a DNS server', { DNSConfig: { Nameservers: ['dns'] } }, /"dns" is no address of a DNS server/],
  ['a search domain', { DNSConfig: { Search: ['a b'] } }, /"a b" is no search domain/],
  ['an option of DNS', { DNSConfig: { Options: ['a\nb'] } }, /is no option of a resolver/],
  ['a host', { Hosts: ['10.0.0.9 a b', '::1 c', 'host-gateway d'] }],
  ['a host without an address', { Hosts: ['foo'] }, /bad format for add-host: "foo"/],
  ['a host at no address', { Hosts: ['foo bar'] }, /invalid IP address in add-host: "foo"$/],
  ['the root', { Mounts: [{ ...volume, Target: '/a/..' }] }, /destination can't be '\/'$/],
  [
    'one place twice',
    {
      Mounts: [
        { ...volume, Target: '/x' },
        { Type: 'tmpfs', Target: '/x/' },
      ],
    },
    /duplicate mount point: \/x\/$/,
  ],
  [
    'a folder as a volume',
    { Mounts: [{ ...volume, Source: '/srv', Target: '/x' }] },
    /invalid volume mount source, must not be an absolute path: \/srv$/,
  ],
  [
    'a bind with options of volumes',
    { Mounts: [{ Type: 'bind', Source: '/a', Target: '/x', VolumeOptions: { NoCopy: true } }] },
    /type "bind": field VolumeOptions must not be specified$/,
  ],
  [
    'a volume with options of binds',
    { Mounts: [{ ...volume, Target: '/x', BindOptions: { Propagation: 'shared' } }] },
    /type "volume": field BindOptions must not be specified$/,
  ],
  ['a mount of no type', { Mounts: [{ Target: '/x' }] }, /invalid bind mount source/],
];

/** The same of the task around it. */
const tasks: readonly (readonly [name: string, task: object, says?: RegExp])[] = [
  [
    'a sysctl of the host’s network',
    { Networks: [{ Target: 'host' }], ContainerSpec: { Image: 'a', Sysctls: { 'net.a': '1' } } },
    /cannot be set on the host's network/,
  ],
  ['a constraint', { Placement: { Constraints: ['node.ip!=10.0.0.0/8', 'engine.labels.a==b'] } }],
  [
    'a constraint that names nothing',
    { Placement: { Constraints: ['node.label.a==b'] } },
    /^constraint "node\.label\.a==b": nodes have no node\.label\.a; they have node\.id, /,
  ],
  [
    'a role that there is not',
    { Placement: { Constraints: ['node.role == managers'] } },
    /: the role of a node is manager or worker$/,
  ],
  [
    'an address that is none',
    { Placement: { Constraints: ['node.ip==here'] } },
    /: here is no IP address or subnet$/,
  ],
  [
    'the size of a log',
    { LogDriver: { Name: 'json-file', Options: { 'max-size': 'big' } } },
    /^invalid size: 'big'$/,
  ],
  [
    'the number of a log’s files',
    { LogDriver: { Name: 'local', Options: { 'max-file': '0' } } },
    /^invalid value for max-file: '0'$/,
  ],
];

describe('what no node can give', () => {
  const all = [
    ...cases.map(([name, container, says]) => {
      return [name, { ContainerSpec: { Image: 'a', ...container } }, says] as const;
    }),
    ...tasks.map(([name, task, says]) => {
      return [name, { ContainerSpec: { Image: 'a' }, ...task }, says] as const;
    }),
  ];
  for (const [name, task, says] of all) {
    it(`${says === undefined ? 'takes' : 'refuses'} ${name}`, () => {
      const spec = serviceSpec.decode({ Name: 'web', TaskTemplate: task }, '');
      const check = () => checkedSpec(spec, seededRandom(1));
      if (says === undefined) check();
      else {
        assert.throws(check, (error) => {
          assert.ok(error instanceof SwarmError);
          assert.equal(error.code, 'invalid-argument');
          assert.match(error.message, says);
          return true;
        });
      }
    });
  }
});
