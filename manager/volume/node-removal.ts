/** What the end of a node in the swarm means for the volumes that it may have mounted. */
import { SwarmError } from '../../lib/errors.ts';
import { isExclusive, type Node } from '../../types/index.ts';
import type { Change } from '../store/change.ts';
import type { StoreView } from '../store/view.ts';
import { takenForReleased } from './outcome.ts';

/**
 * `force` is an operator's word that the node is off: its volumes are free. Throws
 * `failed-precondition` without it where the node may still have one mounted that others would
 * harm.
 */
export function withoutNode(
  view: StoreView,
  { id, description }: Node,
  { force }: { readonly force: boolean },
): Change[] {
  return [...view.volumes()].flatMap((volume) => {
    const object = takenForReleased(volume, (nodeId) => nodeId === id);
    if (object === volume) return [];
    if (!force && isExclusive(volume.spec)) {
      throw new SwarmError(
        'failed-precondition',
        `node ${description?.hostname ?? id} may still have the volume ${volume.spec.name} ` +
          'mounted: make sure that it is off, and remove it with --force',
      );
    }
    return [{ op: 'put', table: 'volume', object, base: volume.meta.version }];
  });
}
