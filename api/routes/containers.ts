/** Containers: made, listed, and led from one state to another. */
import { SwarmError } from '../../lib/errors.ts';
import { containerDocument, createExtras, type Codec } from '../../types/index.ts';
import { ownOf, type Target } from '../../worker/container/manager.ts';
import type { WaitCondition } from '../../worker/container/standalone.ts';
import { signalNumber } from '../../lib/signals.ts';
import { containerFilterKeys, containerMatcher } from '../container-filters.ts';
import { containerInspectJson, containerSummaryJson } from '../convert/container.ts';
import type { JsonObject } from '../convert/json.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import type { Route } from '../router.ts';
import { pruneContainers } from './container-prune.ts';
import { updateContainer } from './container-update.ts';
import type { RouteModules } from './modules.ts';

export function containerRoutes(modules: RouteModules): Route[] {
  const { containers } = modules.backend;
  const on = (
    method: Route['method'],
    verb: string,
    handle: (exchange: Exchange, target: Target) => Promise<void>,
  ): Route => ({
    method,
    path: verb === '' ? '/containers/{id...}' : `/containers/{id...}/${verb}`,
    handle: async (exchange) => handle(exchange, await containers.find(exchange.param('id'))),
  });
  return [
    { method: 'POST', path: '/containers/create', handle: (exchange) => create(exchange, modules) },
    { method: 'GET', path: '/containers/json', handle: (exchange) => list(exchange, modules) },
    {
      method: 'POST',
      path: '/containers/prune',
      handle: (exchange) => pruneContainers(exchange, modules),
    },
    on('GET', 'json', (exchange, target) => inspect(exchange, target, modules)),
    on('POST', 'start', start),
    on('POST', 'stop', (exchange, target) => stop(exchange, target, modules)),
    on('POST', 'restart', restart),
    {
      method: 'POST',
      path: '/containers/{id...}/kill',
      handle: (exchange) => kill(exchange, modules),
    },
    on('POST', 'pause', async (exchange, target) => {
      await ownOf(target, 'paused').pause();
      exchange.empty(204);
    }),
    on('POST', 'unpause', async (exchange, target) => {
      await ownOf(target, 'unpaused').unpause();
      exchange.empty(204);
    }),
    on('POST', 'rename', async (exchange, target) => {
      await containers.rename(target, exchange.query.get('name') ?? '');
      exchange.empty(204);
    }),
    on('POST', 'update', (exchange, target) => updateContainer(exchange, target, modules)),
    on('POST', 'wait', (exchange, target) => wait(exchange, target, modules)),
    on('DELETE', '', async (exchange, target) => {
      if (exchange.flag('link')) {
        await containers.links.remove(exchange.param('id'));
        exchange.empty(204);
        return;
      }
      const volumes = exchange.flag('v');
      await containers.remove(target, { force: exchange.flag('force'), volumes });
      exchange.empty(204);
    }),
  ];
}

const createDocument: Codec<{
  readonly config: ReturnType<typeof containerDocument.decode>;
  readonly extras: ReturnType<typeof createExtras.decode>;
}> = {
  decode: (value, path) => ({
    config: containerDocument.decode(value, path),
    extras: createExtras.decode(value, path),
  }),
  encode: ({ config, extras }) => ({
    ...(containerDocument.encode(config) as object),
    ...(createExtras.encode(extras) as object),
  }),
};

async function create(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const { config, extras } = await exchange.body(createDocument);
  const name = exchange.query.get('name') ?? '';
  const platform = exchange.query.get('platform') ?? '';
  const { id, warnings } = await backend.containers.create({ name, config, extras, platform });
  exchange.json({ Id: id, Warnings: warnings }, 201);
}

async function list(exchange: Exchange, { backend, clock }: RouteModules): Promise<void> {
  const filters = Filters.parse(exchange.query.get('filters'), containerFilterKeys);
  const limit = Number(exchange.query.get('limit') ?? 0) || 0;
  const [all, images] = await Promise.all([backend.containers.list(), backend.images.list()]);
  const isWanted = containerMatcher(filters, all, images);
  const isShown =
    exchange.flag('all') || limit > 0 || filters.has('status') || filters.has('exited')
      ? () => true
      : (status: string) => ['running', 'paused', 'restarting'].includes(status);
  const found = all.filter((view) => isShown(view.state.status) && isWanted(view));
  const shown = limit > 0 ? found.slice(0, limit) : found;
  const withSize = exchange.flag('size');
  const { snapshotter } = await backend.system.info();
  const rows = await Promise.all(
    shown.map(async (view) => ({
      view,
      size: withSize ? await backend.containers.inside.size(view) : undefined,
    })),
  );
  const nowMs = clock.nowMs();
  const { minor } = exchange;
  const byId = new Map(images.map((image) => [image.id, image]));
  await exchange.jsonList(rows, ({ view, size }) => {
    const image = byId.get(view.record.imageId);
    const facts = { snapshotter, minor, image, ...(size === undefined ? {} : { size }) };
    return containerSummaryJson(view, facts, nowMs);
  });
}

