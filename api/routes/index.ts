/** Every route of the API, a file a resource. The first that matches answers. */
import type { Route } from '../router.ts';
import { absentRoutes } from './absent.ts';
import { buildRoutes } from './build.ts';
import { commitRoutes } from './commit.ts';
import { doctorRoutes } from './doctor.ts';
import { eventRoutes } from './events.ts';
import { explainRoutes } from './explain.ts';
import { historyRoutes } from './history.ts';
import { imageRoutes, imageTransferRoutes } from './images.ts';
import { fileRoutes } from './files.ts';
import type { RouteModules } from './modules.ts';
import { networkRoutes } from './networks.ts';
import { nodeRoutes } from './nodes.ts';
import { allContainerRoutes } from './reachable.ts';
import { planRoutes } from './plan.ts';
import { registryRoutes } from './registries.ts';
import { registryServiceRoutes } from './registry-services.ts';
import { serviceRoutes } from './services.ts';
import { swarmBackupRoutes } from './swarm-backup.ts';
import { swarmRoutes } from './swarm.ts';
import { systemRoutes } from './system.ts';
import { taskRoutes } from './tasks.ts';
import { volumeRoutes } from './volumes.ts';

export { servedToManagers } from './reachable.ts';

export function allRoutes(modules: RouteModules): Route[] {
  return [
    ...systemRoutes(modules),
    ...doctorRoutes(modules),
    ...explainRoutes(modules),
    ...historyRoutes(modules),
    ...eventRoutes(modules),
    ...swarmRoutes(modules),
    ...swarmBackupRoutes(modules),
    ...nodeRoutes(modules),
    ...serviceRoutes(modules),
    ...planRoutes(modules),
    ...taskRoutes(modules),
    ...registryServiceRoutes(modules),
    ...imageTransferRoutes(modules),
    ...imageRoutes(modules),
    ...buildRoutes(modules),
    ...commitRoutes(modules),
    ...networkRoutes(modules),
    ...volumeRoutes(modules),
    ...fileRoutes(modules),
    ...registryRoutes(modules),
    ...allContainerRoutes(modules),
    ...absentRoutes(),
  ];
}
