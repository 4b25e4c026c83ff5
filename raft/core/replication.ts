/** How the leader's log gets everywhere (paper, section 5.3), and what is committed (5.4.2). */
import { committedIndex } from './quorum.ts';
import { releasePostponedReads, startRound } from './reads.ts';
import type { State } from './state.ts';
import { nobody, type MessageOf, type NodeId } from './types.ts';

/** A new leader's first entry: an entry of its own term commits those of earlier terms. */
export function announceLeadership(state: State): void {
  state.appendOwn([{ kind: 'normal', data: new Uint8Array() }]);
}

/** Sends what has become due since the last time: all that came together goes together. */
export function sendDue(state: State): void {
  const { appends, commit, heartbeat } = state.due;
  state.due = { appends: false, commit: false, heartbeat: false };
  if (appends || commit) {
    for (const [node, { told }] of state.progress) {
      // Followers learn at once what is committed, with the next entries or with an empty append.
      const isNews = commit && told < state.log.committed;
      if (sendAppend(state, node, isNews)) sendAppends(state, node);
    }
  }
  if (heartbeat) broadcastHeartbeat(state);
}

/** Sends all that the follower's window takes; with nothing new, nothing is sent. */
export function sendAppends(state: State, node: NodeId): void {
  while (sendAppend(state, node, false));
}

/** One append. False when the follower is paused, or there is nothing to send. */
export function sendAppend(state: State, node: NodeId, evenEmpty: boolean): boolean {
  const progress = state.progress.get(node);
  if (node === state.id || progress === undefined || progress.isPaused) return false;
  const { log } = state;
  const prevIndex = progress.next - 1;
  const prevTerm = log.term(prevIndex);
  if (progress.next < log.firstIndex || prevTerm === undefined) return sendSnapshot(state, node);
  const entries =
    progress.next > log.lastIndex ? [] : log.slice(progress.next, state.config.maxAppendBytes);
  if (entries.length === 0 && !evenEmpty) return false;
  state.send({
    type: 'append',
    from: state.id,
    to: node,
    term: state.term,
    prevIndex,
    prevTerm,
    entries,
    commit: log.committed,
  });
  const last = prevIndex + entries.length;
  progress.sent(last, entries.length);
  progress.told = Math.min(log.committed, last);
  return entries.length > 0;
}

/** The follower needs entries that are compacted away. One that is silent would not take it. */
function sendSnapshot(state: State, node: NodeId): boolean {
  const progress = state.progress.get(node);
  const { snapshot } = state;
  if (progress === undefined || snapshot === undefined || !progress.active) return false;
  progress.becomeSnapshot(snapshot.index);
  state.send({ type: 'snapshot', from: state.id, to: node, term: state.term, snapshot });
  return false;
}

export function handleAppend(state: State, message: MessageOf<'append'>): void {
  const { log } = state;
  if (message.prevIndex < log.committed) {
    state.acknowledge(message.from, log.committed);
    return;
  }
  if (!log.matches(message.prevIndex, message.prevTerm)) {
    const hint = log.lastAgreeing(message.prevIndex, message.prevTerm);
    state.sendAfterPersist({
      type: 'append-reply',
      from: state.id,
      to: message.from,
      term: state.term,
      index: message.prevIndex,
      rejected: true,
      hintIndex: hint.index,
      hintTerm: hint.term,
    });
    return;
  }
  log.merge(message.entries);
  const last = message.prevIndex + message.entries.length;
  log.commitTo(Math.min(message.commit, last));
  state.acknowledge(message.from, last);
}

export function handleAppendReply(state: State, message: MessageOf<'append-reply'>): void {
  const progress = state.progress.get(message.from);
  if (state.role !== 'leader' || progress === undefined) return;
  progress.active = true;
  if (message.rejected) {
    // Everything of this leader's log after the follower's term cannot be what it has there.
    const hint =
      message.hintTerm > 0
        ? state.log.lastAgreeing(message.hintIndex, message.hintTerm).index
        : message.hintIndex;
    if (!progress.rejected(message.index, hint)) return;
    if (progress.mode === 'replicate') progress.becomeProbe();
    sendAppend(state, message.from, true);
    return;
  }
  const wasPaused = progress.isPaused;
  const isNews = progress.accepted(message.index);
  if (isNews) {
    if (progress.mode === 'probe') progress.becomeReplicate();
    else if (progress.mode === 'snapshot' && progress.match >= progress.pendingSnapshot) {
      progress.becomeReplicate();
    }
  } else if (progress.mode === 'probe' && message.index === progress.match) {
    // The probe fitted though it brought nothing new: the logs are the same up to here.
    progress.becomeReplicate();
  }
  if (isNews) maybeCommit(state);
  if (wasPaused || isNews) {
    // While it was paused, nobody told it what was committed meanwhile.
    const isNews = progress.told < Math.min(state.log.committed, progress.match);
    if (sendAppend(state, message.from, isNews)) sendAppends(state, message.from);
  }
  continueTransfer(state, message.from);
}

/** Counts replicas only of this term's entries: an earlier term's can still be replaced (5.4.2). */
export function maybeCommit(state: State): void {
  const { log } = state;
  const index = committedIndex(state.voters, (node) => state.progress.get(node)?.match ?? 0);
  if (!Number.isFinite(index) || index <= log.committed) return;
  if (log.term(index) !== state.term) return;
  state.uncommittedBytes -= log.bytesBetween(log.committed, index);
  log.commitTo(index);
  state.due.commit = true;
  releasePostponedReads(state);
}

function broadcastHeartbeat(state: State): void {
  const round = startRound(state);
  for (const [node, progress] of state.progress) {
    if (node === state.id) continue;
    state.send({
      type: 'heartbeat',
      from: state.id,
      to: node,
      term: state.term,
      // A follower may not have all that is committed.
      commit: Math.min(progress.match, state.log.committed),
      readId: round,
    });
  }
}

export function handleHeartbeat(state: State, message: MessageOf<'heartbeat'>): void {
  state.log.commitTo(message.commit);
  state.send({
    type: 'heartbeat-reply',
    from: state.id,
    to: message.from,
    term: state.term,
    readId: message.readId,
  });
}

export function handleSnapshot(state: State, message: MessageOf<'snapshot'>): void {
  const { log } = state;
  const { snapshot } = message;
  // Where the log has it all, only the news of what is committed may be missing.
  if (log.matches(snapshot.index, snapshot.term)) log.commitTo(snapshot.index);
  if (snapshot.index <= log.committed) {
    state.acknowledge(message.from, log.committed);
    return;
  }
  log.restore(snapshot);
  state.conf = snapshot.conf;
  state.confChanged = true;
  state.snapshot = snapshot;
  state.incomingSnapshot = snapshot;
  state.acknowledge(message.from, snapshot.index);
}

/** A follower that has caught up is told to stand for election at once. */
export function continueTransfer(state: State, node: NodeId): void {
  if (state.transferTarget !== node || state.transferTarget === nobody) return;
  if (state.progress.get(node)?.match !== state.log.lastIndex) return;
  state.isLeaseGone = true;
  state.send({ type: 'timeout-now', from: state.id, to: node, term: state.term });
}
