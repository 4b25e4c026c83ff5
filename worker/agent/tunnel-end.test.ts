/** Bytes between a manager and a node that listens nowhere. */
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import type { Duplex } from 'node:stream';
import { Dispatcher as DispatcherDesc } from '../../gen/dispatcher_pb.js';
import { Tunnel, TunnelReach } from '../../gen/tunnel_pb.js';
import { realClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { startTestSwarm, type TestSwarm } from '../../manager/ca/testing.ts';
import {
  Dispatcher,
  forwardedTunnel,
  serveTunnelReach,
  TunnelBroker,
} from '../../manager/dispatcher/index.ts';
import { Agent } from './index.ts';
import { FakeExecutor, testDescription } from './testing.ts';

const parts = { clock: realClock, random: systemRandom, log: silentLogger };

describe('a tunnel to a node', () => {
  let swarm: TestSwarm;
  let broker: TunnelBroker;
  let agent: Agent;
  let nodeId: string;
  let serve: (socket: Duplex) => void;
  let cleanup: AsyncDisposableStack;

  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    swarm = cleanup.use(await startTestSwarm({ dispatcher: { heartbeatPeriodMs: 1_000 } }));
    const { store, server } = swarm;
    const dispatcher = new Dispatcher({ store, leaderId: () => swarm.manager.nodeId, ...parts });
    broker = new TunnelBroker({ store, dispatcher, ...parts });
    server.addService(DispatcherDesc, dispatcher.handlers, { allow: 'nodes' });
    server.addService(Tunnel, broker.handlers, { allow: 'nodes' });
    server.addService(TunnelReach, serveTunnelReach(broker), { allow: 'managers' });
    dispatcher.start();
    cleanup.defer(() => dispatcher.stop());
    const identity = await swarm.node();
    nodeId = identity.nodeId;
    agent = new Agent({
      identity,
      folder: await swarm.folder(),
      managers: [swarm.addr],
      executor: new FakeExecutor(),
      describe: () => testDescription,
      serveTunnel: (socket) => serve(socket),
      ...parts,
    });
    cleanup.use(agent);
    await agent.start();
    await turnsUntil(() => store.node(nodeId)?.description?.hostname === 'h1');
  });
  afterEach(() => cleanup.disposeAsync());

  const viaLeader = async () => {
    const connection = cleanup.use(swarm.manager.connect(swarm.addr));
    return forwardedTunnel(connection.client(TunnelReach), nodeId);
  };
  const ways: readonly (readonly [string, () => Promise<Duplex>])[] = [
    ['from the leader', () => broker.open(nodeId)],
    ['from another manager', viaLeader],
  ];

  for (const [name, open] of ways) {
    it(`carries both directions, each to its own end, ${name}`, async () => {
      const total = 3 * 1024 * 1024;
      const heard = Promise.withResolvers<number>();
      serve = (socket) => {
        let bytes = 0;
        socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
        // The manager's side has ended, and the node's is still open.
        socket.on('end', () => {
          heard.resolve(bytes);
          socket.end(Buffer.alloc(total, 'n'));
        });
      };
      const socket = await open();
      const back: Buffer[] = [];
      await Promise.all([
        pipeline(async function* sent() {
          yield Buffer.alloc(total, 'm');
        }, socket),
        (async () => {
          for await (const chunk of socket) back.push(chunk as Buffer);
        })(),
      ]);
      assert.equal(await heard.promise, total);
      assert.deepEqual(Buffer.concat(back), Buffer.alloc(total, 'n'));
      await turnsUntil(() => broker.count === 0);
    });

    it(`stops a node that writes when nobody reads, ${name}`, async () => {
      let node: Duplex | undefined;
      let written = 0;
      const piece = Buffer.alloc(64 * 1024);
      serve = (socket) => {
        node = socket;
        const write = () => {
          do written += piece.length;
          while (socket.write(piece));
        };
        socket.on('drain', write);
        write();
      };
      const socket = await open();
      await turnsUntil(() => node !== undefined);
      let before = -1;
      for (let quiet = 0; quiet < 2_000; quiet++) {
        if (written !== before) quiet = 0;
        before = written;
        await turn();
      }
      assert.ok(written < 16 * 1024 * 1024, `${written} bytes are on their way to nobody`);
      socket.destroy();
      await turnsUntil(() => node?.destroyed === true);
      await turnsUntil(() => broker.count === 0);
    });

    it(`ends when the node goes, with a reason, ${name}`, async () => {
      serve = (socket) => void socket.write('here');
      const socket = await open();
      await once(socket, 'readable');
      assert.equal(String(socket.read()), 'here');
      const failed = once(socket, 'error') as Promise<[Error]>;
      socket.resume();
      await agent[Symbol.asyncDispose]();
      const [error] = await failed;
      assert.match(error.message, /broke off|broken off|cancelled|ended|closed/i);
      await turnsUntil(() => broker.count === 0);
    });
  }

  it('is refused with a sentence where the node cannot be asked', async () => {
    await agent[Symbol.asyncDispose]();
    await turnsUntil(() => swarm.store.node(nodeId)?.status.state !== 'ready');
    await assert.rejects(broker.open(nodeId), /node h1 is (not connected to the managers|down)/);
    await assert.rejects(viaLeader(), /node h1 is (not connected to the managers|down)/);
    await assert.rejects(broker.open('gone'), /node gone has been removed from the swarm/);
    assert.equal(broker.count, 0);
  });

  it('is given up when its user has gone', async () => {
    serve = () => undefined;
    const stop = new AbortController();
    stop.abort(new Error('the user has gone'));
    await assert.rejects(broker.open(nodeId, { signal: stop.signal }), /the user has gone/);
    assert.equal(broker.count, 0);
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Patient: what is waited for takes a few turns, or a heartbeat. */
async function turnsUntil(met: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!met()) {
    assert.ok(performance.now() < deadlineMs, 'did not come about');
    await turn();
  }
}
