/**
 * Owns which tasks should exist: replicated and global services, jobs and schedules, restarts,
 * rolling updates, the history of old tasks. Pure; may import the scheduler's constraints, the
 * store's view, types and lib. Read service.ts first: it names the steps in their order.
 */
export { circleOf, hasBegun, whyWaits } from './depends.ts';
export { standingOf } from './job-run.ts';
export { lackOf } from './crowded.ts';
export { givenUpAtMs } from './reap.ts';
export { whyUnmovable } from './rebalance.ts';
export { faultOf, mayRestart, restartDelayMs } from './restart.ts';
export { planRemovedService, planService, type ServicePlan } from './service.ts';
export { dirtiness, endedItself, stopping, wanted } from './task.ts';
