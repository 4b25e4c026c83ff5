/** What is to be planned: keys marked by the store's changes, never more than one mark for each. */
import type { ChangeBatch, ObjectEvent } from '../store/event.ts';
import { holdsAddresses, portKey, type StoreView } from '../store/view.ts';
import {
  compareStates,
  isTerminal,
  isActive,
  dependenciesOf,
  allowDevicesLabel,
  allowPrivilegedLabel,
  rebalanceLabel,
  type Cluster,
  type Network,
  type Node,
  type Service,
  type Task,
} from '../../types/index.ts';
import type { PassKeys } from './pass.ts';

/** What a pass found to be used up, so that the next release of any is not passed over. */
interface Shortage {
  /** Ports or addresses that services or tasks wait for. */
  readonly isShort: boolean;
  /** The pass has looked at all that waits. */
  readonly isWhole: boolean;
  /** Nodes that got no address on the routing mesh's network. */
  readonly nodes: readonly string[];
}

/** More marks than this are as good as a mark on everything. */
const maxKeys = 100_000;

export class DirtyKeys {
  readonly #services = new Set<string>();
  readonly #nodes = new Set<string>();
  /** Networks that came or went. */
  readonly #networks = new Set<string>();
  /** Nodes whose addresses are to be looked at, though nothing else of them has changed. */
  readonly #unaddressed = new Set<string>();
  readonly #waitingNodes = new Set<string>();
  /** Names of services that were removed. */
  readonly #gone = new Set<string>();
  /** Tasks of no service that have ended. */
  readonly #attachments = new Set<string>();
  /** Cluster volumes whose tasks may have to go elsewhere. */
  readonly #volumes = new Set<string>();
  #all = false;
  #allNodes = false;
  #retry = false;
  #isShort = false;

