/**
 * Parts of Docker's API that are not there: an empty list where that is the truth, else a sentence
 * that says so.
 */
import { SwarmError } from '../../lib/errors.ts';
import type { Json } from '../convert/json.ts';
import type { Exchange } from '../exchange.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

const builds = 'this daemon does not build images: build elsewhere and push to a registry';
const saving = 'this daemon does not export images: copy them from the registry';

const refused: readonly (readonly [methods: readonly Route['method'][], string, string])[] = [
  [['POST'], '/commit', 'this daemon does not make images of containers'],
  [['POST'], '/build', builds],
  [['POST'], '/build/{rest...}', builds],
  [['GET'], '/images/get', saving],
  [['GET'], '/images/{name...}/get', saving],
  [['GET'], '/images/search', 'this daemon does not search registries'],
  [['POST'], '/images/prune', 'this version does not prune images: remove them one by one'],
  [
    ['POST'],
    '/auth',
    'this daemon does not check credentials: they are used when an image is pulled',
  ],
  [['POST', 'DELETE'], '/secrets/{rest...}', 'secrets are not supported by this version'],
  [['POST', 'DELETE'], '/configs/{rest...}', 'configs are not supported by this version'],
  [['GET', 'POST', 'DELETE'], '/plugins/{rest...}', 'plugins are not supported by this version'],
];

export function absentRoutes({ backend }: RouteModules): Route[] {
  const managerOnly = () => void backend.manager();
  return [
    empty('/secrets', [], managerOnly),
    missing('/secrets/{id}', (id) => `secret ${id} not found`, managerOnly),
    empty('/configs', [], managerOnly),
    missing('/configs/{id}', (id) => `config ${id} not found`, managerOnly),
    empty('/plugins', []),
    ...refused.flatMap(([methods, path, sentence]) =>
      methods.map((method) => refusal(method, path, sentence)),
    ),
  ];
}

function empty(path: string, list: Json, check: () => void = () => undefined): Route {
  return {
    method: 'GET',
    path,
    handle(exchange) {
      check();
      exchange.json(list);
    },
  };
}

function missing(
  path: string,
  sentence: (id: string) => string,
  check: () => void = () => undefined,
): Route {
  return {
    method: 'GET',
    path,
    handle(exchange: Exchange) {
      check();
      throw new SwarmError('not-found', sentence(exchange.param('id')));
    },
  };
}

function refusal(method: Route['method'], path: string, sentence: string): Route {
  return {
    method,
    path,
    handle() {
      throw new SwarmError('unimplemented', sentence);
    },
  };
}