/** All containers with their sizes, as `docker system df` counts them. */
export async function containerUsages(
  { backend, clock }: RouteModules,
  minor: number,
): Promise<JsonObject[]> {
  const { snapshotter } = await backend.system.info();
  const views = await backend.containers.list();
  return Promise.all(
    views.map(async (view) => {
      const size = await backend.containers.inside.size(view);
      return containerSummaryJson(view, { snapshotter, minor, size }, clock.nowMs());
    }),
  );
}

async function inspect(
  exchange: Exchange,
  { view }: Target,
  { backend }: RouteModules,
): Promise<void> {
  const { snapshotter } = await backend.system.info();
  const size = exchange.flag('size') ? await backend.containers.inside.size(view) : undefined;
  const image = await backend.images.get(view.record.imageId);
  const { minor } = exchange;
  exchange.json(
    containerInspectJson(view, {
      snapshotter,
      minor,
      image,
      ...(size === undefined ? {} : { size }),
    }),
  );
}

async function start(exchange: Exchange, target: Target): Promise<void> {
  if (exchange.query.get('checkpoint') || exchange.query.get('checkpoint-dir')) {
    throw new SwarmError('unimplemented', 'checkpoints are not supported by this version');
  }
  const started = await ownOf(target, 'started').start();
  exchange.empty(started ? 204 : 304);
}

/** `t` in seconds, and a signal in the place of the container's own. */
function ending(exchange: Exchange): { seconds?: number; signal?: string } {
  const text = exchange.query.get('t') ?? '';
  const signal = exchange.query.get('signal') ?? '';
  if (signal !== '') signalNumber(signal);
  if (text !== '' && !/^-?\d{1,9}$/.test(text)) {
    throw new SwarmError('invalid-argument', `invalid number of seconds: "${text}"`);
  }
  return {
    ...(text === '' ? {} : { seconds: Number(text) }),
    ...(signal === '' ? {} : { signal }),
  };
}

async function stop(exchange: Exchange, target: Target, modules: RouteModules): Promise<void> {
  const { own } = target;
  const options = ending(exchange);
  const stopped =
    own === undefined
      ? await modules.backend.containers.inside.stopTask(target.view, options)
      : await own.stop(options);
  exchange.empty(stopped ? 204 : 304);
}

async function restart(exchange: Exchange, target: Target): Promise<void> {
  const own = ownOf(target, 'restarted');
  const options = ending(exchange);
  try {
    await own.restart(options);
  } catch (error) {
    const { code, message } = SwarmError.from(error);
    const whole = `Cannot restart container ${exchange.param('id')}: ${message}`;
    throw new SwarmError(code, whole, { cause: error });
  }
  exchange.empty(204);
}

async function kill(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const signal = exchange.query.get('signal') || 'SIGKILL';
  signalNumber(signal);
  try {
    const { own, view } = await backend.containers.find(exchange.param('id'));
    if (own === undefined) await backend.containers.inside.killTask(view, signal);
    else await own.kill(signal);
  } catch (error) {
    const { code, message } = SwarmError.from(error);
    const whole = `cannot kill container: ${exchange.param('id')}: ${message}`;
    throw new SwarmError(code, whole, { cause: error });
  }
  exchange.empty(204);
}

async function wait(exchange: Exchange, target: Target, { backend }: RouteModules): Promise<void> {
  const condition = exchange.query.get('condition') || 'not-running';
  if (!isCondition(condition)) {
    throw new SwarmError('invalid-argument', `invalid condition: "${condition}"`);
  }
  const { own, view } = target;
  const waiting =
    own === undefined
      ? backend.containers.inside.waitTask(view, exchange.signal)
      : own.wait(condition, exchange.signal);
  // At once: only then does a client start what it waits for.
  exchange.begin('application/json');
  await exchange.write(`${JSON.stringify({ StatusCode: await waiting })}\n`);
  exchange.end();
}

function isCondition(text: string): text is WaitCondition {
  return ['not-running', 'next-exit', 'removed'].includes(text);
}
