/** Where the volumes of a task's slot are: its home. Derived from what nodes and tasks tell. */
import { expandTemplate } from '../../lib/template.ts';
import { followPolicyOf, stayingVolumesOf, type Service, type Task } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import type { NodeTable } from './node-table.ts';

export interface Home {
  /** The nodes that will do, the best first; never empty. */
  readonly numbers: readonly number[];
  /** It goes nowhere else. */
  readonly isRequired: boolean;
  /** Names of the volumes, for sentences. */
  readonly volumes: readonly string[];
}

/** What a node of the slot's own is worth more than one that only has as many of its volumes. */
const heldWorth = 2;
const lastWorth = 1;

export class Homes {
  readonly #view: StoreView;
  readonly #table: NodeTable;
  /** Nodes by the name of a volume that they have. */
  #holders: Map<string, number[]> | undefined;
  /** The latest task of each slot that had a node, by service. */
  readonly #latest = new Map<string, Map<number, Task>>();

  constructor(view: StoreView, table: NodeTable) {
    this.#view = view;
    this.#table = table;
  }

  /** Undefined for a task that may go anywhere. */
  of(task: Task): Home | undefined {
    const volumes = stayingVolumesOf(task.spec.container);
    if (volumes.length === 0) return undefined;
    const service = this.#view.service(task.serviceId);
    if (service?.spec.mode.replicated === undefined) return undefined;
    const policy = followPolicyOf(service.spec);
    if (policy === 'ignore') return undefined;
    const names = volumes.flatMap(({ source = '' }) => ownName(source, task, service) ?? []);
    const worths = this.#worths(task, names);
    const numbers = [...worths.keys()].toSorted(
      (a, b) => (worths.get(b) ?? 0) - (worths.get(a) ?? 0) || a - b,
    );
    if (numbers.length === 0) return undefined;
    const isRequired = policy === 'require';
    const shown = names.length > 0 ? names : volumes.map(({ source = '' }) => source);
    // Another node may have an old copy: what is required is the one that was used last.
    return { numbers: isRequired ? numbers.slice(0, 1) : numbers, isRequired, volumes: shown };
  }

  #worths(task: Task, names: readonly string[]): ReadonlyMap<number, number> {
    const worths = new Map<number, number>();
    const add = (number: number, worth: number) =>
      worths.set(number, (worths.get(number) ?? 0) + worth);
    for (const name of names) {
      for (const number of this.#holdersOf(name)) add(number, heldWorth);
    }
    const last = this.#lastOf(task);
    if (last !== undefined) add(last, lastWorth);
    return worths;
  }

  #holdersOf(name: string): readonly number[] {
    this.#holders ??= holdersByName(this.#table);
    return this.#holders.get(name) ?? [];
  }

  /** The node where the slot's last task was. */
  #lastOf({ id, serviceId, slot }: Task): number | undefined {
    let latest = this.#latest.get(serviceId);
    if (latest === undefined) {
      latest = new Map();
      for (const task of this.#view.tasksOfService(serviceId)) {
        if (task.nodeId === '') continue;
        const known = latest.get(task.slot);
        if (known === undefined || isLater(task, known)) latest.set(task.slot, task);
      }
      this.#latest.set(serviceId, latest);
    }
    const last = latest.get(slot);
    return last === undefined || last.id === id ? undefined : this.#table.numberOf(last.nodeId);
  }
}

function holdersByName(table: NodeTable): Map<string, number[]> {
  const holders = new Map<string, number[]>();
  for (const [number, { description }] of table.nodes.entries()) {
    for (const name of description?.volumes ?? []) {
      const known = holders.get(name);
      if (known === undefined) holders.set(name, [number]);
      else known.push(number);
    }
  }
  return holders;
}

/**
 * The volume's name, if it is this slot's own: one that all replicas share says nothing of a slot, or
 * all of them would go to the first node that has it.
 */
function ownName(source: string, task: Task, service: Service): string | undefined {
  if (!/\.Task\.Slot\b/.test(source) || /\.Node\.|\.Task\.(?:ID|Name)/.test(source)) {
    return undefined;
  }
  return expandTemplate(source, {
    service: { id: service.id, name: service.spec.name, labels: service.spec.labels },
    node: { id: '', hostname: '', architecture: '', os: '' },
    task: { id: task.id, name: '', slot: task.slot },
  });
}

function isLater(a: Task, b: Task): boolean {
  const later = a.meta.createdAtMs - b.meta.createdAtMs;
  return later !== 0 ? later > 0 : a.id > b.id;
}
