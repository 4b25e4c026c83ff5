import { strict as assert } from 'node:assert';
import type { Network, Node, Task, TaskStatus } from '../../types/index.ts';
import { newsworthy, orphanAfterMs, orphanedTasks } from './reports.ts';
import { encodeJson, readDescription, readTaskStatus } from './wire.ts';

const task = (id: string, changes: Partial<Task> = {}): Task =>
  ({
    id,
    nodeId: 'n',
    desiredState: 'running',
    status: { state: 'running', atMs: 0, message: '' },
    ...changes,
  }) as Task;
const status = (state: TaskStatus['state'], message = ''): TaskStatus => ({
  state,
  atMs: 9,
  message,
});
const viewOf = (...tasks: Task[]) => ({
  task: (id: string) => tasks.find((task) => task.id === id),
  network: (id: string) =>
    ({ id, spec: { name: id, driver: id === 'lan' ? 'macvlan' : 'overlay' } }) as Network,
  tasksOfNode: (nodeId: string) => tasks.filter((task) => task.nodeId === nodeId),
});

describe('newsworthy', () => {
  const cases = [
    { name: 'a later state', given: status('failed'), expect: true },
    { name: 'an earlier state', given: status('preparing'), expect: false },
    { name: 'the same once more', given: status('running'), expect: false },
    { name: 'the same state with another message', given: status('running', 'x'), expect: true },
  ];
  for (const { name, given, expect } of cases) {
    it(`${expect ? 'takes' : 'drops'} ${name}`, () => {
      assert.equal(newsworthy(viewOf(task('t')), 'n', new Map([['t', given]])).has('t'), expect);
    });
  }

  it("drops what is not the node's, or is gone", () => {
    const statuses = new Map([
      ['theirs', status('failed')],
      ['gone', status('failed')],
    ]);
    assert.equal(newsworthy(viewOf(task('theirs', { nodeId: 'm' })), 'n', statuses).size, 0);
  });
});

describe('addresses that a node gives', () => {
  const on = (networkId: string) => ({ networkId, addresses: ['10.0.0.9/24'] });

  it('count on networks of its own alone, where the task is', () => {
    const given = { ...status('running', 'x'), networks: ['lan', 'web', 'other'].map(on) };
    const view = viewOf(task('t', { networks: [on('lan'), on('web')] }));
    const { networks } = newsworthy(view, 'n', new Map([['t', given]])).get('t')!;
    assert.deepEqual(networks, [on('lan')]);
  });

  it('are nothing to the overlay that another task has them on', () => {
    const given = { ...status('running', 'x'), networks: [on('web')] };
    const view = viewOf(task('t', { networks: [on('web')] }));
    assert.deepEqual(
      newsworthy(view, 'n', new Map([['t', given]])).get('t'),
      status('running', 'x'),
    );
  });
});

describe('tasks that nobody reports any more', () => {
  it('are orphaned once their node has been down for a day', () => {
    const node = (id: string, state: Node['status']['state']): Node =>
      ({ id, status: { state, atMs: 0, message: '', addr: '' } }) as Node;
    const view = {
      ...viewOf(
        task('a'),
        task('ended', { status: status('complete') }),
        task('b', { nodeId: 'm' }),
      ),
      nodes: () => [node('n', 'down'), node('m', 'ready')],
    };
    assert.equal(orphanedTasks(view, orphanAfterMs - 1).size, 0);
    const orphaned = orphanedTasks(view, orphanAfterMs);
    assert.deepEqual([...orphaned.keys()], ['a']);
    assert.equal(orphaned.get('a')?.state, 'orphaned');
  });
});

