import { linkAbort, withAbort } from '../../lib/abort.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { optional, registryOfImage, string, struct } from '../../types/index.ts';
import type { Distribution, Image, RegistryAuth } from '../../worker/image/images.ts';
import {
  distributionJson,
  imageHistoryJson,
  imageInspectJson,
  imageSummaryJson,
} from '../convert/image.ts';
import { imageUsages } from '../convert/image-usage.ts';
import type { JsonObject } from '../convert/json.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { imageFilterKeys, imageMatcher, withNamesAskedFor } from '../image-filters.ts';
import { ProgressStream } from '../progress-stream.ts';
import { parseRegistryAuth } from '../registry-auth.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

const distributionTimeoutMs = 5_000;

export function imageRoutes(modules: RouteModules): Route[] {
  const { backend } = modules;
  const { images } = backend;
  return [
    { method: 'GET', path: '/images/json', handle: (exchange) => list(exchange, modules) },
    { method: 'POST', path: '/images/create', handle: (exchange) => create(exchange, modules) },
    {
      method: 'GET',
      path: '/images/{name...}/json',
      async handle(exchange) {
        await inspect(exchange, modules);
      },
    },
    {
      method: 'GET',
      path: '/images/{name...}/history',
      async handle(exchange) {
        const platform = platformOf(exchange, platformSince.history);
        const image = await find(modules, exchange.param('name'), platform);
        exchange.json(imageHistoryJson(image, (time) => Math.floor(createdAtMs(time) / 1000)));
      },
    },
    {
      method: 'POST',
      path: '/images/{name...}/tag',
      async handle(exchange) {
        const repo = exchange.query.get('repo') ?? '';
        if (repo === '') throw new SwarmError('invalid-argument', 'the parameter repo is missing');
        if (repo === 'sha256') {
          throw new SwarmError(
            'invalid-argument',
            'refusing to create an ambiguous tag using digest algorithm as name',
          );
        }
        await find(modules, exchange.param('name'));
        await images.tag(exchange.param('name'), joinTag(repo, exchange.query.get('tag')));
        exchange.empty(201);
      },
    },
    {
      method: 'DELETE',
      path: '/images/{name...}',
      async handle(exchange) {
        await find(modules, exchange.param('name'));
        const platforms = goingPlatforms(exchange);
        const removed = await images.remove(exchange.param('name'), {
          force: exchange.flag('force'),
          ...(platforms.length === 0 ? {} : { platforms }),
          inUse: (imageId) =>
            backend.system.imageUser(imageId) ?? backend.containers.imageUser(imageId),
        });
        exchange.json(
          removed.map((item) =>
            'untagged' in item ? { Untagged: item.untagged } : { Deleted: item.deleted },
          ),
        );
      },
    },
    {
      method: 'GET',
      path: '/distribution/{name...}/json',
      async handle(exchange) {
        exchange.json(distributionJson(await distribution(exchange, modules)));
      },
    },
  ];
}

/** What leaves the node, and what comes in as an archive. Before the routes of single images. */
export function imageTransferRoutes(modules: RouteModules): Route[] {
  return [
    { method: 'POST', path: '/images/load', handle: (exchange) => load(exchange, modules) },
    {
      method: 'GET',
      path: '/images/get',
      handle: (exchange) => save(exchange, modules, namesOf(exchange)),
    },
    {
      method: 'GET',
      path: '/images/{name...}/get',
      handle: (exchange) => save(exchange, modules, [exchange.param('name')]),
    },
    {
      method: 'POST',
      path: '/images/{name...}/push',
      handle: (exchange) => push(exchange, modules),
    },
  ];
}

/** The time of an image's configuration; an image without a sensible one is as old as can be. */
export function createdAtMs(createdAt: string): number {
  const ms = Date.parse(createdAt);
  return Number.isFinite(ms) ? ms : 0;
}

/** Of the API, 1.N: since then the platform of an image can be told. Before, it was ignored. */
const platformSince = { push: 46, history: 48, load: 48, save: 48, inspect: 49, remove: 50 };
/** The same for what an image consists of. */
const manifestsSince = { list: 47, inspect: 48 };

async function inspect(exchange: Exchange, modules: RouteModules): Promise<void> {
  const { images } = modules.backend;
  const { minor } = exchange;
  const withManifests = minor >= manifestsSince.inspect && exchange.flag('manifests');
  const platform = platformOf(exchange, platformSince.inspect);
  if (withManifests && platform !== undefined) {
    throw new SwarmError(
      'invalid-argument',
      'conflicting options: manifests and platform options cannot both be set',
    );
  }
  const image = await find(modules, exchange.param('name'), platform);
  const manifests = withManifests ? await images.manifests(image) : undefined;
  const containersOf = await containersByImage(modules, withManifests);
  exchange.json(
    imageInspectJson(image, {
      minor,
      containersOf,
      ...(manifests === undefined ? {} : { manifests }),
    }),
  );
}

