import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import type { Attachment } from '../network/network.ts';
import { taskContainerHexId } from '../runtime/hex-id.ts';
import { NetworkEvents } from './events.ts';
import { TaskNetworkEvents } from './task-network-events.ts';
import type { TaskContainer } from './tasks.ts';

const id = 'web.1.t1';
const attachment: Attachment = { netnsPath: '/run/netns/a', addresses: [], ports: [] };
const network = {
  id: 'n1',
  name: 'front',
  driver: 'overlay',
  vni: 4096,
  subnets: [],
  internal: false,
  ingress: false,
  encrypted: false,
  dataPathPort: 4789,
  options: {},
};

describe('TaskNetworkEvents', () => {
  let told: string[];

  const telling = (tasks: readonly TaskContainer[] = []) => {
    told = [];
    const events = new NetworkEvents(new VirtualClock());
    events.listen(({ action, id: networkId, attributes: { name, type, container } }) => {
      assert.equal(container, taskContainerHexId(id));
      told.push(`${action} ${networkId} ${name} ${type}`);
    });
    const driver = {
      assign: () => Promise.resolve(),
      attach: () => Promise.resolve(attachment),
      detach: () => Promise.resolve(),
    };
    return new TaskNetworkEvents(driver, { events, tasks: () => tasks });
  };
  const assign = (networks: TaskNetworkEvents) =>
    networks.assign({ complete: true, update: [{ type: 'network', object: network }], remove: [] });

  it('tells the networks of one that starts, and once that it has left', async () => {
    const networks = telling();
    await assign(networks);
    const request = {
      containerId: id,
      mode: 'bridge',
      networks: [{ networkId: 'n1', addresses: [] }],
      ports: [],
    } as const;
    assert.equal(await networks.attach(request), attachment);
    assert.deepEqual(told, []);
    networks.started(id);
    networks.started(id);
    await networks.detach(id);
    await networks.detach(id);
    networks.gone(id);
    assert.deepEqual(told, ['connect n1 front overlay', 'disconnect n1 front overlay']);
  });

  it('tells of the bridge, or of none, where it is on no other network', async () => {
    const networks = telling();
    await networks.attach({ containerId: id, mode: 'bridge', ports: [] });
    networks.started(id);
    networks.gone(id);
    await networks.attach({ containerId: id, mode: 'none', ports: [] });
    networks.started(id);
    await networks.detach(id);
    assert.deepEqual(told, [
      'connect bridge bridge bridge',
      'disconnect bridge bridge bridge',
      'connect none none null',
      'disconnect none none null',
    ]);
  });

  it('tells of the host’s, to which nothing is attached', async () => {
    const networks = telling([taskOn('host', 'starting')]);
    networks.started(id);
    networks.gone(id);
    await networks.detach(id);
    assert.deepEqual(told, ['connect host host host', 'disconnect host host host']);
  });

  it('tells nothing of one that never started', async () => {
    const networks = telling();
    await networks.attach({ containerId: id, mode: 'bridge', ports: [] });
    await networks.detach(id);
    networks.gone(id);
    assert.deepEqual(told, []);
  });

  it('tells that one has left which an earlier daemon has connected', async () => {
    const networks = telling([taskOn('bridge', 'running', ['n1'])]);
    await assign(networks);
    await networks.detach(id);
    await networks.detach(id);
    assert.deepEqual(told, ['disconnect n1 front overlay']);
  });

  it('tells the name of a network that is gone before its container', async () => {
    const networks = telling();
    await assign(networks);
    await networks.attach({
      containerId: id,
      mode: 'bridge',
      networks: [{ networkId: 'n1', addresses: [] }],
      ports: [],
    });
    networks.started(id);
    const remove = [{ type: 'network', id: 'n1' }] as const;
    await networks.assign({ complete: false, update: [], remove });
    await networks.detach(id);
    assert.deepEqual(told, ['connect n1 front overlay', 'disconnect n1 front overlay']);
  });
});

function taskOn(networkMode: string, state: string, networkIds: readonly string[] = []) {
  return {
    containerId: id,
    status: { state },
    prepared: { networkMode },
    task: { networks: networkIds.map((networkId) => ({ networkId, addresses: [] })) },
  } as unknown as TaskContainer;
}
