/** Random histories: what nodes were told bit by bit is what a new session would tell them. */
import { strict as assert } from 'node:assert';
import * as fc from 'fast-check';
import { isTerminal, type Node, type Service, type Task } from '../../types/index.ts';
import type { Change } from '../store/index.ts';
import { makeService } from '../store/testing.ts';
import { makeNetwork, makePeer, makeRunning, TestDesk } from './testing.ts';

/** Numbers that a change is made of, on the state that it finds. */
interface Draw {
  readonly kind: number;
  readonly id: number;
  readonly other: number;
  readonly variant: number;
}

const draw: fc.Arbitrary<Draw> = fc.record({
  kind: fc.nat(15),
  id: fc.nat(9),
  other: fc.nat(3),
  variant: fc.nat(3),
});

const taskStates = ['assigned', 'running', 'running', 'failed'] as const;
const desires = ['running', 'shutdown', 'shutdown', 'remove'] as const;
const nodeStates = ['ready', 'disconnected', 'down', 'unknown'] as const;
const base = (object: { meta: { version: number } } | undefined) => object?.meta.version ?? 0;
let addresses = 0;

function newTask({ store }: TestDesk, { id, other, variant }: Draw): Task {
  const old = store.task(`t${id}`);
  const networkIds = [`net${variant % 3}`, ...(id % 2 === 0 ? ['net3'] : [])];
  const task = makeRunning(`t${id}`, `n${other}`, {
    serviceId: id === 9 ? '' : `s${id % 3}`,
    status: { state: 'assigned', atMs: 0, message: '' },
    networks: networkIds.map((networkId) => {
      addresses += 1;
      const address = `10.9.${(addresses >> 8) & 255}.${addresses & 255}/8`;
      return { networkId, addresses: [address], aliases: ['alias'] };
    }),
  });
  return old === undefined ? task : { ...old, name: `${old.name}x` };
}

function newService({ store }: TestDesk, { id, other, variant }: Draw): Service {
  const old = store.service(`s${id % 3}`);
  const port = { protocol: 'tcp', targetPort: 80, publishedPort: 80 + (id % 3) } as const;
  const mesh = variant < 2;
  return makeService(`s${id % 3}`, {
    ...(old === undefined ? {} : { meta: old.meta }),
    spec: {
      name: `s${id % 3}`,
      labels: {},
      mode: {},
      task: {
        forceUpdate: variant,
        networks: [{ target: `net${other}`, aliases: [`a${variant}`] }],
      },
      endpoint: mesh ? { ports: [{ ...port, publishMode: 'ingress' }] } : { mode: 'dnsrr' },
    },
    ...(mesh ? { ports: [{ ...port, publishMode: 'ingress' }] } : {}),
    virtualIps: [{ networkId: `net${other}`, address: `10.8.${id % 3}.${variant}/8` }],
  });
}

function newNode({ store }: TestDesk, { other, variant }: Draw): Node {
  const old = store.node(`n${other}`);
  const node = makePeer(`n${other}`);
  const { description, ...silent } = node;
  return {
    ...(variant === 0 ? silent : node),
    ...(variant < 2 ? {} : { ingressAddresses: [`10.0.${other}.${variant}/16`] }),
    ...(old === undefined ? {} : { meta: old.meta }),
  };
}

