/** Docker's rules for what is mounted in a task. Pure; throws `invalid-argument`. */
import { SwarmError } from '../../lib/errors.ts';
import { isLocalPath, cleanPath } from '../../lib/local-path.ts';
import { groupPrefix, type Mount } from '../../types/index.ts';

export function validateMounts(mounts: readonly Mount[]): void {
  const targets = new Set<string>();
  for (const mount of mounts) {
    if (mount.target === '') {
      throw invalid('invalid mount target, must not be empty');
    }
    if (!mount.target.startsWith('/')) {
      throw invalid(`invalid mount target, must be an absolute path: ${mount.target}`);
    }
    const target = cleanPath(mount.target);
    if (target === '/') throw badMount(mount, "invalid specification: destination can't be '/'");
    if (targets.has(target)) {
      throw invalid(`ContainerSpec: duplicate mount point: ${mount.target}`);
    }
    targets.add(target);
    validateOptions(mount);
    if (mount.type === 'bind' && !(mount.source ?? '').startsWith('/')) {
      throw invalid(`invalid bind mount source, must be an absolute path: ${mount.source ?? ''}`);
    }
    if (mount.type === 'volume' && (mount.source ?? '').startsWith('/')) {
      throw invalid(`invalid volume mount source, must not be an absolute path: ${mount.source}`);
    }
    if (mount.type === 'volume' && !mount.source && mount.volumeOptions?.subpath) {
      throw invalid(`${mount.target}: must not set Subpath when using anonymous volumes`);
    }
    if (mount.type === 'cluster') validateClusterMount(mount);
    validateImageMount(mount);
    if (mount.type === 'tmpfs' && (mount.source ?? '') !== '') {
      throw invalid('invalid tmpfs source, source must be empty');
    }
  }
}

/** Options are of one type of mount: those of another would be passed over. */
function validateOptions(mount: Mount): void {
  const { type, bindOptions, volumeOptions, tmpfsOptions } = mount;
  if (type !== 'bind' && type !== 'volume' && type !== 'tmpfs') return;
  for (const [name, owner, options] of [
    ['BindOptions', 'bind', bindOptions],
    ['VolumeOptions', 'volume', volumeOptions],
    ['TmpfsOptions', 'tmpfs', tmpfsOptions],
  ] as const) {
    if (options !== undefined && owner !== type) {
      throw badMount(mount, `field ${name} must not be specified`);
    }
  }
}

function badMount({ type }: Mount, reason: string): SwarmError {
  return invalid(`invalid mount config for type "${type}": ${reason}`);
}

function validateImageMount({ type, source = '', target, imageOptions, ...others }: Mount): void {
  if (type !== 'image') {
    if (imageOptions === undefined) return;
    throw invalid(`${target}: ImageOptions are for mounts of type image, and this is a ${type}`);
  }
  if (source === '') throw invalid(`the image mount at ${target} needs a source: the image`);
  const { bindOptions, volumeOptions, tmpfsOptions } = others;
  if ([bindOptions, volumeOptions, tmpfsOptions].some((options) => options !== undefined)) {
    throw invalid(`the image mount at ${target} can have no options but ImageOptions`);
  }
  if (imageOptions?.subpath && !isLocalPath(imageOptions.subpath)) {
    throw invalid(
      `the image mount at ${target}: the subpath ${imageOptions.subpath} must be a relative path ` +
        'within the image',
    );
  }
}

/** Which volume it is has to be known before there is a node, and a slot. */
function validateClusterMount({ source = '', target }: Mount): void {
  if (['', groupPrefix].includes(source)) {
    throw invalid(
      `the cluster volume at ${target} needs a source: the name of one, or group:<name> for any ` +
        'of a group',
    );
  }
  if (source.includes('{{') || target.includes('{{')) {
    throw invalid(
      `the cluster volume ${source} cannot have placeholders: use group:<name>, of which each ` +
        'task gets one',
    );
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
