/** What a driver's answer, or a node's, makes of a volume. */
import { unreachable } from '../../lib/assert.ts';
import {
  isExclusive,
  type ClusterVolume,
  type CsiReply,
  type PublishStatus,
  type VolumeTrouble,
} from '../../types/index.ts';
import type { VolumeCall } from './plan.ts';

const retryMinMs = 500;
const retryMaxMs = 60_000;

/** The volume after the call; undefined where it is to be forgotten. */
export function succeeded(
  volume: ClusterVolume,
  call: VolumeCall,
  reply: CsiReply,
  nowMs: number,
): ClusterVolume | undefined {
  const { trouble: _over, ...rest } = volume;
  switch (call.kind) {
    case 'create':
      return reply.info === undefined ? volume : { ...rest, info: reply.info };
    case 'delete':
      return undefined;
    case 'publish':
      return changed(volume, call.status, (status) => {
        if (status.state !== 'pending-publish') return status;
        const { trouble: _gone, ...published } = status;
        const { publishContext = {} } = reply;
        return { ...published, state: 'published', publishContext };
      });
    case 'unpublish':
      return changed(volume, call.status, (status) => {
        if (status.state !== 'pending-controller-unpublish') return status;
        const isProven = status.released !== undefined || reply.isFenced === true;
        if (isProven || !isExclusive(volume.spec)) return undefined;
        const failure = { message: unfenced(volume), isOpen: false, nowMs };
        return { ...status, trouble: again(status.trouble, failure) };
      });
    default:
      return unreachable(call.kind);
  }
}

/** The end of what tasks that wait are told; the node's name stands before it. */
function unfenced({ spec }: ClusterVolume): string {
  return (
    `its driver ${spec.driver.name ?? ''} cannot keep a node from it: bring the node back, or ` +
    `say that it is off: volume update --availability drain ${spec.name}`
  );
}

interface Failure {
  readonly message: string;
  /** It may have been done all the same. */
  readonly isOpen: boolean;
  readonly nowMs: number;
}

/** The volume after the call; undefined where it is to be forgotten. */
export function failed(
  volume: ClusterVolume,
  call: VolumeCall,
  failure: Failure,
): ClusterVolume | undefined {
  const { status } = call;
  if (status === undefined) {
    if (volume.isForced === true) return undefined;
    return { ...volume, trouble: again(volume.trouble, failure) };
  }
  return changed(volume, status, (known) => {
    const isOver = volume.isForced === true && known.released !== undefined;
    return isOver ? undefined : { ...known, trouble: again(known.trouble, failure) };
  });
}

function again(
  trouble: VolumeTrouble | undefined,
  { message, isOpen, nowMs }: Failure,
): VolumeTrouble {
  const attempts = (trouble?.attempts ?? 0) + 1;
  const delayMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(attempts - 1, 16));
  const wasOpen = isOpen || trouble?.isOpen === true;
  return {
    message,
    attempts,
    retryAtMs: nowMs + delayMs,
    ...(wasOpen ? { isOpen: true } : {}),
  };
}

/** The node has let go of the volume: nothing of that publication is mounted there any more. */
export function released(
  volume: ClusterVolume,
  given: Pick<PublishStatus, 'nodeId' | 'publication'>,
): ClusterVolume {
  return changed(volume, given, (status) => {
    const isAwaited =
      status.state === 'pending-node-unpublish' ||
      // It was given up as lost, and answers after all.
      (status.state === 'pending-controller-unpublish' && status.released !== 'node');
    if (!isAwaited) return status;
    const { trouble: _over, ...rest } = status;
    return { ...rest, state: 'pending-controller-unpublish', released: 'node' };
  });
}

/**
 * An operator says that the nodes which `isLost` names are off: nothing of the volume is mounted
 * there. Its driver is asked to take it from them at once.
 */
export function takenForReleased(
  volume: ClusterVolume,
  isLost: (nodeId: string) => boolean,
): ClusterVolume {
  if (!volume.publishStatus.some((one) => one.released === undefined && isLost(one.nodeId))) {
    return volume;
  }
  const publishStatus = volume.publishStatus.map((status): PublishStatus => {
    if (status.released !== undefined || !isLost(status.nodeId)) return status;
    const { trouble: _over, ...rest } = status;
    return { ...rest, state: 'pending-controller-unpublish', released: 'operator' };
  });
  return { ...volume, publishStatus };
}

/** Only of this very publication: the node may have been given the volume anew. */
function changed(
  volume: ClusterVolume,
  of: Pick<PublishStatus, 'nodeId' | 'publication'> | undefined,
  change: (status: PublishStatus) => PublishStatus | undefined,
): ClusterVolume {
  const at = volume.publishStatus.findIndex(
    ({ nodeId, publication }) => nodeId === of?.nodeId && publication === of.publication,
  );
  const status = volume.publishStatus[at];
  if (status === undefined) return volume;
  const next = change(status);
  if (next === status) return volume;
  const publishStatus = volume.publishStatus.toSpliced(
    at,
    1,
    ...(next === undefined ? [] : [next]),
  );
  return { ...volume, publishStatus };
}
