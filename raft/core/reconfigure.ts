/** How a membership change goes through the log and comes into force. */
import {
  applyConfChange,
  ConfChangeError,
  decodeConfChange,
  isJoint,
  isVoterIn,
} from './membership.ts';
import { releaseReads } from './reads.ts';
import { maybeCommit, sendDue } from './replication.ts';
import type { State } from './state.ts';
import { nobody, type ConfState, type Entry } from './types.ts';

/** The leader's way. The change was found to fit. */
export function appendConfChange(state: State, data: Uint8Array): void {
  state.appendOwn([{ kind: 'config', data }]);
  state.pendingConfIndex = state.log.lastIndex;
  notePendingLeave(state);
}

/**
 * A leader that goes must not leave entries of its own behind the change: those that stay could not
 * get its vote, which the old membership may need until all have learnt of the new one.
 */
export function notePendingLeave(state: State): void {
  const pending = state.log.lastConfigAfter(state.log.applied);
  const next = pending && confAfter(state.conf, pending);
  state.isLeaving = next !== undefined && !isVoterIn(next, state.id);
}

/** Whoever leads once the joint membership is in force ends it, also if another one began it. */
export function maybeLeaveJoint(state: State): void {
  const { role, conf, pendingConfIndex, log } = state;
  if (role !== 'leader' || !isJoint(conf) || !conf.autoLeave) return;
  if (log.applied >= pendingConfIndex) appendConfChange(state, new Uint8Array());
}

/** The change is committed, and is from now on what counts. */
export function takeEffect(state: State, entry: Entry): void {
  const next = confAfter(state.conf, entry);
  if (next === undefined) return;
  state.conf = next;
  state.confChanged = true;
  if (state.role !== 'leader') return;
  if (!state.isVoter) {
    // What is due tells the others that the change is committed: they choose a leader next.
    sendDue(state);
    state.becomeFollower(state.term, nobody);
    return;
  }
  state.trackMembers();
  if (!next.voters.includes(state.transferTarget)) state.transferTarget = nobody;
  maybeCommit(state);
  releaseReads(state);
  // New members are probed, and the others told.
  state.due.commit = true;
}

/**
 * A leader begins a membership change only when the one before is in force. So every change in a
 * log but the last one is committed, which a node may not have heard, or may have forgotten: a
 * crash may keep entries and lose the commit index behind them.
 */
export function knownCommitted(entries: readonly Entry[]): number {
  return entries.filter(({ kind }) => kind === 'config').at(-2)?.index ?? 0;
}

/** Undefined for a change that does not fit: it is passed over, on all nodes alike. */
function confAfter(conf: ConfState, entry: Entry): ConfState | undefined {
  try {
    return applyConfChange(conf, decodeConfChange(entry.data));
  } catch (error) {
    if (error instanceof ConfChangeError) return undefined;
    throw error;
  }
}
