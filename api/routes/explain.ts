/** Why a task or a service is as it is, which Docker's API has no route for. */
import { explain } from '../../manager/explain/index.ts';
import { explanation } from '../../types/index.ts';
import type { Json } from '../convert/json.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

export function explainRoutes({ backend, clock }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/explain/{id}',
      async handle(exchange) {
        const view = await backend.manager().read();
        const found = explain(view, exchange.param('id'), { nowMs: clock.nowMs() });
        exchange.json(explanation.encode(found) as Json);
      },
    },
  ];
}
