/** What is mounted in a container besides its root file system. */
import { SwarmError } from '../../../lib/errors.ts';
import type { Mount } from '../../../types/index.ts';
import type { ContainerConfig, StandaloneConfig } from '../runtime.ts';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** Where the init process is bound into the container. */
export const initTarget = '/sbin/docker-init';

const shmBytes = 64 * 1024 * 1024;

/** Docker's, for a container without privileges. */
const defaultMounts: readonly OciMount[] = [
  mount('proc', 'proc', '/proc', 'nosuid noexec nodev'),
  mount('tmpfs', 'tmpfs', '/dev', 'nosuid strictatime mode=755 size=65536k'),
  mount('devpts', 'devpts', '/dev/pts', 'nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5'),
  mount('sysfs', 'sysfs', '/sys', 'nosuid noexec nodev ro'),
  mount('cgroup', 'cgroup', '/sys/fs/cgroup', 'ro nosuid noexec nodev'),
  mount('mqueue', 'mqueue', '/dev/mqueue', 'nosuid noexec nodev'),
  mount('tmpfs', 'shm', '/dev/shm', `nosuid noexec nodev mode=1777 size=${shmBytes}`),
];

/**
 * Docker's mounts, the worker's files and the user's mounts, parents before children. A mount of the
 * user's replaces one of ours at the same place. Throws SwarmError for what cannot be mounted.
 */
export function mountsOf(
  config: Pick<ContainerConfig, 'mounts' | 'files' | 'readOnlyRootfs' | 'init' | 'more'>,
  initPath: string | undefined,
): readonly OciMount[] {
  const byTarget = new Map(ownMounts(config.more).map((entry) => [entry.destination, entry]));
  if (config.init) {
    if (initPath === undefined) {
      throw new SwarmError(
        'failed-precondition',
        'the service asks for an init process, and there is no tini-static or docker-init on this ' +
          'node: install the package tini',
      );
    }
    byTarget.set(initTarget, mount('bind', initPath, initTarget, 'bind ro rprivate'));
  }
  for (const { source, target, readOnly } of config.files) {
    const access = config.readOnlyRootfs || readOnly ? 'ro' : 'rw';
    byTarget.set(target, mount('bind', source, target, `rbind ${access} rprivate`));
  }
  for (const wanted of config.mounts) {
    const target = normalize(wanted.target);
    for (const known of byTarget.keys()) {
      if (known === target || (target === '/dev' && known.startsWith('/dev/'))) {
        byTarget.delete(known);
      }
    }
    byTarget.set(target, userMount(wanted, target));
  }
  return [...byTarget.values()].sort((a, b) => depth(a.destination) - depth(b.destination));
}

/** A privileged container may write where others only read. */
function ownMounts({ privileged, shmBytes: shm, namespaces }: StandaloneConfig = {}) {
  return defaultMounts.map((entry) => {
    if (privileged && entry.options.includes('ro')) {
      return { ...entry, options: entry.options.filter((word) => word !== 'ro') };
    }
    // Message queues are those of the namespace, wherever they are mounted: many hosts do not.
    if (namespaces?.ipc === 'host' && entry.destination === '/dev/shm') {
      return mount('bind', entry.destination, entry.destination, 'rbind nosuid noexec nodev');
    }
    if (shm && entry.destination === '/dev/shm') {
      const options = entry.options.map((word) =>
        word.startsWith('size=') ? `size=${shm}` : word,
      );
      return { ...entry, options };
    }
    return entry;
  });
}

function userMount(wanted: Mount, target: string): OciMount {
  const access = wanted.readOnly ? ['ro'] : ['rw'];
  switch (wanted.type) {
    case 'bind': {
      const {
        propagation = 'rprivate',
        nonRecursive,
        readOnlyForceRecursive,
      } = wanted.bindOptions ?? {};
      const recursive = readOnlyForceRecursive && wanted.readOnly ? ['rro'] : [];
      return {
        destination: target,
        type: 'bind',
        source: wanted.source ?? '',
        options: [nonRecursive ? 'bind' : 'rbind', ...access, ...recursive, propagation],
      };
    }
    case 'tmpfs': {
      const { sizeBytes, mode, options = [] } = wanted.tmpfsOptions ?? {};
      return {
        destination: target,
        type: 'tmpfs',
        source: 'tmpfs',
        options: [
          'nosuid',
          'nodev',
          'noexec',
          ...access,
          ...(sizeBytes ? [`size=${sizeBytes}`] : []),
          ...(mode ? [`mode=${mode.toString(8)}`] : []),
          ...options.map((words) => words.join('=')),
        ],
      };
    }
    default:
      throw new SwarmError(
        'unimplemented',
        `mounts of type "${wanted.type}" are not supported: use a bind, volume or tmpfs mount for ${target}`,
      );
  }
}

function mount(type: string, source: string, destination: string, options: string): OciMount {
  return { destination, type, source, options: options.split(' ') };
}

function normalize(target: string): string {
  const path = target.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
  if (!path.startsWith('/') || path === '/' || path.split('/').includes('..')) {
    throw new SwarmError(
      'invalid-argument',
      `invalid mount target "${target}": it must be an absolute path other than /`,
    );
  }
  return path;
}

function depth(path: string): number {
  return path.split('/').length;
}
