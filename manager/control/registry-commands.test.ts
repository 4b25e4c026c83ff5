import { strict as assert } from 'node:assert';
import type { Cluster } from '../../types/index.ts';
import { makeCluster } from '../store/testing.ts';
import { withLogin, withoutLogin } from './registry-commands.ts';

const cluster = makeCluster('c1');
const login = (registry: string, username = 'me') => ({ registry, username, auth: username });
const shown = ({ registryLogins = [] }: Cluster) =>
  registryLogins.map(({ registry, username, updatedAtMs }) => [registry, username, updatedAtMs]);

describe('logins of the swarm at registries', () => {
  it('are one for each registry, by whatever it is called', () => {
    let now = withLogin(cluster, login('https://Registry.Example:5000/v2/'), 1);
    now = withLogin(now, login('index.docker.io'), 2);
    now = withLogin(now, login('registry.example:5000', 'other'), 3);
    assert.deepEqual(shown(now), [
      ['docker.io', 'me', 2],
      ['registry.example:5000', 'other', 3],
    ]);
    assert.deepEqual(shown(withoutLogin(now, 'docker.io')), [
      ['registry.example:5000', 'other', 3],
    ]);
  });

  it('are refused where there can be none, or too many', () => {
    assert.throws(() => withLogin(cluster, login('a b'), 1), {
      code: 'invalid-argument',
      message: /^"a b" is no registry: give it as it stands/,
    });
    assert.throws(() => withoutLogin(cluster, 'ghcr.io'), {
      code: 'not-found',
      message: 'the swarm is not logged in at ghcr.io',
    });
    let full = cluster;
    for (let number = 0; number < 256; number++) full = withLogin(full, login(`r${number}`), 1);
    assert.throws(() => withLogin(full, login('one-more'), 1), { code: 'resource-exhausted' });
    withLogin(full, login('r7', 'another'), 2);
  });
});
