/** What a driver's answer, or a node's, makes of a volume. */
import { unreachable } from '../../lib/assert.ts';
import type { ClusterVolume, CsiReply, PublishStatus, VolumeTrouble } from '../../types/index.ts';
import type { VolumeCall } from './plan.ts';

const retryMinMs = 500;
const retryMaxMs = 60_000;

/** The volume after the call; undefined where it is to be forgotten. */
export function succeeded(
  volume: ClusterVolume,
  call: VolumeCall,
  reply: CsiReply,
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
      return changed(volume, call.status, (status) =>
        status.state === 'pending-controller-unpublish' ? undefined : status,
      );
    default:
      return unreachable(call.kind);
  }
}

/** `isOpen`: it may have been done all the same. */
export function failed(
  volume: ClusterVolume,
  call: VolumeCall,
  { message, isOpen, nowMs }: { message: string; isOpen: boolean; nowMs: number },
): ClusterVolume {
  const again = (trouble: VolumeTrouble | undefined): VolumeTrouble => {
    const attempts = (trouble?.attempts ?? 0) + 1;
    const delayMs = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(attempts - 1, 16));
    const wasOpen = isOpen || trouble?.isOpen === true;
    return {
      message,
      attempts,
      retryAtMs: nowMs + delayMs,
      ...(wasOpen ? { isOpen: true } : {}),
    };
  };
  if (call.status === undefined) return { ...volume, trouble: again(volume.trouble) };
  return changed(volume, call.status, (status) => ({ ...status, trouble: again(status.trouble) }));
}

/** The node has let go of the volume: nothing of that publication is mounted there any more. */
export function released(
  volume: ClusterVolume,
  given: Pick<PublishStatus, 'nodeId' | 'publication'>,
): ClusterVolume {
  return changed(volume, given, (status) =>
    status.state === 'pending-node-unpublish'
      ? { ...status, state: 'pending-controller-unpublish' }
      : status,
  );
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
