/** Docker's rules for what a task runs. Pure; throws `invalid-argument` in Docker's words. */
import { SwarmError } from '../../lib/errors.ts';
import { placeholders, whyUnfillable } from '../../lib/template.ts';
import {
  type ContainerSpec,
  type GenericResource,
  type HealthCheck,
  type Mount,
  type RestartPolicy,
  type TaskSpec,
} from '../../types/index.ts';
import { isImageReference } from './image-reference.ts';
import { validatePrivileges } from './privileges.ts';
import { validateMounts } from './validate-mounts.ts';
import { validateProcess } from './validate-process.ts';

const minNanoCpus = 1e6;
const minMemoryBytes = 4 * 1024 * 1024;
const minHealthDurationMs = 1;
/** Each is a level of the tree that tasks are spread over: nobody's labels are so deep. */
const maxPreferences = 32;

export function validateTask(task: TaskSpec): void {
  validateResources(task);
  validateRestartPolicy(task.restartPolicy);
  validatePreferences(task);
  if (task.runtime !== undefined && task.runtime !== 'container') {
    throw new SwarmError(
      'unimplemented',
      `the runtime "${task.runtime}" is not supported: tasks run containers`,
    );
  }
  if (task.container === undefined) throw invalid('TaskSpec: missing runtime');
  validateContainer(task.container, task);
}

function validateResources({ resources }: TaskSpec): void {
  const { limits, reservations } = resources ?? {};
  for (const { nanoCpus = 0, memoryBytes = 0 } of [limits ?? {}, reservations ?? {}]) {
    if (nanoCpus !== 0 && nanoCpus < minNanoCpus) {
      throw invalid(`invalid cpu value ${nanoCpus / 1e9}: Must be at least ${minNanoCpus / 1e9}`);
    }
    if (memoryBytes !== 0 && memoryBytes < minMemoryBytes) {
      throw invalid(`invalid memory value ${memoryBytes}: Must be at least 4MiB`);
    }
  }
  if ((limits?.pids ?? 0) < 0)
    throw invalid(`invalid pids limit ${limits?.pids}: must be 0 or more`);
  const swapBytes = resources?.swapBytes;
  if (swapBytes !== undefined && (limits?.memoryBytes ?? 0) === 0) {
    throw invalid('memory swap provided, but no memory-limit was set');
  }
  if (swapBytes !== undefined && swapBytes < -1) {
    throw invalid(`invalid memory swap ${swapBytes}: it is a number of bytes, or -1 for no limit`);
  }
  const swappiness = resources?.memorySwappiness;
  if (swappiness !== undefined && (swappiness < -1 || swappiness > 100)) {
    throw invalid(`invalid memory swappiness ${swappiness}: it is from 0 to 100, or -1 for none`);
  }
  for (const generic of reservations?.genericResources ?? []) validateGeneric(generic);
}

function validateGeneric({ discrete, named }: GenericResource): void {
  if (named !== undefined) {
    throw invalid(
      `generic resource "${named.kind}": a task asks for a number of them, not for a named one`,
    );
  }
  if (discrete === undefined || discrete.kind === '') {
    throw invalid('a generic resource needs a kind and a number');
  }
  if (discrete.value < 1) {
    throw invalid(`generic resource "${discrete.kind}": ${discrete.value} is not 1 or more`);
  }
}

function validateRestartPolicy(policy: RestartPolicy | undefined): void {
  if ((policy?.delayMs ?? 0) < 0) throw invalid('TaskSpec: restart-delay cannot be negative');
  if ((policy?.windowMs ?? 0) < 0) throw invalid('TaskSpec: restart-window cannot be negative');
}

function validatePreferences({ placement }: TaskSpec): void {
  const { length } = placement?.preferences ?? [];
  if (length > maxPreferences) {
    throw invalid(`${length} placement preferences are too many: give at most ${maxPreferences}`);
  }
  for (const { spread } of placement?.preferences ?? []) {
    if (spread === undefined) throw invalid('placement preference: only "spread" is known');
    if (!/^(?:node|engine)\.labels\../i.test(spread.descriptor)) {
      throw invalid(
        `placement preference "${spread.descriptor}": spread over node.labels.<key> or engine.labels.<key>`,
      );
    }
  }
}

function validateContainer(container: ContainerSpec, task: TaskSpec): void {
  if (container.image === '') throw invalid('ContainerSpec: image reference must be provided');
  if (!isImageReference(container.image)) {
    throw invalid(`ContainerSpec: "${container.image}" is not a valid repository/tag`);
  }
  validateMounts(container.mounts ?? []);
  validateTemplates(container);
  validateProcess(container, task);
  validateHealthCheck(container.healthCheck);
  validatePrivileges(container);
  if ((container.stopGracePeriodMs ?? 0) < 0) {
    throw invalid('ContainerSpec: stop-grace-period cannot be negative');
  }
}

/** A node that cannot fill in a template rejects its task: better to hear of it now. */
function validateTemplates(container: ContainerSpec): void {
  const texts = [
    container.hostname ?? '',
    ...(container.env ?? []),
    ...(container.mounts ?? []).flatMap(expandedTexts),
  ];
  for (const text of texts) {
    const why = whyUnfillable(text);
    if (why === undefined) continue;
    throw invalid(
      `"${text}" is not a template that can be filled in (${why}): use ${placeholders}`,
    );
  }
}

/** What of a mount the nodes expand. */
function expandedTexts({ source, target, volumeOptions, imageOptions }: Mount): readonly string[] {
  const { labels, subpath, driverConfig } = volumeOptions ?? {};
  return [
    source ?? '',
    target,
    subpath ?? '',
    imageOptions?.subpath ?? '',
    ...Object.values(labels ?? {}),
    ...Object.values(driverConfig?.options ?? {}),
  ];
}

function validateHealthCheck(check: HealthCheck | undefined): void {
  if (check === undefined) return;
  const durations = {
    Interval: check.intervalMs,
    Timeout: check.timeoutMs,
    StartPeriod: check.startPeriodMs,
    StartInterval: check.startIntervalMs,
  };
  for (const [name, durationMs = 0] of Object.entries(durations)) {
    if (durationMs !== 0 && durationMs < minHealthDurationMs) {
      throw invalid(`ContainerSpec: ${name} in HealthConfig cannot be less than 1ms`);
    }
  }
  if ((check.retries ?? 0) < 0) {
    throw invalid('ContainerSpec: Retries in HealthConfig cannot be negative');
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
