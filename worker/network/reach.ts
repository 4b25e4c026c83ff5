/** Which endpoints this node can reach at all. */
import type { NetworkAssignments } from '../../types/index.ts';
import type { NetworkTables } from './tables.ts';

/**
 * The set, in which those that are on bridges of other nodes are not active: such a network ends at
 * each node, and no name is to lead to what is behind it.
 */
export function withinReach(
  set: NetworkAssignments,
  tables: Pick<NetworkTables, 'network'>,
  nodeId: string | undefined,
): NetworkAssignments {
  const bridges = new Map<string, boolean>();
  const update = set.update.map((one) => {
    if (one.type === 'network') {
      bridges.set(one.object.id, one.object.local?.driver === 'bridge');
      return one;
    }
    if (one.type !== 'endpoint' || one.object.nodeId === nodeId) return one;
    const { networkId } = one.object;
    const isBridge =
      bridges.get(networkId) ?? tables.network(networkId)?.local?.driver === 'bridge';
    return isBridge ? { ...one, object: { ...one.object, active: false } } : one;
  });
  return { ...set, update };
}
