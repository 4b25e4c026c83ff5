/** A node that enters a swarm waits until it is known there; one that leaves says so. */
import { strict as assert } from 'node:assert';
import { Dispatcher as DispatcherDesc } from '../../gen/dispatcher_pb.js';
import { realClock, type Clock } from '../../lib/clock.ts';
import type { NodeIdentity } from '../../lib/identity/index.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { startTestSwarm, type TestSwarm } from '../../manager/ca/testing.ts';
import { Dispatcher } from '../../manager/dispatcher/index.ts';
import { Agent } from './index.ts';
import { FakeExecutor, testDescription } from './testing.ts';

const parts = { clock: realClock, random: systemRandom, log: silentLogger };

describe('an agent that enters', () => {
  it('is settled once the managers know the node for ready and by its name', async () => {
    await using swarm = await startTestSwarm();
    const { store } = swarm;
    const dispatcher = startDispatcher(swarm);
    const identity = await swarm.node();
    const agent = await startAgent(swarm, identity, [swarm.addr]);
    await agent.settled();
    for (const node of [agent.node, store.node(identity.nodeId)]) {
      assert.equal(node?.status.state, 'ready');
      assert.equal(node?.description?.hostname, 'h1');
    }
    await agent[Symbol.asyncDispose]();
    dispatcher.stop();
  });

  it('does not wait for managers that are not there for ever', async () => {
    await using swarm = await startTestSwarm();
    const identity = await swarm.node();
    // Each look at this clock finds it a second later.
    let nowMs = 0;
    const clock = { ...realClock, monotonicMs: () => (nowMs += 1_000) };
    const agent = await startAgent(swarm, identity, ['127.0.0.1:1'], clock);
    await agent.settled();
    assert.equal(agent.node, undefined);
    await agent[Symbol.asyncDispose]();
  });
});

describe('an agent that leaves', () => {
  it('is down at once, and for good', async () => {
    // Silence alone would tell only after more than 20 seconds.
    await using swarm = await startTestSwarm({ dispatcher: { heartbeatPeriodMs: 7_000 } });
    const { store } = swarm;
    const dispatcher = startDispatcher(swarm);
    const identity = await swarm.node();
    const agent = await startAgent(swarm, identity, [swarm.addr]);
    const stateIs = async (state: string) => {
      while (store.node(identity.nodeId)?.status.state !== state) await new Promise(setImmediate);
    };
    await stateIs('ready');
    await agent.leave();
    await stateIs('down');
    assert.equal(store.node(identity.nodeId)?.status.message, 'the node has left');
    assert.equal(agent.connectedTo, undefined);
    await agent[Symbol.asyncDispose]();
    dispatcher.stop();
  });

  const endings = [
    { name: 'its daemon ends', hostEnds: false, state: 'ready', message: '' },
    { name: 'its host ends', hostEnds: true, state: 'down', message: 'the host is shutting down' },
  ];
  for (const { name, hostEnds, state, message } of endings) {
    it(`is ${state} when ${name}`, async () => {
      await using swarm = await startTestSwarm({ dispatcher: { heartbeatPeriodMs: 7_000 } });
      const { store } = swarm;
      const dispatcher = startDispatcher(swarm);
      const identity = await swarm.node();
      const agent = await startAgent(swarm, identity, [swarm.addr]);
      await agent.settled();
      await agent.away({ hostEnds });
      assert.equal(agent.connectedTo, undefined, 'the manager has heard it');
      await agent[Symbol.asyncDispose]();
      const status = () => store.node(identity.nodeId)?.status;
      if (hostEnds) while (status()?.state === 'ready') await new Promise(setImmediate);
      // What the dispatcher has to write is in the store long before another one's word is.
      const enters = await startAgent(swarm, await swarm.node(), [swarm.addr]);
      await enters.settled();
      await enters[Symbol.asyncDispose]();
      assert.deepEqual([status()?.state, status()?.message], [state, message]);
      dispatcher.stop();
    });
  }

  it('does not wait for managers that are not there', async () => {
    await using swarm = await startTestSwarm();
    // Each look at this clock finds it a tenth of a second later.
    let nowMs = 0;
    const clock = { ...realClock, monotonicMs: () => (nowMs += 100) };
    const agent = await startAgent(swarm, await swarm.node(), ['127.0.0.1:1'], clock);
    const startMs = nowMs;
    await agent.leave();
    assert.ok(nowMs - startMs < 3_000);
    await agent[Symbol.asyncDispose]();
  });
});

function startDispatcher({ store, manager, server }: TestSwarm): Dispatcher {
  const dispatcher = new Dispatcher({ store, leaderId: () => manager.nodeId, ...parts });
  server.addService(DispatcherDesc, dispatcher.handlers, { allow: 'nodes' });
  dispatcher.start();
  return dispatcher;
}

async function startAgent(
  swarm: TestSwarm,
  identity: NodeIdentity,
  managers: readonly string[],
  clock: Clock = realClock,
): Promise<Agent> {
  const agent = new Agent({
    identity,
    folder: await swarm.folder(),
    managers,
    executor: new FakeExecutor(),
    describe: () => testDescription,
    ...parts,
    clock,
  });
  await agent.start();
  return agent;
}
