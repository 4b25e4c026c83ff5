import { strict as assert } from 'node:assert';
import { seededRandom } from '../../lib/random.ts';
import { checkedSpec, newService } from '../control/service-commands.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask } from '../store/testing.ts';
import {
  dependenciesOf,
  dependsLabel,
  type Service,
  type Task,
  type TaskState,
} from '../../types/index.ts';
import { circleOf, whyWaits } from './depends.ts';

const on = (name: string, text: string): Service => {
  const service = makeService(name);
  return { ...service, spec: { ...service.spec, labels: { [dependsLabel]: text } } };
};

async function storeOf(services: readonly Service[], tasks: readonly Task[] = []): Promise<Store> {
  const store = new Store(new MemoryLog());
  await store.open();
  const result = await store.propose(
    [
      { op: 'put', table: 'node', object: makeNode('a'), base: 0 },
      ...services.map((object) => ({ op: 'put', table: 'service', object, base: 0 }) as const),
      ...tasks.map((object) => ({ op: 'put', table: 'task', object, base: 0 }) as const),
    ],
    { atMs: 0 },
  );
  assert.ok(result.applied);
  return store;
}

describe('whyWaits', () => {
  const db = makeService('db');
  const task = (state: TaskState, more: Partial<Task> = {}, service = db) =>
    makeTask('t', service, {
      nodeId: 'a',
      status: { state, atMs: 0, message: '', err: `was ${state}` },
      ...more,
    });
  const once = {
    ...db,
    spec: { ...db.spec, task: { ...db.spec.task, restartPolicy: { condition: 'none' as const } } },
  };
  const cases: { on: string; db?: Service; tasks: Task[]; expect: string | undefined }[] = [
    { on: 'db', tasks: [], expect: 'waits for db to start (0 of 1 tasks)' },
    { on: 'db', tasks: [task('starting')], expect: 'waits for db to start (0 of 1 tasks)' },
    { on: 'db', tasks: [task('failed', { runningAtMs: 1 })], expect: undefined },
    {
      on: 'db=healthy',
      tasks: [task('failed', { runningAtMs: 1 })],
      expect: 'waits for db to be healthy (0 of 1 tasks)',
    },
    { on: 'db=healthy', tasks: [task('running')], expect: undefined },
    {
      on: 'db=healthy',
      tasks: [task('running', { desiredState: 'shutdown' })],
      expect: 'waits for db to be healthy (0 of 1 tasks)',
    },
    {
      on: 'db=completed',
      tasks: [task('running')],
      expect: 'waits for db to complete (0 of 1 tasks)',
    },
    { on: 'db=completed', tasks: [task('complete')], expect: undefined },
    {
      on: 'db=completed',
      db: once,
      tasks: [task('failed', { desiredState: 'shutdown' }, once)],
      expect: 'waits for db to complete, which has failed and is not tried again: was failed',
    },
    { on: 'x=healthy', tasks: [], expect: 'waits for the service x, which does not exist' },
  ];
  for (const { on: text, db: dependency = db, tasks, expect } of cases) {
    const states = tasks.map(({ status, desiredState }) => `${status.state}/${desiredState}`);
    it(`on ${text}, with ${states.join() || 'no'} task of db: ${expect ?? 'no more'}`, async () => {
      const store = await storeOf([dependency, on('web', text)], tasks);
      assert.equal(whyWaits(store, store.service('web')!), expect);
    });
  }
});

describe('dependencies', () => {
  const circles: { services: [string, string][]; next: [string, string]; expect?: string }[] = [
    { services: [['a', 'b']], next: ['b', 'c'] },
    { services: [['a', 'b']], next: ['b', 'a=healthy'], expect: 'b → a → b' },
    {
      services: [
        ['a', 'b,c'],
        ['c', 'd'],
      ],
      next: ['d', 'x,a'],
      expect: 'd → a → c → d',
    },
  ];
  for (const { services, next, expect } of circles) {
    const told = services.map(([name, text]) => `${name} on ${text}`).join(', ');
    it(`of ${next.join(' on ')} beside ${told}: ${expect ?? 'no circle'}`, async () => {
      const store = await storeOf(services.map(([name, text]) => on(name, text)));
      const { spec } = on(...next);
      assert.equal(circleOf(store, spec), expect);
      const make = () => newService(store, spec, { id: 'new', nowMs: 0 });
      if (expect === undefined) make();
      else assert.throws(make, new RegExp(`services would wait for each other: ${expect}`));
    });
  }

  const refused: { text: string; expect: RegExp }[] = [
    { text: 'db=ready', expect: /"db=ready" is no dependency: give SERVICE=started/ },
    { text: '', expect: /"" is no dependency/ },
    { text: 'db,db=healthy', expect: /the dependency on db is given more than once/ },
    { text: 'web', expect: /service web cannot depend on itself/ },
  ];
  for (const { text, expect } of refused) {
    it(`refuse "${text}"`, () => {
      assert.throws(() => checkedSpec(on('web', text).spec, seededRandom(1)), expect);
    });
  }

  it('are read in the order that they are given in', () => {
    assert.deepEqual(dependenciesOf(on('web', 'db=healthy, cache').spec), [
      { service: 'db', condition: 'healthy' },
      { service: 'cache', condition: 'started' },
    ]);
  });
});
