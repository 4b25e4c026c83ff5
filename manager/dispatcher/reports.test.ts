import { strict as assert } from 'node:assert';
import type { Node, Task, TaskStatus } from '../../types/index.ts';
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
    const described = (dataPath: unknown) =>
      encodeJson({
        hostname: 'h',
        platform: { os: 'linux', architecture: 'x86_64' },
        resources: { nanoCpus: 1, memoryBytes: 1 },
        engine: { version: '1', labels: {}, plugins: [] },
        dataPath,
      });
    const address = '192.168.0.1';
    const publicKey = `${'A'.repeat(43)}=`;
    for (const dataPath of [{ address }, { address, wireguard: { publicKey, port: 51_820 } }]) {
      assert.deepEqual(readDescription(described(dataPath)).dataPath, dataPath);
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
      assert.throws(() => readDescription(described(dataPath)), { code: 'invalid-argument' });
    }
  });
});
