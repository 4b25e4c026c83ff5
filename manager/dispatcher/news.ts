import type { Node } from '../../types/index.ts';
import type { StoreView } from '../store/view.ts';
import type { News } from './session.ts';
import { encodeJson } from './wire.ts';

/** A manager as nodes are told of it. */
interface ManagerNews {
  readonly nodeId: string;
  readonly addr: string;
  readonly leader: boolean;
}

/** What is known of managers besides the store, which hears of it a moment later. */
export interface ManagersKnown {
  /** Empty while nobody leads. */
  readonly leaderId: string;
  /** Where a manager is, which may have moved. */
  readonly addrOf?: (id: string) => string | undefined;
}

export function managersFor(
  view: Pick<StoreView, 'nodes'>,
  { leaderId, addrOf }: ManagersKnown,
): ManagerNews[] {
  return [...view.nodes()].flatMap(({ id, manager }) => {
    if (manager === undefined) return [];
    return [{ nodeId: id, addr: addrOf?.(id) ?? manager.addr, leader: id === leaderId }];
  });
}

/** A certificate costs a manager some 10 ms: replacing the root must not be felt. */
const renewalsPerSecond = 10;

/** What a node is told of its swarm: where the managers are, what it is itself, whom to trust. */
export function newsFor(
  view: Pick<StoreView, 'cluster' | 'node' | 'nodes'>,
  nodeId: string,
  known: ManagersKnown,
): News {
  const node: Node | undefined = view.node(nodeId);
  const rootCa = view.cluster()?.rootCa;
  return {
    managers: managersFor(view, known),
    node: node === undefined ? new Uint8Array() : encodeJson(node),
    rootCaPem: rootCa?.certPem ?? '',
    issuerPem: (rootCa?.rotation ?? rootCa)?.certPem ?? '',
    renewWithinMs: Math.ceil([...view.nodes()].length / renewalsPerSecond) * 1000,
  };
}
