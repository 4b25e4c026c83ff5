/** `volumes`, `tmpfs` and `shm_size` of a service, with what the file says of its volumes. */
import { groupPrefix, type Mount } from '../types/index.ts';
import { present } from './convert-deploy.ts';
import type { Field, Reader } from './read.ts';
import { scoped, stackLabel } from './stack.ts';

const place = 'services.*.volumes';
const types = ['bind', 'volume', 'tmpfs', 'image', 'cluster'] as const;
const propagations = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;

interface MountContext {
  readonly read: Reader;
  readonly stack: string;
  /** The file's `volumes`. */
  readonly volumes: Field;
}

export function convertMounts(context: MountContext, service: Field): readonly Mount[] {
  const { read } = context;
  const mounts = read.items(read.at(service, 'volumes')).flatMap((item) => {
    const mount = read.keys(item, place) ? convertMount(context, item) : undefined;
    return mount ?? [];
  });
  const tmpfs = read.items(read.at(service, 'tmpfs')).flatMap((item) => tmpfsOf(read, item) ?? []);
  const shmBytes = read.bytes(read.at(service, 'shm_size'));
  const shm: Mount[] =
    shmBytes === undefined
      ? []
      : [{ type: 'tmpfs', target: '/dev/shm', tmpfsOptions: { sizeBytes: shmBytes } }];
  return [...mounts, ...tmpfs, ...shm];
}

function convertMount(context: MountContext, item: Field): Mount | undefined {
  const { read } = context;
  const given = read.at(item, 'type');
  const type = given.node === undefined ? 'volume' : read.oneOf(given, types);
  if (type === undefined) return undefined;
  const target = read.text(read.at(item, 'target'))?.replace(/(.)\/+$/, '$1');
  const source = read.text(read.at(item, 'source'));
  if (target === undefined) {
    read.problems.add(item.node!.at, `${item.name} needs a target`);
    return undefined;
  }
  if (type === 'bind' && (source ?? '') === '') {
    read.problems.add(item.node!.at, `${item.name}: a bind mount needs a source`);
  }
  if (type === 'image' && (source ?? '') === '') {
    read.problems.add(item.node!.at, `${item.name}: an image mount needs a source, the image`);
  }
  if (type === 'cluster' && (source ?? '') === '') {
    read.problems.add(item.node!.at, `${item.name}: a cluster mount needs a source`);
    return undefined;
  }
  const readOnly = read.boolean(read.at(item, 'read_only'));
  const base = present({ type, source, target, readOnly: readOnly === true ? true : undefined });
  if (type === 'bind') return { ...base, ...bindOptions(read, read.at(item, 'bind')) };
  if (type === 'tmpfs') return { ...base, ...tmpfsOptions(read, read.at(item, 'tmpfs')) };
  if (type === 'image') return { ...base, ...imageOptions(read, read.at(item, 'image')) };
  if (type === 'cluster') return { ...base, ...clusterVolume(context, item, source ?? '') };
  return { ...base, ...namedVolume(context, item, source) };
}

/**
 * A stack makes no cluster volumes: a group is named as it is, a volume by what the file calls it.
 */
function clusterVolume(
  { read, stack, volumes }: MountContext,
  item: Field,
  source: string,
): Pick<Mount, 'source'> {
  for (const other of ['bind', 'tmpfs', 'image', 'volume'] as const) {
    const { node } = read.at(item, other);
    if (node !== undefined) {
      read.problems.add(node.at, `${item.name}: ${other} has no meaning for a cluster mount`);
    }
  }
  if (source.startsWith(groupPrefix)) return {};
  const field = declaredVolume(read, volumes, item, source);
  if (field === undefined) return {};
  const external = externalName(read, field);
  const name = read.text(read.at(field, 'name'));
  if (external !== undefined) return { source: external === '' ? (name ?? source) : external };
  const extra = ['driver', 'driver_opts', 'labels'].find(
    (key) => read.at(field, key).node !== undefined,
  );
  if (extra !== undefined) {
    read.problems.add(
      field.node!.at,
      `volumes.${source}: a stack makes no cluster volumes: make it by volume create --type, and ` +
        `declare it with external: true, without ${extra}`,
    );
  }
  return { source: name ?? scoped(stack, source) };
}

function declaredVolume(
  read: Reader,
  volumes: Field,
  item: Field,
  source: string,
): Field | undefined {
  const declared = read.entries(volumes).find(([name]) => name === source);
  if (declared !== undefined) return declared[1];
  read.problems.add(
    item.node!.at,
    `${item.name}: there is no volume "${source}": declare it under volumes`,
  );
  return undefined;
}

