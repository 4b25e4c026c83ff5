/**
 * What becomes of one cluster volume next: made, published where its tasks are, taken back from
 * where they are no more, deleted. What is intended is written down first, and asked of the driver
 * only then: whoever leads next goes on with it.
 */
import { assert } from '../../lib/assert.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import {
  accessModeOf,
  type ClusterVolume,
  type Node,
  type PublishState,
  type PublishStatus,
  type VolumeTrouble,
} from '../../types/index.ts';

export interface VolumeEnv {
  readonly nowMs: number;
  /** A name that no publication has had before. */
  readonly newPublication: () => string;
  /** A call about this volume, or about this volume and node, is under way. */
  readonly isUnderWay: (key: string) => boolean;
}

/** Something to be asked of the volume's driver. */
export interface VolumeCall {
  readonly kind: 'create' | 'delete' | 'publish' | 'unpublish';
  /** One call of a key at a time. */
  readonly key: string;
  readonly volume: ClusterVolume;
  /** Of a publication. */
  readonly status?: PublishStatus;
  /** The node whose controller is asked. */
  readonly through: string;
}

export interface VolumePlan {
  readonly changes: readonly Change[];
  readonly calls: readonly VolumeCall[];
  /** The volume wants to be planned again then, also if nothing changes. */
  readonly wakeAtMs?: number;
}

const nothing: VolumePlan = { changes: [], calls: [] };

export function planVolume(view: StoreView, id: string, env: VolumeEnv): VolumePlan {
  const volume = view.volume(id);
  if (volume === undefined) return nothing;
  if (volume.isRemoved === true && isForgettable(view, volume)) {
    if (env.isUnderWay(id)) return nothing;
    const base = volume.meta.version;
    return { changes: [{ op: 'delete', table: 'volume', id, base }], calls: [] };
  }
  const publishStatus = intended(view, volume, env);
  if (publishStatus !== volume.publishStatus) {
    const object = { ...volume, publishStatus };
    return {
      changes: [{ op: 'put', table: 'volume', object, base: volume.meta.version }],
      calls: [],
    };
  }
  return callsOf(view, volume, env);
}

/** There is nothing of it, or nobody to ask for what there may be. */
function isForgettable(view: StoreView, volume: ClusterVolume): boolean {
  const { isForced = false, publishStatus, spec } = volume;
  if (publishStatus.length === 0 && isUnmade(volume)) return true;
  if (!isForced || publishStatus.some(({ released }) => released === undefined)) return false;
  return controllerOf(view, spec.driver.name ?? '', 0) === undefined;
}

/** Its driver has not made it; nor may it have without our knowing. */
function isUnmade({ info, trouble }: ClusterVolume): boolean {
  return info === undefined && trouble?.isOpen !== true;
}

/** The publications as they are to be now; the same array where nothing changes. */
function intended(
  view: StoreView,
  volume: ClusterVolume,
  env: VolumeEnv,
): readonly PublishStatus[] {
  const nodes = nodesThatUse(view, volume.id);
  const next = volume.publishStatus.map((status) =>
    nextStatus(view.node(status.nodeId), status, nodes.has(status.nodeId)),
  );
  const { scope, sharing } = accessModeOf(volume.spec.cluster);
  // Wherever only one may use it, it is taken from one node before it is given to another.
  const isSole = scope === 'single' || sharing === 'none';
  for (const nodeId of volume.info === undefined ? [] : [...nodes].sort()) {
    if (next.some((status) => status.nodeId === nodeId)) continue;
    if (isSole && next.length > 0) break;
    const csiNodeId = csiNodeIdOf(view.node(nodeId), volume);
    if (csiNodeId === undefined) continue;
    const publication = env.newPublication();
    next.push({ nodeId, state: 'pending-publish', csiNodeId, publication });
  }
  const { publishStatus } = volume;
  const isSame =
    next.length === publishStatus.length && next.every((one, at) => one === publishStatus[at]);
  return isSame ? publishStatus : next;
}

