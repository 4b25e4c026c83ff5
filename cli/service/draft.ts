/** A service's spec that flags may still change. */
import type { ServiceSpec } from '../../types/index.ts';

export type Draft<T> = T extends object ? { -readonly [K in keyof T]: Draft<T[K]> } : T;
export type SpecDraft = Draft<ServiceSpec>;
type ContainerDraft = NonNullable<SpecDraft['task']['container']>;

export function draftOf(spec: ServiceSpec): SpecDraft {
  return structuredClone(spec) as SpecDraft;
}

export function container(spec: SpecDraft): ContainerDraft {
  return (spec.task.container ??= { image: '' });
}

export function resources(spec: SpecDraft): NonNullable<SpecDraft['task']['resources']> {
  return (spec.task.resources ??= {});
}

export function limits(spec: SpecDraft) {
  return (resources(spec).limits ??= {});
}

export function reservations(spec: SpecDraft) {
  return (resources(spec).reservations ??= {});
}

export function placement(spec: SpecDraft): NonNullable<SpecDraft['task']['placement']> {
  return (spec.task.placement ??= {});
}

export function endpoint(spec: SpecDraft): NonNullable<SpecDraft['endpoint']> {
  return (spec.endpoint ??= {});
}

/** Docker fills in the defaults of the whole group once one of its members is given. */
export function restart(spec: SpecDraft): NonNullable<SpecDraft['task']['restartPolicy']> {
  return (spec.task.restartPolicy ??= { condition: 'any', delayMs: 5000, maxAttempts: 0 });
}

type UpdateDraft = NonNullable<SpecDraft['updateConfig']>;

export function updates(spec: SpecDraft, key: 'updateConfig' | 'rollbackConfig'): UpdateDraft {
  return (spec[key] ??= {
    parallelism: 1,
    failureAction: 'pause',
    monitorMs: 5000,
    maxFailureRatio: 0,
    order: 'stop-first',
  });
}
