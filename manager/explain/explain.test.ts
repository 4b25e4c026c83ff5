import { strict as assert } from 'node:assert';
import type { Node, Service, Task } from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask } from '../store/testing.ts';
import { explain } from './index.ts';

const nowMs = 100_000;
const web = makeService('web');
const node = (id: string, change: Partial<Node> = {}) =>
  makeNode(id, {
    description: {
      hostname: id,
      platform: { architecture: 'x86_64', os: 'linux' },
      resources: { nanoCpus: 1e9, memoryBytes: 2 ** 30 },
      engine: { version: '1', labels: {}, plugins: [] },
    },
    ...change,
  });

async function storeOf(objects: {
  nodes?: Node[];
  services?: Service[];
  tasks?: Task[];
}): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  const changes: Change[] = [
    ...(objects.nodes ?? []).map((object): Change => {
      return { op: 'put', table: 'node', object, base: 0 };
    }),
    ...(objects.services ?? [web]).map((object): Change => {
      return { op: 'put', table: 'service', object, base: 0 };
    }),
    ...(objects.tasks ?? []).map((object): Change => {
      return { op: 'put', table: 'task', object, base: 0 };
    }),
  ];
  assert.ok((await store.propose(changes, { atMs: 0 })).applied);
  return store;
}

const spec = (change: Partial<Service['spec']['task']>): Service => {
  return { ...web, spec: { ...web.spec, task: { ...web.spec.task, ...change } } };
};

