/** Registries' users and searches, and images that nothing needs any more. */
import { SwarmError } from '../../lib/errors.ts';
import { parseReference } from '../../worker/image/reference.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { imageMatcher } from '../image-filters.ts';
import { domainOf, parseRegistryAuth, registryCredentials } from '../registry-auth.ts';
import type { Route } from '../router.ts';
import { parseUntil } from '../until.ts';
import { createdAtMs } from './images.ts';
import type { RouteModules } from './modules.ts';

const maxResults = 100;
const usualResults = 25;

export function registryServiceRoutes(modules: RouteModules): Route[] {
  return [
    { method: 'POST', path: '/auth', handle: (exchange) => login(exchange, modules) },
    { method: 'GET', path: '/images/search', handle: (exchange) => search(exchange, modules) },
    { method: 'POST', path: '/images/prune', handle: (exchange) => prune(exchange, modules) },
  ];
}

async function login(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const auth = await exchange.body(registryCredentials);
  const domain = domainOf(auth.serverAddress ?? '');
  await backend.images.login(domain, auth, { signal: exchange.signal });
  exchange.json({ Status: 'Login Succeeded', IdentityToken: '' });
}

async function search(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const term = exchange.query.get('term') ?? '';
  const limit = limitOf(exchange);
  const filters = Filters.parse(exchange.query.get('filters'), [
    'is-automated',
    'is-official',
    'stars',
  ]);
  const stars = filters.get('stars').map(starsOf);
  const isOfficial = truthOf(filters, 'is-official');
  const isAutomated = truthOf(filters, 'is-automated');
  const { domain, query } = splitTerm(term);
  const header = exchange.request.headers['x-registry-auth'];
  const auth = typeof header === 'string' ? parseRegistryAuth(header) : undefined;
  const options = { signal: exchange.signal, ...(auth === undefined ? {} : { auth }) };
  const found = await backend.images.search(domain, { term: query, limit }, options);
  const kept = found.filter(
    (result) =>
      stars.every((least) => result.stars >= least) &&
      (isOfficial === undefined || isOfficial === result.isOfficial) &&
      (isAutomated === undefined || isAutomated === result.isAutomated),
  );
  exchange.json(
    kept.map((result) => ({
      star_count: result.stars,
      is_official: result.isOfficial,
      name: result.name,
      is_automated: result.isAutomated,
      description: result.description,
    })),
  );
}

async function prune(exchange: Exchange, modules: RouteModules): Promise<void> {
  const { backend, clock } = modules;
  const keys = ['dangling', 'label', 'label!', 'until'];
  const filters = Filters.parse(exchange.query.get('filters'), keys);
  const isDangling = truthOf(filters, 'dangling') ?? true;
  const until = filters.get('until').map((text) => parseUntil(text, clock.nowMs()));
  const others = filters.only(['label', 'label!']);
  const matches = imageMatcher(others, [], (image) => createdAtMs(image.createdAt));
  const { removed, reclaimedBytes } = await backend.images.prune({
    wanted: (image) =>
      (!isDangling || image.repoTags.length === 0) &&
      until.every((limitMs) => createdAtMs(image.createdAt) < limitMs) &&
      matches(image),
    inUse: (imageId) => backend.system.imageUser(imageId) ?? backend.containers.imageUser(imageId),
  });
  exchange.json({
    ImagesDeleted:
      removed.length === 0
        ? null
        : removed.map((step) =>
            'untagged' in step ? { Untagged: step.untagged } : { Deleted: step.deleted },
          ),
    SpaceReclaimed: reclaimedBytes,
  });
}

/** "host:5000/word" is searched for at that registry, "word" and "some/word" at Docker Hub. */
function splitTerm(term: string): { domain: string; query: string } {
  if (term === '') throw new SwarmError('invalid-argument', 'a search needs a term');
  const slash = term.indexOf('/');
  const host = term.slice(0, Math.max(0, slash));
  if (!/[.:]/.test(host) && host !== 'localhost') return { domain: 'docker.io', query: term };
  const { domain } = parseReference(`${host}/x`);
  return { domain, query: term.slice(slash + 1) };
}

function limitOf(exchange: Exchange): number {
  const text = exchange.query.get('limit') ?? '';
  if (text === '' || text === '0') return usualResults;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= maxResults) return limit;
  throw new SwarmError(
    'invalid-argument',
    `Limit ${text} is outside the range of [1, ${maxResults}]`,
  );
}

function starsOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new SwarmError('invalid-argument', `invalid filter 'stars=${text}'`);
}

function truthOf(filters: Filters, key: string): boolean | undefined {
  const [value] = filters.get(key);
  if (value === undefined) return undefined;
  if (['true', '1'].includes(value)) return true;
  if (['false', '0'].includes(value)) return false;
  throw new SwarmError('invalid-argument', `invalid filter '${key}=${value}'`);
}
