import { strict as assert } from 'node:assert';
import { create, toBinary } from '@bufbuild/protobuf';
import { BodySchema, DatagramSchema } from '../../gen/discovery_pb.js';
import { createRootCa, crossSign, issueForSelf } from '../../manager/ca/index.ts';
import { startTestSwarm, type TestSwarm } from '../../manager/ca/testing.ts';
import { realClock, VirtualClock } from '../clock.ts';
import { NodeIdentity } from '../identity/index.ts';
import { silentLogger } from '../log.ts';
import { seededRandom } from '../random.ts';
import { open, seal } from './datagram.ts';
import { Responder, Seeker, type FoundManager } from './index.ts';
import { testNetwork, type TestNetwork } from './testing.ts';

describe('finding managers on the local network', () => {
  let swarm: TestSwarm;
  let clock: VirtualClock;
  let network: TestNetwork;
  let running: AsyncDisposableStack;
  before(async () => (swarm = await startTestSwarm()));
  after(() => swarm[Symbol.asyncDispose]());
  beforeEach(() => {
    clock = new VirtualClock();
    network = testNetwork();
    running = new AsyncDisposableStack();
  });
  afterEach(() => running.disposeAsync());

  const pass = async (ms: number) => {
    for (let step = 0; step < ms; step += 50) {
      for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
      clock.advance(50);
    }
  };

  async function respond(identity: NodeIdentity, addr: string, isRemoved = (_id: string) => false) {
    const { udp } = network;
    const parts = { identity, udp, port: 2377, isRemoved, clock, log: silentLogger };
    await running.use(new Responder({ ...parts, addr: () => addr })).start();
  }

  function seek(identity: NodeIdentity, ports: readonly number[] = [2377]) {
    const state = { lost: true, found: [] as FoundManager[], looked: 0 };
    const seeker = new Seeker({
      identity,
      udp: network.udp,
      isLost: () => state.lost,
      ports: () => ports,
      lookElsewhere: async () => void (state.looked += 1),
      onFound: (found) => state.found.push(found),
      clock,
      random: seededRandom(1),
      log: silentLogger,
    });
    running.use(seeker).start();
    return state;
  }

  it('finds all that answer, under their new addresses', async () => {
    const [one, two, worker] = [
      await swarm.node('manager'),
      await swarm.node('manager'),
      await swarm.node(),
    ];
    await respond(one, '10.0.0.7:2377');
    await respond(two, '10.0.0.8:2377');
    const { found } = seek(worker);
    await pass(2_000);
    assert.deepEqual(found.slice(0, 2), [
      { nodeId: one.nodeId, addr: '10.0.0.7:2377' },
      { nodeId: two.nodeId, addr: '10.0.0.8:2377' },
    ]);
  });

  it('asks nobody while a manager is there, nor for the moment between two', async () => {
    const state = seek(await swarm.node());
    state.lost = false;
    await pass(60_000);
    for (let time = 0; time < 20; time++) {
      state.lost = true;
      await pass(1_000);
      state.lost = false;
      await pass(500);
    }
    assert.deepEqual(network.sent, []);
  });

  it('asks less and less, at every port, looks elsewhere as well, and stops when it can', async () => {
    const state = seek(await swarm.node(), [2377, 4000, 2377]);
    network.isUp = false;
    await pass(120_000);
    const asked = network.sent.length;
    assert.deepEqual(new Set(network.sent.map(({ port }) => port)), new Set([2377, 4000]));
    assert.ok(asked >= 2 * 12 && asked <= 2 * 40, `${asked} questions in two minutes`);
    assert.equal(state.looked, asked / 2);
    state.lost = false;
    await pass(120_000);
    assert.ok(network.sent.length <= asked + 2);
  });

  it('goes on where no socket is to be had for a while', async () => {
    const { udp } = network;
    let missing = 2;
    network.udp = {
      ...udp,
      ask: (onAnswer) => {
        missing -= 1;
        return missing < 0 ? udp.ask(onAnswer) : Promise.reject(new Error('too many open files'));
      },
    };
    const one = await swarm.node('manager');
    await respond(one, '10.0.0.7:2377');
    const { found } = seek(await swarm.node());
    await pass(10_000);
    assert.equal(missing < 0 && found[0]?.addr, '10.0.0.7:2377');
  });

  it('is told apart from the same node: a manager does not find itself', async () => {
    const manager = await swarm.node('manager');
    await respond(manager, '10.0.0.7:2377');
    const { found } = seek(manager);
    await pass(5_000);
    assert.ok(network.answers > 0);
    assert.deepEqual(found, []);
  });

  it('finds managers also where this node’s certificate has expired', async () => {
    const longAgo = new VirtualClock(Date.now() - 400 * 86_400_000);
    const worker = await swarm.identity({}, longAgo);
    assert.ok(!worker.isCurrent);
    const manager = await swarm.node('manager');
    await respond(manager, '10.0.0.7:2377');
    const { found } = seek(worker);
    await pass(2_000);
    assert.equal(found[0]?.nodeId, manager.nodeId);
  });

  it('believes managers of a root that takes over from the one it knows', async () => {
    const next = await createRootCa(realClock);
    const crossSignedPem = await crossSign(next, swarm.root, realClock);
    const { id: clusterId } = swarm.cluster;
    const subject = { role: 'manager', clusterId } as const;
    const material = await issueForSelf(next, subject, { lifeMs: undefined, clock: realClock });
    const manager = await NodeIdentity.create(
      await swarm.folder(),
      {
        ...material,
        certPem: `${material.certPem}\n${crossSignedPem}`,
        rootPem: swarm.root.certPem,
      },
      realClock,
    );
    await respond(manager, '10.0.0.7:2377');
    const { found } = seek(await swarm.node());
    await pass(2_000);
    assert.equal(found[0]?.nodeId, manager.nodeId);
  });

  describe('hears nobody', () => {
    it('who was removed', async () => {
      const worker = await swarm.node();
      const manager = await swarm.node('manager');
      await respond(manager, '10.0.0.7:2377', (id) => id === worker.nodeId);
      seek(worker);
      await pass(3_000);
      assert.ok(network.sent.length > 0);
      assert.equal(network.answers, 0);
    });

    it('of another swarm', async () => {
      await using other = await startTestSwarm();
      await respond(other.manager, '10.0.0.7:2377');
      await respond(await swarm.identity({ role: 'manager', clusterId: 'other' }), 'x');
      seek(await swarm.node());
      await pass(3_000);
      assert.ok(network.sent.length > 0);
      assert.equal(network.answers, 0);
    });

    it('who only says that it is of this swarm', async () => {
      await using other = await startTestSwarm();
      const { id: clusterId } = swarm.cluster;
      const liar = await other.identity({ role: 'manager', clusterId });
      await respond(liar, '6.6.6.6:2377');
      const { found } = seek(await swarm.node());
      await pass(3_000);
      await respond(await swarm.node('manager'), '10.0.0.7:2377');
      const asksOfLiar = seek(liar);
      await pass(3_000);
      assert.deepEqual(asksOfLiar.found, []);
      assert.ok(found.every(({ addr }) => addr === '10.0.0.7:2377'));
    });

    it('who is a worker, and answers', async () => {
      await respond(await swarm.node(), '10.0.0.7:2377');
      const { found } = seek(await swarm.node());
      await pass(3_000);
      assert.ok(network.answers > 0);
      assert.deepEqual(found, []);
    });

    it('who repeats an answer to another question', async () => {
      const manager = await swarm.node('manager');
      const old = seal(manager, { case: 'answer', value: { nonce: Buffer.alloc(16), addr: 'x' } });
      const listening = await network.udp.listen(2377, (_, answer) => answer(old));
      const { found } = seek(await swarm.node());
      await pass(3_000);
      await listening[Symbol.asyncDispose]();
      assert.ok(network.answers > 0);
      assert.deepEqual(found, []);
    });

    it('who sends noise', async () => {
      await respond(await swarm.node('manager'), '10.0.0.7:2377');
      const asking = await network.udp.ask(() => assert.fail('noise was answered'));
      for (const bytes of [[], [0], [255, 255, 255], Array<number>(20_000).fill(10)]) {
        await asking.everybody(2377, Uint8Array.from(bytes));
      }
    });

    it('more often than it can bear', async () => {
      const worker = await swarm.node();
      await respond(await swarm.node('manager'), '10.0.0.7:2377');
      const question = seal(worker, { case: 'ask', value: { nonce: Buffer.alloc(16) } });
      const asking = await network.udp.ask(() => undefined);
      for (let time = 0; time < 1_000; time++) await asking.everybody(2377, question);
      assert.equal(network.answers, 200);
      clock.advance(1_000);
      await asking.everybody(2377, question);
      assert.equal(network.answers, 201);
    });
  });

  for (const { name, forge } of [
    { name: 'another body', forge: { body: bodyOf('b') } },
    { name: 'no certificate', forge: { certificates: [] } },
    { name: 'a cut signature', forge: { signature: new Uint8Array(8) } },
    {
      name: 'too many certificates',
      forge: { certificates: [1, 2, 3, 4, 5].map((byte) => Uint8Array.of(byte)) },
    },
  ]) {
    it(`refuses a datagram with ${name}`, async () => {
      const manager = await swarm.node('manager');
      const body = toBinary(BodySchema, create(BodySchema, { clusterId: swarm.cluster.id }));
      const signed = Buffer.concat([Buffer.from('ts-swarm discovery 1\n'), body]);
      const sound = {
        body,
        signature: manager.sign(signed),
        certificates: [Buffer.from(manager.certPem.replace(/-----[^-]+-----|\s/g, ''), 'base64')],
      };
      const bytes = (parts: object) => toBinary(DatagramSchema, create(DatagramSchema, parts));
      assert.equal(open(manager, bytes(sound)).sender.nodeId, manager.nodeId);
      assert.throws(() => open(manager, bytes({ ...sound, ...forge })), {
        code: 'unauthenticated',
      });
    });
  }
});

function bodyOf(clusterId: string): Uint8Array {
  return toBinary(BodySchema, create(BodySchema, { clusterId }));
}
