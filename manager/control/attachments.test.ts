import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { seededRandom } from '../../lib/random.ts';
import { networkSpec } from '../../types/index.ts';
import { Reconciler } from '../reconcile/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeCluster, makeNode } from '../store/testing.ts';
import { Control } from './control.ts';

describe('places on networks for containers of no service', () => {
  const open = async () => {
    const store = new Store(new MemoryLog());
    await store.open();
    const clock = new VirtualClock();
    const random = seededRandom(5);
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
    await propose(
      { op: 'put', table: 'cluster', object: makeCluster('c1'), base: 0 },
      { op: 'put', table: 'node', object: makeNode('n1'), base: 0 },
    );
    const create = (Name: string, more: object) => {
      const document = { Name, Driver: 'overlay', ...more };
      return control.createNetwork({ spec: networkSpec.decode(document, '') });
    };
    const Config = [{ Subnet: '10.7.0.0/28', IPRange: '10.7.0.0/29' }];
    await create('open', { Attachable: true, IPAM: { Config } });
    await create('closed', {});
    const reconciler = new Reconciler({}, { store, clock, random, log: silentLogger });
    reconciler.start();
    const attach = (
      containerId: string,
      addresses: readonly string[] = [],
      network = 'open',
      macAddress = '',
    ) =>
      control.attach({
        macAddress,
        nodeId: 'n1',
        network,
        containerId,
        containerName: `name-${containerId}`,
        aliases: ['www'],
        addresses,
      });
    const used = () => [...store.usedAddresses(store.networkByName('open')!.id).keys()].toSorted();
    return { store, control, create, reconciler, propose, attach, used };
  };

  it('are tasks of the node, with addresses as asked for', async () => {
    const { store, attach, used, reconciler } = await open();
    const { taskId, addresses, name, subnets } = await attach('a', ['10.7.0.12']);
    assert.deepEqual(
      [addresses, name, subnets.map(({ subnet }) => subnet)],
      [['10.7.0.12/28'], 'open', ['10.7.0.0/28']],
    );
    const task = store.task(taskId)!;
    assert.deepEqual(
      [task.nodeId, task.serviceId, task.attachedContainerId, task.name, task.spec.runtime],
      ['n1', '', 'a', 'name-a', 'attachment'],
    );
    await attach('b');
    await reconciler.idle();
    assert.equal(used().length, 2);
    assert.deepEqual(store.audit(), []);
  });

  it('have no addresses where each node makes the network, which gives them itself', async () => {
    const { store, attach, create } = await open();
    await create('lan', { Driver: 'macvlan', Attachable: true, ConfigFrom: { Network: 'here' } });
    const { taskId, driver, addresses, subnets } = await attach('a', ['10.9.0.5'], 'lan');
    assert.deepEqual([driver, addresses, subnets], ['macvlan', [], []]);
    assert.deepEqual(store.task(taskId)?.networks?.[0]?.addresses, []);
  });

  it('have the MAC address that is asked for, where nobody else can have it', async () => {
    const { store, attach } = await open();
    const mac = '02:00:00:00:0a:07';
    const { taskId } = await attach('a', [], 'open', mac);
    assert.equal(store.task(taskId)?.networks?.[0]?.macAddress, mac);
    await assert.rejects(attach('b', [], 'open', mac), {
      code: 'already-exists',
      message: `the MAC address ${mac} is in use on the network open: name-a has it`,
    });
    await attach('a', [], 'open', mac);
    await assert.rejects(attach('b', [], 'open', '02:42:0a:07:00:0c'), {
      code: 'invalid-argument',
      message: /belongs to the address 10\.7\.0\.12 of the network open/,
    });
    await attach('b', ['10.7.0.12'], 'open', '02:42:0a:07:00:0c');
    await attach('c', [], 'open', '02:42:0a:08:00:0c');
  });

  it('of a container that asks anew are taken over, with their addresses', async () => {
    const { store, attach, used, reconciler } = await open();
    const first = await attach('a', ['10.7.0.12']);
    const second = await attach('a', ['10.7.0.12']);
    await reconciler.idle();
    assert.notEqual(first.taskId, second.taskId);
    assert.equal(store.task(first.taskId), undefined);
    assert.deepEqual(used(), ['10.7.0.12']);
  });

  const refusals: readonly (readonly [string, readonly string[], string, string, RegExp])[] = [
    ['a network that is not attachable', [], 'closed', 'permission-denied', /not manually attach/],
    ['a network that is not there', [], 'nosuch', 'not-found', /network nosuch not found/],
    ['an address that another has', ['10.7.0.12'], 'open', 'already-exists', /already in use/],
    ['the gateway', ['10.7.0.1'], 'open', 'already-exists', /already in use/],
    ['an address of elsewhere', ['10.8.0.1'], 'open', 'invalid-argument', /none of the subnets/],
    ['what is no address', ['ten'], 'open', 'invalid-argument', /invalid address: ten/],
  ];
  for (const [what, addresses, network, code, message] of refusals) {
    it(`are refused for ${what}`, async () => {
      const { attach } = await open();
      await attach('other', ['10.7.0.12']);
      await assert.rejects(attach('a', addresses, network), { code, message });
    });
  }

  it('are few, and free once their containers have gone, or their node', async () => {
    const { store, control, attach, used, propose, reconciler } = await open();
    await attach('outside', ['10.7.0.12']);
    const places = [];
    for (let number = 0; number < 6; number++) places.push(await attach(`c${number}`));
    await assert.rejects(attach('late'), {
      code: 'resource-exhausted',
      message: /no free address/,
    });
    const over = (id: string): Change => {
      const status = { state: 'complete' as const, atMs: 1, message: 'gone' };
      return { op: 'task-status', id, status };
    };
    await propose(...places.slice(0, 2).map(({ taskId }) => over(taskId)));
    await reconciler.idle();
    assert.equal(used().length, 5);
    assert.equal(store.task(places[0]!.taskId), undefined);
    await attach('late');
    await control.removeNode({ id: 'n1', force: true });
    await reconciler.idle();
    assert.deepEqual([used(), [...store.tasks()]], [[], []]);
    await control.removeNetwork({ id: store.networkByName('open')!.id });
  });

  it('are refused where what the node says would be borne by no other node', async () => {
    const { control } = await open();
    const good = {
      nodeId: 'n1',
      network: 'open',
      containerId: 'c1',
      containerName: 'one',
      aliases: ['www'],
      addresses: [],
      macAddress: '02:00:00:00:0a:07',
    };
    for (const bad of [
      { macAddress: 'none' },
      { macAddress: '03:00:00:00:0a:07' },
      { macAddress: '02:00:00:00:0A:07' },
      { aliases: ['a\u001b[2J'] },
      { aliases: Array.from({ length: 300 }, (_, at) => `a${at}`) },
      { containerName: 'x'.repeat(5_000) },
      { addresses: ['10.7.0.4', '10.7.0.5', '10.7.0.6'] },
    ]) {
      await assert.rejects(control.attach({ ...good, ...bad }), { code: 'invalid-argument' });
    }
    assert.equal((await control.attach(good)).name, 'open');
  });
});
