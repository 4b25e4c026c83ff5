/** Commands on cluster volumes, as plans on the present state. */
import { isDeepStrictEqual } from 'node:util';
import { SwarmError } from '../../lib/errors.ts';
import {
  clusterMountsOf,
  type ClusterVolume,
  type ClusterVolumeSpec,
  type Topology,
  type VolumeSpec,
} from '../../types/index.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import { isLost, takenForReleased } from '../volume/index.ts';

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const nameMax = 128;

/** Throws `invalid-argument` for a bad spec, `already-exists` for a name that is taken. */
export function planNewVolume(
  view: StoreView,
  { id, spec, nowMs }: { readonly id: string; readonly spec: VolumeSpec; readonly nowMs: number },
): Change[] {
  validateVolume(view, spec);
  if (view.volumeByName(spec.name) !== undefined) {
    throw new SwarmError('already-exists', `volume ${spec.name} already exists`);
  }
  const meta = { version: 0, createdAtMs: nowMs, updatedAtMs: nowMs };
  const object: ClusterVolume = { id, meta, spec, publishStatus: [] };
  return [{ op: 'put', table: 'volume', object, base: 0 }];
}

/**
 * Only its availability can be changed, as in Docker: a driver has made it as it was asked for. To
 * drain it says also that nodes which are lost are off, each time that it is said.
 */
export function planChangedVolume(
  view: StoreView,
  args: { readonly id: string; readonly version: number; readonly spec: ClusterVolumeSpec },
): Change[] {
  const present = presentVolume(view, args.id);
  if (args.version !== present.meta.version) {
    throw new SwarmError('aborted', 'update out of sequence');
  }
  const { availability, ...rest } = args.spec;
  const { availability: before, ...fixed } = present.spec.cluster;
  for (const field of fixedFields) {
    if (isDeepStrictEqual(rest[field] ?? null, fixed[field] ?? null)) continue;
    throw new SwarmError('invalid-argument', `${nameOfField[field]} cannot be updated`);
  }
  const known = availability === 'drain' ? takenFromLost(view, present) : present;
  if (availability === before && known === present) return [];
  const cluster = { ...present.spec.cluster, availability };
  const object: ClusterVolume = { ...known, spec: { ...present.spec, cluster } };
  return [{ op: 'put', table: 'volume', object, base: present.meta.version }];
}

const nameOfField = {
  group: 'Group',
  accessMode: 'AccessMode',
  accessibilityRequirements: 'AccessibilityRequirements',
  capacityRange: 'CapacityRange',
  secrets: 'Secrets',
} as const;
const fixedFields = Object.keys(nameOfField) as (keyof typeof nameOfField)[];

/**
 * `force` says that nodes which are lost are off, and asks the driver once: the volume is forgotten
 * whatever it says. Said again, it is forgotten at once, whatever its driver has of it, and
 * wherever it is mounted.
 */
export function planRemovedVolume(
  view: StoreView,
  { id, force }: { readonly id: string; readonly force: boolean },
): Change[] {
  const present = presentVolume(view, id);
  const { name } = present.spec;
  const users = [...view.tasksOfVolume(id)];
  const task = users.find(({ nodeId }) => !force || !isLost(view.node(nodeId)));
  if (task !== undefined) {
    throw new SwarmError(
      'failed-precondition',
      `remove ${name}: volume is in use by the service ${task.serviceName}`,
    );
  }
  const base = present.meta.version;
  if (force) {
    if (present.isForced === true) return [{ op: 'delete', table: 'volume', id, base }];
    const known = takenFromLost(view, present);
    const { trouble: _over, ...rest } = known;
    const object = { ...rest, isRemoved: true, isForced: true };
    return [{ op: 'put', table: 'volume', object, base }];
  }
  const user = [...view.services()].find(({ spec }) =>
    clusterMountsOf(spec.task.container).some(({ source }) => source === name),
  );
  if (user !== undefined) {
    throw new SwarmError(
      'failed-precondition',
      `remove ${name}: volume is in use by the service ${user.spec.name}`,
    );
  }
  if (present.isRemoved === true) return [];
  return [{ op: 'put', table: 'volume', object: { ...present, isRemoved: true }, base }];
}

function takenFromLost(view: StoreView, volume: ClusterVolume): ClusterVolume {
  return takenForReleased(volume, (nodeId) => isLost(view.node(nodeId)));
}

function presentVolume(view: StoreView, id: string): ClusterVolume {
  const volume = view.volume(id);
  if (volume === undefined) throw new SwarmError('not-found', `volume ${id} not found`);
  return volume;
}

function validateVolume(view: StoreView, { name, driver, cluster }: VolumeSpec): void {
  if (name.length > nameMax || !namePattern.test(name)) {
    throw invalid(
      `"${name}" is no name for a cluster volume: use letters, digits, "_", "." and "-", ` +
        `beginning with a letter or a digit, ${nameMax} in all`,
    );
  }
  if (['', 'local'].includes(driver.name ?? '')) {
    throw invalid('a cluster volume needs a CSI driver: name it with --driver');
  }
  if (cluster.group?.includes(':') === true) {
    throw invalid(`invalid group "${cluster.group}": it cannot have a ":"`);
  }
  validateAccess(cluster);
  const { requiredBytes = 0, limitBytes = 0 } = cluster.capacityRange ?? {};
  if (requiredBytes < 0 || limitBytes < 0) {
    throw invalid('the capacity of a volume cannot be negative');
  }
  if (limitBytes > 0 && requiredBytes > limitBytes) {
    throw invalid(`the volume is to have ${requiredBytes} bytes, and at most ${limitBytes}`);
  }
  for (const { key, secret } of cluster.secrets ?? []) {
    if (key === '') throw invalid(`the secret ${secret} of a volume needs a key`);
    const isThere = view.file('secret', secret) ?? view.revisions('secret', secret).at(-1);
    if (isThere === undefined) throw invalid(`secret ${secret} not found`);
  }
  const { requisite = [], preferred = [] } = cluster.accessibilityRequirements ?? {};
  for (const topology of [...requisite, ...preferred]) validateTopology(topology);
}

function validateAccess({ accessMode }: ClusterVolumeSpec): void {
  if (accessMode === undefined) throw invalid('AccessMode must be specified');
  const { scope, sharing, mountVolume, blockVolume } = accessMode;
  if ((mountVolume === undefined) === (blockVolume === undefined)) {
    throw invalid('Volume AccessMode must specify either Mount or Block access type');
  }
  if (scope === 'multi' && sharing === 'none') {
    throw invalid(
      'a volume of the scope multi is there to be shared: use the sharing readonly, onewriter or ' +
        'all, or the scope single',
    );
  }
}

function validateTopology({ segments = {} }: Topology): void {
  for (const [key, value] of Object.entries(segments)) {
    if (key !== '' && value !== '') continue;
    throw invalid(`the topology ${key}=${value} lacks a word: give it as zone=z1,rack=r1`);
  }
}

function invalid(message: string): SwarmError {
  return new SwarmError('invalid-argument', message);
}
