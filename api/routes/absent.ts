/**
 * Parts of Docker's API that are not there: an empty list where that is the truth, else a sentence
 * that says so.
 */
import { SwarmError } from '../../lib/errors.ts';
import type { Json } from '../convert/json.ts';
import type { Route } from '../router.ts';

const refused: readonly (readonly [methods: readonly Route['method'][], string, string])[] = [
  [
    ['GET'],
    '/containers/{id}/attach/ws',
    'this daemon does not speak WebSocket: attach with POST, and an upgrade to tcp',
  ],
  [
    ['GET', 'POST', 'DELETE'],
    '/plugins/{rest...}',
    'plugins are not installed by this version: one for volumes is found by its socket in ' +
      '/run/docker/plugins',
  ],
];

export function absentRoutes(): Route[] {
  return [
    empty('/plugins', []),
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
