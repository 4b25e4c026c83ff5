/**
 * Who is a manager: members are added as learners first and vote once they have caught up, so that
 * a new one, however far behind, never holds up a commit. Only the leader changes anything.
 */
import { Group as GroupService } from '../../gen/raft_pb.js';
import type { Clock } from '../../lib/clock.ts';
import { messageOf, SwarmError, type ErrorCode } from '../../lib/errors.ts';
import type { CallContext, Connection, HandlersOf } from '../../lib/grpc/index.ts';
import type { Logger } from '../../lib/log.ts';
import type { Node } from '../../types/index.ts';
import type { ExternalStore } from '../store/index.ts';
import { everyone, type ConfChange, type NodeId, type RaftStatus } from '../../raft/index.ts';
import type { ManagerRecords } from './records.ts';

/** The log, as far as its membership goes. */
export interface GroupLog {
  readonly status: RaftStatus | undefined;
  progressOf(id: NodeId): { readonly match: number; readonly active: boolean } | undefined;
  changeMembership(change: ConfChange): Promise<void>;
  transferLeadership(to: NodeId): Promise<void>;
  /** False where others than the managers keep the log. */
  readonly needsQuorum?: boolean;
}

export interface ManagerGroupParts {
  readonly ownId: NodeId;
  readonly log: GroupLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connect: (addr: string) => Connection;
  /** Where a manager is, as far as this one knows. */
  readonly addrOf: (id: NodeId) => string | undefined;
  /** Where the leader is. Throws `unavailable` while there is none. */
  readonly leaderAddr: () => string;
  readonly writeNode: (node: Node) => Promise<void>;
  /** Where managers are written down, in the store. */
  readonly records: Pick<ManagerRecords, 'isManager' | 'moved' | 'forget'>;
  /** What all managers stand on, in place of logs of their own. */
  readonly externalStore: ExternalStore | undefined;
}

const probeTimeoutMs = 5_000;
/** While the lead is handed over nobody decides anything: who does not answer soon is not asked. */
const aliveTimeoutMs = 1_000;
const callTimeoutMs = 10_000;
const leaveTimeoutMs = 10_000;
const handOverTimeoutMs = 3_000;
const joinTimeoutMs = 60_000;
const catchUpPollMs = 20;
/** Within this time the others know of a new leader, and what they asked is answered. */
const lastAnswersMs = 250;
/** What ends by itself: no leader for a moment, another change under way, a changed node. */
const passing: ReadonlySet<ErrorCode> = new Set(['unavailable', 'resource-exhausted', 'aborted']);
/** A learner this close behind gets the rest while it is being made a voter. */
const closeEnoughEntries = 64;

export class ManagerGroup {
  readonly #parts: ManagerGroupParts;

  constructor(parts: ManagerGroupParts) {
    this.#parts = parts;
  }