/** Nodes that are heard of, or may still be, with tasks that hold the volume. */
function nodesThatUse(view: StoreView, id: string): ReadonlySet<string> {
  const nodeIds = [...view.tasksOfVolume(id)].map(({ nodeId }) => nodeId);
  return new Set(nodeIds.filter((nodeId) => !isLost(view.node(nodeId))));
}

/** As it is to be now; the same one where nothing changes. */
function nextStatus(node: Node | undefined, status: PublishStatus, isUsed: boolean): PublishStatus {
  const to = (state: PublishState, released?: 'node'): PublishStatus => {
    if (state === status.state) return status;
    const { trouble: _over, released: _before, ...rest } = status;
    return { ...rest, state, ...(released === undefined ? {} : { released }) };
  };
  const { state, released } = status;
  if (state === 'pending-publish') {
    // The node has not been told of it yet: nothing can be mounted there.
    const isOver = isLost(node) || !isUsed;
    return isOver ? to('pending-controller-unpublish', 'node') : status;
  }
  if (isLost(node)) return to('pending-controller-unpublish');
  // It was lost, and is heard of again: it can say itself that it has let go.
  if (state === 'pending-controller-unpublish' && released !== 'node') {
    return to('pending-node-unpublish');
  }
  return state === 'published' && !isUsed ? to('pending-node-unpublish') : status;
}

/**
 * Nobody waits for it to let go: the driver is to keep it from the volume. What may be mounted
 * there stays with the volume until the driver has, or the node is back, or an operator says that
 * it is off.
 */
export function isLost(node: Node | undefined): boolean {
  return node === undefined || node.status.state === 'down';
}

/** As the volume's driver calls the node; undefined where the node does not have the driver. */
function csiNodeIdOf(node: Node | undefined, { spec }: ClusterVolume): string | undefined {
  const info = node?.description?.csi?.find(({ driver }) => driver === spec.driver.name);
  return info === undefined || info.nodeId === '' ? undefined : info.nodeId;
}

function callsOf(view: StoreView, volume: ClusterVolume, env: VolumeEnv): VolumePlan {
  const { id, info, isRemoved = false, publishStatus, spec } = volume;
  const calls: VolumeCall[] = [];
  let wakeAtMs = Infinity;
  const ask = (
    call: Pick<VolumeCall, 'kind' | 'key' | 'status'>,
    trouble: VolumeTrouble | undefined,
  ) => {
    if (env.isUnderWay(call.key)) return;
    if (trouble !== undefined && trouble.retryAtMs > env.nowMs) {
      wakeAtMs = Math.min(wakeAtMs, trouble.retryAtMs);
      return;
    }
    const through = controllerOf(view, spec.driver.name ?? '', trouble?.attempts ?? 0);
    // Once there is one, its node tells.
    if (through !== undefined) calls.push({ ...call, volume, through });
  };
  if (info === undefined) ask({ kind: 'create', key: id }, volume.trouble);
  for (const status of publishStatus) {
    const key = `${id}/${status.nodeId}`;
    if (status.state === 'pending-publish') ask({ kind: 'publish', key, status }, status.trouble);
    if (status.state === 'pending-controller-unpublish') {
      ask({ kind: 'unpublish', key, status }, status.trouble);
    }
  }
  if (info !== undefined && isRemoved && publishStatus.length === 0) {
    ask({ kind: 'delete', key: id }, volume.trouble);
  }
  return { changes: [], calls, ...(wakeAtMs === Infinity ? {} : { wakeAtMs }) };
}

/** A node that is ready and has the driver's controller; another one after each failure. */
function controllerOf(view: StoreView, driver: string, attempts: number): string | undefined {
  const ids = [...view.nodes()]
    .filter(({ status }) => status.state === 'ready')
    .filter(({ description }) =>
      description?.csi?.some((info) => info.driver === driver && info.isController),
    )
    .map(({ id }) => id)
    .sort();
  if (ids.length === 0) return undefined;
  const chosen = ids[attempts % ids.length];
  assert(chosen !== undefined, 'there is one');
  return chosen;
}
