/** What changes of services would do, which Docker's API has no route for. */
import { PreviewDesk } from '../../manager/preview/index.ts';
import { preview, previewRequest } from '../../types/index.ts';
import type { Json } from '../convert/json.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

export function planRoutes({ backend, clock }: RouteModules): Route[] {
  const desk = new PreviewDesk(clock);
  return [
    {
      method: 'POST',
      path: '/plan',
      async handle(exchange) {
        const manager = backend.manager();
        const { changes } = await exchange.body(previewRequest);
        const answer = await desk.preview(await manager.read(), changes);
        exchange.json(preview.encode(answer) as Json);
      },
    },
  ];
}
