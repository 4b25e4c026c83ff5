/**
 * What commands make of services. Synchronous functions of a view, so that the very same code also
 * answers what a command would do.
 */
import { SwarmError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import {
  autoscaleOf,
  isJobMode,
  withScale,
  type Service,
  type ServiceSpec,
} from '../../types/index.ts';
import { circleOf, whyUnmovable } from '../orchestrator/index.ts';
import { checkConstraints } from '../scheduler/index.ts';
import type { StoreView } from '../store/view.ts';
import { firstStatuses, nextStatuses } from './job-status.ts';
import { normalizeService } from './normalize.ts';
import { checkPortConflicts } from './ports.ts';
import { refuseForbidden } from './privileges.ts';
import { resolveNetworks } from './service-networks.ts';
import { refuseUnsupportedService } from './unsupported.ts';
import { requireFiles } from './validate-file.ts';
import { validateDependencies } from './validate-depends.ts';
import { validateService } from './validate-service.ts';

/** The spec as it is stored. Throws for what is wrong with it, whatever else there is. */
export function checkedSpec(given: ServiceSpec, random: Random): ServiceSpec {
  const spec = normalizeService(given, random);
  validateService(spec);
  checkConstraints(spec.task.placement?.constraints ?? []);
  refuseUnsupportedService(spec);
  validateDependencies(spec);
  return spec;
}

/** Throws `already-exists` for a taken name, and for what the spec refers to in vain. */
export function newService(
  view: StoreView,
  checked: ServiceSpec,
  made: { readonly id: string; readonly nowMs: number; readonly registryAuth?: string },
): Service {
  const spec = withScale(undefined, resolveNetworks(view, checked));
  if (view.serviceByName(spec.name) !== undefined) {
    throw new SwarmError(
      'already-exists',
      `name conflicts with an existing object: service ${spec.name} already exists`,
    );
  }
  refuseForbidden(view, spec);
  requireFiles(view, spec);
  checkPortConflicts(view, spec);
  refuseCircle(view, spec);
  const { id, nowMs, registryAuth } = made;
  return {
    id,
    meta: { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs },
    spec,
    specVersion: 0,
    ...firstStatuses(spec, nowMs),
    ...auth('registryAuth', registryAuth),
  };
}

interface ServiceChange {
  readonly nowMs: number;
  readonly registryAuth?: string;
  readonly registryAuthFrom?: 'spec' | 'previous-spec';
}

/** The service with the spec, or, where there is none, as it was before its last change. */
export function changedService(
  view: StoreView,
  service: Service,
  checked: ServiceSpec | undefined,
  change: ServiceChange,
): Service {
  const next =
    checked === undefined
      ? rolledBack(service, change.nowMs)
      : updatedService(service, resolveNetworks(view, checked), change);
  if (checked === undefined) resolveNetworks(view, next.spec);
  refuseForbidden(view, next.spec);
  requireFiles(view, next.spec);
  checkPortConflicts(view, next.spec, service.id);
  refuseCircle(view, next.spec);
  return next;
}

function refuseCircle(view: StoreView, spec: ServiceSpec): void {
  const circle = circleOf(view, spec);
  if (circle === undefined) return;
  throw new SwarmError(
    'invalid-argument',
    `services would wait for each other: ${circle}; take one dependency out of the circle`,
  );
}

/** The service with its tasks to be spread anew. */
export function rebalancedService(service: Service, nowMs: number): Service {
  const why = whyUnmovable(service);
  if (why !== undefined) throw new SwarmError('failed-precondition', why);
  const state = service.updateStatus?.state;
  if (state === 'paused' || state === 'rollback_paused') {
    throw new SwarmError(
      'failed-precondition',
      `the update of ${service.spec.name} is paused: have it go on or back first`,
    );
  }
  return { ...service, rebalance: { state: 'moving', startedAtMs: nowMs, message: '' } };
}

/** The service with a new spec; what it was stays at hand for a rollback. */
export function updatedService(
  service: Service,
  given: ServiceSpec,
  change: ServiceChange,
): Service {
  refuseChanges(service.spec, given);
  const spec = withScale(service.spec, given);
  const { previousRegistryAuth, registryAuth, ...rest } = withoutStatuses(service);
  if (change.registryAuthFrom === 'previous-spec' && service.previousSpec === undefined) {
    throw new SwarmError('failed-precondition', 'service does not have a previous spec');
  }
  const kept = change.registryAuthFrom === 'previous-spec' ? previousRegistryAuth : registryAuth;
  return {
    ...rest,
    spec,
    // The entry that last changed the service: larger than any number used for it before.
    specVersion: service.meta.version,
    previousSpec: service.spec,
    previousSpecVersion: service.specVersion,
    ...nextStatuses(service, spec, change.nowMs),
    ...autoscaleStatus(service, spec),
    ...auth('registryAuth', change.registryAuth ?? kept),
    ...auth('previousRegistryAuth', registryAuth),
  };
}

function rolledBack(service: Service, nowMs: number): Service {
  const { previousSpec, previousSpecVersion, previousRegistryAuth, registryAuth, ...rest } =
    withoutStatuses(service);
  if (previousSpec === undefined) {
    throw new SwarmError(
      'failed-precondition',
      `service ${service.id} does not have a previous spec`,
    );
  }
  const spec = withScale(service.spec, previousSpec);
  return {
    ...rest,
    ...nextStatuses(service, spec, nowMs),
    ...autoscaleStatus(service, spec),
    spec,
    // The tasks of the previous spec that still run are those of the service again.
    specVersion: previousSpecVersion ?? 0,
    previousSpec: service.spec,
    previousSpecVersion: service.specVersion,
    ...auth('registryAuth', previousRegistryAuth),
    ...auth('previousRegistryAuth', registryAuth),
    // A job does it all again: there is nothing to roll out.
    ...(isJobMode(previousSpec.mode)
      ? {}
      : {
          updateStatus: {
            state: 'rollback_started',
            startedAtMs: nowMs,
            message: 'manually requested rollback',
          },
        }),
  };
}

/** What was said of updates and runs is no longer true of the new spec. */
function withoutStatuses(service: Service): Service {
  const copy: { -readonly [K in keyof Service]: Service[K] } = { ...service };
  delete copy.updateStatus;
  delete copy.jobStatus;
  delete copy.cronStatus;
  delete copy.autoscale;
  return copy;
}

/** When it was scaled last stays true; what held it is judged anew. */
function autoscaleStatus({ autoscale }: Service, spec: ServiceSpec): Pick<Service, 'autoscale'> {
  const scaled = autoscale?.scaled;
  if (scaled === undefined || autoscaleOf(spec) === undefined) return {};
  return { autoscale: { state: 'steady', message: '', scaled } };
}

/** Said where the number of replicas that a command gives is not the one that comes of it. */
export function scaleWarnings(given: ServiceSpec, stored: ServiceSpec | undefined): string[] {
  const settings = stored && autoscaleOf(stored);
  const asked = given.mode.replicated?.replicas;
  const replicas = stored?.mode.replicated?.replicas ?? 0;
  if (settings === undefined || asked === undefined || asked === replicas) return [];
  const { min, max } = settings;
  return [
    `${stored?.name} is autoscaled from ${min} to ${max}: it has ${replicas} replicas, whatever ` +
      `its spec says (${asked}); change the bounds, or take autoscaling away`,
  ];
}

/** What identifies a service, or decides who looks after it, stays as it was created. */
function refuseChanges(present: ServiceSpec, next: ServiceSpec): void {
  if (Object.keys(present.mode)[0] !== Object.keys(next.mode)[0]) {
    throw new SwarmError('unimplemented', 'service mode change is not allowed');
  }
  if (present.name !== next.name) {
    throw new SwarmError('unimplemented', 'renaming services is not supported');
  }
}

function auth<K extends 'registryAuth' | 'previousRegistryAuth'>(
  key: K,
  value: string | undefined,
): { readonly [P in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: string };
}
