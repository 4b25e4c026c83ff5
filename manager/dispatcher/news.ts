import type { Node } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import type { News } from './session.ts';
import { encodeJson } from './wire.ts';

/** What a node is told of its swarm: where the managers are, what it is itself, whom to trust. */
export function newsFor(view: Pick<StoreView, 'cluster' | 'node' | 'nodes'>, nodeId: string): News {
  const managers = [];
  for (const { id, manager } of view.nodes()) {
    if (manager !== undefined) managers.push({ nodeId: id, ...manager });
  }
  const node: Node | undefined = view.node(nodeId);
  return {
    managers,
    node: node === undefined ? new Uint8Array() : encodeJson(node),
    rootCaPem: view.cluster()?.rootCa.certPem ?? '',
  };
}
