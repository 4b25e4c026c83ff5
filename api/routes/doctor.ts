/** What is wrong with nodes, which Docker's API has no route for. */
import { messageOf, SwarmError } from '../../lib/errors.ts';
import { list, nodeFindings, type NodeFindings } from '../../types/index.ts';
import type { Json } from '../convert/json.ts';
import type { Backend } from '../backend.ts';
import type { Route } from '../router.ts';
import type { RouteModules } from './modules.ts';

const nodeList = list(nodeFindings);

export function doctorRoutes({ backend }: RouteModules): Route[] {
  return [
    {
      method: 'GET',
      path: '/doctor',
      async handle(exchange) {
        const nodes = exchange.flag('local') ? [await ownFindings(backend)] : await all(backend);
        exchange.json({ Nodes: nodeList.encode([...nodes]) as Json });
      },
    },
  ];
}

/** A manager asks every node; where nobody leads, it still says what it can of itself. */
async function all(backend: Backend): Promise<readonly NodeFindings[]> {
  const { isManager, state } = backend.swarm.status();
  if (!isManager || state !== 'active') return [await ownFindings(backend)];
  try {
    return await backend.manager().examine();
  } catch (error) {
    const own = await ownFindings(backend);
    const text = `the other nodes could not be asked: ${messageOf(error)}`;
    return [{ ...own, findings: [{ check: 'swarm', level: 'error', text }, ...own.findings] }];
  }
}

async function ownFindings({ doctor, swarm, system }: Backend): Promise<NodeFindings> {
  if (doctor === undefined) {
    throw new SwarmError('unimplemented', 'this daemon has nobody to examine its host');
  }
  const [{ hostname }, findings] = await Promise.all([system.info(), doctor.examine()]);
  return { id: swarm.status().nodeId, hostname, findings };
}
