import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import type { AssignedTask } from '../../types/index.ts';
import { SwarmAttachments } from './attachments.ts';
import type { SwarmPlace } from './joining.ts';

function taskOf(id: string, containerId: string, more: Partial<AssignedTask> = {}): AssignedTask {
  return {
    id,
    meta: { version: 1, createdAtMs: 0, updatedAtMs: 0 },
    serviceId: '',
    slot: 0,
    nodeId: 'n1',
    spec: { forceUpdate: 0, runtime: 'attachment' },
    specVersion: 0,
    name: containerId,
    serviceName: '',
    desiredState: 'running',
    status: { state: 'assigned', atMs: 0, message: '' },
    attachedContainerId: containerId,
    serviceLabels: {},
    ...more,
  };
}

const placeOf = (taskId: string): SwarmPlace => ({
  taskId,
  networkId: 'net',
  name: 'open',
  driver: 'overlay',
  addresses: ['10.0.0.5/24'],
  subnets: [],
});
const request = { network: 'open', containerName: 'box', aliases: [], addresses: [] };

describe('attachments of containers to networks of the swarm', () => {
  let answers: PromiseWithResolvers<SwarmPlace | undefined>[];
  let lost: string[];
  let said: string[];
  let attachments: SwarmAttachments;

  beforeEach(() => {
    answers = [];
    lost = [];
    said = [];
    attachments = new SwarmAttachments({
      ask: () => {
        answers.push(Promise.withResolvers());
        return answers.at(-1)!.promise;
      },
      onLost: (taskId) => lost.push(taskId),
      clock: new VirtualClock(),
    });
    attachments.onStatus((id, { state }) => said.push(`${id} ${state}`));
  });

  const assign = (...update: AssignedTask[]) =>
    attachments.assign({ complete: false, kept: [], update, remove: [] });
  const join = async (containerId: string, taskId: string) => {
    const joining = attachments.join({ ...request, containerId });
    answers.at(-1)!.resolve(placeOf(taskId));
    await joining;
  };

  it('run once their container is there, whichever is heard of first', async () => {
    const joining = attachments.join({ ...request, containerId: 'box' });
    assign(taskOf('a1', 'box'));
    assert.deepEqual(said, []);
    answers[0]!.resolve(placeOf('a1'));
    await joining;
    assert.deepEqual(said, []);
    attachments.joined('a1');
    await join('crate', 'a2');
    attachments.joined('a2');
    assign(taskOf('a2', 'crate'));
    assert.deepEqual(said, ['a1 running', 'a2 running']);
  });

  it('tell of addresses that the node itself has given', async () => {
    const given = { networkId: 'net', addresses: ['10.0.0.7/24'] };
    await join('box', 'a1');
    attachments.joined('a1', given);
    assign(taskOf('a1', 'box'));
    assert.deepEqual(attachments.statuses().get('a1')?.networks, [given]);
    attachments.letGo('a1');
    assert.equal(attachments.statuses().get('a1')?.networks, undefined);
  });

  it('are over once it leaves, and stay so', async () => {
    await join('box', 'a1');
    attachments.joined('a1');
    assign(taskOf('a1', 'box'));
    attachments.letGo('a1');
    assign(taskOf('a1', 'box'));
    assert.deepEqual(said, ['a1 running', 'a1 complete']);
    assert.equal(attachments.statuses().get('a1')?.state, 'complete');
    attachments.assign({ complete: false, kept: [], update: [], remove: ['a1'] });
    assert.deepEqual([lost, attachments.statuses().size], [[], 0]);
  });

  it('of which nobody knows are over, also where the answer was lost', async () => {
    assign(taskOf('a1', 'gone'));
    const joining = attachments.join({ ...request, containerId: 'box' });
    assign(taskOf('a2', 'box'));
    answers[0]!.reject(new Error('the answer was lost'));
    await assert.rejects(joining, /lost/);
    assert.deepEqual(said, ['a1 complete', 'a2 complete']);
  });

  it('that the managers take away are left by their containers', async () => {
    for (const [container, task] of Object.entries({ a: 'a1', b: 'a2', c: 'a3', d: 'a4' })) {
      await join(container, task);
      attachments.joined(task);
    }
    assign(taskOf('a1', 'a'), taskOf('a2', 'b'), taskOf('a3', 'c'), taskOf('a4', 'd'));
    assign(taskOf('a1', 'a', { desiredState: 'remove' }));
    attachments.assign({ complete: true, kept: ['a4'], update: [taskOf('a2', 'b')], remove: [] });
    assert.deepEqual(lost, ['a1', 'a3']);
    for (const id of ['a2', 'a4']) assert.equal(attachments.statuses().get(id)?.state, 'running');
  });
});
