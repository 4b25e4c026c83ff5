/** Makes the roles of nodes what their specs ask for: one node at a time, on the leader. */
import type { Clock, Timer } from '../../lib/clock.ts';
import { messageOf, SwarmError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Node } from '../../types/index.ts';
import type { Change, ChangeListener, StoreView } from '../store/index.ts';
import type { ApplyResult } from '../store/log.ts';
import type { ManagerGroup } from './group.ts';

export interface RoleKeeperParts {
  readonly store: StoreView & {
    propose(changes: readonly Change[], options: { readonly atMs: number }): Promise<ApplyResult>;
    onChange(listener: ChangeListener): Disposable;
  };
  readonly group: Pick<ManagerGroup, 'remove' | 'strays'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What could not be done is tried again after this time. */
const retryMs = 2_000;
/** What the node itself has changed meanwhile is planned again at once. */
const conflictRetryMs = 20;

/**
 * A promoted node is a manager in the store first: its certificate follows, and with that it joins
 * the group by itself. A demoted one leaves the group first, while it can still be asked.
 */
export class RoleKeeper implements AsyncDisposable {
  readonly #parts: RoleKeeperParts;
  readonly #watch: Disposable;
  #leads = false;
  #running: Promise<void> | undefined;
  #retry: Timer | undefined;

  constructor(parts: RoleKeeperParts) {
    this.#parts = parts;
    this.#watch = parts.store.onChange(({ events, restored }) => {
      if (restored || events.some(({ table }) => table === 'node')) this.#run();
    });
  }

  setLeads(leads: boolean): void {
    this.#leads = leads;
    this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leads = false;
    this.#watch[Symbol.dispose]();
    this.#retry?.cancel();
    await this.#running;
  }

  #run(): void {
    if (!this.#leads || this.#running !== undefined) return;
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
    });
  }

  async #work(): Promise<void> {
    const { clock, log, store } = this.#parts;
    for (;;) {
      if (!this.#leads) return;
      const node = [...store.nodes()].find(({ role, spec }) => role !== spec.role);
      const nodeId = node?.id ?? this.#parts.group.strays()[0];
      if (nodeId === undefined) return;
      try {
        if (node === undefined) await this.#parts.group.remove(nodeId);
        else await (node.spec.role === 'manager' ? this.#promote(node) : this.#demote(node));
      } catch (error) {
        log.warn('a role could not be changed yet', { nodeId, error: messageOf(error) });
        this.#retry?.cancel();
        const isConflict = SwarmError.from(error).code === 'aborted';
        this.#retry = clock.after(isConflict ? conflictRetryMs : retryMs, () => this.#run());
        return;
      }
    }
  }

  async #promote(node: Node): Promise<void> {
    await this.#put(node, { ...node, role: 'manager' });
  }

  async #demote(node: Node): Promise<void> {
    // Throws where this manager demotes itself: it has handed over, and the next leader goes on.
    await this.#parts.group.remove(node.id);
    const present = this.#parts.store.node(node.id);
    if (present === undefined) return;
    const { manager: _gone, ...rest } = present;
    await this.#put(present, { ...rest, role: 'worker' });
  }

  async #put(present: Node, object: Node): Promise<void> {
    const result = await this.#parts.store.propose(
      [{ op: 'put', table: 'node', object, base: present.meta.version }],
      { atMs: this.#parts.clock.nowMs() },
    );
    if (!result.applied) throw new SwarmError('aborted', `${result.conflict}: tried again soon`);
  }
}