function bindOptions(read: Reader, field: Field): Pick<Mount, 'bindOptions'> {
  if (field.node === undefined) return {};
  read.keys(field, `${place}.bind`);
  const recursive = read.oneOf(read.at(field, 'recursive'), [
    'enabled',
    'disabled',
    'writable',
    'readonly',
  ]);
  const create = read.boolean(read.at(field, 'create_host_path'));
  const options = present({
    propagation: read.oneOf(read.at(field, 'propagation'), propagations),
    createMountpoint: create === true ? true : undefined,
    nonRecursive: recursive === 'disabled' ? true : undefined,
    readOnlyNonRecursive: recursive === 'writable' ? true : undefined,
    readOnlyForceRecursive: recursive === 'readonly' ? true : undefined,
  });
  return Object.keys(options).length === 0 ? {} : { bindOptions: options };
}

function tmpfsOptions(read: Reader, field: Field): Pick<Mount, 'tmpfsOptions'> {
  if (field.node === undefined) return {};
  read.keys(field, `${place}.tmpfs`);
  const options = present({
    sizeBytes: read.bytes(read.at(field, 'size')),
    mode: read.mode(read.at(field, 'mode')),
  });
  return Object.keys(options).length === 0 ? {} : { tmpfsOptions: options };
}

function imageOptions(read: Reader, field: Field): Pick<Mount, 'imageOptions'> {
  if (field.node === undefined) return {};
  read.keys(field, `${place}.image`);
  const subpath = read.text(read.at(field, 'subpath'));
  return subpath === undefined ? {} : { imageOptions: { subpath } };
}

/** A volume of the file, under the stack's name; without a source, one of the task's own. */
function namedVolume(
  { read, stack, volumes }: MountContext,
  item: Field,
  source: string | undefined,
): Pick<Mount, 'volumeOptions' | 'source'> {
  const own = read.at(item, 'volume');
  read.keys(own, `${place}.volume`);
  const options = present({
    noCopy: read.boolean(read.at(own, 'nocopy')),
    subpath: read.text(read.at(own, 'subpath')),
  });
  const ownLabels = read.record(read.at(own, 'labels'));
  if (source === undefined || source === '') {
    const labels = { ...ownLabels, [stackLabel]: stack };
    return { volumeOptions: { ...options, labels } };
  }
  const field = declaredVolume(read, volumes, item, source);
  if (field === undefined) return {};
  const external = externalName(read, field);
  const name = read.text(read.at(field, 'name'));
  if (external !== undefined) {
    return {
      source: external === '' ? (name ?? source) : external,
      ...(Object.keys(options).length > 0 ? { volumeOptions: options } : {}),
    };
  }
  const driver = read.text(read.at(field, 'driver'));
  const driverOptions = read.record(read.at(field, 'driver_opts'));
  const driverConfig = present({
    name: driver,
    options: Object.keys(driverOptions).length > 0 ? driverOptions : undefined,
  });
  const labels = { ...read.record(read.at(field, 'labels')), ...ownLabels, [stackLabel]: stack };
  return {
    source: name ?? scoped(stack, source),
    volumeOptions: {
      ...options,
      labels,
      ...(Object.keys(driverConfig).length > 0 ? { driverConfig } : {}),
    },
  };
}

/** `external: true` is an empty text; `external: {name: x}` is x. Undefined where it is not. */
export function externalName(read: Reader, field: Field): string | undefined {
  const external = read.at(field, 'external');
  if (external.node?.kind === 'mapping') return read.text(read.at(external, 'name')) ?? '';
  return read.boolean(external) === true ? '' : undefined;
}

/** `/run:size=64m,mode=1777`. */
function tmpfsOf(read: Reader, item: Field): Mount | undefined {
  const text = read.text(item);
  if (text === undefined) return undefined;
  const at = text.indexOf(':');
  const target = at < 0 ? text : text.slice(0, at);
  const options: { sizeBytes?: number; mode?: number } = {};
  for (const word of at < 0 ? [] : text.slice(at + 1).split(',')) {
    const [key = '', value = ''] = word.split('=', 2);
    const node = { kind: 'scalar', value, at: item.node!.at } as const;
    const field = { node, name: `${item.name}: ${key}` };
    if (key === 'size') {
      const sizeBytes = read.bytes(field);
      if (sizeBytes !== undefined) options.sizeBytes = sizeBytes;
    } else if (key === 'mode') {
      const mode = read.mode(field);
      if (mode !== undefined) options.mode = mode;
    } else if (!['rw', 'nosuid', 'nodev', 'noexec', ''].includes(word)) {
      // Without these three no task has a tmpfs, nor is one read-only by its own account.
      read.problems.add(
        item.node!.at,
        `${item.name}: the option "${word}" is not supported; use size and mode`,
      );
    }
  }
  const some = Object.keys(options).length > 0;
  return { type: 'tmpfs', target, ...(some ? { tmpfsOptions: options } : {}) };
}
