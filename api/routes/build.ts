/** Building images: Docker's classic builder. */
import { linkAbort } from '../../lib/abort.ts';
import { SwarmError } from '../../lib/errors.ts';
import { SentInput, textReport } from '../../worker/build/index.ts';
import { familiarString, parseReference } from '../../worker/image/reference.ts';
import { builderPruned } from '../convert/event.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { ProgressStream } from '../progress-stream.ts';
import { parseRegistryConfig } from '../registry-auth.ts';
import type { Route } from '../router.ts';
import { parseUntil } from '../until.ts';
import { cancelBuild, buildByKit, openSession } from './build-kit.ts';
import { numberOf, readBuildRequest, warningsOf } from './build-request.ts';
import type { RouteModules } from './modules.ts';

const noBuildx =
  'this daemon builds for the docker CLI, and has no BuildKit that buildx could drive: set ' +
  'DOCKER_BUILDKIT=0';

export function buildRoutes(modules: RouteModules): Route[] {
  const refuse = () => {
    throw new SwarmError('unimplemented', noBuildx);
  };
  return [
    { method: 'POST', path: '/build', handle: (exchange) => build(exchange, modules) },
    { method: 'POST', path: '/build/prune', handle: (exchange) => prune(exchange, modules) },
    { method: 'POST', path: '/build/cancel', handle: (exchange) => cancelBuild(exchange, modules) },
    { method: 'POST', path: '/session', handle: (exchange) => openSession(exchange, modules) },
    { method: 'POST', path: '/grpc', handle: refuse },
  ];
}

async function build(exchange: Exchange, modules: RouteModules): Promise<void> {
  const { builder } = modules.backend;
  if (builder === undefined) {
    throw new SwarmError('unimplemented', 'this daemon does not build images');
  }
  if (exchange.query.get('version') === '2') {
    await buildByKit(exchange, builder, modules);
    return;
  }
  const request = readBuildRequest(exchange);
  const credentials = parseRegistryConfig(headerOf(exchange, 'x-registry-config'));
  const isQuiet = exchange.flag('q');
  const progress = new ProgressStream(exchange);
  using link = linkAbort(exchange.signal);
  const show = (text: string) => {
    if (isQuiet || progress.print(text)) return;
    const message = 'the output of the build comes faster than the client reads it';
    link.abort(new SwarmError('resource-exhausted', message));
  };
  await progress.run(async () => {
    for (const warning of warningsOf(exchange)) show(`[Warning] ${warning}\n`);
    const sent = exchange.request as AsyncIterable<Buffer>;
    const input = new SentInput(sent, (domain) => credentials.get(domain));
    const report = textReport(show);
    const id = await builder.build(request, input, { report, signal: link.signal });
    progress.report({ status: '', aux: { ID: id } });
    if (isQuiet) {
      progress.tell(`${id}\n`);
      return;
    }
    // Libraries find the image's id at the end of a message.
    progress.tell(`Successfully built ${id.replace('sha256:', '').slice(0, 12)}\n`);
    for (const tag of request.tags) {
      progress.tell(`Successfully tagged ${familiarString(parseReference(tag))}\n`);
    }
  });
}

/** What is kept besides: the oldest steps go until no more than this is taken. */
const keepNames = ['keep-storage', 'reserved-space', 'max-used-space'] as const;
/** Of Docker's filters, those that say something of this cache: "unused-for" is the old "until". */
const pruneFilters = ['until', 'unused-for', 'id', 'label', 'label!'] as const;

async function prune(exchange: Exchange, modules: RouteModules): Promise<void> {
  const { backend, clock, events } = modules;
  if (numberOf(exchange, 'min-free-space') > 0) {
    throw new SwarmError(
      'unimplemented',
      'the cache cannot be pruned by the space that is free: say what it may keep',
    );
  }
  const filters = Filters.parse(exchange.query.get('filters'), pruneFilters);
  if (filters.has('label')) {
    // As of a prune of all kinds at once: nothing of the cache has labels.
    exchange.json({ CachesDeleted: null, SpaceReclaimed: 0 });
    return;
  }
  const moments = [...filters.get('until'), ...filters.get('unused-for')];
  const { signal } = exchange;
  const request = {
    all: exchange.flag('all'),
    untilMs: Math.min(Infinity, ...moments.map((text) => parseUntil(text, clock.nowMs()))),
    ids: filters.get('id'),
    keepBytes: Math.max(...keepNames.map((name) => numberOf(exchange, name))),
  };
  const pruned = await backend.builder?.prune(request, { signal });
  const { ids: deleted = [], freedBytes = 0 } = pruned ?? {};
  events.tell(builderPruned(freedBytes, clock.nowMs()));
  exchange.json({
    CachesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: freedBytes,
  });
}

function headerOf(exchange: Exchange, name: string): string {
  const header = exchange.request.headers[name];
  return typeof header === 'string' ? header : '';
}
