/** The networks that a service asks for, by whatever the user calls them. */
import { SwarmError } from '../../lib/errors.ts';
import type { Network, ServiceSpec } from '../../types/index.ts';
import { noIngress } from '../allocator/index.ts';
import { attachmentsOf, builtInNetworks, publishesIngress, type StoreView } from '../store/view.ts';

type View = Pick<StoreView, 'network' | 'networkByName' | 'networks' | 'ingressNetwork'>;

/**
 * The spec with the ids of its networks. Throws `not-found` for one that does not exist, and
 * `failed-precondition` where ports are published and there is no routing mesh.
 */
export function resolveNetworks(view: View, spec: ServiceSpec): ServiceSpec {
  if (publishesIngress(spec) && view.ingressNetwork() === undefined) {
    throw new SwarmError('failed-precondition', noIngress);
  }
  if (attachmentsOf(spec.task).length === 0) return spec;
  const seen = new Set<string>();
  const networks = spec.task.networks?.map((attachment) => {
    if (builtInNetworks.has(attachment.target)) return attachment;
    const { id, spec: found } = networkNamed(view, attachment.target);
    if (found.ingress === true) {
      throw new SwarmError(
        'invalid-argument',
        `Service cannot be explicitly attached to the ingress network "${found.name}"`,
      );
    }
    if (seen.has(id)) {
      throw new SwarmError('invalid-argument', `network ${found.name} is given more than once`);
    }
    seen.add(id);
    return { ...attachment, target: id };
  });
  return { ...spec, task: { ...spec.task, ...(networks === undefined ? {} : { networks }) } };
}

/** As Docker looks it up: by id, by name, by the beginning of an id that no other has. */
export function networkNamed(
  view: Pick<StoreView, 'network' | 'networkByName' | 'networks'>,
  target: string,
): Network {
  const found = view.network(target) ?? view.networkByName(target);
  if (found !== undefined) return found;
  const beginning =
    target === '' ? [] : [...view.networks()].filter(({ id }) => id.startsWith(target));
  if (beginning.length > 1) {
    throw new SwarmError(
      'invalid-argument',
      `network ${target} is ambiguous (${beginning.length} matches found)`,
    );
  }
  if (beginning[0] === undefined) {
    throw new SwarmError('not-found', `network ${target} not found`);
  }
  return beginning[0];
}
