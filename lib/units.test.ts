import { strict as assert } from 'node:assert';
import { humanDuration } from './units.ts';

const hour = 3_600_000;

describe('units', () => {
  const ages: [number, string][] = [
    [0, 'Less than a second'],
    [1999, '1 second'],
    [59_000, '59 seconds'],
    [61_000, 'About a minute'],
    [46 * 60_000, '46 minutes'],
    [hour, 'About an hour'],
    [47 * hour, '47 hours'],
    [3 * 24 * hour, '3 days'],
    [14 * 24 * hour, '2 weeks'],
    [61 * 24 * hour, '2 months'],
    [3 * 365 * 24 * hour, '3 years'],
  ];
  for (const [ms, text] of ages) it(text, () => assert.equal(humanDuration(ms), text));
});
