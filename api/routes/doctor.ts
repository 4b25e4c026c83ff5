/** What is wrong with this host, which Docker's API has no route for. */
import { SwarmError } from '../../lib/errors.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

export function doctorRoutes({ backend }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/doctor',
      async handle(exchange) {
        if (backend.doctor === undefined) {
          throw new SwarmError('unimplemented', 'this daemon has nobody to examine its host');
        }
        const [{ hostname }, findings] = await Promise.all([
          backend.system.info(),
          backend.doctor.examine(),
        ]);
        const node = {
          ID: backend.swarm.status().nodeId,
          Hostname: hostname,
          Findings: findings.map(({ check, level, text }) => ({
            Check: check,
            Level: level,
            Text: text,
          })),
        };
        exchange.json({ Nodes: [node] });
      },
    },
  ];
}
