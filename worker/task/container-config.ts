/** From a task and its image to everything that the runtime has to know. Docker's merge rules. */
import { SwarmError } from '../../lib/errors.ts';
import {
  devicesOf,
  isPrivileged,
  turnsIpv6Off,
  type AssignedTask,
  type ContainerSpec,
  type HealthCheck,
  type Mount,
  type Platform,
  type TaskSpec,
} from '../../types/index.ts';
import type { Image, ImageConfig } from '../image/images.ts';
import type { ContainerConfig } from '../runtime/runtime.ts';
import { resolveHealthCheck, type ResolvedHealthCheck } from './health.ts';
import { logConfigOf } from './log-options.ts';
import { cleanPath } from '../../lib/local-path.ts';
import { signalNumber, signalOrTerm } from '../../lib/signals.ts';
import { expandTemplate, type TemplateContext } from '../../lib/template.ts';

/** A container without what is known only when it is started: its network and its files. */
export interface PreparedTask {
  readonly imageId: string;
  readonly container: Omit<ContainerConfig, 'network' | 'files'>;
  readonly networkMode: 'bridge' | 'host' | 'none';
  readonly healthCheck?: ResolvedHealthCheck;
  readonly stopGraceMs: number;
}

export interface NodeFacts {
  readonly id: string;
  readonly hostname: string;
  readonly platform: Required<Platform>;
}

/** containerd's limit for identifiers. */
const containerIdMax = 76;
const stopGraceMs = 10_000;
const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The container's name: `<service>.<slot>.<task id>`, in which the service's part is cut when it is
 * too long, and what containerd does not take in names is replaced.
 */
export function containerIdOf(task: Pick<AssignedTask, 'id' | 'name'>): string {
  const prefix = task.name.endsWith(`.${task.id}`)
    ? task.name.slice(0, -task.id.length - 1)
    : task.name;
  const clean = prefix
    .slice(0, containerIdMax - task.id.length - 1)
    .replace(/[^A-Za-z0-9]+/g, (run) => (/^[._-]$/.test(run) ? run : '-'))
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
  return clean === '' ? task.id : `${clean}.${task.id}`;
}

/**
 * Throws SwarmError `invalid-argument` for what cannot be run: the task is then rejected. `hexIdOf`:
 * the id by which Docker's clients know a container.
 */
export function prepareTask(
  task: AssignedTask,
  image: Pick<Image, 'id' | 'config' | 'rootfs'>,
  node: NodeFacts,
  hexIdOf: (containerId: string) => string,
): PreparedTask {
  const spec = task.spec.container;
  if (spec === undefined) {
    throw new SwarmError('invalid-argument', 'the task has no container to run');
  }
  const context = contextOf(task, node);
  const expand = (text: string) => expandTemplate(text, context);
  const networkMode = networkModeOf(task.spec);
  const hostname = hostnameOf(task, expand(spec.hostname ?? ''), networkMode, node);
  const check = resolveHealthCheck(spec.healthCheck, imageHealthCheck(image.config));
  const id = containerIdOf(task);
  // A task that could not be told to stop would run for ever.
  if (spec.stopSignal) signalNumber(spec.stopSignal);
  const labels = labelsOf(task, image.config, spec);
  const process = processOf(spec, image.config, hostname, expand);
  const logged = {
    ...process,
    id: hexIdOf(id),
    name: id,
    imageId: image.id,
    imageName: spec.image,
    labels,
  };
  return {
    imageId: image.id,
    container: {
      id,
      labels,
      image: image.rootfs,
      ...process,
      hostname,
      tty: spec.tty ?? false,
      openStdin: spec.openStdin ?? false,
      readOnlyRootfs: spec.readOnly ?? false,
      init: spec.init ?? false,
      mounts: mountsOf(spec, image.config, expand),
      resources: task.spec.resources ?? {},
      oomScoreAdj: spec.oomScoreAdj ?? 0,
      capabilityAdd: spec.capabilityAdd ?? [],
      capabilityDrop: spec.capabilityDrop ?? [],
      sysctls: spec.sysctls ?? {},
      ulimits: spec.ulimits ?? [],
      noNewPrivileges: spec.privileges?.noNewPrivileges ?? false,
      seccompUnconfined: spec.privileges?.seccomp?.mode === 'unconfined',
      stopSignal: spec.stopSignal || signalOrTerm(image.config.stopSignal),
      log: logConfigOf(task.spec.logDriver ?? task.defaultLogDriver ?? {}, logged),
      ...privilegesOf(spec),
    },
    networkMode,
    ...(check === undefined ? {} : { healthCheck: check }),
    stopGraceMs: spec.stopGracePeriodMs ?? stopGraceMs,
  };
}

/** Volumes of the image that the service says nothing of have no name yet. */
function mountsOf(
  spec: ContainerSpec,
  image: ImageConfig,
  expand: (text: string) => string,
): readonly Mount[] {
  const own = (spec.mounts ?? []).map((mount) => expandedMount(mount, expand));
  const targets = new Set(own.map(({ target }) => cleanPath(target)));
  const images = image.volumes
    .filter((target) => !targets.has(cleanPath(target)))
    .map((target): Mount => ({ type: 'volume', target }));
  return [...own, ...images];
}

