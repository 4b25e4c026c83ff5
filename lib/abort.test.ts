import { strict as assert } from 'node:assert';
import { withAbort } from './abort.ts';

describe('withAbort', () => {
  it('hears of a failure also after the abort, which would else end the process', async () => {
    const unheard: unknown[] = [];
    const listener = (reason: unknown) => unheard.push(reason);
    process.prependListener('unhandledRejection', listener);
    try {
      const signal = AbortSignal.abort(new Error('given up'));
      const work = Promise.reject(new Error('failed'));
      await assert.rejects(withAbort(work, signal), /^Error: given up$/);
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(unheard, []);
    } finally {
      process.off('unhandledRejection', listener);
    }
  });
});
