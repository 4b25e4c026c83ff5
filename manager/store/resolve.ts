/**
 * Gives the objects of an entry the specs that were left out of it, and makes equal specs one
 * object. Looks only at the state before the entry and at the entry itself.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Service, ServiceSpec, Task, TaskSpec } from '../../types/index.ts';
import type { Change } from './change.ts';
import type { EncodedChange, TaskWithoutSpec } from './entry-codec.ts';
import { specsOf } from './spec-pool.ts';
import type { State } from './state.ts';

export class Resolver {
  readonly #state: State;
  /** Specs that the entry brings itself. */
  readonly #brought = new Map<string, TaskSpec>();

  constructor(state: State) {
    this.#state = state;
  }

  /** The change with all that belongs to it, or a sentence that says why it conflicts. */
  resolve(change: EncodedChange): Change | string {
    if (change.op !== 'put') return change;
    if (change.table === 'task') {
      const object = this.#task(change.object);
      return typeof object === 'string' ? object : { ...change, object };
    }
    if (change.table === 'service') {
      const object = this.#service(change.object);
      return typeof object === 'string' ? object : { ...change, object };
    }
    return change;
  }

  #task(task: Task | TaskWithoutSpec): Task | string {
    const { serviceId, specVersion } = task;
    const spec = 'spec' in task ? task.spec : undefined;
    if (serviceId === '') {
      if (spec === undefined) return `task ${task.id} has neither a service nor a spec`;
      return withSharedText({ ...task, spec }, this.#state);
    }
    const known = this.#known(serviceId, specVersion);
    if (known === undefined) {
      if (spec === undefined) {
        return `the spec of task ${task.id} (service ${serviceId}, version ${specVersion}) is gone`;
      }
      this.#brought.set(`${serviceId}/${specVersion}`, spec);
      return withSharedText({ ...task, spec }, this.#state);
    }
    if (spec !== undefined && !isDeepStrictEqual(spec, known)) {
      return otherSpec(`task ${task.id}`, serviceId, specVersion);
    }
    return withSharedText({ ...task, spec: known }, this.#state);
  }

  #service(service: Service): Service | string {
    const old = this.#state.service(service.id);
    const spec = this.#intern(service.id, service.specVersion, service.spec, old);
    if (typeof spec === 'string') return spec;
    let shared: Service = { ...service, spec };
    const { previousSpec, previousSpecVersion } = service;
    if (previousSpec !== undefined && previousSpecVersion !== undefined) {
      const previous = this.#intern(service.id, previousSpecVersion, previousSpec, old);
      if (typeof previous === 'string') return previous;
      shared = { ...shared, previousSpec: previous };
    }
    for (const [version, task] of specsOf(shared)) {
      this.#brought.set(`${service.id}/${version}`, task);
    }
    return shared;
  }

  /** The spec, made of the objects that are held already where they say the same. */
  #intern(
    serviceId: string,
    version: number,
    spec: ServiceSpec,
    old: Service | undefined,
  ): ServiceSpec | string {
    const known = this.#known(serviceId, version);
    if (known !== undefined && !isDeepStrictEqual(known, spec.task)) {
      return otherSpec(`service ${serviceId}`, serviceId, version);
    }
    const same = [old?.spec, old?.previousSpec].find((held) => isDeepStrictEqual(held, spec));
    if (same !== undefined && (known === undefined || same.task === known)) return same;
    const held = [known, old?.spec.task, old?.previousSpec?.task];
    const task = held.find((candidate) => isDeepStrictEqual(candidate, spec.task));
    return task === undefined ? spec : { ...spec, task };
  }

  #known(serviceId: string, version: number): TaskSpec | undefined {
    return (
      this.#brought.get(`${serviceId}/${version}`) ?? this.#state.specs.get(serviceId, version)
    );
  }
}

/**
 * The task with the very strings that its service and its node have: a hundred thousand copies of
 * the same few ids would take a fifth of the memory that all tasks take.
 */
export function withSharedText(task: Task, state: State): Task {
  const service = state.service(task.serviceId);
  const name = service?.spec.name;
  return {
    ...task,
    serviceId: service?.id ?? task.serviceId,
    nodeId: state.node(task.nodeId)?.id ?? task.nodeId,
    serviceName: name === task.serviceName ? name : task.serviceName,
  };
}

function otherSpec(holder: string, serviceId: string, version: number): string {
  return `${holder} has another task spec than version ${version} of service ${serviceId}`;
}
