/** Services, and the specs in them, as the Docker Engine API writes them. */
import { parseCron } from '../../lib/cron.ts';
import {
  cronOf,
  isJobMode,
  isWanted,
  serviceSpec,
  taskSpec,
  portConfig,
  restartPolicy,
  type PortConfig,
  type RestartPolicy,
  type Service,
  type ServiceSpec,
  type Task,
  type TaskSpec,
  type UpdateConfig,
} from '../../types/index.ts';
import type { JsonObject } from './json.ts';
import { metaJson } from './meta.ts';
import { timeText } from './time.ts';

interface ServiceStatus {
  readonly running: number;
  readonly desired: number;
  readonly completed: number;
}

export function serviceJson(service: Service, status?: ServiceStatus): JsonObject {
  return {
    ID: service.id,
    ...metaJson(service.meta),
    Spec: serviceSpecJson(service.spec),
    PreviousSpec:
      service.previousSpec === undefined ? undefined : serviceSpecJson(service.previousSpec),
    Endpoint: endpointJson(service),
    UpdateStatus: updateStatusJson(service),
    ...jobStatusJson(service),
    Rebalance: rebalanceJson(service),
    Autoscale: autoscaleJson(service),
    ServiceStatus:
      status === undefined
        ? undefined
        : {
            RunningTasks: status.running,
            DesiredTasks: status.desired,
            CompletedTasks: status.completed,
          },
  };
}

export function serviceSpecJson(spec: ServiceSpec): JsonObject {
  const { updateConfig, rollbackConfig, endpoint } = spec;
  const full: ServiceSpec = {
    ...spec,
    ...(updateConfig === undefined ? {} : { updateConfig: withWords(updateConfig) }),
    ...(rollbackConfig === undefined ? {} : { rollbackConfig: withWords(rollbackConfig) }),
    ...(endpoint === undefined ? {} : { endpoint: { mode: 'vip', ...endpoint } }),
  };
  return { ...(serviceSpec.encode(full) as JsonObject), TaskTemplate: taskSpecJson(spec.task) };
}

/** Docker leaves these two never out. */
function withWords(config: UpdateConfig): UpdateConfig {
  return { failureAction: 'pause', order: 'stop-first', ...config };
}

/** Specs are never changed, and thousands of tasks share one: each is written out once. */
const encodedSpecs = new WeakMap<TaskSpec, JsonObject>();

export function taskSpecJson(spec: TaskSpec): JsonObject {
  const known = encodedSpecs.get(spec);
  if (known !== undefined) return known;
  const json = encodeTaskSpec(spec);
  encodedSpecs.set(spec, json);
  return json;
}

function encodeTaskSpec(spec: TaskSpec): JsonObject {
  const json = taskSpec.encode(spec) as JsonObject;
  const container = json['ContainerSpec'] as JsonObject | undefined;
  return {
    ...json,
    ...(container === undefined
      ? {}
      : { ContainerSpec: { ...container, Isolation: spec.container?.isolation || 'default' } }),
    ...(spec.restartPolicy === undefined
      ? {}
      : { RestartPolicy: restartPolicyJson(spec.restartPolicy) }),
    Runtime: spec.runtime ?? 'container',
  };
}

/** Docker leaves these two never out. */
function restartPolicyJson(policy: RestartPolicy): JsonObject {
  return restartPolicy.encode({ condition: 'any', maxAttempts: 0, ...policy }) as JsonObject;
}

export function portsJson(ports: readonly PortConfig[]): JsonObject[] {
  return ports.map((port) => portConfig.encode(port) as JsonObject);
}

/**
 * What `service ls` shows as replicas. A task that was replaced is none of them, also where its
 * node is lost and can never say that it has stopped. Of a job, only its present iteration counts,
 * and each slot completes once.
 */
