/**
 * What is well-formed, and what Docker can do, but this version cannot. It is refused in a sentence
 * rather than ignored. Each refusal leaves this file when its feature arrives.
 */
import { SwarmError } from '../../lib/errors.ts';
import {
  logDriverOf,
  logDrivers,
  logOptionNames,
  unknownLogOption,
  whyBadLogOptions,
  type ContainerSpec,
  type Mount,
  type ServiceSpec,
  type SwarmSpec,
  type TaskSpec,
} from '../../types/index.ts';

const mountTypes: ReadonlySet<Mount['type']> = new Set([
  'bind',
  'cluster',
  'image',
  'tmpfs',
  'volume',
]);

/** Throws `unimplemented` for the first thing that a service asks for in vain. */
export function refuseUnsupportedService(spec: ServiceSpec): void {
  refuseLogDriver(spec.task);
  refuseOtherTasks(spec.task);
  if (spec.task.container !== undefined) refuseContainer(spec.task.container);
}

function refuseLogDriver({ logDriver }: Pick<TaskSpec, 'logDriver'>): void {
  const { name = '', options = {} } = logDriver ?? {};
  const driver = logDriverOf(name);
  if (driver === undefined) {
    throw unsupported(
      `the log driver "${name}" is not supported by this version; use ${listed(logDrivers)}`,
    );
  }
  const unknown = unknownLogOption(driver, options);
  if (unknown !== undefined) {
    const known = logOptionNames(driver);
    throw unsupported(
      `the log option "${unknown}" is not supported by this version; ` +
        (known.length === 0 ? `${driver} has none` : `${driver} has ${listed(known, 'and')}`),
    );
  }
  const why = whyBadLogOptions(options);
  if (why !== undefined) throw new SwarmError('invalid-argument', why);
}

function listed(words: readonly string[], last = 'or'): string {
  return `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
}

function refuseOtherTasks({ networkAttachmentSpec, pluginSpec }: TaskSpec): void {
  if (pluginSpec !== undefined) {
    throw unsupported(
      'plugins are not run as services by this version: start them on each node, where they are ' +
        'found by their sockets in /run/docker/plugins',
    );
  }
  if (networkAttachmentSpec !== undefined) {
    throw unsupported(
      'containers are attached to networks by the node that runs them: use docker run --network',
    );
  }
}

function refuseContainer(container: ContainerSpec): void {
  for (const mount of container.mounts ?? []) {
    if (!mountTypes.has(mount.type)) {
      throw unsupported(
        `the mount at ${mount.target} is of type ${mount.type}, which this version does not ` +
          'support; use bind, volume, tmpfs, image or cluster',
      );
    }
  }
  if (container.privileges?.credentialSpec !== undefined) {
    throw unsupported('credential specs are for Windows containers; this swarm runs Linux ones');
  }
  const seLinux = container.privileges?.seLinuxContext;
  if (seLinux !== undefined && Object.values(seLinux).some((value) => value !== '' && !!value)) {
    throw unsupported('SELinux contexts are not supported by this version; leave them out');
  }
  const appArmor = container.privileges?.appArmor?.mode ?? '';
  if (!['', 'default', 'disabled'].includes(appArmor)) {
    throw unsupported(`AppArmor mode "${appArmor}" is none; use default or disabled`);
  }
  if (!['', 'default'].includes(container.isolation ?? '')) {
    throw unsupported(`isolation "${container.isolation}" is for Windows containers`);
  }
  if (container.privileges?.seccomp?.mode === 'custom') {
    throw unsupported(
      'seccomp profiles of your own are not supported by this version; use default or unconfined',
    );
  }
}

export function refuseUnsupportedSwarm(spec: SwarmSpec): void {
  refuseLogDriver(spec.taskDefaults);
}

function unsupported(message: string): SwarmError {
  return new SwarmError('unimplemented', message);
}
