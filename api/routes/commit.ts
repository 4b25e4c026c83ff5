/** POST /commit: an image of what a container has become. */
import { containerDocument, nullable } from '../../types/index.ts';
import { ownOf } from '../../worker/container/manager.ts';
import type { JsonObject } from '../convert/json.ts';
import { familiarString, parseReference, withDefaultTag } from '../../worker/image/reference.ts';
import type { Exchange } from '../exchange.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

/** What containers made of the image inherit; the rest is a container's own. */
const inherited = [
  'Cmd',
  'Entrypoint',
  'Env',
  'ExposedPorts',
  'Healthcheck',
  'Labels',
  'OnBuild',
  'Shell',
  'StopSignal',
  'User',
  'Volumes',
  'WorkingDir',
];

const nothing = containerDocument.decode({}, '');

export function commitRoutes(modules: RouteModules): Route[] {
  return [{ method: 'POST', path: '/commit', handle: (exchange) => commit(exchange, modules) }];
}

async function commit(exchange: Exchange, { backend }: RouteModules): Promise<void> {
  const { containers, images } = backend;
  const { query } = exchange;
  const target = await containers.find(query.get('container') ?? '');
  const own = ownOf(target, 'made an image of');
  // What the client says of the new image's configuration counts more than what the container has.
  const given = encoded((await exchange.body(nullable(containerDocument))) ?? nothing);
  const { record } = own;
  const repo = query.get('repo') ?? '';
  const tag = query.get('tag') ?? '';
  const reference = tag === '' ? repo : `${repo}:${tag}`;
  const comment = query.get('comment') ?? '';
  const pauses = own.state.status === 'running' && (!query.has('pause') || exchange.flag('pause'));
  if (pauses) await own.pause();
  try {
    const id = await images.commit({
      imageId: record.imageId,
      mounts: await containers.archives.layerMounts(target),
      config: { ...encoded(record.config), ...given },
      changes: query.getAll('changes'),
      author: query.get('author') ?? '',
      comment,
      createdBy: record.argv.join(' '),
      ...(repo === '' ? {} : { reference }),
    });
    const imageRef = repo === '' ? '' : familiarString(withDefaultTag(parseReference(reference)));
    containers.events.tell('commit', record, { comment, imageID: id, imageRef });
    exchange.json({ Id: id }, 201);
  } finally {
    if (pauses) await own.unpause();
  }
}

/** Only what is said: empty texts and lists mean nothing. */
function encoded(config: ReturnType<typeof containerDocument.decode>): JsonObject {
  const document = containerDocument.encode(config) as JsonObject;
  const entries = inherited.map((key) => [key, document[key]] as const);
  return Object.fromEntries(
    entries.filter(([, value]) => value !== undefined && value !== null && value !== ''),
  );
}
