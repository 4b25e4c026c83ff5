/** What is to be planned: keys marked by the store's changes, never more than one mark for each. */
import type { ChangeBatch, ObjectEvent } from '../store/event.ts';
import type { StoreView } from '../store/view.ts';
import { compareStates, isTerminal, isWanted, type Node, type Task } from '../../types/index.ts';
import type { PassKeys } from './pass.ts';

/** More marks than this are as good as a mark on everything. */
const maxKeys = 100_000;

export class DirtyKeys {
  readonly #services = new Set<string>();
  readonly #nodes = new Set<string>();
  #all = false;
  #retry = false;

  get any(): boolean {
    return this.#all || this.#retry || this.#services.size > 0 || this.#nodes.size > 0;
  }

  markAll(): void {
    this.clear();
    this.#all = true;
    this.#retry = true;
  }

  markService(id: string): void {
    if (this.#all) return;
    this.#services.add(id);
    this.#bound();
  }

  markUnassigned(): void {
    this.#retry = true;
  }

  clear(): void {
    this.#services.clear();
    this.#nodes.clear();
    this.#all = false;
    this.#retry = false;
  }

  /** Takes all marks off, as the keys of one pass. */
  take(view: StoreView): PassKeys {
    const services = new Set(this.#services);
    if (this.#all) {
      for (const { id } of view.services()) services.add(id);
      for (const id of view.orphanedServiceIds()) services.add(id);
    }
    if (this.#nodes.size > 0) {
      for (const nodeId of this.#nodes) {
        for (const task of view.tasksOfNode(nodeId)) services.add(task.serviceId);
      }
      for (const { id, spec } of view.services()) {
        if (spec.mode.global !== undefined) services.add(id);
      }
    }
    const keys = { services, retryUnassigned: this.#retry };
    this.clear();
    return keys;
  }

  mark(batch: ChangeBatch): void {
    if (batch.restored) this.markAll();
    for (const event of batch.events) this.#markEvent(event);
  }

  #markEvent(event: ObjectEvent): void {
    switch (event.table) {
      case 'service':
        this.markService(event.object.id);
        return;
      case 'task':
        this.#markTask(event.object, event.action, event.old);
        return;
      case 'node':
        this.#markNode(event.object, event.action, event.old);
        return;
      case 'cluster':
        if (limitOf(event.object) !== limitOf(event.old)) this.markAll();
    }
  }

  #markTask(task: Task, action: ObjectEvent['action'], old: Task | undefined): void {
    const takes = action !== 'remove' && task.nodeId !== '' && isWanted(task.desiredState);
    if (old !== undefined && old.nodeId !== '' && isWanted(old.desiredState) && !takes) {
      this.#retry = true;
    }
    // Only a pass makes and deletes tasks, and it knows what it did.
    if (action !== 'update' || old === undefined) return;
    const { state } = task.status;
    const onTheWay =
      task.desiredState === old.desiredState &&
      compareStates(state, 'running') < 0 &&
      !isTerminal(state);
    if (!onTheWay) this.markService(task.serviceId);
  }

  #markNode(node: Node, action: ObjectEvent['action'], old: Node | undefined): void {
    const same =
      action === 'update' &&
      old !== undefined &&
      old.spec === node.spec &&
      old.role === node.role &&
      old.description === node.description &&
      old.status.state === node.status.state &&
      old.status.addr === node.status.addr;
    if (same) return;
    this.#retry = true;
    if (this.#all) return;
    this.#nodes.add(node.id);
    this.#bound();
  }

  #bound(): void {
    if (this.#services.size + this.#nodes.size > maxKeys) this.markAll();
  }
}

function limitOf(cluster: { spec: { orchestration: { taskHistoryLimit?: number } } } | undefined) {
  return cluster?.spec.orchestration.taskHistoryLimit;
}
