/** What every planner takes and returns. Planners are synchronous and pure. */
import type { Random } from '../../lib/random.ts';
import type { Change } from '../store/change.ts';

export interface PlanEnv {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly random: Random;
}

export interface Plan {
  readonly changes: readonly Change[];
  /** The key wants to be planned again at this time, also if nothing changes until then. */
  readonly wakeAtMs?: number;
  /** Why things are as they are, by task or service id: what `service ps` shows as the error. */
  readonly reasons?: ReadonlyMap<string, string>;
}
