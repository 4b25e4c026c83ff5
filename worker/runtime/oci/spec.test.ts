import { strict as assert } from 'node:assert';
import { containerConfig } from '../testing/container-config.ts';
import { isErrorCode } from '../testing/errors.ts';
import type { ContainerConfig } from '../runtime.ts';
import { allCapabilities, capabilitiesOf, defaultCapabilities } from '../../../lib/capabilities.ts';
import { mountsOf } from './mounts.ts';
import { resourcesOf } from './resources.ts';
import { seccompProfile } from './seccomp.ts';
import { signalNumber } from '../../../lib/signals.ts';
import { execProcess, ociSpec, type SpecContext } from './spec.ts';
import { resolveUser, withHome, withoutHome } from './user.ts';

const context: SpecContext = {
  user: { uid: 0, gid: 0, additionalGids: [] },
  cgroupsPath: '/ts-swarm/x/a',
  cgroupVersion: 2,
  swapLimit: true,
  shimGroup: 'g1',
  initPath: '/usr/bin/tini-static',
  architecture: 'x64',
  kernel: '6.1.0-18-amd64',
  netnsPath: '/netns/a',
};
const image = { name: 'web:1', chainId: 'chain' };
const build = (config: Partial<ContainerConfig> = {}, more: Partial<SpecContext> = {}) =>
  ociSpec(
    containerConfig({
      id: 'a',
      image,
      argv: ['serve'],
      network: { kind: 'path', path: '/netns/a' },
      ...config,
    }),
    { ...context, ...more },
  );

describe('OCI spec', () => {
  it('gives namespaces of its own, and the cgroup one only on cgroup 2', () => {
    const types = (more: Partial<SpecContext>) =>
      build({}, more).linux.namespaces.map(({ type }) => type);
    assert.deepEqual(types({}), ['mount', 'uts', 'pid', 'ipc', 'cgroup', 'network']);
    assert.deepEqual(types({ cgroupVersion: 1, netnsPath: undefined }), [
      'mount',
      'uts',
      'pid',
      'ipc',
    ]);
  });

  it('hands on the hooks of devices', () => {
    const hooks = { createContainer: [{ path: '/bin/hook', args: ['hook', 'x'] }] };
    assert.deepEqual(build({ more: { hooks } }).hooks, hooks);
    assert.equal(build().hooks, undefined);
  });

  it('leaves the host’s network settings alone', () => {
    const { sysctl } = build({ network: { kind: 'host' }, sysctls: { 'kernel.x': '1' } }).linux;
    assert.deepEqual(sysctl, { 'kernel.x': '1' });
    assert.equal(build().linux.sysctl['net.ipv4.ip_unprivileged_port_start'], '0');
  });

  it('gives capabilities to root only, and the bounding set to all', () => {
    const root = build().process.capabilities;
    assert.deepEqual(root['effective'], root['bounding']);
    const web = build({}, { user: { uid: 1000, gid: 1000, additionalGids: [] } });
    assert.deepEqual(web.process.capabilities['effective'], []);
    assert.deepEqual(web.process.capabilities['bounding'], root['bounding']);
  });

  it('puts an init before the command, where there is one', () => {
    const spec = build({ init: true });
    assert.deepEqual(spec.process.args, ['/sbin/docker-init', '--', 'serve']);
    assert.ok(spec.mounts.some(({ source }) => source === '/usr/bin/tini-static'));
    assert.throws(() => build({ init: true }, { initPath: undefined }), /install the package tini/);
  });

  it('says what it cannot run', () => {
    assert.throws(() => build({ argv: [] }), isErrorCode('invalid-argument', /no command/));
    const env = [`LONG=${'x'.repeat(140_000)}`];
    assert.throws(() => build({ env }), isErrorCode('invalid-argument', /variable LONG is 140005/));
    assert.throws(
      () => build({ mounts: [{ type: 'volume', source: 'v', target: '/v' }] }),
      isErrorCode('unimplemented', /volume/),
    );
  });

  it('executes as the container does, without its terminal', () => {
    const first = build({ tty: true, workdir: '/srv' }).process;
    const process = execProcess(first, ['check']);
    assert.deepEqual([process.args, process.cwd, process.terminal], [['check'], '/srv', false]);
  });

  it('asks for a root that lets mounts through only where one is shared', () => {
    const mount = (propagation: 'rshared' | 'rslave') => ({
      mounts: [{ type: 'bind' as const, source: '/s', target: '/t', bindOptions: { propagation } }],
    });
    assert.equal(build().linux.rootfsPropagation, undefined);
    assert.equal(build(mount('rshared')).linux.rootfsPropagation, 'shared');
    assert.equal(build(mount('rslave')).linux.rootfsPropagation, 'rslave');
  });
});

