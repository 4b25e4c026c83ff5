/** Building images: Docker's classic builder. */
import { linkAbort } from '../../lib/abort.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { integer, list, required, string, struct, type Codec } from '../../types/index.ts';
import type { BuildRequest, Ulimit } from '../../worker/build/index.ts';
import { formatPlatform, normalizePlatform, parsePlatform } from '../../worker/image/platform.ts';
import {
  canonicalString,
  familiarString,
  parseReference,
  withDefaultTag,
} from '../../worker/image/reference.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { ProgressStream } from '../progress-stream.ts';
import { parseRegistryConfig } from '../registry-auth.ts';
import type { Route } from '../router.ts';
import { parseUntil } from '../until.ts';
import type { RouteModules } from './modules.ts';

const noBuildKit =
  'this daemon has no BuildKit: set DOCKER_BUILDKIT=0 to build with the classic builder';

export function buildRoutes(modules: RouteModules): Route[] {
  const refuse = () => {
    throw new SwarmError('unimplemented', noBuildKit);
  };
  return [
    { method: 'POST', path: '/build', handle: (exchange) => build(exchange, modules) },
    { method: 'POST', path: '/build/prune', handle: (exchange) => prune(exchange, modules) },
    { method: 'POST', path: '/build/cancel', handle: refuse },
    { method: 'POST', path: '/session', handle: refuse },
    { method: 'POST', path: '/grpc', handle: refuse },
  ];
}

async function build(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const { builder } = backend;
  if (builder === undefined) {
    throw new SwarmError('unimplemented', 'this daemon does not build images');
  }
  const request = readRequest(exchange);
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
    const id = await builder.build(request, exchange.request as AsyncIterable<Buffer>, {
      auth: (domain) => credentials.get(domain),
      onOutput: show,
      signal: link.signal,
    });
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

async function prune(exchange: Exchange, { backend, clock }: RouteModules): Promise<void> {
  if (number(exchange, 'min-free-space') > 0) {
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
    keepBytes: Math.max(...keepNames.map((name) => number(exchange, name))),
  };
  const pruned = await backend.builder?.prune(request, { signal });
  const deleted = pruned?.ids ?? [];
  exchange.json({
    CachesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: pruned?.freedBytes ?? 0,
  });
}

function readRequest(exchange: Exchange): BuildRequest {
  const { query } = exchange;
  refuseWhatIsNot(exchange);
  const text = (name: string) => query.get(name) ?? '';
  return {
    tags: query
      .getAll('t')
      .filter((tag) => tag !== '')
      .map(tagOf),
    remote: text('remote') === 'client-session' ? '' : text('remote'),
    dockerfile: text('dockerfile') === '' ? 'Dockerfile' : text('dockerfile'),
    buildArgs: readRecord(exchange, 'buildargs'),
    labels: readRecord(exchange, 'labels'),
    target: text('target'),
    noCache: exchange.flag('nocache'),
    pull: exchange.flag('pull'),
    squash: exchange.flag('squash'),
    networkMode: text('networkmode'),
    extraHosts: query.getAll('extrahosts').flatMap((text) => hostsOf(text, exchange)),
    ulimits: readUlimits(exchange),
    memoryBytes: number(exchange, 'memory'),
    memorySwapBytes: number(exchange, 'memswap'),
    cpuShares: number(exchange, 'cpushares'),
    cpuPeriodUs: number(exchange, 'cpuperiod'),
    cpuQuotaUs: number(exchange, 'cpuquota'),
    shmBytes: number(exchange, 'shmsize'),
    cpusetCpus: text('cpusetcpus'),
    cpusetMems: text('cpusetmems'),
    cgroupParent: text('cgroupparent'),
  };
}

function refuseWhatIsNot(exchange: Exchange): void {
  const text = (name: string) => exchange.query.get(name) ?? '';
  const refusals: readonly (readonly [boolean, string])[] = [
    [text('version') === '2' || text('session') !== '', noBuildKit],
    [!['', '[]', 'null'].includes(text('outputs')), noBuildKit],
    [
      !['', '[]', 'null'].includes(text('securityopt')),
      'the daemon on this platform does not support setting security options on build',
    ],
    [
      !['', 'default'].includes(text('isolation')),
      'there is no isolation to choose here but default',
    ],
    [
      exchange.query.has('rm') && !exchange.flag('rm'),
      'containers of a build’s steps are always removed: leave out --rm=false',
    ],
    [!isOwnPlatform(text('platform')), "images are built for this node's own platform alone"],
  ];
  const refusal = refusals.find(([applies]) => applies);
  if (refusal !== undefined) throw new SwarmError('unimplemented', refusal[1]);
}

function isOwnPlatform(text: string): boolean {
  if (text === '') return true;
  const host = normalizePlatform({ os: process.platform, architecture: process.arch });
  return formatPlatform(parsePlatform(text, host)) === formatPlatform(host);
}

/** Hints that change nothing of the result, and that this builder has no use for. */
function warningsOf(exchange: Exchange): readonly string[] {
  const cacheFrom = exchange.query.get('cachefrom') ?? '';
  if (['', '[]', 'null'].includes(cacheFrom)) return [];
  return ['cache-from is not used: the cache is what was built on this node before'];
}

function tagOf(text: string): string {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest === undefined) return canonicalString(reference);
  throw new SwarmError('invalid-argument', 'invalid tag: a digest cannot be given to a build');
}

/** Docker's client repeats the parameter; others send a list in one, as JSON or with commas. */
function hostsOf(text: string, exchange: Exchange): readonly string[] {
  if (text.startsWith('[')) return readJson(exchange, 'extrahosts', list(string));
  return text.split(',').filter((entry) => entry !== '');
}

function readUlimits(exchange: Exchange): readonly Ulimit[] {
  const codec = list(
    struct({
      name: required('Name', string, ''),
      soft: required('Soft', integer, 0),
      hard: required('Hard', integer, 0),
    }),
  );
  return readJson(exchange, 'ulimits', codec);
}

function number(exchange: Exchange, name: string): number {
  const text = exchange.query.get(name) ?? '';
  if (text === '') return 0;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new SwarmError('invalid-argument', `invalid value for ${name}: ${JSON.stringify(text)}`);
}

/** A record of texts; a value of null, which Docker's CLI sends for what is not set, is left out. */
function readRecord(exchange: Exchange, name: string): Record<string, string> {
  const document: unknown = parse(exchange, name, '{}') ?? {};
  const entries = Object.entries(document as Record<string, unknown>);
  const wrong = entries.find(([, value]) => value !== null && typeof value !== 'string');
  if (typeof document !== 'object' || Array.isArray(document) || wrong !== undefined) {
    throw new SwarmError('invalid-argument', `invalid value for ${name}: not an object of texts`);
  }
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

function readJson<T>(exchange: Exchange, name: string, codec: Codec<T>): T {
  try {
    return codec.decode(parse(exchange, name, '[]') ?? [], '');
  } catch (cause) {
    throw new SwarmError('invalid-argument', `invalid value for ${name}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function parse(exchange: Exchange, name: string, otherwise: string): unknown {
  const text = exchange.query.get(name) ?? '';
  try {
    return JSON.parse(text === '' ? otherwise : text);
  } catch (cause) {
    throw new SwarmError('invalid-argument', `invalid value for ${name}: not JSON`, { cause });
  }
}

function headerOf(exchange: Exchange, name: string): string {
  const header = exchange.request.headers[name];
  return typeof header === 'string' ? header : '';
}
