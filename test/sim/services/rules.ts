/** What must hold of the objects after each entry, whatever the services are and whatever fails. */
import { isDeepStrictEqual } from 'node:util';
import type { ChangeBatch, ObjectEvent, Store } from '../../../manager/store/index.ts';
import { compareStates, isActive, rebalanceLabel, type Task } from '../../../types/index.ts';
import { addressesApart, devicesApart, hostPortsApart, publishedApart } from '../apart.ts';
import { JobRules } from '../manager/job-rules.ts';
import { Violation } from '../violation.ts';
import { AutoscaleRules } from './autoscale-rules.ts';
import { checkPlacements } from './placement-rules.ts';
import { RestartRules } from './restart-rules.ts';
import { slotOf } from './slot.ts';
import { UpdateRules } from './update-rules.ts';

export class Rules {
  readonly #jobs = new JobRules();
  readonly #updates = new UpdateRules();
  readonly #restarts = new RestartRules();
  readonly #scaling = new AutoscaleRules();
  /** Somebody has had services spread anew, which makes second tasks in slots. */
  #isRebalanced = false;
  /** Entries that were looked at. */
  checks = 0;

  /** Throws Violation. */
  changed(batch: ChangeBatch, store: Store): void {
    const { events } = batch;
    if (events.length === 0) return;
    this.checks += 1;
    const slots = new Map<string, Task>();
    const nodes = new Set<string>();
    for (const event of events) {
      this.#isRebalanced ||= asksRebalance(event);
      if (event.table !== 'task') continue;
      checkTask(event);
      slots.set(slotOf(event.object), event.object);
      if (event.object.nodeId !== '') nodes.add(event.object.nodeId);
    }
    addressesApart(store);
    publishedApart(store);
    for (const task of slots.values()) oneWanted(task, store, this.#isRebalanced);
    for (const nodeId of nodes) {
      hostPortsApart(nodeId, store);
      devicesApart(nodeId, store);
    }
    checkPlacements(batch, store);
    this.#jobs.changed(events, store);
    this.#updates.changed(batch, store);
    this.#restarts.changed(batch);
    this.#scaling.changed(batch);
  }
}

const fixed = ['serviceId', 'slot', 'jobIteration', 'spec', 'specVersion', 'forNodeId'] as const;

function checkTask({ action, object, old }: ObjectEvent & { table: 'task' }): void {
  if (action !== 'update' || old === undefined) return;
  if (old.nodeId !== '' && old.nodeId !== object.nodeId) {
    const moved = `${object.name} moved from ${old.nodeId} to ${object.nodeId}`;
    throw new Violation('a task stays on its node', moved);
  }
  const changed = fixed.find((key) => !isDeepStrictEqual(old[key], object[key]));
  if (changed !== undefined) {
    throw new Violation('a task stays what it is', `${object.name} has another ${changed}`);
  }
  if (old.nodeId !== '' && !isDeepStrictEqual(old.networks, object.networks)) {
    throw new Violation('a task stays what it is', `${object.name} has other addresses`);
  }
  if (compareStates(object.status.state, old.status.state) < 0) {
    const went = `${object.name} went from ${old.status.state} to ${object.status.state}`;
    throw new Violation('states only rise', went);
  }
  if (compareStates(object.desiredState, old.desiredState) < 0) {
    const went = `${object.name} was wanted ${old.desiredState}, then ${object.desiredState}`;
    throw new Violation('states only rise', went);
  }
}

/** A second one only where it is to take over before the first one goes. */
function oneWanted(task: Task, store: Store, isRebalanced: boolean): void {
  const service = store.service(task.serviceId);
  // Of a service that is gone, all that was wanted is still to be told.
  if (service === undefined) return;
  const slot = slotOf(task);
  const wanted = [...store.tasksOfService(task.serviceId)].filter(
    (other) => isActive(other) && slotOf(other) === slot,
  );
  if (wanted.length <= 1) return;
  const { updateConfig, rollbackConfig } = service.spec;
  const orders = [updateConfig, rollbackConfig, service.previousSpec?.updateConfig].map(
    (config) => config?.order,
  );
  const mayBeTwo = orders.includes('start-first') || (isRebalanced && isSpreadAnew(wanted));
  if (mayBeTwo && wanted.length === 2) return;
  const names = wanted.map(({ name }) => name).join(', ');
  throw new Violation('one task is wanted in a slot', names);
}

function asksRebalance(event: ObjectEvent): boolean {
  if (event.table === 'service') return event.object.rebalance !== undefined;
  return event.table === 'cluster' && event.object.spec.labels[rebalanceLabel] === 'on-join';
}

/**
 * Two of one spec: the second is the same on another node. The first may be of another placement:
 * what runs where a new one allows it is left alone.
 */
function isSpreadAnew(wanted: readonly Task[]): boolean {
  const [first, second] = wanted.map(({ spec }) => ({ ...spec, placement: undefined }));
  return isDeepStrictEqual(first, second);
}
