/** Secrets and configs: the same routes for both. */
import {
  base64,
  fileKinds,
  fileSpec,
  required,
  struct,
  type FileKind,
  type FileObject,
} from '../../types/index.ts';
import { fileJson, revisionJson } from '../convert/file.ts';
import type { Exchange } from '../exchange.ts';
import { Filters } from '../filters.ts';
import { currentFiles, findFile } from '../lookup.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';
import { byId } from './order.ts';

/** A new content behind a name that is there. */
const revision = struct({ data: required('Data', base64, '') });

const filterKeys = ['name', 'names', 'id', 'label'];

export function fileRoutes(modules: RouteModules): Route[] {
  return fileKinds.flatMap((kind) => [
    ...routesOf(kind, modules),
    ...revisionRoutes(kind, modules),
  ]);
}

function routesOf(kind: FileKind, { backend }: RouteModules): Route[] {
  const found = async (exchange: Exchange) =>
    findFile(await backend.manager().read(), kind, exchange.param('id'));
  return [
    {
      method: 'GET',
      path: `/${kind}s`,
      async handle(exchange) {
        const filters = Filters.parse(exchange.query.get('filters'), filterKeys);
        const files = currentFiles(await backend.manager().read(), kind);
        const matching = byId(files.filter((file) => matches(file, filters)));
        await exchange.jsonList(matching, (file) => fileJson(kind, file));
      },
    },
    {
      method: 'POST',
      path: `/${kind}s/create`,
      async handle(exchange) {
        const spec = await exchange.body(fileSpec);
        const { id } = await backend.manager().control.createFile({ kind, spec });
        exchange.json({ ID: id }, 201);
      },
    },
    {
      method: 'GET',
      path: `/${kind}s/{id}`,
      async handle(exchange) {
        exchange.json(fileJson(kind, await found(exchange)));
      },
    },
    {
      method: 'POST',
      path: `/${kind}s/{id}/update`,
      async handle(exchange) {
        const spec = await exchange.body(fileSpec);
        const version = exchange.objectVersion(kind);
        const { id } = await found(exchange);
        await backend.manager().control.updateFile({ kind, id, version, spec });
        exchange.empty();
      },
    },
    {
      method: 'DELETE',
      path: `/${kind}s/{id}`,
      async handle(exchange) {
        const { id } = await found(exchange);
        await backend.manager().control.removeFile({ kind, id });
        exchange.empty(204);
      },
    },
  ];
}

/** Docker has none: another content behind the same name. */
function revisionRoutes(kind: FileKind, { backend }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: `/${kind}s/{id}/revisions`,
      async handle(exchange) {
        const view = await backend.manager().read();
        const { spec } = findFile(view, kind, exchange.param('id'));
        exchange.json(view.revisions(kind, spec.name).map((file) => revisionJson(file, view)));
      },
    },
    {
      method: 'POST',
      path: `/${kind}s/{id}/revisions`,
      async handle(exchange) {
        const { data } = await exchange.body(revision);
        const { id } = findFile(await backend.manager().read(), kind, exchange.param('id'));
        const made = await backend.manager().control.reviseFile({
          kind,
          id,
          data,
          ...exchange.asked,
        });
        exchange.json(
          {
            ID: made.id,
            Revision: made.revision,
            Services: made.services.map((service) => ({ ID: service.id, Name: service.name })),
          },
          201,
        );
      },
    },
  ];
}

function matches({ id, spec }: FileObject, filters: Filters): boolean {
  return (
    filters.any('names', (name) => spec.name === name) &&
    filters.any('name', (prefix) => spec.name.startsWith(prefix)) &&
    filters.any('id', (prefix) => id.startsWith(prefix)) &&
    filters.labels('label', spec.labels)
  );
}
