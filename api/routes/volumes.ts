/** Volumes of this node, and on managers those of the swarm. */
import { SwarmError } from '../../lib/errors.ts';
import {
  clusterVolumeSpec,
  optional,
  record,
  required,
  string,
  struct,
  type ClusterVolume,
} from '../../types/index.ts';
import { isAnonymous, type Volume } from '../../worker/volume/index.ts';
import { clusterVolumeJson } from '../convert/cluster-volume.ts';
import { volumeJson, volumeUsageJson } from '../convert/volume.ts';
import type { JsonObject } from '../convert/json.ts';
import type { Backend } from '../backend.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { findVolume } from '../lookup.ts';
import type { Route } from '../router.ts';
import {
  clusterVolumes,
  createClusterVolume,
  findClusterVolume,
  updateClusterVolume,
} from './cluster-volumes.ts';
import type { RouteModules } from './modules.ts';

const listKeys = ['dangling', 'driver', 'label', 'name'];
const pruneKeys = ['all', 'label', 'label!'];
/** Before this version of the API every volume without a user was pruned. */
const anonymousOnlySince = 42;

export const volumeCreateRequest = struct({
  name: required('Name', string, ''),
  driver: required('Driver', string, ''),
  options: optional('DriverOpts', record(string)),
  labels: optional('Labels', record(string)),
  clusterSpec: optional('ClusterVolumeSpec', clusterVolumeSpec),
});

export function volumeRoutes(modules: RouteModules): Route[] {
  const { backend } = modules;
  return [
    { method: 'GET', path: '/volumes', handle: (exchange) => list(exchange, modules) },
    { method: 'POST', path: '/volumes/create', handle: (exchange) => create(exchange, modules) },
    { method: 'POST', path: '/volumes/prune', handle: (exchange) => prune(exchange, modules) },
    {
      method: 'GET',
      path: '/volumes/{name}',
      handle: (exchange) => inspect(exchange, modules),
    },
    {
      method: 'PUT',
      path: '/volumes/{name}',
      handle: (exchange) => updateClusterVolume(exchange, backend),
    },
    {
      method: 'DELETE',
      path: '/volumes/{name}',
      handle: (exchange) => remove(exchange, modules),
    },
  ];
}

/** This node's own comes first, as in Docker. */
async function inspect(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const name = exchange.param('name');
  try {
    exchange.json(volumeJson(await backend.volumes.inspect(name)));
  } catch (error) {
    if (SwarmError.from(error).code !== 'not-found') throw error;
    exchange.json(clusterVolumeJson(await findClusterVolume(backend, name)));
  }
}

async function remove(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const name = exchange.param('name');
  const force = exchange.flag('force');
  const isOwn = backend.volumes.list().some((volume) => volume.name === name);
  const found = isOwn ? undefined : findVolume(await clusterVolumes(backend), name);
  if (found === undefined) await backend.volumes.remove(name, { force });
  else await backend.manager().control.removeVolume({ id: found.id, force, ...exchange.asked });
  exchange.empty(204);
}

async function create(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const { name, driver, options, labels, clusterSpec } = await exchange.body(volumeCreateRequest);
  if (clusterSpec !== undefined) {
    const wanted = { name, driver, options, labels, cluster: clusterSpec };
    exchange.json(await createClusterVolume(backend, { ...wanted, ...exchange.asked }), 201);
    return;
  }
  const request = { name, driver, options: options ?? null, labels: labels ?? null };
  exchange.json(volumeJson(await backend.volumes.create(request)), 201);
}

async function list(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const { volumes } = backend;
  const filters = Filters.parse(exchange.query.get('filters'), listKeys);
  const dangling = danglingOf(filters);
  const isUsed = volumes.isUsed();
  const found = (await volumes.listAll()).filter(
    ({ name, driver, labels }) =>
      filters.any('name', (part) => name.includes(part)) &&
      filters.any('driver', (wanted) => wanted === driver) &&
      filters.labels('label', labels ?? {}) &&
      (dangling === undefined || dangling === !isUsed(name)),
  );
  const ofSwarm = await clusterVolumes(backend);
  const isHeld = await usedClusterVolumes(backend, ofSwarm);
  const fitting = ofSwarm.filter(
    ({ id, spec }) =>
      filters.any('name', (part) => spec.name.includes(part)) &&
      filters.any('driver', (wanted) => wanted === spec.driver.name) &&
      filters.labels('label', spec.labels) &&
      (dangling === undefined || dangling === !isHeld(id)),
  );
  const all = [...found.map(volumeJson), ...fitting.map(clusterVolumeJson)];
  exchange.json({ Volumes: all, Warnings: null });
}

async function usedClusterVolumes(backend: Backend, volumes: readonly ClusterVolume[]) {
  if (volumes.length === 0) return () => false;
  const view = await backend.manager().read();
  return (id: string) => [...view.tasksOfVolume(id)].length > 0;
}

function danglingOf(filters: Filters): boolean | undefined {
  const values = filters.get('dangling');
  if (values.length === 0) return undefined;
  const isTrue = values.some((value) => ['1', 'true'].includes(value));
  const isFalse = values.some((value) => ['0', 'false'].includes(value));
  if (isTrue !== isFalse) return isTrue;
  throw new SwarmError('invalid-argument', `invalid filter 'dangling=[${values.join(' ')}]'`);
}

async function prune(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const filters = Filters.parse(exchange.query.get('filters'), pruneKeys);
  const isAll = exchange.minor < anonymousOnlySince || allOf(filters);
  const { names, reclaimedBytes } = await backend.volumes.prune((volume: Volume) => {
    const labels = volume.labels ?? {};
    return (
      volume.scope === 'local' &&
      volume.driver === 'local' &&
      (isAll || isAnonymous(volume)) &&
      filters.labels('label', labels) &&
      !(filters.has('label!') && filters.labels('label!', labels))
    );
  });
  exchange.json({ VolumesDeleted: names, SpaceReclaimed: reclaimedBytes });
}

function allOf(filters: Filters): boolean {
  const values = filters.get('all');
  const isTrue = values.some((value) => ['1', 'true'].includes(value));
  const isFalse = values.some((value) => ['0', 'false'].includes(value));
  if (values.length > 0 && isTrue === isFalse) {
    throw new SwarmError('invalid-argument', `invalid filter 'all=[${values.join(' ')}]'`);
  }
  return isTrue;
}

/** For `docker system df`. */
export async function volumeUsages({ backend }: RouteModules): Promise<JsonObject[]> {
  const { volumes } = backend;
  const rows: JsonObject[] = [];
  for (const volume of volumes.list()) {
    const users = volumes.usersOf(volume.name).length;
    rows.push(volumeUsageJson(volume, users, await volumes.sizeOf(volume)));
  }
  return rows;
}
