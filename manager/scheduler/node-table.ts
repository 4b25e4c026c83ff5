/**
 * The nodes as one scheduling run sees them: what the view says, less what the run itself has
 * placed. Plain arrays by a node's number in the run, and a list of nodes for each load, so that
 * the least loaded node is found, and moved on, without sorting.
 */
import { assert } from '../../lib/assert.ts';
import type { NodeUsage, StoreView } from '../store/view.ts';
import { portKey } from '../store/view.ts';
import {
  isActive,
  type GenericResource,
  type Node,
  type Task,
  type VolumeAttachment,
} from '../../types/index.ts';
import { VolumeBook } from './volumes.ts';

const none = -1;

export class NodeTable {
  readonly nodes: readonly Node[];
  /** Ready and active: the only ones that are in the lists by load. */
  readonly available: Uint8Array;
  readonly freeNanoCpus: Float64Array;
  readonly freeMemoryBytes: Float64Array;
  readonly activeTasks: Int32Array;
  readonly volumes: VolumeBook;

  readonly #view: StoreView;
  readonly #usages: readonly NodeUsage[];
  #numbers: Map<string, number> | undefined;
  readonly #serviceDeltas = new Map<string, Map<number, number>>();
  readonly #portsTaken = new Map<number, Set<string>>();
  readonly #generic = new Map<number, GenericResource[]>();
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #first: number[] = [];
  readonly #last: number[] = [];
  /** Counts of one service's tasks by node, filled as they are asked for; see `serviceCounts`. */
  readonly #counts: Int32Array;
  readonly #countsRun: Int32Array;
  #run = 0;
  #counted = '';

  constructor(view: StoreView) {
    this.#view = view;
    this.volumes = new VolumeBook(view);
    this.nodes = [...view.nodes()];
    const size = this.nodes.length;
    this.#usages = this.nodes.map((node) => view.usage(node.id));
    this.available = new Uint8Array(size);
    this.freeNanoCpus = new Float64Array(size);
    this.freeMemoryBytes = new Float64Array(size);
    this.activeTasks = new Int32Array(size);
    this.#next = new Int32Array(size).fill(none);
    this.#previous = new Int32Array(size).fill(none);
    this.#counts = new Int32Array(size);
    this.#countsRun = new Int32Array(size);
    for (let number = 0; number < size; number++) this.#addNode(number);
  }

  get size(): number {
    return this.nodes.length;
  }

  numberOf(nodeId: string): number | undefined {
    // Built when it is first asked for: with very many nodes it is half of the table's cost.
    this.#numbers ??= new Map(this.nodes.map((node, number) => [node.id, number]));
    return this.#numbers.get(nodeId);
  }

  /** The first node of those with this load, or -1; `after` walks on from there. */
  firstWithLoad(load: number): number {
    return this.#first[load] ?? none;
  }

  after(number: number): number {
    return this.#next[number] ?? none;
  }

  get highestLoad(): number {
    return this.#first.length - 1;
  }

  /**
   * Active tasks of one service by node. Only one service can be counted at a time: the counts
   * returned by an earlier call are void.
   */
  serviceCounts(serviceId: string): (number: number) => number {
    const run = ++this.#run;
    this.#counted = serviceId;
    const deltas = this.#serviceDeltas.get(serviceId);
    const counts = this.#counts;
    const runs = this.#countsRun;
    return (number) => {
      assert(run === this.#run, 'the counts of an earlier service are void');
      if (runs[number] !== run) {
        runs[number] = run;
        const usage = this.#usages[number];
        counts[number] = (usage?.activeByService.get(serviceId) ?? 0) + (deltas?.get(number) ?? 0);
      }
      return counts[number] ?? 0;
    };
  }

  portTaken(number: number, port: string): boolean {
    const taken = this.#portsTaken.get(number) ?? this.#usages[number]?.hostPorts;
    return taken?.has(port) ?? false;
  }

  /** Generic resources that the wanted tasks on a node have claimed. */
  claimedGeneric(number: number): readonly GenericResource[] {
    return this.#genericOf(number);
  }

  /** A task has been given this node in this run. */
  take(
    number: number,
    task: Task,
    generic: readonly GenericResource[] = [],
    volumes: readonly VolumeAttachment[] = [],
  ): void {
    this.#account(number, task, 1);
    if (volumes.length > 0) this.volumes.take(task, this.nodes[number]!.id, volumes);
    for (const port of hostPortsOf(task)) this.#ownPorts(number).add(port);
    if (generic.length > 0) this.#genericOf(number).push(...generic);
  }

  /** A task of the view will not be wanted on its node any more: what it took is free. */
  release(task: Task): void {
    const number = this.numberOf(task.nodeId);
    if (number === undefined) return;
    this.#account(number, task, -1);
    for (const port of hostPortsOf(task)) this.#ownPorts(number).delete(port);
    if ((task.genericResources?.length ?? 0) > 0) {
      this.#generic.set(
        number,
        this.#claimsOnNode(number).filter((claim) => !task.genericResources?.includes(claim)),
      );
    }
  }

