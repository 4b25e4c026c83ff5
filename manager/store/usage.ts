/** What the wanted tasks of each node take of it, kept up with every change of a task. */
import { isActive, type Task } from '../../types/index.ts';
import { portKey, type NodeUsage } from './view.ts';

class Usage implements NodeUsage {
  nanoCpus = 0;
  memoryBytes = 0;
  activeTasks = 0;
  readonly activeByService = new Map<string, number>();
  readonly hostPorts = new Set<string>();
  /** How often a port is taken, where more than once: wanted tasks may overlap in an update. */
  readonly #extraPorts = new Map<string, number>();

  add(task: Task): void {
    this.#reserve(task, 1);
    const { serviceId } = task;
    this.activeByService.set(serviceId, (this.activeByService.get(serviceId) ?? 0) + 1);
    for (const port of hostPortsOf(task)) {
      if (this.hostPorts.has(port)) {
        this.#extraPorts.set(port, (this.#extraPorts.get(port) ?? 0) + 1);
      } else this.hostPorts.add(port);
    }
  }

  remove(task: Task): void {
    this.#reserve(task, -1);
    const { serviceId } = task;
    const left = (this.activeByService.get(serviceId) ?? 0) - 1;
    if (left > 0) this.activeByService.set(serviceId, left);
    else this.activeByService.delete(serviceId);
    for (const port of hostPortsOf(task)) {
      const extra = this.#extraPorts.get(port) ?? 0;
      if (extra > 1) this.#extraPorts.set(port, extra - 1);
      else if (extra === 1) this.#extraPorts.delete(port);
      else this.hostPorts.delete(port);
    }
  }

  #reserve(task: Task, sign: 1 | -1): void {
    const reserved = task.spec.resources?.reservations;
    this.nanoCpus += sign * (reserved?.nanoCpus ?? 0);
    this.memoryBytes += sign * (reserved?.memoryBytes ?? 0);
    this.activeTasks += sign;
  }
}

const idle: NodeUsage = new Usage();

export class UsageIndex {
  readonly #nodes = new Map<string, Usage>();

  of(nodeId: string): NodeUsage {
    return this.#nodes.get(nodeId) ?? idle;
  }

  changed(old: Task | undefined, next: Task | undefined): void {
    const before = old !== undefined && takes(old) ? old : undefined;
    const after = next !== undefined && takes(next) ? next : undefined;
    if (before !== undefined && after !== undefined && takesTheSame(before, after)) return;
    if (after !== undefined) {
      let usage = this.#nodes.get(after.nodeId);
      if (usage === undefined) {
        usage = new Usage();
        this.#nodes.set(after.nodeId, usage);
      }
      usage.add(after);
    }
    if (before !== undefined) {
      const usage = this.#nodes.get(before.nodeId);
      usage?.remove(before);
      if (usage?.activeTasks === 0) this.#nodes.delete(before.nodeId);
    }
  }

  clear(): void {
    this.#nodes.clear();
  }

  /** What differs from the usage summed anew from the tasks. */
  audit(tasks: Iterable<Task>): string[] {
    const byNode = Map.groupBy(Iterator.from(tasks).filter(takes), (task) => task.nodeId);
    const wrong: string[] = [];
    for (const nodeId of new Set([...byNode.keys(), ...this.#nodes.keys()])) {
      const expected = describeTasks(byNode.get(nodeId) ?? []);
      const present = describe(this.of(nodeId));
      if (expected !== present) {
        wrong.push(`usage of node ${nodeId} is ${present}, should be ${expected}`);
      }
    }
    return wrong;
  }
}

/** The task counts on its node. */
function takes(task: Task): boolean {
  return task.nodeId !== '' && isActive(task);
}

function takesTheSame(a: Task, b: Task): boolean {
  return (
    a.nodeId === b.nodeId &&
    a.serviceId === b.serviceId &&
    a.spec === b.spec &&
    (a.ports === b.ports || [...hostPortsOf(a)].join() === [...hostPortsOf(b)].join())
  );
}

function* hostPortsOf(task: Task): Iterable<string> {
  if (task.ports === undefined) return;
  for (const port of task.ports) {
    if (port.publishMode === 'host' && (port.publishedPort ?? 0) > 0) yield portKey(port);
  }
}

function describe(usage: NodeUsage): string {
  const { nanoCpus, memoryBytes, activeTasks, activeByService, hostPorts } = usage;
  const services = [...activeByService].map(([id, count]) => `${id}:${count}`).sort();
  const ports = [...hostPorts].sort();
  return JSON.stringify({ nanoCpus, memoryBytes, activeTasks, services, ports });
}

function describeTasks(tasks: readonly Task[]): string {
  const sum = (pick: (task: Task) => number | undefined) =>
    tasks.reduce((total, task) => total + (pick(task) ?? 0), 0);
  const byService = Map.groupBy(tasks, (task) => task.serviceId);
  return describe({
    nanoCpus: sum((task) => task.spec.resources?.reservations?.nanoCpus),
    memoryBytes: sum((task) => task.spec.resources?.reservations?.memoryBytes),
    activeTasks: tasks.length,
    activeByService: new Map([...byService].map(([id, group]) => [id, group.length])),
    hostPorts: new Set(tasks.flatMap((task) => [...hostPortsOf(task)])),
  });
}
