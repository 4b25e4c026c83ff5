/**
 * One object for each (service, spec version), whoever holds it: the service itself, its previous
 * spec, and its tasks. So 10,000 replicas cost one spec, and entries and snapshots leave out what
 * every manager can look up here. What the pool holds follows from the tables alone, so that it
 * resolves to the same on all managers.
 */
import { assert } from '../../lib/assert.ts';
import type { Service, Task, TaskSpec } from '../../types/index.ts';

interface Pooled {
  readonly spec: TaskSpec;
  references: number;
}

export class SpecPool {
  readonly #pooled = new Map<string, Map<number, Pooled>>();

  get(serviceId: string, specVersion: number): TaskSpec | undefined {
    return this.#pooled.get(serviceId)?.get(specVersion)?.spec;
  }

  serviceChanged(old: Service | undefined, next: Service | undefined): void {
    if (next !== undefined) {
      for (const [version, spec] of specsOf(next)) this.#retain(next.id, version, spec);
    }
    if (old !== undefined) {
      for (const [version] of specsOf(old)) this.#release(old.id, version);
    }
  }

  taskChanged(old: Task | undefined, next: Task | undefined): void {
    if (
      old?.spec === next?.spec &&
      old?.specVersion === next?.specVersion &&
      old?.serviceId === next?.serviceId
    ) {
      return;
    }
    if (next !== undefined && next.serviceId !== '') {
      this.#retain(next.serviceId, next.specVersion, next.spec);
    }
    if (old !== undefined && old.serviceId !== '') this.#release(old.serviceId, old.specVersion);
  }

  clear(): void {
    this.#pooled.clear();
  }

  /** What differs from a pool computed anew from the tables. */
  audit(services: Iterable<Service>, tasks: Iterable<Task>): string[] {
    const wrong: string[] = [];
    const expected = new Map<string, number>();
    const count = (serviceId: string, version: number, spec: TaskSpec, holder: string) => {
      if (this.get(serviceId, version) !== spec) wrong.push(`spec of ${holder} is not shared`);
      const key = `${serviceId}/${version}`;
      expected.set(key, (expected.get(key) ?? 0) + 1);
    };
    for (const service of services) {
      for (const [version, spec] of specsOf(service)) {
        count(service.id, version, spec, `service ${service.id}`);
      }
    }
    for (const task of tasks) {
      if (task.serviceId !== '') {
        count(task.serviceId, task.specVersion, task.spec, `task ${task.id}`);
      }
    }
    for (const [serviceId, versions] of this.#pooled) {
      for (const [version, { references }] of versions) {
        const key = `${serviceId}/${version}`;
        const want = expected.get(key) ?? 0;
        if (want !== references) wrong.push(`spec ${key} has ${references} holders, not ${want}`);
      }
    }
    return wrong;
  }

  #retain(serviceId: string, version: number, spec: TaskSpec): void {
    let versions = this.#pooled.get(serviceId);
    if (versions === undefined) {
      versions = new Map();
      this.#pooled.set(serviceId, versions);
    }
    const pooled = versions.get(version);
    if (pooled === undefined) versions.set(version, { spec, references: 1 });
    else pooled.references += 1;
  }

  #release(serviceId: string, version: number): void {
    const versions = this.#pooled.get(serviceId);
    const pooled = versions?.get(version);
    assert(versions !== undefined && pooled !== undefined, `spec ${serviceId}/${version} is held`);
    pooled.references -= 1;
    if (pooled.references > 0) return;
    versions.delete(version);
    if (versions.size === 0) this.#pooled.delete(serviceId);
  }
}

/** The task specs that a service holds, by version. */
export function specsOf(service: Service): [number, TaskSpec][] {
  const specs: [number, TaskSpec][] = [[service.specVersion, service.spec.task]];
  const { previousSpec, previousSpecVersion } = service;
  if (
    previousSpec !== undefined &&
    previousSpecVersion !== undefined &&
    previousSpecVersion !== service.specVersion
  ) {
    specs.push([previousSpecVersion, previousSpec.task]);
  }
  return specs;
}
