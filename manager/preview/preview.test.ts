import { strict as assert } from 'node:assert';
import { VirtualClock } from '../../lib/clock.ts';
import type { Preview, PreviewChange, Service, ServiceSpec } from '../../types/index.ts';
import { Store, type Change } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeNode, makeService, makeTask } from '../store/testing.ts';
import { PreviewDesk } from './index.ts';

const specOf = (name: string, change: Partial<ServiceSpec> = {}): ServiceSpec => {
  const { spec } = makeService(name);
  return { ...spec, task: { ...spec.task, runtime: 'container' }, ...change };
};

async function deskOn(objects: readonly Change[]): Promise<{
  store: Store;
  preview: (changes: readonly PreviewChange[]) => Promise<Preview>;
}> {
  const store = new Store(new MemoryLog());
  await store.open();
  const nodes = ['a', 'b'].map((id): Change => {
    return { op: 'put', table: 'node', object: makeNode(id), base: 0 };
  });
  assert.ok((await store.propose([...nodes, ...objects], { atMs: 0 })).applied);
  const desk = new PreviewDesk(new VirtualClock());
  const preview = (changes: readonly PreviewChange[]) => desk.preview(store, changes);
  return { store, preview };
}

function running(service: Service, replicas: number): Change[] {
  const tasks = Array.from({ length: replicas }, (_, index): Change => {
    const slot = index + 1;
    const id = `${service.id}${slot}`;
    const nodeId = index % 2 === 0 ? 'a' : 'b';
    const status = { state: 'running', atMs: 0, message: '' } as const;
    const object = makeTask(id, service, { slot, nodeId, status });
    return { op: 'put', table: 'task', object, base: 0 };
  });
  return [{ op: 'put', table: 'service', object: service, base: 0 }, ...tasks];
}

describe('PreviewDesk', () => {
  it('carries changes out in their order, as one, and leaves the store alone', async () => {
    const old = makeService('old', {
      spec: specOf('old', {
        endpoint: {
          mode: 'dnsrr',
          ports: [{ protocol: 'tcp', targetPort: 80, publishedPort: 80, publishMode: 'host' }],
        },
      }),
    });
    const { store, preview } = await deskOn(running(old, 1));
    const next = specOf('next', { ...(old.spec.endpoint && { endpoint: old.spec.endpoint }) });
    const create: PreviewChange = { action: 'create', spec: next };
    const digest = store.digest();
    const remove: PreviewChange = { action: 'remove', service: 'old' };
    const { services } = await preview([remove, create]);
    assert.equal(store.digest(), digest);
    assert.deepEqual(
      services.map(({ name, action, tasks }) => [name, action, tasks.length]),
      [
        ['old', 'remove', 1],
        ['next', 'create', 1],
      ],
    );
  });

  const nothing: { name: string; change: PreviewChange }[] = [
    {
      name: 'the very same spec',
      change: { action: 'update', service: 'web', spec: specOf('web') },
    },
  ];
  for (const { name, change } of nothing) {
    it(`says that nothing would change by ${name}`, async () => {
      const web = makeService('web', { spec: specOf('web') });
      const { preview } = await deskOn(running(web, 1));
      const { changes, services } = await preview([change]);
      assert.equal(changes, false);
      assert.equal(services[0]?.action, 'none');
    });
  }

  const refused: { name: string; change: PreviewChange; expect: RegExp }[] = [
    {
      name: 'a missing service',
      change: { action: 'remove', service: 'no' },
      expect: /no not found/,
    },
    { name: 'no spec', change: { action: 'create' }, expect: /needs a Spec/ },
    {
      name: 'a taken name',
      change: { action: 'create', spec: specOf('web') },
      expect: /service web already exists/,
    },
    {
      name: 'a bad spec',
      change: { action: 'create', spec: specOf('-') },
      expect: /name must be valid as a DNS name component/,
    },
    {
      name: 'a rollback of what has no past',
      change: { action: 'update', service: 'web', rollback: true },
      expect: /does not have a previous spec/,
    },
  ];
  for (const { name, change, expect } of refused) {
    it(`refuses ${name} as the command would`, async () => {
      const { preview } = await deskOn(running(makeService('web', { spec: specOf('web') }), 1));
      await assert.rejects(preview([change]), expect);
    });
  }

  it('takes larger steps where the tasks are many, and says so', async () => {
    const mode = { replicated: { replicas: 120 } };
    const web = makeService('web', { spec: specOf('web', { mode }), specVersion: 0 });
    const { preview } = await deskOn(running(web, 120));
    const spec = specOf('web', { mode, task: { forceUpdate: 1, runtime: 'container' } });
    const withImage = { ...spec, task: { ...spec.task, container: { image: 'web:2' } } };
    const answer = await preview([{ action: 'update', service: 'web', spec: withImage }]);
    const [service] = answer.services;
    assert.equal(service?.tasks.filter(({ change }) => change === 'replace').length, 120);
    assert.match(service?.notes.join() ?? '', /^rehearsed with 3 tasks updated at a time/);
  });

  it('makes only so many at a time', async () => {
    const { preview } = await deskOn([]);
    const change: PreviewChange = { action: 'create', spec: specOf('web') };
    const all = await Promise.allSettled(Array.from({ length: 6 }, () => preview([change])));
    const refusals = all.filter((one) => one.status === 'rejected');
    assert.equal(refusals.length, 2);
    assert.match(String(refusals[0]?.reason), /too many plans are being made; try again/);
  });
});