/** Looked up for those alone who ask for more than the image itself. */
async function containersByImage(
  { backend }: RouteModules,
  isAsked: boolean,
): Promise<(imageId: string) => readonly string[]> {
  const views = isAsked ? await backend.containers.list() : [];
  return (imageId) =>
    views.filter(({ record }) => record.imageId === imageId).map(({ record }) => record.id);
}

/** Platforms whose images alone are to go. */
function goingPlatforms(exchange: Exchange): readonly string[] {
  if (exchange.minor < platformSince.remove) return [];
  const platforms = exchange.query.getAll('platforms').map(parsePlatformJson);
  if (platforms.length > 0 && !exchange.flag('force')) {
    throw new SwarmError(
      'invalid-argument',
      'Content will be removed from all images referencing this variant. Use --force to force ' +
        'delete.',
    );
  }
  return platforms;
}

async function find({ backend }: RouteModules, name: string, platform?: string): Promise<Image> {
  const image = await backend.images.get(name, platform === undefined ? {} : { platform });
  if (image === undefined) {
    const shown = hasVersion(name) ? name : `${name}:latest`;
    throw new SwarmError('not-found', `No such image: ${shown}`);
  }
  return image;
}

/**
 * Docker's CLI asks before it creates a service, and goes on without an answer: a registry that
 * cannot be reached may not hold it up for as long as a pull would try.
 */
async function distribution(exchange: Exchange, modules: RouteModules): Promise<Distribution> {
  const name = exchange.param('name');
  using limit = linkAbort(exchange.signal);
  const timer = modules.clock.after(distributionTimeoutMs, () =>
    limit.abort(
      new SwarmError(
        'unavailable',
        `the registry of ${name} has not answered within ${distributionTimeoutMs / 1000} seconds`,
      ),
    ),
  );
  try {
    return await withAbort(
      modules.backend.images.distribution(name, await authOrLogin(exchange, modules, name)),
      limit.signal,
    );
  } finally {
    timer.cancel();
  }
}

async function list(exchange: Exchange, modules: RouteModules): Promise<void> {
  const { backend } = modules;
  const { minor } = exchange;
  const filters = Filters.parse(exchange.query.get('filters'), imageFilterKeys);
  const images = await backend.images.list();
  const isWanted = imageMatcher(filters, images, (image) => createdAtMs(image.createdAt));
  const newestFirst = images
    .filter(isWanted)
    .map((image) => ({ image, atMs: createdAtMs(image.createdAt) }))
    .toSorted((a, b) => b.atMs - a.atMs || (a.image.id < b.image.id ? -1 : 1));
  const withManifests = minor >= manifestsSince.list && exchange.flag('manifests');
  const containersOf = await containersByImage(modules, withManifests);
  const withShared = minor >= sharedSizeSince && exchange.flag('shared-size');
  const { usageOf } = imageUsages(withShared ? images : [], []);
  const rows: JsonObject[] = [];
  for (const { image, atMs } of newestFirst) {
    const manifests = withManifests ? { manifests: await backend.images.manifests(image) } : {};
    const usage = withShared ? { usage: { sharedBytes: usageOf(image.id).sharedBytes } } : {};
    const options = { minor, containersOf, ...manifests, ...usage };
    rows.push({
      ...imageSummaryJson(withNamesAskedFor(filters, image), atMs, options),
      ...(minor < firstWithoutNames ? namesForOld(image) : {}),
    });
  }
  exchange.json(rows);
}

/** Of the API, 1.N: since then, lists tell on request what images share with others. */
const sharedSizeSince = 42;

/** Of the API, 1.N: since then, an image without a name has none in lists, too. */
const firstWithoutNames = 43;

/** Older clients would not show an image without a row that says so. */
function namesForOld({ repoDigests, repoTags }: Image): JsonObject {
  if (repoTags.length > 0 || repoDigests.length > 0) return {};
  return { RepoTags: ['<none>:<none>'], RepoDigests: ['<none>@<none>'] };
}

async function create(exchange: Exchange, modules: RouteModules): Promise<void> {
  const fromImage = exchange.query.get('fromImage') ?? '';
  const fromSrc = exchange.query.get('fromSrc') ?? '';
  if (fromImage !== '') await pull(exchange, modules, fromImage);
  else if (fromSrc === '-') await importImage(exchange, modules);
  else if (fromSrc !== '') {
    throw new SwarmError(
      'unimplemented',
      'this daemon does not fetch archives from URLs: send the archive itself (fromSrc=-)',
    );
  } else {
    throw new SwarmError('invalid-argument', 'one of fromImage and fromSrc is required');
  }
}

async function pull(exchange: Exchange, modules: RouteModules, name: string): Promise<void> {
  const { images } = modules.backend;
  const platform = exchange.query.get('platform') ?? '';
  const reference = joinTag(name, exchange.query.get('tag'));
  const access = { ...authOf(exchange), signal: exchange.signal };
  const progress = new ProgressStream(exchange);
  const one = (wanted: string) =>
    images.pull(wanted, {
      ...access,
      ...(platform === '' ? {} : { platform }),
      onProgress: (step) => progress.report(step),
    });
  await progress.run(async () => {
    if (hasVersion(reference)) await one(reference);
    // Docker's reading of a name alone: everything that the repository has.
    else for (const tag of await images.tags(reference, access)) await one(`${reference}:${tag}`);
  });
}

