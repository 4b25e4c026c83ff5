/** What the swarm wanted and had in the past, which Docker's API has no route for. */
import { SwarmError } from '../../lib/errors.ts';
import { tellHistory } from '../../manager/history/index.ts';
import { historyAnswer } from '../../types/index.ts';
import type { Json } from '../convert/json.ts';
import { parseUnixTime } from '../convert/time.ts';
import type { Exchange } from '../exchange.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

const defaultLimit = 100;

export function historyRoutes({ backend, clock }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/history',
      async handle(exchange) {
        const manager = backend.manager();
        const view = await manager.read();
        const nowMs = clock.nowMs();
        const service = exchange.query.get('service') ?? '';
        const question = {
          limit: limitOf(exchange),
          ...momentOf(exchange),
          ...(service === '' ? {} : { service }),
        };
        const told = tellHistory(manager.history(), view, question, nowMs);
        exchange.json(historyAnswer.encode(told) as Json);
      },
    },
  ];
}

/** RFC 3339, or seconds since 1970. */
function momentOf({ query }: Exchange): { atMs?: number } {
  const text = query.get('at') ?? '';
  if (text === '') return {};
  const atMs = parseUnixTime(text) ?? Date.parse(text);
  if (Number.isFinite(atMs)) return { atMs };
  throw new SwarmError('invalid-argument', `invalid value for 'at': "${text}" is no time`);
}

function limitOf({ query }: Exchange): number {
  const text = query.get('limit') ?? '';
  if (text === '') return defaultLimit;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit > 0) return limit;
  throw new SwarmError('invalid-argument', `invalid value for 'limit': "${text}" is no number`);
}
