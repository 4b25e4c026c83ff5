/** Brings managers in and takes them out through whoever leads, as the daemons do. */
import type { Change } from '../../../manager/store/index.ts';
import type { ConfChange } from '../../../raft/index.ts';
import type { Node } from '../../../types/index.ts';
import type { SimManager } from './sim-manager.ts';
import type { Swarm } from './swarm.ts';

const everyMs = 250;
const patienceMs = 4_000;
const closeEnough = 64;

export class Membership {
  readonly #swarm: Swarm;
  readonly #leaving = new Set<string>();
  #numbers = 1;
  #busyUntilMs = 0;

  constructor(swarm: Swarm) {
    this.#swarm = swarm;
  }

  begin(): void {
    this.#swarm.agenda.after(everyMs, () => {
      const { leader } = this.#swarm;
      if (leader !== undefined && this.#swarm.agenda.now >= this.#busyUntilMs) this.#step(leader);
      this.begin();
    });
  }

  /** A further manager, which the leader is to take in. */
  add(): void {
    this.#numbers += 1;
    this.#swarm.addManager(`m${this.#numbers}`).start();
  }

  /**
   * Another manager comes, then this one goes. One of the first always stays: a host that was cut
   * off while all that it knew of were replaced finds nobody.
   */
  replace(id: string): void {
    if (this.#leaving.size > 0 || !this.isSettled) return;
    const { managers, settings } = this.#swarm;
    if (managers.length >= 2 * settings.managers - 1) return;
    this.#leaving.add(id);
    this.add();
  }

  /** All that are to be managers vote, and all others are gone. */
  get isSettled(): boolean {
    const { leader, managers } = this.#swarm;
    const conf = leader?.running?.raft.status?.conf;
    const ids = managers.filter(({ isGone }) => !isGone).map(({ id }) => id);
    if (conf === undefined || this.#leaving.size > 0) return false;
    return conf.outgoing.length === 0 && [...conf.voters].sort().join() === ids.sort().join();
  }

  #step(leader: SimManager): void {
    const { raft, store } = leader.running ?? {};
    const status = raft?.status;
    if (raft === undefined || store === undefined || status === undefined) return;
    const { conf, committed } = status;
    if (conf.outgoing.length > 0) return;
    for (const { id, isGone } of this.#swarm.managers) {
      if (isGone || this.#leaving.has(id)) continue;
      if (!conf.voters.includes(id)) {
        const { match = 0 } = raft.progressOf(id) ?? {};
        const isLearner = conf.learners.includes(id);
        if (!isLearner) this.#change(leader, { op: 'add-learner', node: id });
        else if (match + closeEnough >= committed && match > 0) {
          this.#change(leader, { op: 'add-voter', node: id });
        }
        return;
      }
      if (store.node(id) !== undefined) continue;
      this.#write(leader, [{ op: 'put', table: 'node', object: managerNode(id), base: 0 }]);
      return;
    }
    for (const id of this.#leaving) this.#takeOut(leader, id, conf.voters);
  }

  #takeOut(leader: SimManager, id: string, voters: readonly string[]): void {
    if (voters.includes(id)) {
      if (id !== leader.id) this.#change(leader, { op: 'remove', node: id });
      else this.#handOver(leader, voters);
      return;
    }
    const node = leader.store?.node(id);
    if (node !== undefined) {
      const base = node.meta.version;
      this.#write(leader, [{ op: 'delete', table: 'node', id, base }]);
      return;
    }
    this.#leaving.delete(id);
    this.#swarm.retire(id);
  }

  #handOver(leader: SimManager, voters: readonly string[]): void {
    const others = voters.filter((voter) => voter !== leader.id);
    if (others.length === 0) return;
    const to = this.#swarm.dice.pick(others);
    const asked = leader.running?.raft.transferLeadership(to);
    this.#busy(`hand over to ${to}`, asked);
  }

  #change(leader: SimManager, step: ConfChange['steps'][number]): void {
    const changing = leader.running?.raft.changeMembership({ steps: [step], transition: 'auto' });
    this.#busy(`${step.op} ${step.node}`, changing);
  }

  #write(leader: SimManager, changes: readonly Change[]): void {
    const { store, process } = leader.running ?? {};
    const writing = store?.propose(changes, { atMs: process?.clock.nowMs() ?? 0 });
    this.#busy('write down managers', writing);
  }

  /** A process that dies never answers: then it is tried again after a time. */
  #busy(what: string, work: Promise<unknown> | undefined): void {
    const { agenda } = this.#swarm;
    this.#swarm.note('group', what);
    this.#busyUntilMs = agenda.now + patienceMs;
    work?.then(
      () => {
        this.#busyUntilMs = agenda.now;
      },
      (error: unknown) => {
        this.#swarm.note('group', `${what}: ${String(error)}`);
        this.#busyUntilMs = agenda.now + everyMs;
      },
    );
  }
}

function managerNode(id: string): Node {
  const meta = { version: 0, createdAtMs: 0, updatedAtMs: 0 };
  return {
    id,
    meta,
    spec: { labels: {}, role: 'manager', availability: 'drain' },
    role: 'manager',
    status: { state: 'unknown', message: '', addr: '10.0.0.2', atMs: 0 },
    manager: { addr: `${id}:2377`, leader: false },
  };
}
