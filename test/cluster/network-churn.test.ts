/** Services that come and go leave nothing: neither in kernels nor in the store. */
import { comeAndGo } from './churn.ts';
import { useSwarm } from './swarm.ts';
import { createAndRemove, turnoverFlags } from './turnover.ts';

/** `npm run chaos` has 300 that run, and 5,000 that are removed again at once. */
const services = 36;
const brief = 100;

describe('networks whose services come and go', () => {
  const get = useSwarm({ hosts: 3, images: ['sleeper:1'], daemonFlags: turnoverFlags });

  it(`are as they were after ${services} of them`, () => comeAndGo(get(), services));

  it(`hold nothing of ${brief} that were removed at once`, () => createAndRemove(get(), brief));
});