function changeOf(test: TestDesk, one: Draw): Change {
  const { store } = test;
  const { kind, id, other, variant } = one;
  switch (kind) {
    case 0:
    case 1: {
      const old = store.network(`net${other}`);
      const spec = { name: `net${other}`, labels: {}, driver: 'overlay', internal: variant === 1 };
      const object = makeNetwork(`net${other}`, {
        ...(old === undefined ? {} : { meta: old.meta }),
        spec: { ...spec, ingress: other === 3 },
      });
      return { op: 'put', table: 'network', object, base: base(old) };
    }
    case 2:
      return {
        op: 'delete',
        table: 'network',
        id: `net${other}`,
        base: base(store.network(`net${other}`)),
      };
    case 3:
    case 4: {
      const object = newService(test, one);
      return { op: 'put', table: 'service', object, base: base(store.service(object.id)) };
    }
    case 5:
      return {
        op: 'delete',
        table: 'service',
        id: `s${other}`,
        base: base(store.service(`s${other}`)),
      };
    case 6:
    case 7:
    case 8: {
      const object = newTask(test, one);
      return { op: 'put', table: 'task', object, base: base(store.task(object.id)) };
    }
    case 9:
    case 10:
      return {
        op: 'task-status',
        id: `t${id}`,
        status: { state: taskStates[variant]!, atMs: 0, message: '' },
      };
    case 11:
      return { op: 'task-desire', id: `t${id}`, desiredState: desires[variant]! };
    case 12:
      return { op: 'delete', table: 'task', id: `t${id}`, base: base(store.task(`t${id}`)) };
    case 13:
      return {
        op: 'node-status',
        id: `n${other}`,
        status: { state: nodeStates[variant]!, message: '', addr: '', atMs: 0 },
      };
    case 14: {
      const object = newNode(test, one);
      return { op: 'put', table: 'node', object, base: base(store.node(object.id)) };
    }
    default:
      return { op: 'delete', table: 'node', id: `n${other}`, base: base(store.node(`n${other}`)) };
  }
}

/** Everybody is there to begin with, so that histories come to the point. */
async function startDesk(): Promise<TestDesk> {
  const numbers = [0, 1, 2, 3];
  const test = await TestDesk.start(
    ...numbers.map((n): Change => ({
      op: 'put',
      table: 'node',
      object: makePeer(`n${n}`),
      base: 0,
    })),
    ...[0, 1].map((n): Change => ({
      op: 'put',
      table: 'network',
      object: makeNetwork(`net${n}`),
      base: 0,
    })),
  );
  for (const n of numbers) test.connect(`n${n}`);
  return test;
}

/** Of tasks what concerns the node; one that is to be removed and has stopped is nobody's. */
function essence({ store }: TestDesk, tables: ReadonlyMap<string, unknown>) {
  return [...tables]
    .flatMap(([key, object]) => {
      if (!key.startsWith('task ')) return [[key, object] as const];
      const { id, desiredState, networks } = object as Task;
      const stopped = isTerminal(store.task(id)?.status.state ?? 'new');
      return desiredState === 'remove' && stopped
        ? []
        : [[key, { desiredState, networks }] as const];
    })
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

describe('what nodes are told of networks', () => {
  it('bit by bit is what they would be told at once', async () => {
    let applied = 0;
    let told = 0;
    const history = fc.array(fc.tuple(draw, fc.boolean()), { minLength: 20, maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        const test = await startDesk();
        for (const [one, pulls] of steps) {
          if (await test.propose(changeOf(test, one))) applied += 1;
          const nodeId = `n${one.other}`;
          if (test.store.node(nodeId) !== undefined && !test.sessions.has(nodeId)) {
            test.connect(nodeId);
          }
          const node = test.sessions.get(nodeId);
          if (pulls) node?.pull(1 + one.id);
          if (one.variant === 0) node?.acknowledge();
          test.clock.advance(one.id * 20);
        }
        test.clock.advance(10_000);
        const tablesById = new Map<string, unknown>();
        for (const [id, node] of test.sessions) {
          node.settle();
          tablesById.set(id, essence(test, node.tables));
          told += node.tables.size;
        }
        // Kept up by events, and computed from the store by another leader: all the same.
        test.lead();
        test.clock.advance(10_000);
        for (const [id, tables] of tablesById) {
          assert.deepEqual(tables, essence(test, test.connect(id).tables), `node ${id}`);
        }
      }),
      { numRuns: 600 },
    );
    assert.ok(applied > 10_000 && told > 5_000, `${applied} changes, ${told} objects: too few`);
  });
});
