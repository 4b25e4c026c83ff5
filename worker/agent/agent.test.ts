import { strict as assert } from 'node:assert';
import { create } from '@bufbuild/protobuf';
import {
  Assignments_Kind,
  Dispatcher as DispatcherDesc,
  ManagerMessageSchema,
} from '../../gen/dispatcher_pb.js';
import { Logs } from '../../gen/logs_pb.js';
import { realClock } from '../../lib/clock.ts';
import type { SwarmError } from '../../lib/errors.ts';
import type { NodeIdentity } from '../../lib/identity/index.ts';
import { silentLogger } from '../../lib/log.ts';
import { systemRandom } from '../../lib/random.ts';
import { newNode, startTestSwarm, type TestSwarm } from '../../manager/ca/testing.ts';
import { Dispatcher, LogBroker } from '../../manager/dispatcher/index.ts';
import { makeNetwork, makeRunning } from '../../manager/dispatcher/testing.ts';
import type { Change } from '../../manager/store/index.ts';
import type { Task } from '../../types/index.ts';
import type { LogLine } from '../runtime/runtime.ts';
import { Agent, type AgentParts } from './index.ts';
import { FakeExecutor, newTask, startLink, testDescription } from './testing.ts';

const parts = { clock: realClock, random: systemRandom, log: silentLogger };