describe('explain', () => {
  const refusals: { name: string; node?: Partial<Node>; service?: Service; expect: string[] }[] = [
    {
      name: 'a node that is down and drained',
      node: {
        status: { state: 'down', message: '', addr: '', atMs: 0 },
        spec: { labels: {}, role: 'worker', availability: 'drain' },
      },
      expect: ['is down'],
    },
    {
      name: 'a paused node',
      node: { spec: { labels: {}, role: 'worker', availability: 'pause' } },
      expect: ['is paused: it takes no new tasks'],
    },
    {
      name: 'a node with too little of all',
      service: spec({
        resources: {
          reservations: {
            nanoCpus: 15e8,
            memoryBytes: 2 ** 31,
            genericResources: [{ discrete: { kind: 'gpu', value: 2 } }],
          },
        },
      }),
      expect: [
        'has 1 CPUs unreserved, 1.5 are asked for; ' +
          'and 1024 MiB of memory unreserved, 2048 MiB are asked for; ' +
          'and 0 gpu unreserved, 2 are asked for',
      ],
    },
    {
      name: 'constraints of all kinds',
      service: spec({
        placement: { constraints: ['node.role==manager', 'node.ip!=10.0.0.0/8', 'node.x==1'] },
      }),
      expect: [
        'does not satisfy node.role==manager (there it is "worker"), ' +
          'node.ip!=10.0.0.0/8 (there it is "10.0.0.1"), node.x==1 (there is no such key)',
      ],
    },
    {
      name: 'another platform',
      service: spec({ placement: { platforms: [{ os: 'linux', architecture: 'aarch64' }] } }),
      expect: ['is linux/amd64, the image is for linux/arm64'],
    },
    {
      name: 'a log driver that the node lacks',
      node: {
        description: {
          ...node('a').description!,
          engine: { version: '1', labels: {}, plugins: [{ type: 'Log', name: 'local' }] },
        },
      },
      service: spec({ logDriver: { name: 'syslog' } }),
      expect: ['lacks the plugin log syslog'],
    },
  ];
  for (const { name, node: change, service = web, expect } of refusals) {
    it(`says what is wrong with ${name}`, async () => {
      const store = await storeOf({
        nodes: [node('a', change)],
        services: [service],
        tasks: [makeTask('t', service)],
      });
      assert.deepEqual(explain(store, 'web.1', { nowMs }).task?.nodes[0]?.refusals, expect);
    });
  }

  const status = (state: Task['status']['state'], more: Partial<Task['status']> = {}) => {
    return { state, atMs: 40_000, message: '', ...more };
  };
  const stops: {
    name: string;
    task: Partial<Task>;
    others?: Task[];
    services?: Service[];
    node?: Partial<Node>;
    expect: RegExp;
  }[] = [
    {
      name: 'an update',
      task: { desiredState: 'shutdown', status: status('running') },
      others: [
        makeTask('u', { ...web, specVersion: 2 }, { meta: { ...web.meta, createdAtMs: 5 } }),
      ],
      services: [{ ...web, specVersion: 2 }],
      expect: /^an update replaced it by u/,
    },
    {
      name: 'a drain',
      task: { desiredState: 'shutdown', status: status('running') },
      node: { spec: { labels: {}, role: 'worker', availability: 'drain' } },
      expect: /^its node a is drained$/,
    },
    {
      name: 'a label that went',
      task: { desiredState: 'shutdown', status: status('running') },
      services: [spec({ placement: { constraints: ['node.labels.zone==east'] } })],
      expect: /no longer satisfies the service's constraints$/,
    },
    {
      name: 'its own end',
      task: {
        desiredState: 'shutdown',
        status: status('failed', {
          err: 'task: non-zero exit (3)',
          container: { containerId: 'c', pid: 0, exitCode: 3 },
        }),
      },
      expect: /^it ended by itself \(failed: task: non-zero exit \(3\), exit code 3\)$/,
    },
    {
      name: 'a smaller scale',
      task: { desiredState: 'remove', slot: 2, status: status('running') },
      expect: /^the service was scaled to 1 replica$/,
    },
    {
      name: 'a service that is gone',
      task: { desiredState: 'remove', status: status('running') },
      services: [],
      expect: /^its service has been removed$/,
    },
  ];
  for (const { name, task, others = [], services = [web], node: change, expect } of stops) {
    it(`says that a task was stopped for ${name}`, async () => {
      const of = services[0] ?? web;
      const stopped = makeTask('t', { ...of, specVersion: 1 }, { nodeId: 'a', ...task });
      const store = await storeOf({
        nodes: [node('a', change)],
        services,
        tasks: [stopped, ...others],
      });
      const reasons = explain(store, 't', { nowMs }).task?.reasons ?? [];
      const texts = reasons.filter((one) => one.about === 'stop').map((one) => one.text);
      assert.match(texts[0] ?? '', expect);
    });
  }

  it('says that nothing takes the place of what has used up its attempts', async () => {
    const service = spec({ restartPolicy: { condition: 'none' } });
    const ended = makeTask('t', service, {
      nodeId: 'a',
      desiredState: 'shutdown',
      status: status('failed', { err: 'task: non-zero exit (1)' }),
    });
    const store = await storeOf({ nodes: [node('a')], services: [service], tasks: [ended] });
    const reasons = explain(store, 't', { nowMs }).task?.reasons ?? [];
    assert.deepEqual(reasons.at(-1), {
      about: 'restart',
      text: 'nothing takes its place: the restart condition is none',
    });
  });

  it('says how long a stop waits for a node that is down', async () => {
    const down = node('a', { status: { state: 'down', message: '', addr: '', atMs: 40_000 } });
    const task = makeTask('t', web, {
      nodeId: 'a',
      desiredState: 'shutdown',
      status: status('running'),
    });
    const store = await storeOf({ nodes: [down], tasks: [task] });
    const reasons = explain(store, 't', { nowMs }).task?.reasons ?? [];
    assert.deepEqual(reasons, [
      { about: 'stop', text: 'its node a is down' },
      { about: 'wait', text: 'a is down: the task is given up in 23 h, or when it is back' },
    ]);
  });

  it('finds what is meant by name, id, place and the beginning of an id', async () => {
    const tasks = [makeTask('abc1', web), makeTask('abd1', web, { slot: 2, name: 'web.2.abd1' })];
    const store = await storeOf({ nodes: [node('a')], tasks });
    assert.equal(explain(store, 'web', { nowMs }).service?.id, 'web');
    for (const reference of ['abd1', 'web.2', 'web.2.abd1', 'abd']) {
      assert.equal(explain(store, reference, { nowMs }).task?.id, 'abd1', reference);
    }
    assert.throws(() => explain(store, 'ab', { nowMs }), /ab is ambiguous \(2 matches found\)/);
    assert.throws(() => explain(store, 'nope', { nowMs }), /no such service or task: nope/);
  });
});
