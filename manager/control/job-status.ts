/** What becomes of a job's iterations, and of a schedule, when a service is created or changed. */
import { cronOf, isJobMode, type Service, type ServiceSpec } from '../../types/index.ts';

type Statuses = Pick<Service, 'jobStatus' | 'cronStatus'>;

/** For a new service. A job begins at once, a cron service with the first tick from now on. */
export function firstStatuses(spec: ServiceSpec, nowMs: number): Statuses {
  if (!isJobMode(spec.mode)) return {};
  const jobStatus = { iteration: 0, lastExecutionMs: nowMs };
  if (cronOf(spec) === undefined) return { jobStatus };
  return { jobStatus, cronStatus: { settledMs: nowMs } };
}

/**
 * For a service that gets another spec. As in Docker, a job does it all again; a cron service waits
 * for its next tick, unless a run is forced.
 */
export function nextStatuses(service: Service, spec: ServiceSpec, nowMs: number): Statuses {
  if (!isJobMode(spec.mode)) return {};
  const { jobStatus = { iteration: 0, lastExecutionMs: nowMs }, cronStatus } = service;
  const cron = cronOf(spec);
  if (cron === undefined) {
    return { jobStatus: { iteration: jobStatus.iteration + 1, lastExecutionMs: nowMs } };
  }
  const before = cronOf(service.spec);
  // Less than before is a rollback, which takes no run back and asks for none.
  const isForced = spec.task.forceUpdate > service.spec.task.forceUpdate;
  const isSameClock = before?.schedule === cron.schedule && before.timeZone === cron.timeZone;
  return {
    jobStatus,
    cronStatus: {
      ...cronStatus,
      settledMs: isSameClock && cronStatus !== undefined ? cronStatus.settledMs : nowMs,
      ...(isForced ? { isRunAsked: true } : {}),
    },
  };
}
