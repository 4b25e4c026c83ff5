/** How far a job has come, and what a schedule waits for. */
import { parseCron } from '../../lib/cron.ts';
import { standingOf } from '../orchestrator/index.ts';
import { cronOf, type Reason, type Service, type Task } from '../../types/index.ts';
import { about, lasting, plural } from './words.ts';

export function jobReasons(
  service: Service,
  tasks: readonly Task[],
  { nowMs }: { readonly nowMs: number },
): Reason[] {
  const { spec, jobStatus, cronStatus } = service;
  const cron = cronOf(spec);
  if (cron === undefined) return [about('state', progress(service, tasks))];
  const agoOf = (ms: number) => `${lasting(nowMs - ms)} ago`;
  const begun =
    cronStatus?.run === undefined
      ? 'no run has begun yet'
      : `the last run began ${agoOf(jobStatus?.lastExecutionMs ?? 0)}: ${progress(service, tasks)}`;
  const nextMs = parseCron(cron.schedule, cron.timeZone).next(nowMs);
  const { skipped, isRunAsked } = cronStatus ?? {};
  return [
    about('state', begun),
    ...(skipped === undefined
      ? []
      : [about('state', `the tick ${agoOf(skipped.tickMs)} began no run: ${skipped.reason}`)]),
    ...(isRunAsked === true
      ? [about('wait', 'a run was asked for: the one before has to end')]
      : []),
    ...(nextMs === undefined
      ? []
      : [about('wait', `the next tick is in ${lasting(nextMs - nowMs)}`)]),
  ];
}

function progress({ spec, jobStatus, cronStatus }: Service, tasks: readonly Task[]): string {
  const own = tasks.filter(({ jobIteration }) => jobIteration === jobStatus?.iteration);
  const slots = [...Map.groupBy(own, (task) => task.forNodeId ?? String(task.slot)).values()];
  const standings = slots.map((slot) =>
    standingOf(slot.toSorted((a, b) => a.meta.createdAtMs - b.meta.createdAtMs)),
  );
  const count = (standing: (typeof standings)[number]) =>
    standings.filter((one) => one === standing).length;
  const asked = cronStatus?.run?.totalCompletions ?? spec.mode.replicatedJob?.totalCompletions;
  const total = spec.mode.globalJob === undefined ? (asked ?? 0) : slots.length;
  const lost = count('given-up');
  return [
    `${count('done')} of ${plural(total, 'task')} complete`,
    ...(count('open') === 0 ? [] : [`${count('open')} under way`]),
    ...(lost === 0 ? [] : [`${lost} failed, not to be tried again`]),
  ].join(', ');
}
