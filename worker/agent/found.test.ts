/** Managers that were found elsewhere than where this node knew them. */
import { strict as assert } from 'node:assert';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { Dispatcher as DispatcherDesc } from '../../gen/dispatcher_pb.js';
import { realClock, VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { startTestSwarm } from '../../manager/ca/testing.ts';
import { Dispatcher } from '../../manager/dispatcher/index.ts';
import { Agent } from './index.ts';
import { FakeExecutor, testDescription } from './testing.ts';

const parts = { clock: realClock, random: systemRandom, log: silentLogger };

describe('an agent without managers', () => {
  it('turns at once to one that was found, away from one that does not answer', async () => {
    await using swarm = await startTestSwarm();
    const { store, manager } = swarm;
    const dispatcher = new Dispatcher({ store, leaderId: () => manager.nodeId, ...parts });
    swarm.server.addService(DispatcherDesc, dispatcher.handlers, { allow: 'nodes' });
    dispatcher.start();
    const silent = await startSilence();
    const clock = new VirtualClock(Date.now());
    const agent = new Agent({
      identity: await swarm.node(),
      folder: await swarm.folder(),
      managers: [silent.addr],
      executor: new FakeExecutor(),
      describe: () => testDescription,
      ...parts,
      clock,
    });
    await agent.start();
    await silent.calls(1);
    agent.found(manager.nodeId, swarm.addr);
    // As long as the pause between two attempts, and not as long as an answer is waited for.
    const endMs = clock.nowMs() + 100;
    while (agent.connectedTo === undefined) {
      const nextMs = clock.nextTimerMs() ?? Infinity;
      if (nextMs <= endMs) clock.advance(nextMs - clock.nowMs());
      await new Promise(setImmediate);
    }
    assert.equal(agent.connectedTo, swarm.addr);
    agent.found(manager.nodeId, '127.0.0.1:1');
    await new Promise(setImmediate);
    assert.equal(agent.connectedTo, swarm.addr, 'a session that is there is left alone');
    await agent[Symbol.asyncDispose]();
    dispatcher.stop();
    silent.close();
  });
});

/** A port that takes connections and never says anything. */
async function startSilence() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    addr: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls: async (count: number) => {
      while (sockets.length < count)
        await new Promise((resolve) => server.once('connection', resolve));
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
