/** Volumes of the whole swarm, by the paths of a node's own; what managers ask of drivers. */
import { SwarmError } from '../../lib/errors.ts';
import {
  clusterVolumeSpec,
  optional,
  struct,
  type ClusterVolume,
  type ClusterVolumeSpec,
  type CsiRequest,
} from '../../types/index.ts';
import type { Backend } from '../backend.ts';
import { clusterVolumeJson } from '../convert/cluster-volume.ts';
import type { Json, JsonObject } from '../convert/json.ts';
import type { Exchange } from '../exchange.ts';
import { findVolume } from '../lookup.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

const updateRequest = struct({ spec: optional('Spec', clusterVolumeSpec) });
const csiRequest = {
  // Between daemons of one swarm: what the leader sends is what this was built with.
  decode: (value: unknown) => value as CsiRequest,
  encode: (value: CsiRequest) => value,
};

/** Those of the swarm, where this node is a manager of one that can be read; else none. */
export async function clusterVolumes(backend: Backend): Promise<ClusterVolume[]> {
  const { isManager, state } = backend.swarm.status();
  if (!isManager || state !== 'active') return [];
  const view = await backend.manager().read();
  return [...view.volumes()].toSorted((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
}

interface NewVolume {
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>> | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly cluster: ClusterVolumeSpec;
  /** Whose command it is. */
  readonly user?: string;
}

export async function createClusterVolume(
  backend: Backend,
  { name, driver, options = {}, labels = {}, cluster, user }: NewVolume,
): Promise<JsonObject> {
  if (backend.volumes.list().some((volume) => volume.name === name)) {
    throw new SwarmError('already-exists', `volume ${name} already exists on this node`);
  }
  const manager = backend.manager();
  const spec = { name, labels, driver: { name: driver, options }, cluster: tidied(cluster) };
  const { id } = await manager.control.createVolume({
    spec,
    ...(user === undefined ? {} : { user }),
  });
  const made = (await manager.read()).volume(id);
  if (made === undefined) throw new SwarmError('not-found', `volume ${name} not found`);
  return clusterVolumeJson(made);
}

/** Docker's CLI sends topologies and capacities that say nothing. */
function tidied(spec: ClusterVolumeSpec): ClusterVolumeSpec {
  const { accessibilityRequirements, capacityRange, secrets, group, ...rest } = spec;
  const { requisite = [], preferred = [] } = accessibilityRequirements ?? {};
  const { requiredBytes = 0, limitBytes = 0 } = capacityRange ?? {};
  return {
    ...rest,
    ...(group === undefined || group === '' ? {} : { group }),
    ...(requisite.length + preferred.length === 0
      ? {}
      : {
          accessibilityRequirements: {
            ...(requisite.length === 0 ? {} : { requisite }),
            ...(preferred.length === 0 ? {} : { preferred }),
          },
        }),
    ...(requiredBytes + limitBytes === 0 ? {} : { capacityRange: { requiredBytes, limitBytes } }),
    ...(secrets === undefined || secrets.length === 0 ? {} : { secrets }),
  };
}

/** By its name or id. Throws `not-found`, also where this node is no manager. */
export async function findClusterVolume(backend: Backend, input: string): Promise<ClusterVolume> {
  const found = findVolume(await clusterVolumes(backend), input);
  if (found !== undefined) return found;
  throw new SwarmError('not-found', `get ${input}: no such volume`);
}

export async function updateClusterVolume(exchange: Exchange, backend: Backend): Promise<void> {
  const input = exchange.param('name');
  if (backend.volumes.list().some(({ name }) => name === input)) {
    throw new SwarmError(
      'invalid-argument',
      `${input} is a volume of this node: only cluster volumes can be updated`,
    );
  }
  const manager = backend.manager();
  const { id } = await findClusterVolume(backend, input);
  const version = exchange.objectVersion('volume');
  const { spec } = await exchange.body(updateRequest);
  if (spec === undefined) throw new SwarmError('invalid-argument', 'missing ClusterVolumeSpec');
  await manager.control.updateVolume({ id, version, spec: tidied(spec), ...exchange.asked });
  exchange.empty();
}

/** Served to managers: what they ask of the drivers that this node has. */
export function csiRoutes({ backend }: RouteModules): Route[] {
  return [
    {
      method: 'POST',
      path: '/csi',
      async handle(exchange) {
        const request = await exchange.body(csiRequest);
        if (backend.csi === undefined) {
          throw new SwarmError('unimplemented', 'this node knows nothing of CSI drivers');
        }
        const { signal } = exchange;
        try {
          exchange.json((await backend.csi.call(request, { signal })) as Json);
        } catch (error) {
          // The driver's own code tells whether it may have done it all the same.
          const { code, message } = SwarmError.from(error);
          exchange.json({ error: { code, message } });
        }
      },
    },
  ];
}
