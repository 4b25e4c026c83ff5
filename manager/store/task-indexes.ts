/** Tasks by service and by node, tasks that wait for a node, services that left tasks behind. */
import { isTerminal, isWanted, type Service, type Task } from '../../types/index.ts';

/** Tasks grouped by a key that may be empty: such tasks are in no group. */
export class TaskGroups {
  readonly #name: string;
  readonly #keyOf: (task: Task) => string;
  readonly #groups = new Map<string, Map<string, Task>>();

  constructor(name: string, keyOf: (task: Task) => string) {
    this.#name = name;
    this.#keyOf = keyOf;
  }

  of(key: string): Iterable<Task> {
    return this.#groups.get(key)?.values() ?? [];
  }

  has(key: string): boolean {
    return this.#groups.has(key);
  }

  changed(old: Task | undefined, next: Task | undefined): void {
    const before = old === undefined ? '' : this.#keyOf(old);
    const after = next === undefined ? '' : this.#keyOf(next);
    if (next !== undefined && after !== '') {
      const group = this.#groups.get(after);
      if (group === undefined) this.#groups.set(after, new Map([[next.id, next]]));
      else group.set(next.id, next);
    }
    if (old !== undefined && before !== '' && before !== after) {
      const group = this.#groups.get(before);
      group?.delete(old.id);
      if (group?.size === 0) this.#groups.delete(before);
    }
  }

  clear(): void {
    this.#groups.clear();
  }

  audit(tasks: Iterable<Task>): string[] {
    const expected = Map.groupBy(tasks, this.#keyOf);
    expected.delete('');
    const wrong: string[] = [];
    for (const key of new Set([...expected.keys(), ...this.#groups.keys()])) {
      const present = new Set(this.of(key));
      const wanted = new Set(expected.get(key) ?? []);
      if (present.size !== wanted.size || present.symmetricDifference(wanted).size > 0) {
        wrong.push(`tasks of ${this.#name} ${key}: ${present.size} indexed, ${wanted.size} exist`);
      }
    }
    return wrong;
  }
}

/** Tasks that are wanted, have not ended, and have no node. */
export class UnassignedTasks {
  readonly #tasks = new Map<string, Task>();

  all(): Iterable<Task> {
    return this.#tasks.values();
  }

  changed(old: Task | undefined, next: Task | undefined): void {
    if (next !== undefined && waits(next)) this.#tasks.set(next.id, next);
    else if (old !== undefined) this.#tasks.delete(old.id);
  }

  clear(): void {
    this.#tasks.clear();
  }

  audit(tasks: Iterable<Task>): string[] {
    const expected = new Set(Iterator.from(tasks).filter(waits));
    const different = expected.symmetricDifference(new Set(this.#tasks.values()));
    return [...different].map((task) => `task ${task.id} is wrongly listed or not as unassigned`);
  }
}

function waits(task: Task): boolean {
  return task.nodeId === '' && isWanted(task.desiredState) && !isTerminal(task.status.state);
}

/** Services that are gone while tasks of theirs are left. */
export class OrphanedServices {
  readonly #services: ReadonlyMap<string, Service>;
  readonly #byService: TaskGroups;
  readonly #ids = new Set<string>();

  /** Both are looked at, and must be changed first. */
  constructor(services: ReadonlyMap<string, Service>, byService: TaskGroups) {
    this.#services = services;
    this.#byService = byService;
  }

  ids(): Iterable<string> {
    return this.#ids.values();
  }

  check(serviceId: string): void {
    if (this.#isOrphaned(serviceId)) this.#ids.add(serviceId);
    else this.#ids.delete(serviceId);
  }

  clear(): void {
    this.#ids.clear();
  }

  audit(tasks: Iterable<Task>): string[] {
    const expected = new Set<string>();
    for (const { serviceId } of tasks) {
      if (serviceId !== '' && !this.#services.has(serviceId)) expected.add(serviceId);
    }
    const different = expected.symmetricDifference(this.#ids);
    return [...different].map((id) => `service ${id} is wrongly listed or not as orphaned`);
  }

  #isOrphaned(serviceId: string): boolean {
    return !this.#services.has(serviceId) && this.#byService.has(serviceId);
  }
}
