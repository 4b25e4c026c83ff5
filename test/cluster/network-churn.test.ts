/** Services that come and go leave nothing: neither in kernels nor in the store. */
import { comeAndGo } from './churn.ts';
import { useSwarm } from './swarm.ts';

/** `npm run chaos` has 300. */
const services = 36;

describe('networks whose services come and go', function () {
  this.timeout(240_000);
  const get = useSwarm({ hosts: 3, images: ['sleeper:1'] });

  it(`are as they were after ${services} of them`, () => comeAndGo(get(), services));
});