  get handlers(): HandlersOf<typeof GroupService, CallContext> {
    return {
      join: async ({ nodeId, addr }, { signal }) => {
        if (this.#isLeader) await this.#add(nodeId, addr, signal);
        else await this.#askToJoin(this.#parts.leaderAddr(), nodeId, addr, signal);
        return {};
      },
      addNode: async ({ node }) => {
        await this.addNode(JSON.parse(Buffer.from(node).toString('utf8')) as Node);
        return {};
      },
      leave: async ({ nodeId }, { peer }) => {
        if (peer?.nodeId !== nodeId) {
          throw new SwarmError('permission-denied', 'a manager may take out only itself');
        }
        await this.remove(nodeId);
        await this.#parts.records.forget(nodeId);
        return {};
      },
      handOver: async ({ nodeId }) => {
        await this.handOverTo(nodeId);
        return {};
      },
      findStore: () => {
        const { externalStore } = this.#parts;
        const text = externalStore === undefined ? '' : JSON.stringify(externalStore);
        return Promise.resolve({ store: Buffer.from(text) });
      },
      probe: () => Promise.resolve({ nodeId: this.#parts.ownId }),
    };
  }

  /** Writes down a new node, here or through the leader. */
  async addNode(node: Node): Promise<void> {
    if (this.#isLeader) {
      await this.#parts.writeNode(node);
      return;
    }
    using connection = this.#parts.connect(this.#parts.leaderAddr());
    const document = Buffer.from(JSON.stringify(node));
    await connection.client(GroupService).addNode({ node: document }, { timeoutMs: callTimeoutMs });
  }

  /**
   * Hands the lead to another manager and waits until it has it, within the time; then for those
   * that asked this one a moment ago: they are told to ask the next leader, which a closed
   * connection would not tell them.
   */
  async stepDown(timeoutMs: number): Promise<void> {
    const { clock, ownId } = this.#parts;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    if (!this.#isLeader || this.#status().conf.voters.length < 2) return;
    await this.#handOver();
    const isOver = () => !['', ownId].includes(this.#status().leader);
    while (!isOver() && clock.monotonicMs() < deadlineMs) await clock.sleep(catchUpPollMs);
    await clock.sleep(lastAnswersMs);
  }

  /** Hands the lead to this manager, here or through the leader, and waits until it has it. */
  async handOverTo(id: NodeId): Promise<void> {
    const { clock, connect, leaderAddr, log, logger, ownId } = this.#parts;
    if (!this.#isLeader) {
      using connection = connect(leaderAddr());
      const group = connection.client(GroupService);
      await group.handOver({ nodeId: id }, { timeoutMs: callTimeoutMs });
      return;
    }
    if (id === ownId) return;
    if (!this.#status().conf.voters.includes(id)) {
      throw new SwarmError('failed-precondition', `node ${id} is no manager: promote it first`);
    }
    if (!(await this.#answers(id, probeTimeoutMs))) {
      throw new SwarmError(
        'failed-precondition',
        `manager ${id} cannot be reached: the lead stays where it is`,
      );
    }
    await log.transferLeadership(id);
    logger.info('handing the lead over', { to: id });
    const deadlineMs = clock.monotonicMs() + handOverTimeoutMs;
    while (this.#status().leader !== id) {
      if (clock.monotonicMs() > deadlineMs) {
        throw new SwarmError('unavailable', `manager ${id} has not taken the lead: try again`);
      }
      await clock.sleep(catchUpPollMs);
    }
  }

  /** Asks any manager to let this one in, and waits until it is. */
  join(through: string, ownAddr: string, { signal }: { signal: AbortSignal }): Promise<void> {
    return this.#askToJoin(through, this.#parts.ownId, ownAddr, signal);
  }

  async #askToJoin(through: string, nodeId: NodeId, addr: string, signal: AbortSignal) {
    using connection = this.#parts.connect(through);
    const group = connection.client(GroupService);
    await group.join({ nodeId, addr }, { timeoutMs: joinTimeoutMs, signal });
  }

  /** This manager goes: hands over where it leads, and is taken out by whoever leads then. */
  async leave(): Promise<void> {
    const { clock, ownId } = this.#parts;
    const deadlineMs = clock.monotonicMs() + leaveTimeoutMs;
    await this.checkRemoval(ownId);
    while (!(await this.#letGo(deadlineMs))) await clock.sleep(catchUpPollMs);
  }

  /** One attempt; false where it may go better in a moment: while the lead is handed over, say. */
  async #letGo(deadlineMs: number): Promise<boolean> {
    const { clock, ownId, leaderAddr, connect } = this.#parts;
    try {
      if (this.#isLeader) {
        await this.#handOver();
        return false;
      }
      using connection = connect(leaderAddr());
      await connection.client(GroupService).leave({ nodeId: ownId }, { timeoutMs: leaveTimeoutMs });
      return true;
    } catch (error) {
      if (!passing.has(SwarmError.from(error).code) || clock.monotonicMs() > deadlineMs)
        throw error;
      return false;
    }
  }

  /**
   * Throws `failed-precondition` where taking the manager out would cost the swarm its quorum:
   * those that can be reached would be too few of those that are left.
   */
  async checkRemoval(id: NodeId): Promise<void> {
    const { conf, role } = this.#status();
    if (!conf.voters.includes(id)) return;
    const left = conf.voters.filter((voter) => voter !== id);
    if (left.length === 0) {
      throw new SwarmError(
        'failed-precondition',
        'attempting to demote the last manager of the swarm: promote another node first',
      );
    }
    if (role !== 'leader' || this.#parts.log.needsQuorum === false) return;
    const answers = await Promise.all(left.map((voter) => this.#answers(voter, probeTimeoutMs)));
    const reachable = answers.filter(Boolean).length;
    const needed = Math.floor(left.length / 2) + 1;
    if (reachable >= needed) return;
    throw new SwarmError(
      'failed-precondition',
      "can't remove member from the raft: this would result in a loss of quorum (of the " +
        `${left.length} managers left, ${reachable} can be reached and ${needed} are needed)`,
    );
  }

  /** Whether the manager is there now: that it was heard of a second ago is not enough. */
  async #answers(id: NodeId, timeoutMs: number): Promise<boolean> {
    const { ownId, addrOf, connect, logger } = this.#parts;
    if (id === ownId) return true;
    const addr = addrOf(id);
    if (addr === undefined) return false;
    using connection = connect(addr);
    try {
      await connection.client(GroupService).probe({}, { timeoutMs });
      return true;
    } catch (error) {
      logger.debug('a manager does not answer', { nodeId: id, error: messageOf(error) });
      return false;
    }
  }

  /** Takes a manager out. The leader hands over first and throws: the next one is to be asked. */
  async remove(id: NodeId): Promise<void> {
    const { log, logger, ownId } = this.#parts;
    if (!everyone(this.#status().conf).includes(id)) return;
    await this.checkRemoval(id);
    if (id === ownId) {
      await this.#handOver();
      throw new SwarmError('unavailable', 'the lead is being handed over: the next leader goes on');
    }
    await log.changeMembership({ steps: [{ op: 'remove', node: id }], transition: 'auto' });
    logger.info('a manager was removed from the group', { nodeId: id });
  }

  /**
   * Members that are to be no managers: one was made a learner or a voter while it was demoted, or
   * before its leader could write it down.
   */
  strays(): readonly NodeId[] {
    const { ownId, records } = this.#parts;
    if (!this.#isLeader) return [];
    const members = everyone(this.#status().conf);
    return members.filter((id) => id !== ownId && !records.isManager(id));
  }

  /** To the manager that is closest to this one's log, of those that are there. */
  async #handOver(): Promise<void> {
    const { log, logger, ownId } = this.#parts;
    const matchOf = (id: NodeId) => log.progressOf(id)?.match ?? 0;
    const others = this.#status().conf.voters.filter((id) => id !== ownId);
    let there = others.filter((id) => log.progressOf(id)?.active);
    // Just after the leader has counted whom it heard of, it has heard of nobody.
    if (there.length === 0) {
      const answers = await Promise.all(others.map((id) => this.#answers(id, aliveTimeoutMs)));
      there = others.filter((_, at) => answers[at]);
    }
    const best = there.toSorted((a, b) => matchOf(b) - matchOf(a))[0];
    if (best === undefined) {
      throw new SwarmError('unavailable', 'no other manager can be reached to take the lead');
    }
    await log.transferLeadership(best);
    logger.info('handing the lead over', { to: best });
  }

  async #add(id: NodeId, addr: string, signal: AbortSignal): Promise<void> {
    const { log, logger, records } = this.#parts;
    await this.#probe(id, addr);
    await records.moved(id, addr);
    const { conf } = this.#status();
    if (conf.voters.includes(id)) return;
    if (!conf.learners.includes(id)) {
      await log.changeMembership({ steps: [{ op: 'add-learner', node: id }], transition: 'auto' });
    }
    await this.#caughtUp(id, signal);
    await log.changeMembership({ steps: [{ op: 'add-voter', node: id }], transition: 'auto' });
    logger.info('a manager joined the group', { nodeId: id, addr });
  }

  /** A member that the others cannot reach would only cost the swarm its quorum. */
  async #probe(id: NodeId, addr: string): Promise<void> {
    using connection = this.#parts.connect(addr);
    let answered: string;
    try {
      const reply = await connection.client(GroupService).probe({}, { timeoutMs: probeTimeoutMs });
      answered = reply.nodeId;
    } catch (error) {
      throw new SwarmError(
        'failed-precondition',
        `the leader cannot reach the new manager at ${addr} (${messageOf(error)}): check ` +
          '--advertise-addr and the firewall of its cluster port',
        { cause: error },
      );
    }
    if (answered === id) return;
    throw new SwarmError(
      'failed-precondition',
      `at ${addr} is node ${answered}, not the new manager ${id}: check --advertise-addr`,
    );
  }

  /**
   * Who is demoted meanwhile, or goes away, is not waited for: made a voter after that, it would
   * count for the quorum and never answer.
   */
  async #caughtUp(id: NodeId, signal: AbortSignal): Promise<void> {
    const { clock, log, records } = this.#parts;
    const deadlineMs = clock.monotonicMs() + joinTimeoutMs;
    for (;;) {
      const { committed } = this.#status();
      signal.throwIfAborted();
      if (!records.isManager(id)) {
        throw new SwarmError('failed-precondition', `node ${id} is to be no manager any more`);
      }
      const match = log.progressOf(id)?.match ?? 0;
      if (match > 0 && match + closeEnoughEntries >= committed) return;
      if (clock.monotonicMs() > deadlineMs) {
        throw new SwarmError(
          'deadline-exceeded',
          `the new manager has not caught up with the log within ${joinTimeoutMs / 1000} s: see ` +
            "its daemon's log, and join again",
        );
      }
      await clock.sleep(catchUpPollMs, { signal });
    }
  }

  get #isLeader(): boolean {
    return this.#parts.log.status?.role === 'leader';
  }

  #status(): RaftStatus {
    const { status } = this.#parts.log;
    if (status === undefined) throw new SwarmError('unavailable', 'the log is not open yet');
    return status;
  }
}
