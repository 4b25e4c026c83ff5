/** The plan for one service: which of its tasks should exist, and what is wanted of each. */
import type { Plan, PlanEnv } from '../reconcile/plan.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import { isActive, isJobMode, type Service, type Task } from '../../types/index.ts';
import { Draft } from './draft.ts';
import { planJob } from './jobs.ts';
import { rebalance } from './rebalance.ts';
import { givenUpAtMs, reap } from './reap.ts';
import { releaseHeld, replaceFailed, scale, spanNodes } from './slots.ts';
import { deletable } from './task.ts';
import { update } from './update.ts';

export interface ServicePlan extends Plan {
  /** New tasks, not yet given a node; they are not in `changes`. */
  readonly created: readonly Task[];
  /** Tasks whose place on their node becomes free. */
  readonly released: readonly Task[];
  /** The service as the plan changes it; not in `changes`. */
  readonly service?: Service;
  /** There is more to do, maybe more than the limit allowed: the service is to be planned again. */
  readonly unfinished: boolean;
  /** Tasks that were looked at. */
  readonly seen: number;
}

/**
 * @param service as in the view, but for ports and addresses, which the allocator may just have
 *   filled in.
 * @param limit the most changes of tasks that the plan may hold.
 */
export function planService(
  view: StoreView,
  service: Service,
  env: PlanEnv,
  limit: number,
): ServicePlan {
  const draft = new Draft(view, service, env, limit);
  if (isJobMode(service.spec.mode)) planJob(draft);
  else planRunning(draft);
  const { wakeAtMs, changedService } = draft;
  return {
    changes: draft.changes,
    created: draft.created,
    released: draft.released,
    unfinished: draft.full || draft.isToPlanAgain,
    seen: draft.seen,
    ...(wakeAtMs === undefined ? {} : { wakeAtMs }),
    ...(changedService === undefined ? {} : { service: changedService }),
  };
}

/** A service whose tasks are to run on. */
function planRunning(draft: Draft): void {
  const { replicated, global } = draft.service.spec.mode;
  replaceFailed(draft);
  if (global === undefined) scale(draft, replicated?.replicas ?? 1);
  else spanNodes(draft);
  update(draft);
  rebalance(draft);
  releaseHeld(draft);
  reap(draft);
}

/** The plan for the tasks of a service that was removed: stopped first, then deleted. */
export function planRemovedService(
  view: StoreView,
  serviceId: string,
  env: PlanEnv,
  limit: number,
): ServicePlan {
  const changes: Change[] = [];
  const released: Task[] = [];
  let unfinished = false;
  let seen = 0;
  let wakeAtMs = Infinity;
  for (const task of view.tasksOfService(serviceId)) {
    seen += 1;
    const dueMs = givenUpAtMs(view, task) ?? Infinity;
    const gone = deletable(view, task) || dueMs <= env.nowMs;
    if (!gone) wakeAtMs = Math.min(wakeAtMs, dueMs);
    if (!gone && task.desiredState === 'remove') continue;
    if (changes.length >= limit) {
      unfinished = true;
      break;
    }
    changes.push(
      gone
        ? { op: 'delete', table: 'task', id: task.id, base: task.meta.version }
        : { op: 'task-desire', id: task.id, desiredState: 'remove' },
    );
    if (isActive(task)) released.push(task);
  }
  const wake = wakeAtMs === Infinity ? {} : { wakeAtMs };
  return { changes, created: [], released, unfinished, seen, ...wake };
}