export function serviceStatus(service: Service, tasks: Iterable<Task>): ServiceStatus {
  const { jobStatus, spec } = service;
  let running = 0;
  let wanted = 0;
  const completed = new Set<string>();
  for (const task of tasks) {
    if (task.jobIteration !== jobStatus?.iteration) continue;
    const { state } = task.status;
    if (state === 'running' && isWanted(task.desiredState)) running++;
    if (state === 'complete') completed.add(task.forNodeId ?? String(task.slot));
    const isToComplete = task.desiredState === 'complete' && state !== 'complete';
    if (task.desiredState === 'running' || isToComplete) wanted++;
  }
  const { replicated, replicatedJob } = spec.mode;
  return {
    running,
    desired: replicated?.replicas ?? replicatedJob?.maxConcurrent ?? wanted,
    completed: isJobMode(spec.mode) ? completed.size : 0,
  };
}

/** CronStatus is ours; Docker's clients pass over it. */
function jobStatusJson({ jobStatus, cronStatus, spec }: Service): JsonObject {
  if (jobStatus === undefined) return {};
  const { iteration, lastExecutionMs } = jobStatus;
  const JobStatus = {
    JobIteration: iterationJson(iteration),
    LastExecution: timeText(lastExecutionMs),
  };
  const cron = cronOf(spec);
  if (cron === undefined || cronStatus === undefined) return { JobStatus };
  const { settledMs, lastTickMs, skipped, isRunAsked } = cronStatus;
  const nextMs = parseCron(cron.schedule, cron.timeZone).next(settledMs);
  const CronStatus = {
    LastTick: lastTickMs === undefined ? undefined : timeText(lastTickMs),
    NextTick: nextMs === undefined ? undefined : timeText(nextMs),
    LastSkipped:
      skipped === undefined
        ? undefined
        : { Tick: timeText(skipped.tickMs), Reason: skipped.reason },
    RunAsked: isRunAsked,
  };
  return { JobStatus, CronStatus };
}

/** Go leaves out what is zero. */
export function iterationJson(iteration: number): JsonObject {
  return iteration === 0 ? {} : { Index: iteration };
}

function endpointJson(service: Service): JsonObject {
  const { endpoint } = service.spec;
  const specPorts = portsJson(endpoint?.ports ?? []);
  const ports = service.ports === undefined ? specPorts : portsJson(service.ports);
  return {
    Spec:
      endpoint === undefined
        ? {}
        : { Mode: endpoint.mode ?? 'vip', Ports: specPorts.length === 0 ? undefined : specPorts },
    Ports: ports.length === 0 ? undefined : ports,
    VirtualIPs: service.virtualIps?.map(({ networkId, address }) => ({
      NetworkID: networkId,
      Addr: address,
    })),
  };
}

function updateStatusJson({ updateStatus }: Service): JsonObject | undefined {
  if (updateStatus === undefined) return undefined;
  const { state, startedAtMs, completedAtMs, message } = updateStatus;
  return {
    State: state,
    StartedAt: timeText(startedAtMs),
    CompletedAt: completedAtMs === undefined ? undefined : timeText(completedAtMs),
    Message: message === '' ? undefined : message,
  };
}

/** Not Docker's: there only while tasks are moved, or where moving them was given up. */
function rebalanceJson({ rebalance }: Service): JsonObject | undefined {
  if (rebalance === undefined) return undefined;
  const { state, startedAtMs, message } = rebalance;
  return { State: state, StartedAt: timeText(startedAtMs), Message: message };
}

/** Not Docker's: there once the service was scaled, or something has kept it from that. */
function autoscaleJson({ autoscale }: Service): JsonObject | undefined {
  if (autoscale === undefined) return undefined;
  const { state, message, scaled } = autoscale;
  return {
    State: state,
    Message: message === '' ? undefined : message,
    LastScaled:
      scaled === undefined
        ? undefined
        : { At: timeText(scaled.atMs), From: scaled.from, To: scaled.to, Reason: scaled.reason },
  };
}
