import { strict as assert } from 'node:assert';
import { macText } from './mac.ts';

describe('MAC addresses', () => {
  for (const given of ['02:00:00:00:0A:07', '02-00-00-00-0a-07', '0200.0000.0a07']) {
    it(`may be written as ${given}`, () => assert.equal(macText(given), '02:00:00:00:0a:07'));
  }
  for (const given of ['xx', '', '02:00:00:00:0a', '02:00-00:00:0a:07', '02:00:00:00:0a:07:08']) {
    it(`cannot be "${given}"`, () =>
      assert.throws(() => macText(given), /^SwarmError: invalid MAC/));
  }
  for (const given of ['01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff', '00:00:00:00:00:00']) {
    it(`cannot be those of many, or of nobody: ${given}`, () => {
      assert.throws(() => macText(given), /not that of one interface/);
    });
  }
});
