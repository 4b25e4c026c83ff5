/** Volumes of this node. */
import { SwarmError } from '../../lib/errors.ts';
import { optional, record, required, string, struct } from '../../types/index.ts';
import { isAnonymous, type Volume } from '../../worker/volume/index.ts';
import { volumeJson, volumeUsageJson } from '../convert/volume.ts';
import type { JsonObject } from '../convert/json.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import type { Route } from '../router.ts';
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
  clusterSpec: optional('ClusterVolumeSpec', {
    decode: (value: unknown) => value,
    encode: (value: unknown) => value,
  }),
});

const noClusterVolumes =
  'cluster volumes need a CSI driver, and this version has none: create a volume of a driver that ' +
  'every node has, such as local with NFS, or a volume plugin';

export function volumeRoutes(modules: RouteModules): Route[] {
  const { volumes } = modules.backend;
  return [
    { method: 'GET', path: '/volumes', handle: (exchange) => list(exchange, modules) },
    { method: 'POST', path: '/volumes/create', handle: (exchange) => create(exchange, modules) },
    { method: 'POST', path: '/volumes/prune', handle: (exchange) => prune(exchange, modules) },
    {
      method: 'GET',
      path: '/volumes/{name}',
      async handle(exchange) {
        exchange.json(volumeJson(await volumes.inspect(exchange.param('name'))));
      },
    },
    {
      method: 'PUT',
      path: '/volumes/{name}',
      handle(exchange) {
        // Only those of the cluster can change, and none is.
        volumes.get(exchange.param('name'));
        throw new SwarmError('unimplemented', noClusterVolumes);
      },
    },
    {
      method: 'DELETE',
      path: '/volumes/{name}',
      async handle(exchange) {
        await volumes.remove(exchange.param('name'), { force: exchange.flag('force') });
        exchange.empty(204);
      },
    },
  ];
}

async function create(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const { name, driver, options, labels, clusterSpec } = await exchange.body(volumeCreateRequest);
  if (clusterSpec !== undefined && clusterSpec !== null) {
    throw new SwarmError('unimplemented', noClusterVolumes);
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
  exchange.json({ Volumes: found.map(volumeJson), Warnings: null });
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
