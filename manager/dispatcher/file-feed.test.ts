import { strict as assert } from 'node:assert';
import { AssignmentChange_Action } from '../../gen/dispatcher_pb.js';
import type { FileKind, FileObject, Task } from '../../types/index.ts';
import { makeService, makeTask } from '../store/testing.ts';
import { endsFileUse, FileFeed } from './file-feed.ts';

const file = (id: string, more: Partial<FileObject['spec']> = {}): FileObject => ({
  id,
  meta: { version: 1, createdAtMs: 0, updatedAtMs: 0 },
  spec: { name: id, labels: {}, data: 'eA==', ...more },
  revision: 1,
});
const files = new Map([
  ['secret/s1', file('s1')],
  ['secret/big1', file('big1', { data: 'A'.repeat(1 << 21) })],
  ['secret/big2', file('big2', { data: 'A'.repeat(1 << 21) })],
  ['config/c1', file('c1', { templating: { name: 'golang' } })],
]);
const view = { file: (kind: FileKind, id: string) => files.get(`${kind}/${id}`) };

function task(id: string, secretIds: readonly string[], configIds: readonly string[] = []): Task {
  const target = { name: 'f', uid: '0', gid: '0', mode: 0o444 };
  const container = {
    image: 'web:1',
    secrets: secretIds.map((secretId) => ({ secretId, secretName: secretId, file: target })),
    configs: configIds.map((configId) => ({ configId, configName: configId, file: target })),
  };
  return { ...makeTask(id, makeService('web')), spec: { container, forceUpdate: 0 } };
}

const ended = (one: Task): Task => ({
  ...one,
  status: { state: 'failed', atMs: 0, message: '' },
});

/** "+id" for what is told, with what it says; "-id" for what is taken back. */
const told = (feed: FileFeed) =>
  feed.changes().map(({ action, id, object }) => {
    if (action === AssignmentChange_Action.REMOVE) return `-${id}`;
    const { data, isTemplate } = JSON.parse(Buffer.from(object!).toString()) as {
      data?: string;
      isTemplate?: boolean;
    };
    return `+${id}${data === undefined ? ' gone' : ''}${isTemplate === true ? ' template' : ''}`;
  });

describe('the secrets and configs that a node is told of', () => {
  it('are those of its tasks, once each, until no task needs them', () => {
    const feed = new FileFeed(view);
    feed.put(task('t1', ['s1'], ['c1']));
    feed.put(task('t2', ['s1']));
    assert.ok(feed.dirty);
    assert.deepEqual(told(feed), ['+s1', '+c1 template']);
    assert.equal(feed.dirty, false);
    feed.put(ended(task('t1', ['s1'], ['c1'])));
    assert.deepEqual(told(feed), ['-c1']);
    feed.remove('t2');
    assert.deepEqual(told(feed), ['-s1']);
    feed.put(task('t3', ['s1']));
    assert.deepEqual(told(feed), ['+s1']);
  });

  it('stay where a task leaves and another comes before anything was said', () => {
    const feed = new FileFeed(view);
    feed.put(task('t1', ['s1']));
    told(feed);
    feed.remove('t1');
    feed.put(task('t2', ['s1']));
    assert.deepEqual(told(feed), []);
    feed.put(task('t3', [], ['c1']));
    feed.remove('t3');
    assert.deepEqual(told(feed), []);
  });

  it('are told in pieces where they are large, and as gone where they are gone', () => {
    const feed = new FileFeed(view);
    feed.put(task('t1', ['big1', 'big2', 'lost']));
    assert.deepEqual(told(feed), ['+big1']);
    assert.ok(feed.dirty);
    assert.deepEqual(told(feed), ['+big2']);
    assert.deepEqual(told(feed), ['+lost gone']);
  });

  it('are all told again to a node that knows nothing', () => {
    const feed = new FileFeed(view);
    feed.put(task('t1', ['s1']));
    told(feed);
    feed.clear();
    feed.put(task('t1', ['s1']));
    assert.deepEqual(told(feed), ['+s1']);
  });

  it('are done with when a task ends by itself', () => {
    const one = task('t1', ['s1']);
    assert.equal(endsFileUse(one, ended(one)), true);
    assert.equal(endsFileUse(ended(one), ended(one)), false);
    assert.equal(endsFileUse(one, one), false);
    assert.equal(endsFileUse(task('t2', []), ended(task('t2', []))), false);
  });
});
