/** Docker's ways to say what is mounted, as one list. */
import { SwarmError } from '../../lib/errors.ts';
import type { ContainerDocument, HostDocument, Mount } from '../../types/index.ts';

const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
type Propagation = (typeof propagations)[number];
/** Words of -v that change nothing here: for SELinux, for other systems, for volumes. */
const ignoredWords = new Set(['z', 'Z', 'consistent', 'cached', 'delegated', 'nocopy', '']);

/** Throws `invalid-argument` or `unimplemented` in one sentence that names the mount. */
export function mountsOf(config: ContainerDocument, host: HostDocument): readonly Mount[] {
  const binds = (host.binds ?? []).map(bindOf);
  const tmpfs = Object.entries(host.tmpfs ?? {}).map(([target, options]) =>
    tmpfsOf(target, options),
  );
  const mounts = (host.mounts ?? []).map(checked);
  const all = [...binds, ...mounts, ...tmpfs];
  const twice = all.find(({ target }, index) =>
    all.some((other, at) => at < index && normal(other.target) === normal(target)),
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
  return all;
}

export const noVolumes =
  'volumes are not supported by this version: mount a folder of the host (-v /path:/path), or ' +
  'a tmpfs';

/** "source:target[:words]". As in Docker, a source that is not there is made. */
function bindOf(text: string): Mount {
  const parts = text.split(':');
  const [source = '', target = '', words = ''] = parts;
  if (parts.length > 3 || target === '') {
    throw new SwarmError('invalid-argument', `invalid volume specification: '${text}'`);
  }
  if (!source.startsWith('/')) throw new SwarmError('unimplemented', `${text}: ${noVolumes}`);
  if (!target.startsWith('/') || normal(target) === '/') {
    throw new SwarmError(
      'invalid-argument',
      `invalid volume specification: '${text}': invalid mount config for type "bind": invalid ` +
        `mount path: '${target}' mount path must be absolute, and not '/'`,
    );
  }
  let readOnly = false;
  let propagation: Propagation | undefined;
  for (const word of words.split(',')) {
    if (word === 'ro') readOnly = true;
    else if (isPropagation(word)) propagation = word;
    else if (word !== 'rw' && !ignoredWords.has(word)) {
      throw new SwarmError('invalid-argument', `invalid mode: ${words}`);
    }
  }
  const bindOptions = {
    createMountpoint: true,
    ...(propagation === undefined ? {} : { propagation }),
  };
  return { type: 'bind', source, target, readOnly, bindOptions };
}

function isPropagation(word: string): word is Propagation {
  return (propagations as readonly string[]).includes(word);
}

function tmpfsOf(target: string, options: string): Mount {
  const words = options.split(',').filter((word) => word !== '');
  const readOnly = words.includes('ro');
  const others = words.filter((word) => word !== 'ro' && word !== 'rw');
  const tmpfsOptions = { options: others.map((word) => word.split('=')) };
  return { type: 'tmpfs', target, readOnly, tmpfsOptions };
}

function checked(mount: Mount): Mount {
  const fail = (reason: string): never => {
    throw new SwarmError(
      'invalid-argument',
      `invalid mount config for type "${mount.type}": ${reason}`,
    );
  };
  if (mount.target === '') fail('field Target must not be empty');
  if (mount.type === 'volume') throw new SwarmError('unimplemented', noVolumes);
  if (mount.type !== 'bind' && mount.type !== 'tmpfs') {
    throw new SwarmError('unimplemented', `mounts of type "${mount.type}" are not supported`);
  }
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

function normal(path: string): string {
  return path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
}