describe('what nodes send', () => {
  const port = { protocol: 'tcp', targetPort: 80, publishedPort: 8080, publishMode: 'host' };
  const described = (changes: object) =>
    encodeJson({
      hostname: 'h',
      platform: { os: 'linux', architecture: 'x86_64' },
      resources: { nanoCpus: 1, memoryBytes: 1 },
      engine: { version: '1', labels: {}, plugins: [] },
      ...changes,
    });

  it('is read where it is well-formed, long texts cut', () => {
    const read = readTaskStatus(encodeJson(status('running', 'x'.repeat(10_000))));
    assert.equal(read.message.length, 4_096);
  });

  it('is refused where it is not', () => {
    const statuses = [
      Buffer.from('nonsense'),
      encodeJson(null),
      encodeJson({ state: 'toString', atMs: 0, message: '' }),
      encodeJson({ state: 'running' }),
      encodeJson(status('orphaned')),
      encodeJson(status('new')),
      encodeJson({ ...status('running'), ports: 'x' }),
      encodeJson({ ...status('running'), ports: [null] }),
      encodeJson({ ...status('running'), ports: [{ ...port, protocol: 'icmp' }] }),
      encodeJson({ ...status('running'), ports: [{ ...port, targetPort: 70_000 }] }),
      encodeJson({ ...status('running'), container: null }),
      encodeJson({ ...status('running'), container: { containerId: 5, pid: 1 } }),
      encodeJson({ ...status('running'), networks: [null] }),
      encodeJson({ ...status('running'), networks: [{ networkId: 'n', addresses: ['x; y'] }] }),
      encodeJson({ ...status('running'), networks: [{ networkId: 'n', addresses: ['1.2.3.4'] }] }),
      // No Date is as late as these.
      encodeJson({ ...status('running'), atMs: 1e300 }),
      Buffer.from('{"state":"running","message":"","atMs":1e999}'),
      Buffer.alloc(100_000, ' '),
    ];
    for (const bytes of statuses) {
      assert.throws(() => readTaskStatus(bytes), { code: 'invalid-argument' });
    }
    for (const bytes of [Buffer.from('{'), encodeJson({}), encodeJson({ hostname: 'h' })]) {
      assert.throws(() => readDescription(bytes), { code: 'invalid-argument' });
    }
  });

  it('names where packets go only where that is an address', () => {
    const address = '192.168.0.1';
    const publicKey = `${'A'.repeat(43)}=`;
    for (const dataPath of [{ address }, { address, wireguard: { publicKey, port: 51_820 } }]) {
      assert.deepEqual(readDescription(described({ dataPath })).dataPath, dataPath);
    }
    const wrong = [
      null,
      {},
      { address: 'host' },
      { address, wireguard: {} },
      { address, wireguard: { publicKey: 'short', port: 51_820 } },
      { address, wireguard: { publicKey, port: 70_000 } },
    ];
    for (const dataPath of wrong) {
      assert.throws(() => readDescription(described({ dataPath })), { code: 'invalid-argument' });
    }
  });

  it('is all that was said, where it is well-formed', () => {
    const networks = [{ networkId: 'lan', addresses: ['10.0.0.9/24', 'fd00::9/64'] }];
    const container = { containerId: 'web.1.x', pid: 7, exitCode: 1 };
    const said = { ...status('failed', 'm'), err: 'e', container, ports: [port], networks };
    assert.deepEqual(readTaskStatus(encodeJson(said)), said);
    const whole = {
      resources: {
        nanoCpus: 1,
        memoryBytes: 1,
        genericResources: [
          { named: { kind: 'gpu', value: 'a' } },
          { discrete: { kind: 'ssd', value: 2 } },
        ],
      },
      tls: { trustRoot: 'r', issuerSubject: 's', issuerPublicKey: 'k' },
      volumes: ['v'],
      csi: [{ driver: 'd', nodeId: 'n', maxVolumes: 0, isController: false, topology: {} }],
    };
    const bytes = described(whole);
    assert.deepEqual(readDescription(bytes), JSON.parse(bytes.toString('utf8')));
  });

  it('is no description where planners would stumble over it', () => {
    const engine = { version: '1', labels: {}, plugins: [] };
    const resources = { nanoCpus: 1, memoryBytes: 1 };
    const csi = { driver: 'd', nodeId: 'n', maxVolumes: 0, isController: false };
    const wrong: readonly object[] = [
      { hostname: 'h\u001b[2J' },
      { engine: { ...engine, labels: null } },
      { engine: { ...engine, labels: { disk: 5 } } },
      { engine: { ...engine, plugins: [null] } },
      { engine: { ...engine, plugins: [{ type: 'Log' }] } },
      { resources: { ...resources, genericResources: [null] } },
      { resources: { ...resources, genericResources: [{ discrete: null }] } },
      { resources: { ...resources, genericResources: [{ discrete: { kind: 'a', value: 'b' } }] } },
      { tls: { issuerPublicKey: 5 } },
      { csi: [{ ...csi, topology: null }] },
      { csi: [{ ...csi, topology: { segments: { zone: 1 } } }] },
    ];
    for (const changes of wrong) {
      const bytes = described(changes);
      assert.throws(() => readDescription(bytes), { code: 'invalid-argument' }, String(bytes));
    }
  });
});
