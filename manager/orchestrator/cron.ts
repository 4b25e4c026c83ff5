/**
 * Cron services: a tick of the schedule begins the next iteration. The service that says so and the
 * iteration's tasks are one change, planned on the version that says which tick was dealt with last:
 * whoever leads, a tick leads to one run.
 */
import { parseCron } from '../../lib/cron.ts';
import { SwarmError } from '../../lib/errors.ts';
import { cronOf, type CronSettings, type CronStatus } from '../../types/index.ts';
import type { Draft } from './draft.ts';
import { isOver, progressOf, standingOf } from './job-run.ts';

/** A tick that is later than this was missed. Managers take over from each other in seconds. */
const punctualMs = 60_000;
/** More runs at once are a schedule that its tasks cannot keep up with. */
const maxOpenRuns = 50;

export function runByClock(draft: Draft): void {
  const cron = cronOf(draft.service.spec);
  if (cron === undefined) return;
  const { nowMs } = draft.env;
  const schedule = scheduleOf(cron);
  if (schedule === undefined) return;
  const tickMs = schedule.latest(nowMs);
  if (tickMs !== undefined && tickMs > statusOf(draft).settledMs) settle(draft, cron, tickMs);
  if (statusOf(draft).isRunAsked === true && hindrance(draft, cron) === undefined) begin(draft);
  const nextMs = schedule.next(nowMs);
  if (nextMs !== undefined) draft.wakeAt(nextMs);
}

/**
 * Undefined for one that this manager cannot read, though the one that took it could: it knows more
 * time zones. Such a service has no ticks here, and ends no planner.
 */
function scheduleOf({ schedule, timeZone }: CronSettings) {
  try {
    return parseCron(schedule, timeZone);
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'invalid-argument') return undefined;
    throw error;
  }
}

function statusOf({ service }: Draft): CronStatus {
  return service.cronStatus ?? { settledMs: service.meta.createdAtMs };
}

/** Of several ticks that are due only the last one counts: a run makes up for all of them. */
function settle(draft: Draft, cron: CronSettings, tickMs: number): void {
  const isMissed = cron.missedRun === 'skip' && draft.env.nowMs - tickMs > punctualMs;
  const reason = isMissed ? 'no manager could begin it in time' : hindrance(draft, cron);
  if (reason === undefined) begin(draft, tickMs);
  else setStatus(draft, { settledMs: tickMs, skipped: { tickMs, reason } });
}

/** Why no run may begin now. */
function hindrance(draft: Draft, { overlap }: CronSettings): string | undefined {
  if (overlap === 'replace' || draft.service.cronStatus?.run === undefined) return undefined;
  if (overlap === 'forbid') {
    return isOver(draft) ? undefined : 'the run before it was still going on';
  }
  const { done, open, givenUp, totalCompletions } = progressOf(draft);
  if (done + open + givenUp < totalCompletions) {
    return 'the run before it had not begun all of its tasks';
  }
  return openRuns(draft) < maxOpenRuns ? undefined : `${maxOpenRuns} runs were still going on`;
}

function openRuns({ slots }: Draft): number {
  const open = new Set<number | undefined>();
  for (const { tasks } of slots.values()) {
    for (const [iteration, own] of Map.groupBy(tasks, (task) => task.jobIteration)) {
      if (standingOf(own) === 'open') open.add(iteration);
    }
  }
  return open.size;
}

/** Without a tick the run is one that was asked for. */
function begin(draft: Draft, tickMs?: number): void {
  const { service, env } = draft;
  const { replicatedJob } = service.spec.mode;
  const maxConcurrent = replicatedJob?.maxConcurrent ?? 0;
  const totalCompletions = replicatedJob?.totalCompletions ?? maxConcurrent;
  const { settledMs, lastTickMs, skipped } = statusOf(draft);
  draft.changeService({
    ...service,
    jobStatus: {
      iteration: (service.jobStatus?.iteration ?? 0) + 1,
      lastExecutionMs: env.nowMs,
    },
    // Whoever has asked for a run as a tick begins one has what was asked for.
    cronStatus: {
      settledMs: tickMs ?? settledMs,
      run: { maxConcurrent, totalCompletions },
      ...optional('lastTickMs', tickMs ?? lastTickMs),
      ...optional('skipped', skipped),
    },
  });
}

function setStatus(draft: Draft, change: Partial<CronStatus>): void {
  const { service } = draft;
  draft.changeService({ ...service, cronStatus: { ...statusOf(draft), ...change } });
}

function optional<K extends keyof CronStatus>(
  key: K,
  value: CronStatus[K],
): Pick<CronStatus, K> | {} {
  return value === undefined ? {} : { [key]: value };
}
