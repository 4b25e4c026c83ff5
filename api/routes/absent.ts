/**
 * Parts of Docker's API that are not there: an empty list where that is the truth, else a sentence
 * that says so.
 */
import { SwarmError } from '../../lib/errors.ts';
import type { Json } from '../convert/json.ts';
import type { Route } from '../router.ts';

const noPlugins =
  'plugins are not installed by this version: one for volumes is found by its socket in ' +
  '/run/docker/plugins';

const refused: readonly (readonly [methods: readonly Route['method'][], string, string])[] = [
  [['GET', 'POST', 'DELETE'], '/plugins/{rest...}', noPlugins],
];

export function absentRoutes(): Route[] {
  return [
    empty('/plugins', []),
    // `docker inspect` asks for a plugin last: to say that there is none is the truth.
    {
      method: 'GET',
      path: '/plugins/{name}/json',
      handle(exchange) {
        throw new SwarmError(
          'not-found',
          `plugin ${JSON.stringify(exchange.param('name'))} not found`,
        );
      },
    },
    ...refused.flatMap(([methods, path, sentence]) =>
      methods.map((method) => refusal(method, path, sentence)),
    ),
  ];
}

function empty(path: string, list: Json): Route {
  return {
    method: 'GET',
    path,
    handle(exchange) {
      exchange.json(list);
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
