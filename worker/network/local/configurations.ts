/** Networks that are only a configuration, which others are made from. Docker's rules and words. */
import { SwarmError } from '../../../lib/errors.ts';
import type { NetworkSpec } from '../../../types/index.ts';
import type { KeptNetwork, NetworkFiles } from './network-files.ts';
import { planConfiguration } from './plan.ts';

/** Those of this node, kept on its disk. */
export class Configurations {
  readonly #files: NetworkFiles;
  readonly #byId = new Map<string, KeptNetwork>();

  constructor(files: NetworkFiles) {
    this.#files = files;
  }

  /** One that is on the disk. */
  found(kept: KeptNetwork): void {
    this.#byId.set(kept.id, kept);
  }

  /** Throws `invalid-argument` and `permission-denied` for what a configuration cannot say. */
  create(given: Parameters<typeof planConfiguration>[0]): { id: string; warning: string } {
    checkConfiguration(given.spec);
    const kept = planConfiguration(given);
    this.#files.save(kept);
    this.#byId.set(kept.id, kept);
    return { id: kept.id, warning: '' };
  }

  all(): Iterable<KeptNetwork> {
    return this.#byId.values();
  }

  get(id: string): KeptNetwork | undefined {
    return this.#byId.get(id);
  }

  specOf(name: string): NetworkSpec | undefined {
    return [...this.#byId.values()].find(({ spec }) => spec.name === name)?.spec;
  }

  /** Throws `permission-denied` while one of the networks is made from it. */
  remove({ id, spec }: KeptNetwork, networks: readonly KeptNetwork[]): void {
    if (networks.some((one) => one.spec.configFrom?.network === spec.name)) {
      throw forbidden(
        `error while removing network: configuration network "${spec.name}" is in use`,
      );
    }
    this.#byId.delete(id);
    this.#files.delete(id);
  }
}

/** Throws for what only a network that is made can have. */
export function checkConfiguration(spec: NetworkSpec): void {
  const { ingress, internal, attachable, scope = '', configFrom } = spec;
  if (ingress === true || internal === true || attachable === true || scope !== '') {
    throw forbidden(
      'configuration network can only contain network specific fields. Network operator fields ' +
        'like [ ingress | internal | attachable | scope ] are not supported.',
    );
  }
  if ((configFrom?.network ?? '') === '') return;
  throw forbidden('a configuration network cannot depend on another configuration network');
}

/** The spec with what its configuration says; the same where it names none. */
export function withConfiguration(
  spec: NetworkSpec,
  configuration: (name: string) => NetworkSpec | undefined,
): NetworkSpec {
  const name = spec.configFrom?.network ?? '';
  if (name === '') return spec;
  const { ipam, options, labels, enableIpv4, enableIpv6 } = spec;
  const hasOwn =
    (ipam?.configs ?? []).length > 0 ||
    !['', 'default'].includes(ipam?.driver ?? '') ||
    Object.keys(options ?? {}).length > 0 ||
    Object.keys(labels).length > 0 ||
    enableIpv4 === false ||
    enableIpv6 === true;
  if (hasOwn) {
    throw forbidden(
      'user specified configurations are not supported if the network depends on a configuration ' +
        'network',
    );
  }
  const found = configuration(name);
  if (found === undefined) {
    throw new SwarmError('not-found', `configuration network "${name}" does not exist`);
  }
  return {
    ...spec,
    labels: found.labels,
    ...(found.ipam === undefined ? {} : { ipam: found.ipam }),
    ...(found.options === undefined ? {} : { options: found.options }),
    ...(found.enableIpv4 === undefined ? {} : { enableIpv4: found.enableIpv4 }),
    ...(found.enableIpv6 === undefined ? {} : { enableIpv6: found.enableIpv6 }),
  };
}

function forbidden(message: string): SwarmError {
  return new SwarmError('permission-denied', message);
}
