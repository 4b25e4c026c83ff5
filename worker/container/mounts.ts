/** Docker's ways to say what is mounted, as one list. */
import { SwarmError } from '../../lib/errors.ts';
import { cleanPath, isLocalPath } from '../../lib/local-path.ts';
import type { ContainerDocument, HostDocument, Mount } from '../../types/index.ts';
import type { PinnedMount } from '../runtime/runtime.ts';

const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
type Propagation = (typeof propagations)[number];
/** Words of -v that change nothing here: for SELinux, for other systems. */
const ignoredWords = new Set(['z', 'Z', 'consistent', 'cached', 'delegated', '']);

/**
 * What the container is to have, volumes without a name among it; `others`, of `--volumes-from`, give
 * way to its own. Throws `invalid-argument` or `unimplemented` in one sentence that names the mount.
 */
export function mountsOf(
  config: ContainerDocument,
  host: HostDocument,
  others: readonly PinnedMount[] = [],
): readonly PinnedMount[] {
  const driver = host.volumeDriver;
  const binds = (host.binds ?? []).map((text) => bindOf(text, driver));
  const tmpfs = Object.entries(host.tmpfs ?? {}).map(([target, options]) =>
    tmpfsOf(target, options),
  );
  const mounts = (host.mounts ?? []).map(checked);
  const own = [...binds, ...mounts, ...tmpfs];
  const twice = own.find(({ target }, index) =>
    own.some((other, at) => at < index && cleanPath(other.target) === cleanPath(target)),
  );
  if (twice !== undefined) {
    throw new SwarmError('invalid-argument', `Duplicate mount point: ${twice.target}`);
  }
  if (config.workingDir !== '' && !config.workingDir.startsWith('/')) {
    throw new SwarmError(
      'invalid-argument',
      `the working directory '${config.workingDir}' is invalid, it needs to be an absolute path`,
    );
  }
  const all = new Map<string, PinnedMount>(
    [...others, ...own].map((mount) => [cleanPath(mount.target), mount]),
  );
  for (const target of config.volumes ?? []) {
    if (!all.has(cleanPath(target))) all.set(cleanPath(target), volumeAt(target, driver));
  }
  return [...all.values()];
}

function volumeAt(target: string, driver: string): Mount {
  if (!target.startsWith('/') || cleanPath(target) === '/') {
    throw new SwarmError(
      'invalid-argument',
      `invalid volume: '${target}': mount path must be absolute, and not '/'`,
    );
  }
  return {
    type: 'volume',
    target,
    ...(driver === '' ? {} : { volumeOptions: { driverConfig: { name: driver } } }),
  };
}

/** "source:target[:words]", or a target alone. As in Docker, a folder that is not there is made. */
function bindOf(text: string, driver: string): Mount {
  const parts = text.split(':');
  if (parts.length === 1) return volumeAt(text, driver);
  const [source = '', target = '', words = ''] = parts;
  if (parts.length > 3 || target === '' || source === '') {
    throw new SwarmError('invalid-argument', `invalid volume specification: '${text}'`);
  }
  const type = source.startsWith('/') ? 'bind' : 'volume';
  const trouble = targetTrouble(target);
  if (trouble !== undefined) {
    throw new SwarmError(
      'invalid-argument',
      `invalid volume specification: '${text}': invalid mount config for type "${type}": ${trouble}`,
    );
  }
  const { readOnly, noCopy, propagation } = modeOf(words);
  if (type === 'bind') {
    if (noCopy) throw invalidMode(words);
    const bindOptions = {
      createMountpoint: true,
      ...(propagation === undefined ? {} : { propagation }),
    };
    return { type, source, target, readOnly, bindOptions };
  }
  if (propagation !== undefined) throw invalidMode(words);
  const volumeOptions = {
    ...(noCopy ? { noCopy } : {}),
    ...(driver === '' ? {} : { driverConfig: { name: driver } }),
  };
  return { type, source, target, readOnly, volumeOptions };
}

/** In Docker's words. */
function targetTrouble(target: string): string | undefined {
  if (!target.startsWith('/')) return `invalid mount path: '${target}' mount path must be absolute`;
  return cleanPath(target) === '/' ? "invalid specification: destination can't be '/'" : undefined;
}

function modeOf(words: string) {
  let readOnly = false;
  let noCopy = false;
  let propagation: Propagation | undefined;
  const kinds = new Set<string>();
  for (const word of words.split(',')) {
    if (word === 'ro') readOnly = true;
    else if (word === 'nocopy') noCopy = true;
    else if (isPropagation(word)) propagation = word;
    else if (word !== 'rw' && !ignoredWords.has(word)) throw invalidMode(words);
    const kind = kindOf(word);
    // The second would be passed over, or the first.
    if (kinds.has(kind)) throw invalidMode(words);
    kinds.add(kind);
  }
  return { readOnly, noCopy, propagation };
}

