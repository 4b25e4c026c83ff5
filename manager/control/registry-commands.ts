/** The swarm's logins at registries, as changes of the swarm's object. */
import { SwarmError } from '../../lib/errors.ts';
import { registryName, type Cluster, type RegistryLogin } from '../../types/index.ts';

const loginsMax = 256;
const registryPattern = /^(?:\[[0-9a-f:]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::[0-9]{1,5})?$/;

/** The new login takes the place of another at the same registry. */
export function withLogin(
  cluster: Cluster,
  given: Omit<RegistryLogin, 'updatedAtMs'>,
  nowMs: number,
): Cluster {
  const registry = registryName(given.registry);
  if (!registryPattern.test(registry)) {
    throw new SwarmError(
      'invalid-argument',
      `"${given.registry}" is no registry: give it as it stands in the names of images, ` +
        'such as registry.example:5000',
    );
  }
  const others = (cluster.registryLogins ?? []).filter((one) => one.registry !== registry);
  if (others.length >= loginsMax) {
    throw new SwarmError(
      'resource-exhausted',
      `the swarm is logged in at ${loginsMax} registries: log out of one that is not needed`,
    );
  }
  const logins = [...others, { ...given, registry, updatedAtMs: nowMs }];
  logins.sort((a, b) => (a.registry < b.registry ? -1 : 1));
  return { ...cluster, registryLogins: logins };
}

export function withoutLogin(cluster: Cluster, typed: string): Cluster {
  const registry = registryName(typed);
  const logins = cluster.registryLogins ?? [];
  const left = logins.filter((one) => one.registry !== registry);
  if (left.length === logins.length) {
    throw new SwarmError('not-found', `the swarm is not logged in at ${registry}`);
  }
  return { ...cluster, registryLogins: left };
}