  get any(): boolean {
    const marks = [
      this.#services,
      this.#nodes,
      this.#networks,
      this.#unaddressed,
      this.#attachments,
      this.#volumes,
    ];
    return this.#all || this.#allNodes || this.#retry || marks.some(({ size }) => size > 0);
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

  /** The node's own addresses are to be looked at. */
  markAddresses(nodeId: string): void {
    this.#unaddressed.add(nodeId);
    this.#bound();
  }

  /** What a pass could not give; remembered until something is released. */
  note({ isShort, isWhole, nodes }: Shortage): void {
    this.#isShort = isShort || (this.#isShort && !isWhole);
    for (const id of nodes) this.#waitingNodes.add(id);
  }

  clear(): void {
    this.#unmark();
    this.#waitingNodes.clear();
    this.#isShort = false;
  }

  /** A task of no service is to be looked at. */
  markAttachment(taskId: string): void {
    if (this.#all) return;
    this.#attachments.add(taskId);
    this.#bound();
  }

  #unmark(): void {
    this.#attachments.clear();
    this.#gone.clear();
    this.#volumes.clear();
    for (const marks of [this.#services, this.#nodes, this.#networks]) marks.clear();
    this.#unaddressed.clear();
    this.#all = false;
    this.#allNodes = false;
    this.#retry = false;
  }

  /** Takes all marks off, as the keys of one pass. */
  take(view: StoreView): PassKeys {
    const services = new Set(this.#services);
    const attachments = new Set(this.#attachments);
    if (this.#all) {
      for (const { id, serviceId } of view.tasks()) if (serviceId === '') attachments.add(id);
      for (const { id } of view.services()) services.add(id);
      for (const id of view.orphanedServiceIds()) services.add(id);
    }
    if (this.#nodes.size > 0) {
      for (const nodeId of this.#nodes) {
        for (const { id, serviceId } of view.tasksOfNode(nodeId)) {
          if (serviceId === '') attachments.add(id);
          else services.add(serviceId);
        }
      }
      const isRebalanced = view.cluster()?.spec.labels[rebalanceLabel] === 'on-join';
      for (const { id, spec } of view.services()) {
        const isGlobal = (spec.mode.global ?? spec.mode.globalJob) !== undefined;
        if (isGlobal || isRebalanced) services.add(id);
      }
    }
    for (const id of this.#networks) {
      for (const service of view.servicesOfNetwork(id)) services.add(service.id);
    }
    for (const id of this.#volumes) {
      for (const { serviceId } of view.tasksOfVolume(id)) services.add(serviceId);
    }
    for (const id of dependents(view, services, this.#gone)) services.add(id);
    const isEveryNode = this.#all || this.#allNodes;
    const nodes = isEveryNode
      ? [...view.nodes()].map(({ id }) => id)
      : [...this.#nodes, ...this.#unaddressed];
    const keys = { services, nodes, attachments, retryUnassigned: this.#retry };
    this.#unmark();
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
        if (event.action === 'remove' && !this.#all) this.#gone.add(event.object.spec.name);
        if (releases(event.old, event.action === 'remove' ? undefined : event.object)) {
          this.#released();
        }
        return;
      case 'network':
        this.#markNetwork(event.object);
        return;
      case 'task':
        this.#markTask(event.object, event.action, event.old);
        return;
      case 'node':
        this.#markNode(event.object, event.action, event.old);
        return;
      case 'volume':
        this.#retry = true;
        this.#volumes.add(event.object.id);
        this.#bound();
        return;
      case 'cluster':
        if (settingsOf(event.object) !== settingsOf(event.old)) this.markAll();
    }
  }

  #markTask(task: Task, action: ObjectEvent['action'], old: Task | undefined): void {
    const takes = action !== 'remove' && task.nodeId !== '' && isActive(task);
    if (old !== undefined && old.nodeId !== '' && isActive(old) && !takes) {
      this.#retry = true;
    }
    // A volume is free only once its task has ended, and not when it is told to.
    const { volumes } = task;
    if (volumes !== undefined && (action === 'remove' || isTerminal(task.status.state))) {
      this.#retry = true;
    }
    const holds = action !== 'remove' && holdsAddresses(task);
    if (old !== undefined && !holds && holdsAddresses(old)) this.#released();
    // What it used may be a revision that nobody uses any more.
    if (action === 'remove' && usesFiles(task)) this.markService(task.serviceId);
    // Only a pass makes and deletes tasks, and it knows what it did.
    if (action !== 'update' || old === undefined) return;
    const { state } = task.status;
    if (task.serviceId === '') {
      if (isTerminal(state)) this.markAttachment(task.id);
      return;
    }
    const onTheWay =
      task.desiredState === old.desiredState &&
      compareStates(state, 'running') < 0 &&
      !isTerminal(state);
    if (!onTheWay) this.markService(task.serviceId);
  }

  #markNode(node: Node, action: ObjectEvent['action'], old: Node | undefined): void {
    // Whoever writes a node as a whole may leave out what it knows nothing of.
    const held = old?.ingressAddresses?.length ?? 0;
    if (action === 'update' && (node.ingressAddresses?.length ?? 0) < held) {
      this.markAddresses(node.id);
      this.#released();
    }
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
    if (action === 'remove') this.#released();
    if (this.#all) return;
    this.#nodes.add(node.id);
    this.#bound();
  }

  #markNetwork({ id, spec }: Network): void {
    this.#retry = true;
    this.#networks.add(id);
    if (spec.ingress === true) this.#allNodes = true;
    this.#bound();
  }

  /** Something that there may have been too little of has become free. */
  #released(): void {
    if (this.#isShort) this.#retry = true;
    for (const id of this.#waitingNodes) this.#unaddressed.add(id);
    this.#waitingNodes.clear();
  }

  #bound(): void {
    const { size } = this.#services;
    const others =
      this.#nodes.size + this.#networks.size + this.#attachments.size + this.#volumes.size;
    if (size + others > maxKeys) this.markAll();
    if (this.#unaddressed.size > maxKeys) this.#allNodes = true;
  }
}

/** It keeps secrets or configs from being forgotten. */
function usesFiles({ spec, status }: Task): boolean {
  if (isTerminal(status.state)) return false;
  const { secrets = [], configs = [] } = spec.container ?? {};
  return secrets.length > 0 || configs.length > 0;
}

/** What of the swarm's spec decides which tasks there are. */
function settingsOf(cluster: Cluster | undefined): string {
  const { orchestration, labels } = cluster?.spec ?? {};
  const decisive = [rebalanceLabel, allowPrivilegedLabel, allowDevicesLabel];
  return [orchestration?.taskHistoryLimit, ...decisive.map((key) => labels?.[key])].join(' ');
}

/** The service had a port or an address that it no longer has. */
function releases(old: Service | undefined, next: Service | undefined): boolean {
  const held = keysOf(old);
  const kept = new Set(held.length === 0 ? [] : keysOf(next));
  return held.some((key) => !kept.has(key));
}

function keysOf(service: Service | undefined): string[] {
  const { ports = [], virtualIps = [] } = service ?? {};
  return [...ports.map(portKey), ...virtualIps.map((vip) => `${vip.networkId} ${vip.address}`)];
}

/** Services that wait for one of these, or for one that is gone. */
function dependents(
  view: StoreView,
  ids: ReadonlySet<string>,
  gone: ReadonlySet<string>,
): string[] {
  if (ids.size === 0) return [];
  const names = new Set([...ids].map((id) => view.service(id)?.spec.name));
  for (const name of gone) names.add(name);
  return [...view.services()]
    .filter(({ spec }) => dependenciesOf(spec).some(({ service }) => names.has(service)))
    .map(({ id }) => id);
}
