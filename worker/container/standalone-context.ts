/** What a standalone container works with. */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { NodeDevices } from '../device/index.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Connections } from './connections.ts';
import type { ContainerEvents } from './events.ts';
import type { HealthWatchDeps } from './health-watch.ts';
import type { Links } from './links.ts';
import type { Records } from './records.ts';
import type { Standalone } from './standalone.ts';

export interface StandaloneContext extends HealthWatchDeps {
  readonly runtime: Runtime;
  readonly connections: Connections;
  readonly devices: Pick<NodeDevices, 'requested'>;
  readonly links: Links;
  readonly records: Records;
  readonly events: ContainerEvents;
  readonly clock: Clock;
  readonly log: Logger;
  /** A folder for each container below it keeps the log. */
  readonly folder: string;
  /** The process of another container: whose namespaces are to be shared. */
  readonly pidOf: (nameOrId: string) => number;
  /** `--rm`: it has ended. */
  readonly onOver: (container: Standalone) => Promise<void>;
}
