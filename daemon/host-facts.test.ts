import { strict as assert } from 'node:assert';
import os from 'node:os';
import { syncBuiltinESMExports } from 'node:module';
import { hostnameOf } from './host-facts.ts';
import { parseOptions } from './options.ts';

describe('the name of a host', () => {
  const real = os.hostname;
  afterEach(() => named(real));

  it('is the present one, also of a host that is renamed while the daemon runs', () => {
    const options = parseOptions([]);
    const seen = ['old', 'new'].map((name) => {
      named(() => name);
      return hostnameOf(options);
    });
    assert.deepEqual(seen, ['old', 'new']);
  });

  it('is the one that the daemon was given', () => {
    named(() => 'old');
    assert.equal(hostnameOf(parseOptions(['--hostname', 'given'])), 'given');
  });

  function named(hostname: () => string): void {
    os.hostname = hostname;
    syncBuiltinESMExports();
  }
});