  #addNode(number: number): void {
    const node = this.nodes[number];
    const usage = this.#usages[number];
    if (node === undefined || usage === undefined) return;
    const resources = node.description?.resources;
    this.freeNanoCpus[number] = (resources?.nanoCpus ?? 0) - usage.nanoCpus;
    this.freeMemoryBytes[number] = (resources?.memoryBytes ?? 0) - usage.memoryBytes;
    this.activeTasks[number] = usage.activeTasks;
    if (node.status.state !== 'ready' || node.spec.availability !== 'active') return;
    this.available[number] = 1;
    this.#link(number, usage.activeTasks);
  }

  #account(number: number, task: Task, sign: 1 | -1): void {
    const asked = task.spec.resources?.reservations;
    this.freeNanoCpus[number]! -= sign * (asked?.nanoCpus ?? 0);
    this.freeMemoryBytes[number]! -= sign * (asked?.memoryBytes ?? 0);
    let deltas = this.#serviceDeltas.get(task.serviceId);
    if (deltas === undefined) this.#serviceDeltas.set(task.serviceId, (deltas = new Map()));
    deltas.set(number, (deltas.get(number) ?? 0) + sign);
    if (task.serviceId === this.#counted && this.#countsRun[number] === this.#run) {
      this.#counts[number]! += sign;
    }
    const before = this.activeTasks[number] ?? 0;
    const after = Math.max(0, before + sign);
    this.activeTasks[number] = after;
    if (this.available[number] === 1) {
      this.#unlink(number, before);
      this.#link(number, after);
    }
  }

  #link(number: number, load: number): void {
    while (this.#first.length <= load) {
      this.#first.push(none);
      this.#last.push(none);
    }
    const last = this.#last[load] ?? none;
    this.#previous[number] = last;
    this.#next[number] = none;
    if (last === none) this.#first[load] = number;
    else this.#next[last] = number;
    this.#last[load] = number;
  }

  #unlink(number: number, load: number): void {
    const previous = this.#previous[number] ?? none;
    const next = this.#next[number] ?? none;
    if (previous === none) this.#first[load] = next;
    else this.#next[previous] = next;
    if (next === none) this.#last[load] = previous;
    else this.#previous[next] = previous;
  }

  /** The view's set is not ours to change: copied at the first change. */
  #ownPorts(number: number): Set<string> {
    let own = this.#portsTaken.get(number);
    if (own === undefined) {
      own = new Set(this.#usages[number]?.hostPorts);
      this.#portsTaken.set(number, own);
    }
    return own;
  }

  #genericOf(number: number): GenericResource[] {
    let claims = this.#generic.get(number);
    if (claims === undefined) this.#generic.set(number, (claims = this.#claimsOnNode(number)));
    return claims;
  }

  #claimsOnNode(number: number): GenericResource[] {
    const known = this.#generic.get(number);
    if (known !== undefined) return known;
    const node = this.nodes[number];
    if (node === undefined) return [];
    const claims: GenericResource[] = [];
    for (const task of this.#view.tasksOfNode(node.id)) {
      if (isActive(task)) claims.push(...(task.genericResources ?? []));
    }
    return claims;
  }
}

export function hostPortsOf(task: Task): readonly string[] {
  if (task.ports === undefined || task.ports.length === 0) return [];
  return task.ports
    .filter((port) => port.publishMode === 'host' && (port.publishedPort ?? 0) > 0)
    .map(portKey);
}
