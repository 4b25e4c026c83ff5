/** The values that Docker takes for what a spec leaves open: shown when a client asks for them. */
import type { ServiceSpec, SwarmSpec, UpdateConfig } from '../../types/index.ts';

const stopGracePeriodMs = 10_000;
const restartDelayMs = 5_000;
const monitorMs = 5_000;
const updateDefaults: UpdateConfig = {
  parallelism: 1,
  failureAction: 'pause',
  monitorMs,
  maxFailureRatio: 0,
  order: 'stop-first',
};

export function withServiceDefaults(spec: ServiceSpec): ServiceSpec {
  const { task } = spec;
  return {
    ...spec,
    task: {
      ...task,
      ...(task.container === undefined
        ? {}
        : { container: { stopGracePeriodMs, dnsConfig: {}, ...task.container } }),
      resources: task.resources ?? {},
      restartPolicy: { condition: 'any', delayMs: restartDelayMs, ...task.restartPolicy },
      placement: task.placement ?? {},
    },
    updateConfig: { ...updateDefaults, ...spec.updateConfig },
    rollbackConfig: { ...updateDefaults, ...spec.rollbackConfig },
  };
}

/** What Docker shows of every swarm; the times of the managers' log here are not settings. */
export const shownTicks = { election: 10, heartbeat: 1 } as const;

/** Docker shows a swarm's settings in full; what was never set is at its default. */
export function withSwarmDefaults(spec: SwarmSpec): SwarmSpec {
  return {
    ...spec,
    orchestration: { taskHistoryLimit: 5, ...spec.orchestration },
    raft: {
      snapshotInterval: 10_000,
      keepOldSnapshots: 0,
      logEntriesForSlowFollowers: 500,
      electionTick: shownTicks.election,
      heartbeatTick: shownTicks.heartbeat,
      ...spec.raft,
    },
    dispatcher: { heartbeatPeriodMs: 5_000, ...spec.dispatcher },
    ca: { nodeCertExpiryMs: 90 * 24 * 3_600_000, ...spec.ca },
  };
}
