/** What must hold of jobs and of services that run by the clock, after each entry. */
import type { ObjectEvent, Store } from '../../../manager/store/index.ts';
import { cronOf, isActive, type Service, type Task } from '../../../types/index.ts';
import { Violation } from '../violation.ts';

export class JobRules {
  /** The iteration that each tick has begun, by service and tick. */
  readonly #begun = new Map<string, number>();

  /** Throws Violation. */
  changed(events: readonly ObjectEvent[], store: Store): void {
    const services = new Set<string>();
    for (const event of events) {
      if (event.table === 'service' && event.action !== 'remove') {
        this.#sawService(event.object, event.action === 'update' ? event.old : undefined);
      }
      if (event.table === 'task' && event.object.jobIteration !== undefined) {
        services.add(event.object.serviceId);
      }
    }
    for (const id of services) {
      const service = store.service(id);
      if (service !== undefined) checkCounts(service, store);
    }
  }

  #sawService({ id, spec, jobStatus, cronStatus }: Service, old: Service | undefined): void {
    if (cronOf(spec) === undefined || jobStatus === undefined || cronStatus === undefined) return;
    const fail = (what: string) => {
      throw new Violation('a tick begins one run', `${spec.name} ${what}`);
    };
    const before = old?.jobStatus?.iteration ?? 0;
    if (jobStatus.iteration < before) fail('went back to an earlier run');
    if (jobStatus.iteration > before + 1) fail('began two runs at once');
    const { lastTickMs } = cronStatus;
    const isTick = lastTickMs !== undefined && lastTickMs !== old?.cronStatus?.lastTickMs;
    if (jobStatus.iteration === before) {
      if (isTick) fail('began no run with a tick');
      return;
    }
    const wasAsked = old?.cronStatus?.isRunAsked === true;
    if (!isTick && !wasAsked) fail('began a run that nobody asked for');
    if (!isTick) return;
    if (lastTickMs < (old?.cronStatus?.settledMs ?? 0)) fail('went back to an earlier tick');
    const key = `${id}/${lastTickMs}`;
    const other = this.#begun.get(key);
    if (other !== undefined) fail(`began runs ${other} and ${jobStatus.iteration} with one tick`);
    this.#begun.set(key, jobStatus.iteration);
  }
}

/** No more tasks at once, and no more completions, than the present iteration was asked for. */
function checkCounts({ id, spec, jobStatus, cronStatus }: Service, store: Store): void {
  if (spec.mode.replicatedJob === undefined) return;
  const asked = cronOf(spec) === undefined ? spec.mode.replicatedJob : cronStatus?.run;
  const { maxConcurrent = 0, totalCompletions = 0 } = asked ?? {};
  const active = new Set<number>();
  const done = new Set<number>();
  const own = (task: Task) => task.jobIteration === jobStatus?.iteration;
  for (const task of [...store.tasksOfService(id)].filter(own)) {
    if (task.status.state === 'complete') done.add(task.slot);
    else if (isActive(task)) active.add(task.slot);
  }
  if (done.size > totalCompletions) {
    const what = `${spec.name} has completed ${done.size} times, not ${totalCompletions}`;
    throw new Violation('a job is done as often as asked', what);
  }
  const open = active.difference(done).size;
  if (open <= maxConcurrent) return;
  const what = `${spec.name} has ${open} tasks at once, not ${maxConcurrent}`;
  throw new Violation('a job takes turns', what);
}
