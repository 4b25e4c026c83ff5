/** What the store says of managers: who is one, where it is, and who leads. */
import type { Clock } from '../../lib/clock.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { Node } from '../../types/index.ts';
import type { Change, StoreView } from '../store/index.ts';
import type { ApplyResult } from '../store/log.ts';

export interface ManagerRecordsParts {
  readonly ownId: string;
  readonly store: Pick<StoreView, 'node' | 'nodes'> & {
    propose(changes: readonly Change[], options: { readonly atMs: number }): Promise<ApplyResult>;
  };
  readonly clock: Clock;
}

const changeAttempts = 10;

/** For the manager that leads: only it can write. */
export class ManagerRecords {
  readonly #parts: ManagerRecordsParts;

  constructor(parts: ManagerRecordsParts) {
    this.#parts = parts;
  }

  /** Whether the swarm wants the node to be a manager. */
  isManager(id: string): boolean {
    const node = this.#parts.store.node(id);
    return node?.role === 'manager' && node.spec.role === 'manager';
  }

  /** Who leads: what `node ls` shows, and where agents turn to. */
  async leads(): Promise<void> {
    const { ownId, store } = this.#parts;
    await this.#change(() =>
      [...store.nodes()].flatMap((node): Change[] => {
        const { manager } = node;
        const leader = node.id === ownId;
        if (manager === undefined || manager.leader === leader) return [];
        const object = { ...node, manager: { ...manager, leader } };
        return [{ op: 'put', table: 'node', object, base: node.meta.version }];
      }),
    );
  }

  /**
   * Where a manager is. Throws `not-found` for a node that the swarm does not know, and
   * `failed-precondition` for one that is to be no manager.
   */
  async moved(id: string, addr: string): Promise<void> {
    await this.#change(() => {
      const node = this.#parts.store.node(id);
      if (node === undefined) {
        throw new SwarmError('not-found', `node ${id} is not in the swarm: join it with a token`);
      }
      if (!this.isManager(id)) {
        throw new SwarmError('failed-precondition', `node ${id} is to be no manager: promote it`);
      }
      if (node.manager?.addr === addr) return [];
      const object: Node = { ...node, manager: { addr, leader: node.manager?.leader ?? false } };
      return [{ op: 'put', table: 'node', object, base: node.meta.version }];
    });
  }

  /** The node is no manager any more, nor meant to be one. */
  async forget(id: string): Promise<void> {
    await this.#change(() => {
      const node = this.#parts.store.node(id);
      if (node === undefined || (node.manager === undefined && node.role === 'worker')) return [];
      const { manager: _gone, ...rest } = node;
      const spec = { ...node.spec, role: 'worker' } as const;
      const object: Node = { ...rest, role: 'worker', spec, specBase: node.meta.version };
      return [{ op: 'put', table: 'node', object, base: node.meta.version }];
    });
  }

  /** The managers that were lost for good are workers, should they come back. */
  async forgetOthers(ownAddr: string): Promise<void> {
    const { ownId, store } = this.#parts;
    // What is awaited below changes the table that `nodes` walks.
    const ids = Array.from(store.nodes(), ({ id }) => id);
    for (const id of ids) {
      if (id === ownId) await this.moved(id, ownAddr);
      else await this.forget(id);
    }
  }

  /** Nodes report meanwhile: what was planned on an older version of one is planned again. */
  async #change(plan: () => readonly Change[]): Promise<void> {
    const { clock, store } = this.#parts;
    let conflict = '';
    for (let attempt = 0; attempt < changeAttempts; attempt++) {
      const changes = plan();
      if (changes.length === 0) return;
      const result = await store.propose(changes, { atMs: clock.nowMs() });
      if (result.applied) return;
      conflict = result.conflict;
    }
    throw new SwarmError('aborted', `${conflict}: try again`);
  }
}