describe('OCI mounts', () => {
  const of = (config: Partial<ContainerConfig>) =>
    mountsOf({ mounts: [], files: [], readOnlyRootfs: false, init: false, ...config }, undefined);

  it('puts parents before children, and the user’s in place of ours', () => {
    const mounts = of({
      mounts: [
        { type: 'tmpfs', target: '/a/b/c', tmpfsOptions: { sizeBytes: 10, mode: 0o1777 } },
        { type: 'bind', source: '/s', target: '/a/', readOnly: true },
        { type: 'tmpfs', target: '/dev/shm' },
      ],
      files: [{ source: '/f/hosts', target: '/etc/hosts' }],
    });
    const targets = mounts.map(({ destination }) => destination);
    assert.ok(targets.indexOf('/a') < targets.indexOf('/a/b/c'));
    assert.equal(targets.filter((target) => target === '/dev/shm').length, 1);
    const at = (target: string) => mounts.find(({ destination }) => destination === target);
    assert.deepEqual(at('/a')?.options, ['rbind', 'ro', 'rprivate']);
    assert.ok(at('/a/b/c')?.options.includes('mode=1777'));
    assert.deepEqual(at('/etc/hosts')?.options, ['rbind', 'rw', 'rprivate']);
  });

  it('drops what is below /dev when the user mounts that', () => {
    const targets = of({ mounts: [{ type: 'bind', source: '/dev', target: '/dev' }] });
    assert.ok(!targets.some(({ destination }) => destination.startsWith('/dev/')));
  });

  for (const target of ['relative', '/', '/a/../b', '']) {
    it(`refuses the target "${target}"`, () => {
      assert.throws(
        () => of({ mounts: [{ type: 'tmpfs', target }] }),
        isErrorCode('invalid-argument', /invalid mount target/),
      );
    });
  }
});

describe('OCI resources', () => {
  const host = { swapLimit: true, cgroupVersion: 1 as const };
  it('limits as Docker does', () => {
    const limits = { nanoCpus: 1.5e9, memoryBytes: 1000, pids: 10 };
    const { cpu, memory, pids } = resourcesOf({ limits }, host);
    assert.deepEqual(
      [cpu, memory, pids],
      [{ quota: 150_000, period: 100_000 }, { limit: 1000, swap: 2000 }, { limit: 10 }],
    );
  });

  it('takes swap as the spec says, and refuses where the kernel cannot', () => {
    const limits = { memoryBytes: 1000 };
    const swap = (swapBytes: number, swapLimit = true) =>
      resourcesOf({ limits, swapBytes }, { ...host, swapLimit }).memory?.swap;
    assert.deepEqual([swap(0), swap(5), swap(-1)], [1000, 1005, -1]);
    assert.throws(() => swap(5, false), /kernel does not limit swap/);
    assert.equal(resourcesOf({ limits }, { ...host, swapLimit: false }).memory?.swap, undefined);
    const swappy = (memorySwappiness: number, cgroupVersion: 1 | 2) =>
      resourcesOf({ limits, memorySwappiness }, { ...host, cgroupVersion }).memory?.swappiness;
    assert.deepEqual([swappy(7, 1), swappy(-1, 1), swappy(-1, 2)], [7, undefined, undefined]);
    assert.throws(() => swappy(7, 2), /no memory swappiness/);
  });

  it('sets no limits where none are asked for', () => {
    const { devices, ...rest } = resourcesOf({}, host);
    assert.deepEqual([rest, devices[0]], [{}, { allow: false, access: 'rwm' }]);
    assert.deepEqual(resourcesOf({ reservations: { memoryBytes: 5 } }, host).memory, {
      reservation: 5,
    });
  });
});

describe('capabilities', () => {
  const table: [string, string[], string[], readonly string[]][] = [
    ['Docker’s by default', [], [], defaultCapabilities.toSorted()],
    ['all', ['all'], [], allCapabilities.toSorted()],
    ['none', [], ['ALL'], []],
    ['one alone', ['net_admin'], ['ALL'], ['CAP_NET_ADMIN']],
    [
      'all but one',
      ['ALL'],
      ['CAP_BPF'],
      allCapabilities.filter((c) => c !== 'CAP_BPF').toSorted(),
    ],
  ];
  for (const [name, add, drop, expected] of table) {
    it(name, () => assert.deepEqual(capabilitiesOf(add, drop).toSorted(), expected));
  }

  it('names one that does not exist', () => {
    assert.throws(() => capabilitiesOf(['FLY'], []), isErrorCode('invalid-argument', /"CAP_FLY"/));
  });
});

