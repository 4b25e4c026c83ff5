/**
 * What makes a service's spec a good one: Docker's rules, in Docker's words, since tools match them.
 * What is well-formed but not there yet is refused in unsupported.ts.
 */
import { SwarmError } from '../../lib/errors.ts';
import { isJobMode, type ServiceSpec, type UpdateConfig } from '../../types/index.ts';
import { validateAutoscale } from './validate-autoscale.ts';
import { validateCron } from './validate-cron.ts';
import { validateFileReferences } from './validate-file.ts';
import { validateTask } from './validate-task.ts';
import { validateVolumes } from './validate-volumes.ts';

/** Letters and digits at both ends; `-` and `_` within. */
const namePattern = /^[a-zA-Z0-9](?:[-_a-zA-Z0-9]*[a-zA-Z0-9])?$/;
/** The length of a DNS label. */
const maxNameLength = 63;
/**
 * Of one service. So many take managers some 100 MB and a minute or two, and can be scaled down
 * again; a slip such as web=2000000000 would fill their memory before anybody could take it back.
 */
const maxTasks = 100_000;
const maxPort = 65_535;

/** Throws `invalid-argument` for the first thing that is wrong. */
export function validateService(spec: ServiceSpec): void {
  validateName(spec.name);
  validateTask(spec.task);
  validateFileReferences(spec);
  validateMode(spec);
  validateCron(spec);
  validateAutoscale(spec);
  validateVolumes(spec);
  validateUpdateConfig(spec.updateConfig);
  validateUpdateConfig(spec.rollbackConfig);
  validateEndpoint(spec);
  validateNetworks(spec);
}

export function validateName(name: string): void {
  if (name === '') throw invalid('meta: name must be provided');
  if (!namePattern.test(name)) throw invalid('name must be valid as a DNS name component');
  if (name.length > maxNameLength) {
    throw invalid(`name must be ${maxNameLength} characters or fewer`);
  }
}

function validateMode({ mode, updateConfig, rollbackConfig }: ServiceSpec): void {
  const modes = Object.values(mode).filter((value) => value !== undefined);
  if (modes.length > 1) throw invalid('must specify only one service mode');
  const replicas = mode.replicated?.replicas ?? 0;
  if (replicas > maxTasks) {
    throw invalid(
      `${replicas} replicas are too many: a service may have ${maxTasks}; split it up if it needs more`,
    );
  }
  const { maxConcurrent = 0, totalCompletions = 0 } = mode.replicatedJob ?? {};
  const most = Math.max(maxConcurrent, totalCompletions);
  if (most > maxTasks) {
    throw invalid(
      `${most} tasks are too many for one job: it may have ${maxTasks}; split it up if it needs more`,
    );
  }
  if (isJobMode(mode) && updateConfig !== undefined) {
    throw invalid('Jobs may not have an update config');
  }
  if (isJobMode(mode) && rollbackConfig !== undefined) {
    throw invalid('Jobs may not have a rollback config');
  }
}

function validateUpdateConfig(config: UpdateConfig | undefined): void {
  if (config === undefined) return;
  if ((config.delayMs ?? 0) < 0) throw invalid('TaskSpec: update-delay cannot be negative');
  if ((config.monitorMs ?? 0) < 0) throw invalid('TaskSpec: update-monitor cannot be negative');
  if (config.maxFailureRatio < 0 || config.maxFailureRatio > 1) {
    throw invalid('TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1');
  }
}

function validateEndpoint({ endpoint }: ServiceSpec): void {
  const published = new Set<string>();
  for (const port of endpoint?.ports ?? []) {
    if (endpoint?.mode === 'dnsrr' && port.publishMode === 'ingress') {
      throw invalid("EndpointSpec: port published with ingress mode can't be used with dnsrr mode");
    }
    if (port.targetPort < 1 || port.targetPort > maxPort) {
      throw invalid(`EndpointSpec: target port ${port.targetPort} is not between 1 and ${maxPort}`);
    }
    const publishedPort = port.publishedPort ?? 0;
    if (publishedPort > maxPort) {
      throw invalid(`EndpointSpec: published port ${publishedPort} is more than ${maxPort}`);
    }
    if (publishedPort === 0) continue;
    const key = `${port.protocol}/${publishedPort}`;
    if (published.has(key)) throw invalid('EndpointSpec: duplicate published ports provided');
    published.add(key);
  }
}

/** A task that shares its node's namespace, or has none to speak of, is on no other network. */
function validateNetworks({ task, endpoint }: ServiceSpec): void {
  const targets = (task.networks ?? []).map(({ target }) => target);
  const alone = targets.find((target) => target === 'host' || target === 'none');
  if (alone === undefined) return;
  if (targets.length > 1) {
    throw invalid(`a service on the network ${alone} cannot be on another network as well`);
  }
  if (endpoint?.ports?.some(({ publishMode }) => publishMode === 'ingress') === true) {
    throw invalid(
      `a service on the network ${alone} cannot publish ports through the routing mesh; ` +
        (alone === 'host' ? 'its ports are those of its nodes' : 'leave the ports out'),
    );
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
