import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { StoreView } from '../../manager/store/view.ts';
import type { CacheUse } from '../../worker/build/index.ts';
import { imageSummaryJson } from '../convert/image.ts';
import { imageUsages } from '../convert/image-usage.ts';
import { infoJson, swarmInfoJson, versionJson } from '../convert/info.ts';
import type { JsonObject } from '../convert/json.ts';
import { clusterInfoJson } from '../convert/swarm.ts';
import { timeText } from '../convert/time.ts';
import type { Exchange } from '../exchange.ts';
import type { Route } from '../router.ts';
import { tlsInfoOf } from '../tls-info.ts';
import { containerUsages } from './containers.ts';
import { createdAtMs } from './images.ts';
import type { RouteModules } from './modules.ts';
import { volumeUsages } from './volumes.ts';

const twoManagers =
  'WARNING: Running Swarm in a two-manager configuration. This configuration provides\n' +
  '         no fault tolerance, and poses a high risk to lose control over the cluster.';

export function systemRoutes(modules: RouteModules): Route[] {
  const { backend } = modules;
  const ping = (exchange: Exchange) => {
    const { state, isManager } = backend.swarm.status();
    const role = isManager ? 'manager' : 'worker';
    exchange.header('Cache-Control', 'no-cache, no-store, must-revalidate');
    exchange.header('Pragma', 'no-cache');
    // What docker's CLI takes where DOCKER_BUILDKIT does not say otherwise.
    exchange.header('Builder-Version', '2');
    exchange.header('Swarm', state === 'active' ? `${state}/${role}` : state);
    exchange.text(exchange.request.method === 'HEAD' ? '' : 'OK');
  };
  return [
    { method: 'GET', path: '/_ping', handle: ping },
    { method: 'HEAD', path: '/_ping', handle: ping },
    {
      method: 'GET',
      path: '/version',
      async handle(exchange) {
        const host = await backend.system.info();
        const nodeVersion = process.version;
        exchange.json(versionJson({ version: backend.system.version, host, nodeVersion }));
      },
    },
    {
      method: 'GET',
      path: '/info',
      async handle(exchange) {
        exchange.json(await info(modules, exchange.minor));
      },
    },
    {
      method: 'GET',
      path: '/system/df',
      async handle(exchange) {
        exchange.json(await diskUsage(modules, exchange));
      },
    },
  ];
}

const usageKinds = ['container', 'image', 'volume', 'build-cache'];

/** What is on the disk; of these kinds alone, where any are named. */
async function diskUsage(
  modules: RouteModules,
  { minor, query }: Pick<Exchange, 'minor' | 'query'>,
): Promise<JsonObject> {
  const kinds = query.getAll('type');
  const unknown = kinds.find((kind) => !usageKinds.includes(kind));
  if (unknown !== undefined) {
    throw new SwarmError('invalid-argument', `unknown object type: ${unknown}`);
  }
  const isAsked = (kind: string) => kinds.length === 0 || kinds.includes(kind);
  return {
    ...(isAsked('image') ? await imagesUsage(modules, minor) : {}),
    ...(isAsked('container') ? { Containers: await containerUsages(modules, minor) } : {}),
    ...(isAsked('volume') ? { Volumes: await volumeUsages(modules) } : {}),
    ...(isAsked('build-cache') ? await cacheUsages(modules, minor) : {}),
  };
}

async function imagesUsage({ backend }: RouteModules, minor: number): Promise<JsonObject> {
  const [images, containers] = await Promise.all([
    backend.images.list(),
    backend.containers.list(),
  ]);
  const imageIds = containers.map(({ record }) => record.imageId);
  const { layersBytes, usageOf } = imageUsages(images, imageIds);
  return {
    LayersSize: layersBytes,
    Images: images.map((image) => {
      const usage = usageOf(image.id);
      return imageSummaryJson(image, createdAtMs(image.createdAt), { minor, usage });
    }),
  };
}

async function cacheUsages({ backend }: RouteModules, minor: number): Promise<JsonObject> {
  const entries = (await backend.builder?.usage()) ?? [];
  const BuilderSize = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return {
    BuildCache: entries.map((entry) => cacheUseJson(entry, minor)),
    // Newer clients add up what is listed.
    ...(minor < newCacheMinor ? { BuilderSize } : {}),
  };
}

const newCacheMinor = 42;

function cacheUseJson(entry: CacheUse, minor: number): JsonObject {
  const { id, parent, names, createdAtMs, sizeBytes } = entry;
  const isNew = minor >= newCacheMinor;
  return {
    ID: id,
    Parent: isNew || parent === '' ? undefined : parent,
    Parents: isNew && parent !== '' ? [parent] : undefined,
    Type: 'regular',
    Description: names[0] ?? 'a step of a build',
    InUse: false,
    Shared: false,
    Size: sizeBytes,
    CreatedAt: timeText(createdAtMs),
    // Which build has met it is not kept.
    LastUsedAt: null,
    UsageCount: 0,
  };
}

async function info({ backend, clock, events }: RouteModules, minor: number): Promise<JsonObject> {
  const { system } = backend;
  const { error, view } = await managerView(backend);
  const status = backend.swarm.status();
  const managers = view === undefined ? 0 : countManagers(view);
  return infoJson({
    minor,
    version: system.version,
    dataRoot: system.dataRoot,
    host: await system.info(),
    systemTime: timeText(clock.nowMs()),
    eventListeners: events.listenerCount,
    swarm: swarmInfoJson({
      status: error === undefined ? status : { ...status, error },
      ...managerFacts(view, managers),
    }),
    warnings: managers === 2 ? [twoManagers] : [],
  });
}

/** A swarm that is in trouble must not take `docker info` away: the trouble is part of it. */
async function managerView(
  backend: RouteModules['backend'],
): Promise<{ view?: StoreView; error?: string }> {
  const { isManager, state } = backend.swarm.status();
  if (!isManager || state !== 'active') return {};
  try {
    return { view: await backend.manager().read() };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function managerFacts(view: StoreView | undefined, managers: number) {
  const cluster = view?.cluster();
  if (view === undefined || cluster === undefined) return {};
  return {
    manager: {
      nodes: [...view.nodes()].length,
      managers,
      cluster: clusterInfoJson(cluster, tlsInfoOf(cluster)),
    },
  };
}

function countManagers(view: StoreView): number {
  return [...view.nodes()].filter((node) => node.manager !== undefined).length;
}