function kindOf(word: string): string {
  if (isPropagation(word)) return 'propagation';
  if (word === 'ro' || word === 'rw') return 'access';
  return word === 'Z' ? 'z' : word;
}

function invalidMode(words: string): SwarmError {
  return new SwarmError('invalid-argument', `invalid mode: ${words}`);
}

function isPropagation(word: string): word is Propagation {
  return (propagations as readonly string[]).includes(word);
}

function tmpfsOf(target: string, options: string): Mount {
  const trouble = targetTrouble(target);
  if (trouble !== undefined) throw new SwarmError('invalid-argument', trouble);
  const words = options.split(',').filter((word) => word !== '');
  const unknown = words.findLast((word) => !isTmpfsOption(word));
  if (unknown !== undefined) {
    const shown = split(unknown).map((part) => JSON.stringify(part));
    throw new SwarmError('invalid-argument', `invalid tmpfs option [${shown.join(' ')}]`);
  }
  const readOnly = words.includes('ro');
  const others = words.filter((word) => word !== 'ro' && word !== 'rw');
  const tmpfsOptions = { options: others.map((word) => word.split('=')) };
  return { type: 'tmpfs', target, readOnly, tmpfsOptions };
}

/** What mount(8) has for any file system, and what tmpfs has of its own. */
const anyMountFlags = new Set(
  (
    'defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync mand nomand atime ' +
    'noatime diratime nodiratime relatime norelatime strictatime nostrictatime remount bind rbind ' +
    'private rprivate shared rshared slave rslave unbindable runbindable'
  ).split(' '),
);
const tmpfsValues = new Set(['mode', 'mpol', 'nr_blocks', 'nr_inodes', 'size', 'uid', 'gid']);

function isTmpfsOption(word: string): boolean {
  const [name = '', value] = split(word);
  return value === undefined ? anyMountFlags.has(name) : tmpfsValues.has(name);
}

function split(word: string): readonly string[] {
  const equals = word.indexOf('=');
  return equals < 0 ? [word] : [word.slice(0, equals), word.slice(equals + 1)];
}

function checked(mount: Mount): Mount {
  const fail = (reason: string): never => {
    throw new SwarmError(
      'invalid-argument',
      `invalid mount config for type "${mount.type}": ${reason}`,
    );
  };
  if (mount.target === '') fail('field Target must not be empty');
  if (mount.type === 'npipe' || mount.type === 'cluster') {
    throw new SwarmError('unimplemented', `mounts of type "${mount.type}" are not supported`);
  }
  refuseForeignOptions(mount, fail);
  const trouble = targetTrouble(mount.target);
  if (trouble !== undefined) fail(trouble);
  if (mount.type === 'image') return checkedImage(mount, fail);
  if (mount.type === 'volume') return checkedVolume(mount, fail);
  if (mount.type === 'bind' && (mount.source ?? '') === '') {
    fail('field Source must not be empty');
  }
  if (mount.type === 'bind' && mount.source?.startsWith('/') !== true) {
    fail(`invalid mount path: '${mount.source}' mount path must be absolute`);
  }
  if (mount.type === 'tmpfs' && (mount.source ?? '') !== '') {
    fail('field Source must not be specified');
  }
  return mount;
}

/** Those of another type of mount, which would be passed over. */
function refuseForeignOptions(mount: Mount, fail: (reason: string) => never): void {
  const { type, bindOptions, volumeOptions, tmpfsOptions, imageOptions } = mount;
  for (const [name, owner, options] of [
    ['BindOptions', 'bind', bindOptions],
    ['VolumeOptions', 'volume', volumeOptions],
    ['TmpfsOptions', 'tmpfs', tmpfsOptions],
    ['ImageOptions', 'image', imageOptions],
  ] as const) {
    if (options !== undefined && owner !== type) fail(`field ${name} must not be specified`);
  }
}

function checkedImage(mount: Mount, fail: (reason: string) => never): Mount {
  const { source = '', imageOptions } = mount;
  if (source === '') fail('field Source must not be empty');
  if (imageOptions?.subpath && !isLocalPath(imageOptions.subpath)) {
    fail('subpath must be a relative path within the volume');
  }
  return mount;
}

function checkedVolume(mount: Mount, fail: (reason: string) => never): Mount {
  const { source = '', readOnly, volumeOptions } = mount;
  if (source === '' && readOnly) {
    fail('must not set ReadOnly mode when using anonymous volumes');
  }
  if (source === '' && volumeOptions?.subpath) {
    fail('must not set Subpath when using anonymous volumes');
  }
  return mount;
}
