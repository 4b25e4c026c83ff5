/** A node that leaves says so. */
import { strict as assert } from 'node:assert';
import { Dispatcher as DispatcherDesc } from '../../gen/dispatcher_pb.js';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { startTestSwarm } from '../../manager/ca/testing.ts';
import { Dispatcher } from '../../manager/dispatcher/index.ts';
import { Agent } from './index.ts';
import { FakeExecutor, testDescription } from './testing.ts';

const parts = { clock: realClock, random: systemRandom, log: silentLogger };

describe('an agent that leaves', () => {
  it('is down at once, and for good', async () => {
    // Silence alone would tell only after more than 20 seconds.
    await using swarm = await startTestSwarm({ dispatcher: { heartbeatPeriodMs: 7_000 } });
    const { store, manager } = swarm;
    const dispatcher = new Dispatcher({ store, leaderId: () => manager.nodeId, ...parts });
    swarm.server.addService(DispatcherDesc, dispatcher.handlers, { allow: 'nodes' });
    dispatcher.start();
    const identity = await swarm.node();
    const agent = new Agent({
      identity,
      folder: await swarm.folder(),
      managers: [swarm.addr],
      executor: new FakeExecutor(),
      describe: () => testDescription,
      ...parts,
    });
    await agent.start();
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

  it('does not wait for managers that are not there', async () => {
    await using swarm = await startTestSwarm();
    const agent = new Agent({
      identity: await swarm.node(),
      folder: await swarm.folder(),
      managers: ['127.0.0.1:1'],
      executor: new FakeExecutor(),
      describe: () => testDescription,
      ...parts,
    });
    await agent.start();
    const startMs = performance.now();
    await agent.leave();
    assert.ok(performance.now() - startMs < 3_000);
    await agent[Symbol.asyncDispose]();
  });
});
