import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import type { ErrorCode } from '../../lib/errors.ts';
import { seededRandom } from '../../lib/random.ts';
import {
  networkSpec,
  serviceSpec,
  type Cluster,
  type Network,
  type NetworkSpec,
  type ServiceSpec,
} from '../../types/index.ts';
import { newIngressNetwork } from '../allocator/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeCluster, makeTask } from '../store/testing.ts';
import { Control } from './control.ts';

async function swarm(changed: Partial<Cluster> = {}) {
  const store = new Store(new MemoryLog());
  await store.open();
  const clock = new VirtualClock();
  const random = seededRandom(3);
  const control = new Control({
    store,
    clock,
    random,
    makeJoinToken: () => '',
    makeUnlockKey: () => '',
    checkDemotion: () => undefined,
  });
  const propose = async (...changes: Change[]) => {
    const result = await store.propose(changes, { atMs: clock.nowMs() });
    assert.ok(result.applied, result.applied ? '' : result.conflict);
  };
  const present = makeCluster('c1', changed);
  await propose(
    { op: 'put', table: 'cluster', object: present, base: 0 },
    { op: 'put', table: 'network', object: newIngressNetwork(present, random), base: 0 },
  );
  const create = async (name: string, more: Record<string, unknown> = {}): Promise<Network> => {
    const { id } = await control.createNetwork({ spec: network(name, more) });
    const made = store.network(id);
    assert.ok(made !== undefined);
    return made;
  };
  return { store, control, propose, create };
}

function network(name: string, more: Record<string, unknown> = {}): NetworkSpec {
  return networkSpec.decode({ Name: name, Driver: 'overlay', ...more }, '');
}

const config = (...configs: Record<string, unknown>[]) => ({ IPAM: { Config: configs } });

function service(name: string, more: Record<string, unknown> = {}): ServiceSpec {
  return serviceSpec.decode(
    { Name: name, TaskTemplate: { ContainerSpec: { Image: 'web:1' } }, ...more },
    '',
  );
}

const on = (...targets: string[]) => ({ Networks: targets.map((Target) => ({ Target })) });
const publishing = (PublishedPort: number) => ({
  EndpointSpec: { Ports: [{ TargetPort: 80, PublishedPort }] },
});

const bad: readonly {
  readonly name: string;
  readonly spec: NetworkSpec;
  readonly code?: ErrorCode;
  readonly message: string | RegExp;
}[] = [
  { name: 'no name', spec: network(''), message: 'meta: name must be provided' },
  {
    name: 'a name that is no DNS name',
    spec: network('a b'),
    message: 'name must be valid as a DNS name component',
  },
  {
    name: 'a pre-defined name',
    spec: network('host'),
    code: 'permission-denied',
    message: 'host is a pre-defined network and cannot be created',
  },
  {
    name: 'another driver',
    spec: network('a', { Driver: 'weave' }),
    code: 'unimplemented',
    message: /^networks with the driver "weave" are not supported/,
  },
  {
    name: 'a subnet of which many nodes would give addresses',
    spec: network('a', { Driver: 'macvlan', ...config({ Subnet: '10.1.0.0/24' }) }),
    message: /^nodes that share a link would give the same addresses.*--config-from$/,
  },
  {
    name: 'options beside those of a configuration',
    spec: network('a', {
      Driver: 'macvlan',
      ConfigFrom: { Network: 'conf' },
      Options: { parent: 'eth0' },
    }),
    code: 'permission-denied',
    message: /^user specified configurations are not supported/,
  },
  {
    name: 'a second routing mesh',
    spec: network('a', { Ingress: true }),
    code: 'already-exists',
    message: /^ingress network \(\w{25}\) is already present$/,
  },
  {
    name: 'a mesh that anybody may join',
    spec: network('a', { Ingress: true, Attachable: true }),
    message: 'ingress network cannot be attachable',
  },
  {
    name: 'no subnet',
    spec: network('a', config({ Subnet: '10.1.0.0' })),
    message: 'invalid network config:\ninvalid subnet 10.1.0.0: invalid CIDR block notation',
  },
  {
    name: 'a subnet with a host in it',
    spec: network('a', config({ Subnet: '10.1.0.1/24' })),
    message: 'invalid network config:\ninvalid subnet 10.1.0.1/24: it should be 10.1.0.0/24',
  },
  {
    name: 'a subnet that is too small',
    spec: network('a', config({ Subnet: '10.1.0.0/31' })),
    message: /too small for a gateway and a container$/,
  },
  {
    name: 'two subnets of one family',
    spec: network('a', config({ Subnet: '10.1.0.0/24' }, { Subnet: '10.2.0.0/24' })),
    message: 'a network has one IPv4 subnet: leave all but one out',
  },
  {
    name: 'a range elsewhere',
    spec: network('a', config({ Subnet: '10.1.0.0/24', IPRange: '10.2.0.0/28' })),
    message: /invalid ip-range 10.2.0.0\/28: parent subnet 10.1.0.0\/24 doesn't contain ip-range$/,
  },
  {
    name: 'a range that is larger',
    spec: network('a', config({ Subnet: '10.1.0.0/24', IPRange: '10.1.0.0/16' })),
    message: /CIDR block is bigger than its parent subnet 10.1.0.0\/24$/,
  },
  {
    name: 'a gateway elsewhere',
    spec: network('a', config({ Subnet: '10.1.0.0/24', Gateway: '10.2.0.1' })),
    message: /invalid gateway 10.2.0.1: parent subnet 10.1.0.0\/24 doesn't contain this address$/,
  },
  {
    name: 'a gateway of another family',
    spec: network('a', config({ Subnet: '10.1.0.0/24', Gateway: 'fd00::1' })),
    message: /invalid gateway fd00::1: parent subnet is an IPv4 block$/,
  },
  {
    name: 'an auxiliary address that is none',
    spec: network('a', config({ Subnet: '10.1.0.0/24', AuxiliaryAddresses: { dns: 'x' } })),
    message: /invalid auxiliary address dns: invalid address$/,
  },
  {
    name: 'a VXLAN id out of range',
    spec: network('a', {
      Options: { 'com.docker.network.driver.overlay.vxlanid_list': '16777216' },
    }),
    message: /^invalid VXLAN id "16777216"/,
  },
];