function expandedMount(mount: Mount, expand: (text: string) => string): Mount {
  const { source, target, volumeOptions, imageOptions } = mount;
  const all = (values: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(values).map(([key, value]) => [key, expand(value)]));
  const { labels, subpath, driverConfig } = volumeOptions ?? {};
  const { options } = driverConfig ?? {};
  return {
    ...mount,
    target: expand(target),
    ...(source === undefined ? {} : { source: expand(source) }),
    ...(imageOptions?.subpath === undefined
      ? {}
      : { imageOptions: { subpath: expand(imageOptions.subpath) } }),
    ...(volumeOptions === undefined
      ? {}
      : {
          volumeOptions: {
            ...volumeOptions,
            ...(labels === undefined ? {} : { labels: all(labels) }),
            ...(subpath === undefined ? {} : { subpath: expand(subpath) }),
            ...(options === undefined
              ? {}
              : { driverConfig: { ...driverConfig, options: all(options) } }),
          },
        }),
  };
}

/** The swarm allows them, or the manager would not have placed the task. */
function privilegesOf(spec: ContainerSpec): Pick<ContainerConfig, 'more'> {
  const devices = devicesOf(spec);
  const privileged = isPrivileged(spec);
  if (!privileged && devices.length === 0) return {};
  return { more: { privileged, devices } };
}

function processOf(
  spec: ContainerSpec,
  image: ImageConfig,
  hostname: string,
  expand: (text: string) => string,
): Pick<ContainerConfig, 'argv' | 'env' | 'workdir' | 'user' | 'groups'> {
  const argv = argvOf(spec, image);
  if (argv.length === 0) throw new SwarmError('invalid-argument', 'no command specified');
  const own = [defaultPath, `HOSTNAME=${hostname}`, ...(spec.tty ? ['TERM=xterm'] : [])];
  return {
    argv,
    env: mergeEnv([own, image.env, (spec.env ?? []).map(expand)]),
    workdir: spec.dir || image.workingDir || '/',
    user: spec.user || image.user,
    groups: spec.groups ?? [],
  };
}

/** A command replaces the entrypoint and drops the image's arguments; arguments replace those. */
function argvOf(spec: ContainerSpec, image: ImageConfig): readonly string[] {
  const { command = [], args = [] } = spec;
  // A command of one empty word is how a client takes the image's entrypoint away.
  if (command.length === 1 && command[0] === '') return args;
  if (command.length > 0) return [...command, ...args];
  return [...image.entrypoint, ...(args.length > 0 ? args : image.cmd)];
}

/** Later sources win; a name without "=" takes the variable away. */
function mergeEnv(sources: readonly (readonly string[])[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const entry of sources.flat()) {
    const name = entry.split('=', 1)[0] ?? '';
    if (entry.includes('=')) merged.set(name, entry);
    else merged.delete(name);
  }
  return [...merged.values()];
}

function labelsOf(
  task: AssignedTask,
  image: ImageConfig,
  spec: ContainerSpec,
): Readonly<Record<string, string>> {
  return {
    ...image.labels,
    ...spec.labels,
    'com.docker.swarm.node.id': task.nodeId,
    'com.docker.swarm.service.id': task.serviceId,
    'com.docker.swarm.service.name': task.serviceName,
    'com.docker.swarm.task': '',
    'com.docker.swarm.task.id': task.id,
    'com.docker.swarm.task.name': task.name,
  };
}

/** Docker's is the start of a random container id; the task's id is as random, and known before. */
function hostnameOf(
  task: AssignedTask,
  wanted: string,
  networkMode: PreparedTask['networkMode'],
  node: NodeFacts,
): string {
  if (wanted !== '') return wanted;
  return networkMode === 'host' ? node.hostname : task.id.slice(0, 12);
}

function networkModeOf(spec: TaskSpec): PreparedTask['networkMode'] {
  const targets = (spec.networks ?? []).map(({ target }) => target);
  if (targets.includes('host')) return 'host';
  return targets.includes('none') ? 'none' : 'bridge';
}

export function contextOf(task: AssignedTask, node: NodeFacts): TemplateContext {
  return {
    service: { id: task.serviceId, name: task.serviceName, labels: task.serviceLabels },
    node: { id: node.id, hostname: node.hostname, ...node.platform },
    task: { id: task.id, name: task.name, slot: slotOf(task) },
  };
}

/** A task of a global service has no slot: the name has its node's id there. */
function slotOf({ name, slot }: AssignedTask): string {
  return name.split('.').at(1) ?? String(slot);
}

/** What a spec says of the container's interfaces, besides the networks that they are on. */
export function networkWishes({
  dnsConfig,
  sysctls,
}: Pick<ContainerSpec, 'dnsConfig' | 'sysctls'> = {}): {
  readonly nameservers?: readonly string[];
  readonly ipv4Only?: true;
} {
  const nameservers = dnsConfig?.nameservers ?? [];
  return {
    ...(nameservers.length > 0 ? { nameservers } : {}),
    ...(turnsIpv6Off(sysctls) ? { ipv4Only: true } : {}),
  };
}

/** The image has nanoseconds and Docker's capitals. */
function imageHealthCheck({ healthcheck }: ImageConfig): HealthCheck | undefined {
  if (healthcheck === undefined) return undefined;
  const ms = (nanoseconds: number | undefined) => (nanoseconds ?? 0) / 1e6;
  return {
    test: healthcheck.Test ?? [],
    intervalMs: ms(healthcheck.Interval),
    timeoutMs: ms(healthcheck.Timeout),
    startPeriodMs: ms(healthcheck.StartPeriod),
    startIntervalMs: ms(healthcheck.StartInterval),
    retries: healthcheck.Retries ?? 0,
  };
}
