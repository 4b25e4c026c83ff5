import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import { VirtualClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { autoscaleLabel, type Service } from '../../types/index.ts';
import { Store } from '../store/index.ts';
import { MemoryLog } from '../store/memory-log.ts';
import { makeService, makeTask } from '../store/testing.ts';
import { Autoscaler, type AutoscalerParts } from './autoscaler.ts';
import type { Fetch } from './prometheus.ts';

type Request = Parameters<AutoscalerParts['nodes']['measure']>[1];

/** A leader whose nodes answer nothing by themselves. */
async function leader(services: readonly Service[], fetch?: Fetch) {
  const clock = new VirtualClock();
  const store = new Store(new MemoryLog());
  await store.open();
  for (const service of services) {
    const tasks = [1, 2].map((slot) =>
      makeTask(`${service.id}${slot}`, service, {
        slot,
        nodeId: `n${slot}`,
        status: { state: slot === 1 ? 'running' : 'starting', atMs: 0, message: '' },
      }),
    );
    await store.propose(
      [
        { op: 'put', table: 'service', object: service, base: 0 },
        ...tasks.map((object) => ({ op: 'put', table: 'task', object, base: 0 }) as const),
      ],
      { atMs: clock.nowMs() },
    );
  }
  const asked: { nodeId: string; request: Request }[] = [];
  const autoscaler = new Autoscaler({
    store,
    clock,
    log: silentLogger,
    nodes: {
      measure: (nodeId, request) => void asked.push({ nodeId, request }),
      onMeasured: () => ({ [Symbol.dispose]: () => undefined }),
    },
    ...(fetch === undefined ? {} : { fetch }),
  });
  autoscaler.start();
  /** Lets time pass in small steps, and what follows happen. */
  const run = async (seconds: number) => {
    for (let step = 0; step < seconds * 2; step++) {
      clock.advance(500);
      for (let turns = 0; turns < 6; turns++) await turn();
    }
  };
  return { store, clock, asked, autoscaler, run };
}

function scaled(id: string, label: string): Service {
  const service = makeService(id);
  return { ...service, spec: { ...service.spec, labels: { [autoscaleLabel]: label } } };
}

describe('the leader', () => {
  it('asks the nodes of what runs, for what is needed, at the service’s pace', async () => {
    const { asked, run, autoscaler } = await leader([
      scaled('a', 'max=3,cpu=50%'),
      scaled('b', 'max=3,connections=5,cpu=50%'),
      scaled('c', 'max=3,connections=5,window=1s'),
      scaled('e', 'max=3,requests=5,metrics=8080/m,counter=served'),
      makeService('d'),
    ]);
    await run(0.5);
    assert.deepEqual(asked, [
      {
        nodeId: 'n1',
        request: {
          usageOf: ['a1', 'b1'],
          connectionsOf: ['b1', 'c1'],
          requestsOf: [{ taskId: 'e1', port: 8080, path: '/m', counter: 'served' }],
        },
      },
    ]);
    await run(2);
    assert.deepEqual(
      asked.slice(1).map(({ request }) => request),
      Array.from({ length: 2 }, () => ({ usageOf: [], connectionsOf: ['c1'], requestsOf: [] })),
    );
    await run(0.5);
    assert.deepEqual(asked.at(-1)?.request.usageOf, ['a1', 'b1']);
    await autoscaler[Symbol.asyncDispose]();
    const { length } = asked;
    await run(20);
    assert.equal(asked.length, length, 'one that has stopped asks no more');
  });

  it('goes by what a Prometheus server says, and no longer once it is silent', async () => {
    const label = 'max=9,window=20s,prometheus=http://p,query=x,target=10';
    let value: string | undefined = '35';
    let givenUp = 0;
    const fetch: Fetch = async (_url, { signal }) => {
      if (value !== undefined) {
        const result = [{ metric: {}, value: [1, value] }];
        const data = { resultType: 'vector', result };
        return { status: 200, text: JSON.stringify({ status: 'success', data }) };
      }
      const { promise, reject } = Promise.withResolvers<never>();
      signal.addEventListener('abort', () => {
        givenUp++;
        reject(signal.reason as Error);
      });
      return promise;
    };
    const { store, run, autoscaler } = await leader([scaled('q', label)], fetch);
    const replicas = () => store.service('q')?.spec.mode.replicated?.replicas;
    await run(3);
    assert.equal(replicas(), 4);
    assert.deepEqual(
      store.service('q')?.autoscale?.scaled?.reason,
      'query at 35, 35 for each replica (target 10)',
    );
    value = undefined;
    await run(60);
    assert.equal(replicas(), 4, 'silence takes nothing away');
    assert.ok(givenUp >= 5, 'a question has an end');
    assert.deepEqual(store.service('q')?.autoscale?.state, 'held');
    assert.match(
      store.service('q')?.autoscale?.message ?? '',
      /http:\/\/p does not answer: nothing within 5 s/,
    );
    value = '5';
    await run(60);
    assert.equal(replicas(), 1);
    await autoscaler[Symbol.asyncDispose]();
  });
});