async function push(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const reference = joinTag(exchange.param('name'), exchange.query.get('tag'));
  const progress = new ProgressStream(exchange);
  const platform = platformOf(exchange, platformSince.push);
  await progress.run(() =>
    backend.images.push(reference, {
      ...authOf(exchange),
      ...(platform === undefined ? {} : { platform }),
      onProgress: (step) => progress.report(step),
      signal: exchange.signal,
    }),
  );
}

async function importImage(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const platform = exchange.query.get('platform') ?? '';
  const repo = exchange.query.get('repo') ?? '';
  const message = exchange.query.get('message') ?? '';
  const progress = new ProgressStream(exchange);
  await progress.run(async () => {
    const id = await backend.images.import(bodyOf(exchange), {
      ...(repo === '' ? {} : { reference: joinTag(repo, exchange.query.get('tag')) }),
      ...(message === '' ? {} : { message }),
      ...(platform === '' ? {} : { platform }),
      changes: exchange.query.getAll('changes'),
    });
    progress.say(id);
  });
}

async function load(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const platform = platformOf(exchange, platformSince.load);
  const progress = new ProgressStream(exchange);
  await progress.run(async () => {
    const options = platform === undefined ? {} : { platform };
    for (const name of await backend.images.load(bodyOf(exchange), options)) {
      const kind = name.startsWith('sha256:') ? 'Loaded image ID' : 'Loaded image';
      progress.print(`${kind}: ${name}\n`);
    }
  });
}

async function save(
  exchange: Exchange,
  { backend }: RouteModules,
  names: readonly string[],
): Promise<void> {
  const platform = platformOf(exchange, platformSince.save);
  const archive = await backend.images.save(names, {
    signal: exchange.signal,
    ...(platform === undefined ? {} : { platform }),
  });
  exchange.begin('application/x-tar');
  for await (const chunk of archive) await exchange.write(chunk);
  exchange.end();
}

function namesOf(exchange: Exchange): readonly string[] {
  const names = exchange.query.getAll('names').filter((name) => name !== '');
  if (names.length > 0) return names;
  throw new SwarmError('invalid-argument', 'no images to save: give the parameter names');
}

/** The body as it comes in; it is read no faster than it is taken. */
async function* bodyOf(exchange: Exchange): AsyncIterable<Uint8Array> {
  for await (const chunk of exchange.request) {
    exchange.signal.throwIfAborted();
    yield chunk as Buffer;
  }
}

/** What the client sent, or the swarm's own login at the image's registry. */
async function authOrLogin(
  exchange: Exchange,
  { backend }: RouteModules,
  name: string,
): Promise<{ auth?: RegistryAuth }> {
  const given = authOf(exchange);
  const { username, identityToken, registryToken } = given.auth ?? {};
  if (username || identityToken || registryToken || !backend.swarm.status().isManager) return given;
  const logins = (await backend.manager().read()).cluster()?.registryLogins ?? [];
  const login = logins.find(({ registry }) => registry === registryOfImage(name));
  const auth = login === undefined ? undefined : parseRegistryAuth(login.auth);
  return auth === undefined ? given : { auth };
}

function authOf(exchange: Exchange): { auth?: RegistryAuth } {
  const header = exchange.request.headers['x-registry-auth'];
  const auth = typeof header === 'string' ? parseRegistryAuth(header) : undefined;
  return auth === undefined ? {} : { auth };
}

const platformDocument = struct({
  os: optional('os', string),
  architecture: optional('architecture', string),
  variant: optional('variant', string),
});

/** Where the API has a platform as a document, not as text; before 1.N of it, there is none. */
function platformOf(exchange: Exchange, sinceMinor: number): string | undefined {
  const texts = exchange.query.getAll('platform').filter((text) => text !== '');
  const [text] = texts;
  if (text === undefined || exchange.minor < sinceMinor) return undefined;
  if (texts.length === 1) return parsePlatformJson(text);
  throw new SwarmError(
    'invalid-argument',
    'multiple platform parameters are not supported in this API version: give one',
  );
}

function parsePlatformJson(text: string): string {
  try {
    const {
      os = 'linux',
      architecture = '',
      variant = '',
    } = platformDocument.decode(JSON.parse(text), '');
    return [os, architecture, variant].filter((part) => part !== '').join('/');
  } catch (cause) {
    throw new SwarmError('invalid-argument', `failed to parse platform: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** Whether the name says which tag or digest is meant. */
function hasVersion(name: string): boolean {
  return name.includes('@') || name.lastIndexOf(':') > name.lastIndexOf('/');
}

/** A name that has a tag or a digest keeps it. */
function joinTag(name: string, tag: string | null): string {
  if (tag === null || tag === '') return name;
  return tag.includes(':') ? `${name}@${tag}` : `${name}:${tag}`;
}
