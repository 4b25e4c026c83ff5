import { strict as assert } from 'node:assert';
import { KeyedMutex, Semaphore, SharedWork } from './concurrency.ts';

/** Lets everything that can go on go on. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('Semaphore', () => {
  it('lets in no more than its slots, in order, also past failures', async () => {
    const semaphore = new Semaphore(2);
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    const started: number[] = [];
    const runs = gates.map(({ promise }, index) =>
      semaphore.run(() => {
        started.push(index);
        return promise;
      }),
    );
    const settled = Promise.allSettled(runs);
    await settle();
    assert.deepEqual(started, [0, 1]);
    gates[1]?.reject(new Error('fails'));
    await settle();
    assert.deepEqual(started, [0, 1, 2]);
    for (const { resolve } of gates) resolve();
    await settled;
    assert.deepEqual(started, [0, 1, 2, 3, 4]);
  });

  it('loses no slot to one who gives up waiting', async () => {
    const semaphore = new Semaphore(1);
    const gate = Promise.withResolvers<void>();
    const holder = semaphore.run(() => gate.promise);
    const controller = new AbortController();
    const waiting = semaphore.run(() => Promise.resolve('never'), controller.signal);
    const refused = assert.rejects(waiting, /^Error: enough$/);
    controller.abort(new Error('enough'));
    await refused;
    gate.resolve();
    await holder;
    assert.equal(await semaphore.run(() => Promise.resolve('next')), 'next');
  });

  it('hands on a slot that comes together with the wish to give up', async () => {
    const semaphore = new Semaphore(1);
    const gate = Promise.withResolvers<void>();
    const holder = semaphore.run(() => gate.promise);
    const controller = new AbortController();
    const waiting = semaphore.run(() => Promise.resolve('ran'), controller.signal);
    const settled = Promise.allSettled([waiting]);
    gate.resolve();
    await holder;
    controller.abort(new Error('enough'));
    await settled;
    assert.equal(await semaphore.run(() => Promise.resolve('next')), 'next');
  });
});

describe('KeyedMutex', () => {
  it('keeps apart what has the same key, and only that', async () => {
    const mutex = new KeyedMutex();
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = mutex.run('a', async () => {
      await gate.promise;
      order.push('a1');
    });
    const second = mutex.run('a', () => Promise.resolve(order.push('a2')));
    await mutex.run('b', () => Promise.resolve(order.push('b')));
    gate.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(order, ['b', 'a1', 'a2']);
  });
});

describe('SharedWork', () => {
  interface Progress {
    readonly id: string;
    readonly step: number;
  }
  function scene() {
    const shared = new SharedWork<string, Progress>(({ id }) => id);
    const gate = Promise.withResolvers<string>();
    const state: { runs: number; signal?: AbortSignal; report?: (progress: Progress) => void } = {
      runs: 0,
    };
    const work = (signal: AbortSignal, report: (progress: Progress) => void) => {
      state.runs += 1;
      Object.assign(state, { signal, report });
      return gate.promise;
    };
    return { shared, gate, state, work };
  }

  it('runs once for all who ask, and again for who asks later', async () => {
    const { shared, gate, state, work } = scene();
    const calls = [1, 2, 3].map(() => shared.run('k', work, {}));
    gate.resolve('done');
    assert.deepEqual(await Promise.all(calls), ['done', 'done', 'done']);
    assert.equal(state.runs, 1);
    await shared.run('k', work, {});
    assert.equal(state.runs, 2);
  });

  it('fails for all, and may be tried again', async () => {
    const { shared, gate, work } = scene();
    const calls = [1, 2].map(() => assert.rejects(shared.run('k', work, {}), /^Error: no$/));
    gate.reject(new Error('no'));
    await Promise.all(calls);
    assert.equal(await shared.run('k', () => Promise.resolve('yes'), {}), 'yes');
  });

  it('goes on while one caller is left, and is aborted with the last', async () => {
    const { shared, state, work } = scene();
    const controllers = [new AbortController(), new AbortController()];
    const calls = controllers.map(({ signal }) =>
      assert.rejects(shared.run('k', work, { signal }), /^Error: leaves$/),
    );
    controllers[0]?.abort(new Error('leaves'));
    await settle();
    assert.equal(state.signal?.aborted, false);
    controllers[1]?.abort(new Error('leaves'));
    await Promise.all(calls);
    assert.equal(state.signal.aborted, true);
    assert.equal(await shared.run('k', () => Promise.resolve('fresh'), {}), 'fresh');
  });

  it('at its end aborts what runs, and waits for it', async () => {
    const { shared, gate, state, work } = scene();
    const call = assert.rejects(shared.run('k', work, {}), /^Error: cleared up$/);
    let ended = false;
    const end = shared[Symbol.asyncDispose]().then(() => (ended = true));
    await settle();
    assert.equal(state.signal?.aborted, true);
    assert.equal(ended, false);
    gate.reject(new Error('cleared up'));
    await Promise.all([call, end]);
  });

  it('tells latecomers the newest of each thing, and those who left nothing more', async () => {
    const { shared, gate, state, work } = scene();
    const early: Progress[] = [];
    const late: Progress[] = [];
    const controller = new AbortController();
    const { signal } = controller;
    const leaving = shared.run('k', work, { signal, onProgress: (p) => early.push(p) });
    const left = assert.rejects(leaving);
    state.report?.({ id: 'a', step: 1 });
    state.report?.({ id: 'b', step: 1 });
    state.report?.({ id: 'a', step: 2 });
    const staying = shared.run('k', work, { onProgress: (p) => late.push(p) });
    controller.abort();
    await left;
    state.report?.({ id: 'b', step: 2 });
    gate.resolve('done');
    await staying;
    assert.deepEqual(
      early.map(({ id, step }) => `${id}${step}`),
      ['a1', 'b1', 'a2'],
    );
    assert.deepEqual(
      late.map(({ id, step }) => `${id}${step}`),
      ['a2', 'b1', 'b2'],
    );
  });
});
