import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Backend } from '../backend.ts';
import type { EventHub } from '../event-hub.ts';

/** What routes stand on. */
export interface RouteModules {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventHub;
}
