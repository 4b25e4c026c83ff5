/** What must hold of the objects after each entry, and of the containers whenever one starts. */
import type { ChangeBatch, ObjectEvent, Store } from '../../../manager/store/index.ts';
import {
  compareStates,
  isActive,
  type AssignedTask,
  type Node,
  type Task,
} from '../../../types/index.ts';
import type { Agenda } from '../agenda.ts';
import { addressesApart, devicesApart, hostPortsApart, publishedApart } from '../apart.ts';
import { Violation } from '../violation.ts';
import { JobRules } from './job-rules.ts';
import { scalesWithinBounds } from './scale-rules.ts';

/** A held task starts after this time, whether its predecessor has stopped or not. */
const patienceMs = 60_000;
/** A replacement may have been planned this long before it is seen. */
const plannedMs = 1_000;

interface RunningContainer {
  readonly nodeId: string;
  readonly task: AssignedTask;
}

export class Rules {
  readonly #agenda: Agenda;
  readonly #jobs = new JobRules();
  readonly #seenAtMs = new Map<string, number>();
  readonly #tasks = new Map<string, Task>();
  /** When a node was last known to be down: Infinity while it is. */
  readonly #downAtMs = new Map<string, number>();
  checks = 0;

  constructor(agenda: Agenda) {
    this.#agenda = agenda;
  }

  /** Of an entry that is applied for the first time. Throws Violation. */
  changed({ events }: ChangeBatch, store: Store): void {
    const slots = new Map<string, Task>();
    const nodes = new Set<string>();
    this.checks += 1;
    if (events.length > 0) addressesApart(store);
    if (events.some(({ table }) => table === 'service')) publishedApart(store);
    for (const event of events) {
      scalesWithinBounds(event);
      if (event.table === 'node') this.#sawNode(event.object, event.action);
      if (event.table !== 'task') continue;
      this.#sawTask(event);
      slots.set(slotOf(event.object), event.object);
      if (event.object.nodeId !== '') nodes.add(event.object.nodeId);
    }
    for (const task of slots.values()) this.#oneWanted(task, store);
    this.#jobs.changed(events, store);
    for (const nodeId of nodes) {
      hostPortsApart(nodeId, store);
      devicesApart(nodeId, store);
    }
  }

  /** A container is about to run beside those of the same slot that run already. */
  starts({ task, nodeId }: RunningContainer, others: readonly RunningContainer[]): void {
    this.checks += 1;
    for (const other of others) {
      const shared = sharedAddress(task, other.task);
      if (shared !== undefined) {
        const both = `${task.name} starts on ${nodeId} with ${shared}, as ${other.task.name} runs`;
        throw new Violation('an address is given once', both);
      }
      if (slotOf(other.task) !== slotOf(task) || other.task.id === task.id) continue;
      if (isStartFirst(task)) continue;
      const present = this.#tasks.get(other.task.id);
      // The slot was given up, or the task's own node is not to be reached: nobody waits for it.
      if (present === undefined || present.desiredState === 'remove') continue;
      if (this.#mayOverlap({ task, nodeId }, other)) continue;
      throw new Violation(
        'one task runs in a slot',
        `${task.name} starts on ${nodeId} while ${other.task.name} runs on ${other.nodeId}`,
      );
    }
  }

  #mayOverlap(a: RunningContainer, b: RunningContainer): boolean {
    const [older, newer] = this.#seen(a) <= this.#seen(b) ? [a, b] : [b, a];
    const newerAtMs = this.#seen(newer);
    if (this.#agenda.now - newerAtMs >= patienceMs) return true;
    return (this.#downAtMs.get(older.nodeId) ?? -Infinity) >= newerAtMs - plannedMs;
  }

  #seen({ task }: RunningContainer): number {
    return this.#seenAtMs.get(task.id) ?? this.#agenda.now;
  }

  #sawNode({ id, status }: Node, action: ObjectEvent['action']): void {
    const { now } = this.#agenda;
    if (action !== 'remove' && status.state === 'down') this.#downAtMs.set(id, Infinity);
    else if (this.#downAtMs.get(id) === Infinity) this.#downAtMs.set(id, now);
  }

  #sawTask({ action, object, old }: ObjectEvent & { table: 'task' }): void {
    if (action === 'remove') this.#tasks.delete(object.id);
    else this.#tasks.set(object.id, object);
    if (action === 'create') this.#seenAtMs.set(object.id, this.#agenda.now);
    if (action !== 'update' || old === undefined) return;
    if (old.nodeId !== '' && old.nodeId !== object.nodeId) {
      const moved = `${object.name} moved from ${old.nodeId} to ${object.nodeId}`;
      throw new Violation('a task stays on its node', moved);
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

  #oneWanted(task: Task, store: Store): void {
    this.checks += 1;
    const slot = slotOf(task);
    const wanted = [...store.tasksOfService(task.serviceId)].filter(
      (other) => isActive(other) && slotOf(other) === slot,
    );
    // Of a service that is gone, all that was wanted is still to be told.
    const allowed = isStartFirst(task) ? 2 : 1;
    if (wanted.length <= allowed) return;
    const names = wanted.map(({ name }) => name).join(', ');
    throw new Violation('one task is wanted in a slot', names);
  }
}

/** An address that both tasks have on one network. */
function sharedAddress(a: Task, b: Task): string | undefined {
  for (const { networkId, addresses } of a.networks ?? []) {
    const others = b.networks?.find((network) => network.networkId === networkId)?.addresses ?? [];
    const shared = addresses.find((address) => others.includes(address));
    if (shared !== undefined) return shared;
  }
  return undefined;
}

/** Which services update so is settled by their names (client.ts). */
function isStartFirst({ serviceName }: Task): boolean {
  return serviceName.startsWith('api');
}

function slotOf({ serviceId, slot, nodeId, forNodeId, jobIteration }: Task): string {
  if (jobIteration !== undefined) return `${serviceId}@${jobIteration}/${slot}/${forNodeId ?? ''}`;
  return `${serviceId}/${slot}/${slot === 0 ? nodeId || forNodeId : ''}`;
}