describe('commands on networks', () => {
  for (const { name, spec, code = 'invalid-argument', message } of bad) {
    it(`refuse ${name}`, async () => {
      const { control, store } = await swarm();
      await assert.rejects(control.createNetwork({ spec }), { code, message });
      assert.equal([...store.networks()].length, 1);
    });
  }

  it('create networks with subnets of their own, and a name once', async () => {
    const { control, store, create } = await swarm();
    assert.equal(store.ingressNetwork()?.subnets[0]?.subnet, '10.0.0.0/24');
    const made = await Promise.all(['a', 'b', 'c'].map((name) => create(name)));
    assert.deepEqual(
      made.map(({ subnets }) => subnets),
      [1, 2, 3].map((n) => [{ subnet: `10.0.${n}.0/24`, gateway: `10.0.${n}.1` }]),
    );
    assert.equal(new Set(made.map(({ vni }) => vni)).size, 3);
    assert.equal(made[0]?.spec.scope, 'swarm');
    await assert.rejects(control.createNetwork({ spec: network('a') }), {
      code: 'already-exists',
      message: 'network with name a already exists',
    });
    await create('d');
    assert.deepEqual(store.audit(), []);
  });

  it('choose no subnet that the user gave another network; users may give one twice', async () => {
    const { create } = await swarm();
    const given = config({ Subnet: '10.0.1.0/25' });
    const [a, b] = [await create('a', given), await create('b', given)];
    assert.equal(a.subnets[0]?.subnet, b.subnets[0]?.subnet);
    assert.notEqual(a.vni, b.vni);
    assert.equal((await create('c')).subnets[0]?.subnet, '10.0.2.0/24');
  });

  it('say when no subnet is left', async () => {
    const { control, create } = await swarm({ defaultAddressPools: ['10.9.0.0/23'] });
    const { id } = await create('a');
    const more = control.createNetwork({ spec: network('b') });
    await assert.rejects(more, { code: 'failed-precondition', message: /^could not find an/ });
    await control.removeNetwork({ id });
    assert.equal((await create('b')).subnets[0]?.subnet, '10.9.1.0/24');
  });

  it('take what the user says: range, gateway, addresses set aside, VXLAN id', async () => {
    const { control, create } = await swarm();
    const range = { Subnet: '10.1.0.0/16', IPRange: '10.1.7.0/24', Gateway: '10.1.0.254' };
    const Options = { 'com.docker.network.driver.overlay.vxlanid_list': '77' };
    const made = await create('a', {
      ...config({ ...range, AuxiliaryAddresses: { dns: '10.1.7.9' } }),
      Options,
    });
    const [subnet] = made.subnets;
    assert.deepEqual(subnet, {
      subnet: '10.1.0.0/16',
      gateway: '10.1.0.254',
      ipRange: '10.1.7.0/24',
      reserved: ['10.1.7.9'],
    });
    assert.equal(made.vni, 77);
    await assert.rejects(control.createNetwork({ spec: network('b', { Options }) }), {
      code: 'already-exists',
      message: 'VXLAN id 77 is in use by network a',
    });
  });

  it('give IPv6 subnets out of a range that is the swarm’s own', async () => {
    const { create } = await swarm();
    const [a, b] = [
      await create('a', { EnableIPv6: true }),
      await create('b', { EnableIPv6: true, ...config({ Subnet: 'fd00:1::/64' }) }),
    ];
    const [v4, v6] = a.subnets;
    assert.equal(v4?.subnet, '10.0.1.0/24');
    assert.match(v6?.subnet ?? '', /^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::\/64$/);
    assert.equal(v6?.gateway, v6?.subnet.replace('/64', '1'));
    assert.deepEqual(b.subnets[1], { subnet: 'fd00:1::/64', gateway: 'fd00:1::1' });
    const again = await (await swarm()).create('a', { EnableIPv6: true });
    assert.deepEqual(again.subnets, a.subnets, 'it follows from the id of the swarm');
  });

  it('keep a network while services or their tasks use it', async () => {
    const { control, store, propose, create } = await swarm();
    const { id } = await create('back');
    const web = await control.createService({ spec: service('web', on('back')) });
    const inUse = (message: string) =>
      assert.rejects(control.removeNetwork({ id }), { code: 'failed-precondition', message });
    await inUse(`network ${id} is in use by service ${web.id}`);
    const task = makeTask('t1', store.service(web.id)!, {
      nodeId: 'n1',
      networks: [{ networkId: id, addresses: ['10.0.1.9/24'] }],
    });
    await propose({ op: 'put', table: 'task', object: task, base: 0 });
    const { meta } = store.service(web.id)!;
    await control.updateService({ id: web.id, version: meta.version, spec: service('web') });
    await inUse(`network ${id} is in use by task t1`);
    assert.deepEqual(await control.pruneNetworks({ ids: [id, 'gone'] }), { removed: [] });
    await propose({ op: 'task-desire', id: 't1', desiredState: 'shutdown' });
    assert.deepEqual(await control.pruneNetworks({ ids: [id, store.ingressNetwork()!.id] }), {
      removed: [id],
    });
    await assert.rejects(control.removeNetwork({ id }), { code: 'not-found' });
    assert.deepEqual(store.audit(), []);
  });

  it('let one win where a network is removed and taken up at the same time', async () => {
    const { control, store, create } = await swarm();
    const { id } = await create('back');
    const [removed, created] = await Promise.allSettled([
      control.removeNetwork({ id }),
      control.createService({ spec: service('web', on('back')) }),
    ]);
    assert.equal(removed.status, 'fulfilled');
    assert.equal(created.status, 'rejected');
    assert.match(String(created.reason), /network back not found/);
    assert.equal([...store.services()].length, 0);
  });

  it('remove the routing mesh’s network and make another', async () => {
    const { control, store, create } = await swarm();
    const { id } = store.ingressNetwork()!;
    const web = await control.createService({ spec: service('web', publishing(80)) });
    await assert.rejects(control.removeNetwork({ id }), {
      message: `ingress network cannot be removed because service ${web.id} depends on it`,
    });
    await control.removeService(web);
    await control.removeNetwork({ id });
    await assert.rejects(control.createService({ spec: service('web', publishing(80)) }), {
      code: 'failed-precondition',
      message: 'service needs ingress network, but no ingress network is present',
    });
    const mesh = await create('mesh', { Ingress: true, ...config({ Subnet: '10.77.0.0/16' }) });
    assert.equal(store.ingressNetwork()?.id, mesh.id);
  });
});

