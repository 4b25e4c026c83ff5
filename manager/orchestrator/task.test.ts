import { strict as assert } from 'node:assert';
import type { Service, Task } from '../../types/index.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask } from '../store/testing.ts';
import { dirtiness } from './task.ts';

describe('dirtiness', () => {
  const old = makeService('web');
  const port = { protocol: 'tcp', targetPort: 80, publishedPort: 80, publishMode: 'host' } as const;
  const constrained = (expression: string): Partial<Service['spec']['task']> => ({
    placement: { constraints: [expression] },
  });
  const cases: {
    name: string;
    change?: Partial<Service['spec']['task']>;
    service?: Partial<Service>;
    task?: Partial<Task>;
    expect: boolean;
  }[] = [
    { name: 'the same spec under another version', expect: false },
    { name: 'another image', change: { container: { image: 'web:2' } }, expect: true },
    { name: 'a forced update', change: { forceUpdate: 1 }, expect: true },
    {
      name: 'a key that is undefined is as absent',
      change: { resources: undefined } as never,
      expect: false,
    },
    {
      name: 'a constraint that the node satisfies',
      change: constrained('node.labels.zone==east'),
      expect: false,
    },
    {
      name: 'a constraint that the node does not satisfy',
      change: constrained('node.labels.zone==west'),
      expect: true,
    },
    {
      name: 'a new constraint, for a task without a node',
      change: constrained('node.labels.zone==east'),
      task: { nodeId: '' },
      expect: true,
    },
    {
      name: 'a new constraint and a new image',
      change: { ...constrained('node.labels.zone==east'), container: { image: 'web:2' } },
      expect: true,
    },
    { name: 'a new host-mode port', service: { ports: [port] }, expect: true },
    {
      name: 'a new ingress port, which is no matter of the task',
      service: { ports: [{ ...port, publishMode: 'ingress' }] },
      expect: false,
    },
  ];
  for (const { name, change, service, task, expect } of cases) {
    it(name, async () => {
      const store = new Store(new MemoryLog());
      await store.open();
      const spec = { labels: { zone: 'east' }, role: 'worker', availability: 'active' } as const;
      const node = makeNode('a', { spec });
      await store.propose([{ op: 'put', table: 'node', object: node, base: 0 }], { atMs: 0 });
      const next: Service = {
        ...old,
        ...service,
        specVersion: 2,
        spec: { ...old.spec, task: { ...old.spec.task, ...change } },
      };
      const isDirty = dirtiness(store, next);
      assert.equal(isDirty(makeTask('t', old, { nodeId: 'a', ...task })), expect);
    });
  }
});
