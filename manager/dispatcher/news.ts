import type { Node } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import type { News } from './session.ts';
import { encodeJson } from './wire.ts';

/** A manager as nodes are told of it. */
export interface ManagerNews {
  readonly nodeId: string;
  readonly addr: string;
  readonly leader: boolean;
}

/** Who leads is better known to the log than to the store, which hears of it a moment later. */
export function managersFor(view: Pick<StoreView, 'nodes'>, leaderId: string): ManagerNews[] {
  return [...view.nodes()].flatMap(({ id, manager }) =>
    manager === undefined ? [] : [{ nodeId: id, addr: manager.addr, leader: id === leaderId }],
  );
}

/** A certificate costs a manager some 10 ms: replacing the root must not be felt. */
const renewalsPerSecond = 10;

/** What a node is told of its swarm: where the managers are, what it is itself, whom to trust. */
export function newsFor(
  view: Pick<StoreView, 'cluster' | 'node' | 'nodes'>,
  nodeId: string,
  leaderId: string,
): News {
  const node: Node | undefined = view.node(nodeId);
  const rootCa = view.cluster()?.rootCa;
  return {
    managers: managersFor(view, leaderId),
    node: node === undefined ? new Uint8Array() : encodeJson(node),
    rootCaPem: rootCa?.certPem ?? '',
    issuerPem: (rootCa?.rotation ?? rootCa)?.certPem ?? '',
    renewWithinMs: Math.ceil([...view.nodes()].length / renewalsPerSecond) * 1000,
  };
}