describe('seccomp profile', () => {
  const verdict = (call: string, capabilities: readonly string[]) =>
    seccompProfile(capabilities, 'x64').syscalls.filter(({ names }) => names.includes(call));

  it('allows the common, and refuses what is in no rule', () => {
    assert.equal(verdict('openat', [])[0]?.action, 'SCMP_ACT_ALLOW');
    for (const call of [
      'mount',
      'reboot',
      'kexec_load',
      'io_uring_setup',
      'add_key',
      'userfaultfd',
    ]) {
      assert.deepEqual(verdict(call, defaultCapabilities), [], call);
    }
  });

  it('opens what a capability stands for', () => {
    assert.equal(verdict('mount', ['CAP_SYS_ADMIN']).length, 1);
    assert.equal(verdict('chroot', defaultCapabilities).length, 1);
    assert.equal(verdict('clone3', [])[0]?.errnoRet, 38);
    assert.equal(verdict('clone3', ['CAP_SYS_ADMIN'])[0]?.action, 'SCMP_ACT_ALLOW');
  });

  it('forbids namespaces by clone', () => {
    const [rule] = verdict('clone', []);
    assert.deepEqual(rule?.args, [
      { index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
    ]);
  });
});

describe('users', () => {
  const files = {
    passwd: 'root:x:0:0:root:/root:/bin/sh\n# note\nweb:x:1000:1000::/:/bin/sh\n',
    group: 'root:x:0:\nweb:x:1000:\nextra:x:1001:web,other\nstaff:x:50:\n',
  };
  const table: [string, string[], [number, number, number[]]][] = [
    ['', [], [0, 0, []]],
    ['web', [], [1000, 1000, [1001]]],
    ['1000', [], [1000, 1000, [1001]]],
    ['web:staff', [], [1000, 50, []]],
    ['4711', [], [4711, 0, []]],
    ['4711:4712', [], [4711, 4712, []]],
    ['web', ['staff', '77'], [1000, 1000, [1001, 50, 77]]],
  ];
  for (const [user, groups, [uid, gid, additionalGids]] of table) {
    it(`resolves "${user}" with [${groups.join()}]`, () => {
      const { isStranger = false, ...resolved } = resolveUser(user, groups, files);
      assert.deepEqual(resolved, { uid, gid, additionalGids });
      assert.equal(isStranger, user.startsWith('4711'));
    });
  }

  it('names who is not there', () => {
    const none = { passwd: '', group: '' };
    assert.throws(() => resolveUser('nobody', [], files), /unable to find user nobody/);
    assert.throws(() => resolveUser('web:none', [], files), /unable to find group none/);
    assert.throws(() => resolveUser('99999999999', [], none), /unable to find user 99999999999/);
    const root = { uid: 0, gid: 0, additionalGids: [], isStranger: true };
    assert.deepEqual(resolveUser('', [], none), root);
  });

  it('have a home, also where the image does not know them', () => {
    const [known, stranger] = ['web', '4711'].map((user) => resolveUser(user, [], files));
    assert.ok(known !== undefined && stranger !== undefined);
    assert.deepEqual(withHome(['A=b'], known), ['A=b']);
    assert.deepEqual(withHome(['HOME=/srv'], stranger), ['HOME=/srv']);
    const env = withHome(['A=b'], stranger);
    assert.deepEqual(env, ['A=b', 'HOME=/']);
    assert.deepEqual(withoutHome(env), ['A=b']);
    assert.deepEqual(withoutHome(['HOME=/srv']), ['HOME=/srv']);
    assert.deepEqual(build({}, { user: stranger }).process.user, {
      uid: 4711,
      gid: 0,
      additionalGids: [0],
    });
  });
});

describe('signals', () => {
  const table: [string, number][] = [
    ['SIGTERM', 15],
    ['quit', 3],
    ['9', 9],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
  ];
  for (const [name, number] of table) it(name, () => assert.equal(signalNumber(name), number));
  for (const name of ['', 'SIGNOPE', '0', '65', 'RTMIN-5', '1.5']) {
    it(`refuses "${name}"`, () =>
      assert.throws(() => signalNumber(name), isErrorCode('invalid-argument')));
  }
});
