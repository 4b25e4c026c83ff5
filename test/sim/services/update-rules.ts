/** What must hold of updates and rollbacks while they are under way. */
import { isDeepStrictEqual } from 'node:util';
import { constraintsOf, satisfiesAll } from '../../../manager/scheduler/index.ts';
import type { ChangeBatch, ObjectEvent, Store } from '../../../manager/store/index.ts';
import {
  isTerminal,
  isWanted,
  type Service,
  type Task,
  type TaskSpec,
} from '../../../types/index.ts';
import { Violation } from '../violation.ts';
import { slotOf } from './slot.ts';

/** An update goes on without a task that has not come to run by then. */
const startTimeoutMs = 10 * 60_000;

/** A slot that an update has taken something from. */
interface Touched {
  readonly specVersion: number;
  /** What its tasks are to be: another update to the same finds the slot as this one left it. */
  readonly spec: TaskSpec;
  /** The entry that has done so. */
  readonly index: number;
  /** When its new task ran, or came to nothing. */
  finishedAtMs?: number;
}

export class UpdateRules {
  readonly #slots = new Map<string, Map<string, Touched>>();
  readonly #createdAt = new Map<string, number>();

  /** Throws Violation. */
  changed({ events, index, atMs }: ChangeBatch, store: Store): void {
    const services = new Set<string>();
    for (const event of events) {
      if (event.table === 'service') checkRollback(event);
      if (event.table !== 'task') continue;
      if (event.action === 'create') this.#createdAt.set(event.object.id, index);
      services.add(event.object.serviceId);
      if (event.action === 'update') this.#sawTask(event, index, store);
    }
    for (const id of services) {
      const service = store.service(id);
      if (service === undefined) this.#slots.delete(id);
      else this.#check(service, store, { index, atMs });
    }
  }

  /** An old task that could have worked on is stopped, and nothing has its place yet. */
  #sawTask({ object, old }: ObjectEvent & { table: 'task' }, index: number, store: Store): void {
    const service = store.service(object.serviceId);
    if (service === undefined || old?.desiredState !== 'running') return;
    if (object.desiredState !== 'shutdown' || old.status.state !== 'running') return;
    if (object.specVersion === service.specVersion || !isUpdating(service)) return;
    const node = store.node(object.nodeId);
    const constraints = constraintsOf(service.spec.task.placement);
    const mayStay =
      node?.status.state !== 'down' &&
      node?.spec.availability !== 'drain' &&
      node !== undefined &&
      satisfiesAll(node, constraints) &&
      satisfiesAll(node, constraintsOf(object.spec.placement));
    const isReplaced = tasksOfSlot(store, object).some(
      ({ spec, status }) =>
        status.state === 'running' && isDeepStrictEqual(spec, service.spec.task),
    );
    if (!mayStay || isReplaced) return;
    let slots = this.#slots.get(service.id);
    if (slots === undefined) this.#slots.set(service.id, (slots = new Map()));
    const { specVersion, spec } = service;
    slots.set(slotOf(object), { specVersion, spec: spec.task, index });
  }

  #check(
    service: Service,
    store: Store,
    { index, atMs }: Pick<ChangeBatch, 'index' | 'atMs'>,
  ): void {
    const slots = this.#slots.get(service.id);
    if (slots === undefined) return;
    const tasks = Map.groupBy(store.tasksOfService(service.id), slotOf);
    for (const [slot, touched] of slots) {
      const own = tasks.get(slot) ?? [];
      const isGone = !own.some(({ desiredState }) => isWanted(desiredState));
      if (isGone || !isDeepStrictEqual(touched.spec, service.spec.task)) slots.delete(slot);
      else if (touched.finishedAtMs === undefined && this.#isFinished(own, touched, atMs)) {
        touched.finishedAtMs = atMs;
      }
    }
    // What has been taken stays taken, also where fewer at once are asked for from now on.
    const isOneMore = [...slots.values()].some((touched) => touched.index === index);
    if (!isOneMore || !isUpdating(service)) return;
    const isBack = service.updateStatus?.state === 'rollback_started';
    const config = isBack ? service.spec.rollbackConfig : service.spec.updateConfig;
    const { parallelism = 1, delayMs = 0 } = config ?? {};
    const busy = [...slots].filter(([, { specVersion, finishedAtMs = Infinity }]) => {
      return finishedAtMs + (specVersion === service.specVersion ? delayMs : 0) > atMs;
    });
    if (parallelism === 0 || busy.length <= parallelism) return;
    const names = busy.map(([slot]) => slot.replace(service.id, '')).join(', ');
    const what = `${service.spec.name} updates ${names} at once, and not ${parallelism}`;
    throw new Violation('no more at once than the parallelism', what);
  }

  /** It works, it has failed, or it is waited for no longer. */
  #isFinished(own: readonly Task[], { spec, index }: Touched, atMs: number): boolean {
    return own.some((task) => {
      if (!isDeepStrictEqual(task.spec, spec)) return false;
      // What an update before this one has begun to make may take over, too.
      const isLater = (this.#createdAt.get(task.id) ?? 0) >= index;
      if (!isLater && !isWanted(task.desiredState)) return false;
      const dueMs = (task.startAtMs ?? task.meta.createdAtMs) + startTimeoutMs;
      return task.runningAtMs !== undefined || isTerminal(task.status.state) || dueMs <= atMs;
    });
  }
}

function isUpdating({ updateStatus }: Service): boolean {
  return updateStatus?.state === 'updating' || updateStatus?.state === 'rollback_started';
}

function tasksOfSlot(store: Store, task: Task): Task[] {
  return [...store.tasksOfService(task.serviceId)].filter(
    (other) => slotOf(other) === slotOf(task),
  );
}

/** A rollback goes back to what the service was, and nowhere else. */
function checkRollback({ object, old }: ObjectEvent & { table: 'service' }): void {
  const state = object.updateStatus?.state;
  if (state !== 'rollback_started' || old?.updateStatus?.state === state) return;
  if (isDeepStrictEqual(object.spec, old?.previousSpec)) return;
  const what = `${object.spec.name} is rolled back to another spec than it had`;
  throw new Violation('a rollback restores', what);
}