describe('a node and its manager', () => {
  let swarm: TestSwarm;
  let dispatcher: Dispatcher;
  let broker: LogBroker;
  let cleanup: AsyncDisposableStack;

  beforeEach(async () => {
    cleanup = new AsyncDisposableStack();
    swarm = cleanup.use(await startTestSwarm({ dispatcher: { heartbeatPeriodMs: 100 } }));
    const { store } = swarm;
    dispatcher = new Dispatcher({ store, leaderId: () => swarm.manager.nodeId, ...parts });
    broker = new LogBroker({ store, dispatcher, ...parts });
    swarm.server.addService(DispatcherDesc, dispatcher.handlers, { allow: 'nodes' });
    swarm.server.addService(Logs, broker.handlers, { allow: 'nodes' });
    dispatcher.start();
    cleanup.defer(() => dispatcher.stop());
  });
  afterEach(() => cleanup.disposeAsync());

  const propose = async (...changes: Change[]) => {
    const result = await swarm.store.propose(changes, { atMs: Date.now() });
    assert.ok(result.applied, 'conflict' in result ? result.conflict : '');
  };
  const putTask = (task: Task) =>
    propose({ op: 'put', table: 'task', object: task, base: task.meta.version });
  const nodeState = (id: string) => swarm.store.node(id)?.status.state;
  const taskState = (id: string) => swarm.store.task(id)?.status;
  /** Waits for the store, or for the agents, to make it true. */
  const until = async (what: string, met: () => boolean) => {
    const deadline = performance.now() + 60_000;
    while (!met()) {
      assert.ok(performance.now() < deadline, `${what}: did not come about`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const startAgent = async (
    identity: NodeIdentity,
    executor: FakeExecutor,
    options: Partial<AgentParts> = {},
  ) => {
    const agent = new Agent({
      identity,
      folder: await swarm.folder(),
      managers: [swarm.addr],
      executor,
      describe: () => testDescription,
      ...parts,
      ...options,
    });
    cleanup.use(agent);
    await agent.start();
    return agent;
  };
  /** A worker with its session begun. */
  const startNode = async (options: Partial<AgentParts> = {}) => {
    const identity = await swarm.node();
    const executor = new FakeExecutor();
    const agent = await startAgent(identity, executor, options);
    await until('first assignments', () => executor.assignments.length > 0);
    await until('ready', () => nodeState(identity.nodeId) === 'ready');
    return { id: identity.nodeId, identity, executor, agent };
  };

  it('makes a node ready, with its description and its address', async () => {
    const { id, agent } = await startNode();
    const node = swarm.store.node(id);
    await until('described', () => swarm.store.node(id)?.description?.hostname === 'h1');
    assert.equal(node?.status.addr, '127.0.0.1');
    assert.equal(agent.connectedTo, swarm.addr);
    assert.equal(agent.node?.id, id);
  });

  it('lets a node know how its clock differs', async () => {
    const clock = { ...realClock, nowMs: () => realClock.nowMs() + 90_000 };
    const { agent } = await startNode({ clock });
    await until('compared', () => agent.clocks !== undefined);
    const { aheadMs = 0, roundTripMs = 0 } = agent.clocks ?? {};
    assert.ok(Math.abs(aheadMs - 90_000) <= roundTripMs / 2 + 1, `${aheadMs} ms ahead`);
  });

  it('sends all tasks, then changes, and ends with removals', async () => {
    const identity = await swarm.node();
    const id = identity.nodeId;
    const [first, second] = [newTask('t1', id), newTask('t2', id)];
    await putTask(first);
    const status = { state: 'shutdown' as const, atMs: 0, message: '' };
    await putTask(newTask('stopped', id, { desiredState: 'remove', status }));
    await putTask(newTask('elsewhere', 'other'));
    const executor = new FakeExecutor();
    await startAgent(identity, executor);
    await until('t1', () => executor.tasks.has('t1'));
    assert.equal(executor.assignments[0]?.complete, true);
    assert.deepEqual([...executor.tasks.keys()], ['t1']);

    await putTask(second);
    await until('t2', () => executor.tasks.has('t2'));
    await propose({ op: 'task-desire', id: 't1', desiredState: 'shutdown' });
    await until('t1 to stop', () => executor.tasks.get('t1')?.desiredState === 'shutdown');
    for (const id of ['t1', 't2']) {
      const base = swarm.store.task(id)?.meta.version ?? 0;
      await propose({ op: 'delete', table: 'task', id, base });
      await until(`${id} removed`, () => !executor.tasks.has(id));
    }
    const incremental = executor.assignments.slice(1);
    assert.ok(incremental.every(({ complete }) => !complete));
    assert.deepEqual(incremental.flatMap(({ remove }) => remove).sort(), ['t1', 't2']);
  });

  it('writes what tasks say, and does not send it back', async () => {
    const { id, executor } = await startNode();
    await putTask(newTask('t1', id));
    await until('t1', () => executor.tasks.has('t1'));
    const sets = executor.assignments.length;
    executor.say('t1', 'preparing');
    executor.say('t1', 'running', 'started');
    await until('running', () => taskState('t1')?.state === 'running');
    executor.say('t1', 'failed', 'exit 1');
    await until('failed', () => taskState('t1')?.state === 'failed');
    await putTask(newTask('t2', id));
    await until('t2', () => executor.tasks.has('t2'));
    assert.equal(executor.assignments.length, sets + 1);
  });

  it('stops a task that others send requests to once they have taken it out', async () => {
    const nodes = [await startNode(), await startNode()];
    const [own, other] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
    await propose({ op: 'put', table: 'network', object: makeNetwork('net1'), base: 0 });
    for (const [index, { id }] of nodes.entries()) {
      await putTask(makeRunning(`t${index}`, id));
    }
    const endpoints = ({ executor }: typeof own) =>
      executor.assignments
        .flatMap(({ networks }) => networks.update)
        .flatMap(({ type, object }) => (type === 'endpoint' ? [object] : []));
    const active = (node: typeof own) =>
      endpoints(node).findLast(({ taskId }) => taskId === 't0')?.active;
    for (const node of nodes) await until('t0 active', () => active(node) === true);
    const first = own.executor.assignments.find(({ networks }) => networks.update.length > 0);
    assert.deepEqual(
      [first?.complete, first?.networks.complete, first?.networks.update[0]?.type],
      [false, false, 'network'],
    );

    const taking = Promise.withResolvers<void>();
    other.executor.taking = taking.promise;
    await propose({ op: 'task-desire', id: 't0', desiredState: 'shutdown' });
    for (const node of nodes) await until('t0 inactive', () => active(node) === false);
    await putTask(newTask('later', own.id));
    await until('what comes later', () => own.executor.tasks.has('later'));
    assert.equal(own.executor.tasks.get('t0')?.desiredState, 'running');
    taking.resolve();
    await until('t0 to stop', () => own.executor.tasks.get('t0')?.desiredState === 'shutdown');
  });

  it('takes no word on tasks of other nodes, nor states that a node may not set', async () => {
    const { id, executor } = await startNode();
    await putTask(newTask('mine', id));
    await putTask(newTask('theirs', 'other'));
    executor.say('theirs', 'failed');
    executor.say('mine', 'running');
    await until('mine running', () => taskState('mine')?.state === 'running');
    assert.equal(taskState('theirs')?.state, 'assigned');
    executor.say('mine', 'orphaned');
    await until('session ended', () => executor.assignments.length > 1);
    assert.equal(taskState('mine')?.state, 'running');
  });

  it('has tasks that are to be removed stopped first, also those it was never told of', async () => {
    const { id, executor } = await startNode();
    await propose(
      { op: 'put', table: 'task', object: newTask('t1', id), base: 0 },
      { op: 'task-desire', id: 't1', desiredState: 'remove' },
    );
    await until('told to stop', () => executor.tasks.get('t1')?.desiredState === 'remove');
    executor.say('t1', 'shutdown');
    await until('shut down', () => taskState('t1')?.state === 'shutdown');
  });

  it('reports everything anew after the manager was away', async () => {
    const { id, executor } = await startNode();
    await putTask(newTask('t1', id));
    await until('t1', () => executor.tasks.has('t1'));
    dispatcher.stop();
    executor.say('t1', 'running');
    dispatcher.start();
    await until('running', () => taskState('t1')?.state === 'running');
    await until('ready', () => nodeState(id) === 'ready');
    assert.equal(executor.assignments.at(-1)?.complete, true);
  });

  it('suspects a silent node, then declares it down, and takes it back', async () => {
    const link = await startLink(swarm.addr);
    cleanup.defer(() => link.close());
    const { id, executor } = await startNode({ managers: [link.addr] });
    const states: (string | undefined)[] = [];
    cleanup.use(
      swarm.store.onChange(() => {
        if (states.at(-1) !== nodeState(id)) states.push(nodeState(id));
      }),
    );
    link.cut();
    await until('down', () => nodeState(id) === 'down');
    assert.deepEqual(states, ['disconnected', 'down']);
    const sets = executor.assignments.length;
    link.restore();
    await until('ready', () => nodeState(id) === 'ready');
    await until('told all', () => executor.assignments.length > sets);
  });

  it('forgives a link that fails for a second and a half, with the figures of a small swarm', async () => {
    const { meta, ...cluster } = swarm.store.cluster() ?? swarm.cluster;
    const object = { ...cluster, meta, spec: { ...cluster.spec, dispatcher: {} } };
    await propose({ op: 'put', table: 'cluster', object, base: meta.version });
    const link = await startLink(swarm.addr);
    cleanup.defer(() => link.close());
    const { id } = await startNode({ managers: [link.addr] });
    const states = new Set<string | undefined>();
    cleanup.use(swarm.store.onChange(() => states.add(nodeState(id))));
    link.cut();
    await until('suspect', () => nodeState(id) === 'disconnected');
    link.restore();
    await until('ready', () => nodeState(id) === 'ready');
    assert.ok(!states.has('down'));
  });

  it('suspects a node whose session breaks at once', async () => {
    const { id, agent } = await startNode();
    await agent[Symbol.asyncDispose]();
    await until('suspect', () => nodeState(id) === 'disconnected');
    assert.equal(swarm.store.node(id)?.status.message, 'the session broke off');
    await until('down', () => nodeState(id) === 'down');
  });

  it('stops the agent of a node that is removed, and tells it why', async () => {
    const removal = Promise.withResolvers<SwarmError>();
    const { id } = await startNode({ onRemoved: removal.resolve });
    const node = swarm.store.node(id);
    await propose({ op: 'delete', table: 'node', id, base: node?.meta.version ?? 0 });
    const { message, details } = await removal.promise;
    assert.match(message, /has been removed from the swarm/);
    assert.equal(details['reason'], 'node-removed');
  });

  it('lets the newer of two sessions win', async () => {
    const { id, identity } = await startNode();
    using connection = identity.connect(swarm.addr);
    const stream = connection.client(DispatcherDesc).session();
    const description = Buffer.from(JSON.stringify(testDescription));
    const began: boolean[] = [];
    cleanup.use(dispatcher.onSession((_id, connected) => began.push(connected)));
    await stream.send({ message: { case: 'hello', value: { description } } });
    const kinds = [];
    // The agent, whose session is the older one now, comes back and ends this one in turn.
    const end = (async () => {
      for await (const { message } of stream.incoming) kinds.push(message.case);
    })();
    await assert.rejects(end, { code: 'aborted', message: /a newer session of node/ });
    assert.deepEqual(began, [true, true]);
    assert.equal(nodeState(id), 'ready');
  });

  it('tells nodes where the managers are, and they remember it', async () => {
    const folder = await swarm.folder();
    const { agent, identity, executor } = await startNode({ folder });
    const manager = swarm.store.node(swarm.manager.nodeId);
    assert.ok(manager);
    const object = { ...manager, manager: { addr: swarm.addr, leader: true } };
    await propose({ op: 'put', table: 'node', object, base: manager.meta.version });
    await until('news', () => agent.managers[0]?.nodeId === swarm.manager.nodeId);
    await agent[Symbol.asyncDispose]();
    const sets = executor.assignments.length;
    const again = await startAgent(identity, executor, { folder, managers: [] });
    assert.equal(again.managers[0]?.addr, swarm.addr);
    await until('a session', () => executor.assignments.length > sets);
  });

  it('goes on by itself where assignments do not follow one another', async () => {
    const identity = await swarm.node('manager');
    const fake = await startFakeManager(swarm, [
      { kind: Assignments_Kind.COMPLETE, appliesTo: 0n, resultsIn: 1n },
      { kind: Assignments_Kind.INCREMENTAL, appliesTo: 7n, resultsIn: 8n },
    ]);
    const executor = new FakeExecutor();
    await startAgent(identity, executor);
    await until('asked again', () => fake.sessions > 1);
    assert.ok(executor.assignments.every(({ complete }) => complete));
  });

  describe('logs', () => {
    const line = (timeNs: number, text: string): LogLine => ({
      timeNs: BigInt(timeNs),
      stream: 'stdout',
      data: Buffer.from(text),
    });
    const query = { follow: false, stdout: true, stderr: true };
    const running = (id: string, nodeId: string) =>
      newTask(id, nodeId, { status: { state: 'running', atMs: 0, message: '' } });
    const read = async (task: Task, options: Partial<typeof query> = {}) => {
      const signal = AbortSignal.timeout(60_000);
      const items: string[] = [];
      for await (const item of broker.logs({ task }, { ...query, ...options }, { signal })) {
        items.push('notice' in item ? item.notice : Buffer.from(item.line.data).toString());
      }
      return items;
    };

    it('are fetched from the node and end with it', async () => {
      const { id, executor } = await startNode();
      const task = running('t1', id);
      await putTask(task);
      executor.logLines.set('t1', lines(Array.from({ length: 5_000 }, (_, i) => line(i, `${i}`))));
      const items = await read(task);
      assert.equal(items.length, 5_000);
      assert.equal(items[4_999], '4999');
    });

    it('come with a notice instead of a wait where the node is down, or has none', async () => {
      const { id, executor } = await startNode();
      await propose({ op: 'put', table: 'node', object: downNode('lost'), base: 0 });
      await putTask(running('t1', 'lost'));
      assert.deepEqual(await read(running('t1', 'lost')), [
        'logs of task web.1.t1 on node lost cannot be had: node is down',
      ]);
      await putTask(running('t2', id));
      assert.ok(!executor.logLines.has('t2'));
      assert.match((await read(running('t2', id)))[0] ?? '', /task t2 is not on this node/);
    });

    it('of a service follow its new tasks, and stop when the reader goes', async () => {
      const { id, executor } = await startNode();
      const abort = new AbortController();
      executor.logLines.set('t1', lines([line(1, 'one')], 'stay'));
      executor.logLines.set('t2', lines([line(1, 'two')], 'stay'));
      await putTask(running('t1', id));
      const service = newService();
      await propose({ op: 'put', table: 'service', object: service, base: 0 });
      const following = { ...query, follow: true };
      const logs = broker.logs({ service }, following, { signal: abort.signal });
      const items = logs[Symbol.asyncIterator]();
      const next = async () => {
        const { value } = await items.next();
        return value !== undefined && 'line' in value ? value.task.id : value;
      };
      assert.equal(await next(), 't1');
      await putTask(running('t2', id));
      assert.equal(await next(), 't2');
      abort.abort();
      assert.equal(await next(), undefined);
      await until('stopped', () => executor.logQueries.every(({ signal }) => signal.aborted));
    });

    it('go on after the node was away, with a notice and without repeating themselves', async () => {
      const { id, executor, agent, identity } = await startNode();
      const task = running('t1', id);
      await putTask(task);
      const [one, two, three] = [1, 2, 3].map((s) => line(s * 1_000_000_000, `line ${s}`));
      assert.ok(one && two && three);
      executor.logLines.set('t1', lines([one, two], 'stay'));
      const abort = new AbortController();
      const following = { ...query, follow: true, tail: 2 };
      const items: string[] = [];
      const reading = (async () => {
        for await (const item of broker.logs({ task }, following, { signal: abort.signal })) {
          items.push('notice' in item ? item.notice : Buffer.from(item.line.data).toString());
        }
      })();
      await until('two lines', () => items.length === 2);
      await agent[Symbol.asyncDispose]();
      await until('a notice', () => items.length === 3);
      executor.logLines.set('t1', lines([two, three], 'stay'));
      await startAgent(identity, executor);
      await until('the third', () => items.length === 4);
      abort.abort();
      await reading;
      assert.deepEqual(items.toSpliced(2, 1), ['line 1', 'line 2', 'line 3']);
      assert.match(items[2] ?? '', /^logs of task web\.1\.t1 on node h1 cannot be had: /);
      const resumed = executor.logQueries.at(-1)?.query;
      assert.equal(resumed?.sinceMs, 2_000);
      assert.equal(resumed.tail, undefined);
    });

    it('are taken from the nodes that were asked, and from no others', async () => {
      const stranger = await swarm.node();
      using connection = stranger.connect(swarm.addr);
      const stream = connection.client(Logs).publish();
      await stream.send({ subscriptionId: 'made up' });
      await assert.rejects(stream.finish(), { code: 'not-found' });
    });

    it('go no faster than they are read', async () => {
      const { id, executor } = await startNode();
      let made = 0;
      const endless = async function* () {
        for (;;) {
          made += 1;
          yield line(made, 'x'.repeat(10_000));
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      executor.logLines.set('t1', endless());
      const task = running('t1', id);
      await putTask(task);
      const abort = new AbortController();
      const following = { ...query, follow: true };
      const logs = broker.logs({ task }, following, { signal: abort.signal });
      const items = logs[Symbol.asyncIterator]();
      await items.next();
      let before = -1;
      // Comes to rest once every buffer on the way is full.
      for (let rest = 0; rest < 300;) {
        await new Promise((resolve) => setImmediate(resolve));
        rest = made === before ? rest + 1 : 0;
        before = made;
        assert.ok(made < 20_000, 'the log was read without a reader');
      }
      abort.abort();
    });
  });
});

function newService() {
  return {
    id: 'web',
    meta: { version: 0, createdAtMs: 0, updatedAtMs: 0 },
    spec: { name: 'web', labels: {}, task: { forceUpdate: 0 }, mode: {} },
    specVersion: 1,
  };
}

function downNode(id: string) {
  const status = { state: 'down' as const, message: '', addr: '', atMs: Date.now() };
  return { ...newNode(id), status };
}

async function* lines(all: readonly LogLine[], then?: 'stay'): AsyncIterable<LogLine> {
  yield* all;
  if (then === 'stay') await new Promise(() => undefined);
}

/** A manager that sends these sets to whoever comes, in place of the real one. */
async function startFakeManager(
  swarm: TestSwarm,
  sets: readonly { kind: Assignments_Kind; appliesTo: bigint; resultsIn: bigint }[],
) {
  const fake = { sessions: 0 };
  swarm.server.removeService(DispatcherDesc);
  swarm.server.addService(
    DispatcherDesc,
    {
      session: async (stream) => {
        fake.sessions += 1;
        const messages = [
          { case: 'welcome' as const, value: { sessionId: 's', heartbeatPeriodMs: 1_000 } },
          ...sets.map((value) => ({ case: 'assignments' as const, value })),
        ];
        for (const message of messages) {
          await stream.send(create(ManagerMessageSchema, { message }));
        }
        const iterator = stream.incoming[Symbol.asyncIterator]();
        while ((await iterator.next()).done !== true);
      },
    },
    { allow: 'nodes' },
  );
  return fake;
}