describe('the networks of services', () => {
  it('are named by id, name or the beginning of an id, and kept by id', async () => {
    const { control, store, create } = await swarm();
    const [a, b, c] = [await create('a'), await create('b'), await create('c')];
    const { id } = await control.createService({
      spec: service('web', on(a.id, 'b', c.id.slice(0, 20))),
    });
    const targets = store.service(id)?.spec.task.networks?.map(({ target }) => target);
    assert.deepEqual(targets, [a.id, b.id, c.id]);
    assert.deepEqual([...store.servicesOfNetwork(b.id)].length, 1);
  });

  it('are refused where they do not exist, or are the mesh’s', async () => {
    const { control, create } = await swarm();
    await create('a');
    const make = (...targets: string[]) =>
      control.createService({ spec: service('web', on(...targets)) });
    await assert.rejects(make('nosuch'), {
      code: 'not-found',
      message: 'network nosuch not found',
    });
    await assert.rejects(make('ingress'), {
      code: 'invalid-argument',
      message: 'Service cannot be explicitly attached to the ingress network "ingress"',
    });
    await assert.rejects(make('a', 'a'), { message: 'network a is given more than once' });
    await make('host');
  });

  it('must still be there when a service goes back to them', async () => {
    const { control, store, create } = await swarm();
    const { id: networkId } = await create('a');
    const { id } = await control.createService({ spec: service('web', on('a')) });
    const update = (rollback: boolean) => {
      const { version } = store.service(id)!.meta;
      return control.updateService({ id, version, spec: service('web'), rollback });
    };
    await update(false);
    await control.removeNetwork({ id: networkId });
    await assert.rejects(update(true), { message: `network ${networkId} not found` });
  });
});
