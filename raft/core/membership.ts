/**
 * Changes of who takes part (paper, section 6; thesis, section 4.3). A simple change alters one
 * voter; a joint change makes the old and the new voters agree together until it is left.
 */
import type { ConfChange, ConfState, NodeId } from './types.ts';

/** Why a change cannot be made, in a sentence. */
export class ConfChangeError extends Error {
  override readonly name = 'ConfChangeError';
}

export function emptyConf(voters: readonly NodeId[] = []): ConfState {
  return { voters, outgoing: [], learners: [], learnersNext: [], autoLeave: false };
}

export function isJoint(conf: ConfState): boolean {
  return conf.outgoing.length > 0;
}

export function isVoterIn(conf: ConfState, node: NodeId): boolean {
  return conf.voters.includes(node) || conf.outgoing.includes(node);
}

/** The membership after the change. Throws ConfChangeError. */
export function applyConfChange(conf: ConfState, change: ConfChange): ConfState {
  if (change.steps.length === 0) return leaveJoint(conf);
  if (isJoint(conf)) {
    throw new ConfChangeError('a joint change is under way: leave it before the next change');
  }
  const next = applySteps(conf, change);
  if (next.voters.length === 0) {
    throw new ConfChangeError('the change would leave no voter');
  }
  const altered = symmetricDifference(conf.voters, next.voters);
  if (change.transition === 'auto' && altered <= 1) return sorted(next);
  return sorted(enterJoint(conf, next, change.transition !== 'joint-explicit'));
}

function applySteps(conf: ConfState, change: ConfChange): ConfState {
  const voters = new Set(conf.voters);
  const learners = new Set(conf.learners);
  for (const { op, node } of change.steps) {
    voters.delete(node);
    learners.delete(node);
    if (op === 'add-voter') voters.add(node);
    if (op === 'add-learner') learners.add(node);
  }
  return { ...emptyConf([...voters]), learners: [...learners] };
}

/** A voter that becomes a learner goes on voting in the outgoing set, so it waits until the end. */
function enterJoint(conf: ConfState, next: ConfState, autoLeave: boolean): ConfState {
  const waiting = next.learners.filter((node) => conf.voters.includes(node));
  return {
    voters: next.voters,
    outgoing: conf.voters,
    learners: next.learners.filter((node) => !waiting.includes(node)),
    learnersNext: waiting,
    autoLeave,
  };
}

function leaveJoint(conf: ConfState): ConfState {
  if (!isJoint(conf)) throw new ConfChangeError('no joint change is under way');
  return sorted({
    ...emptyConf(conf.voters),
    learners: [...conf.learners, ...conf.learnersNext],
  });
}

function symmetricDifference(a: readonly NodeId[], b: readonly NodeId[]): number {
  const left = new Set(a);
  const right = new Set(b);
  return left.symmetricDifference(right).size;
}

function sorted(conf: ConfState): ConfState {
  return {
    voters: conf.voters.toSorted(),
    outgoing: conf.outgoing.toSorted(),
    learners: conf.learners.toSorted(),
    learnersNext: conf.learnersNext.toSorted(),
    autoLeave: conf.autoLeave,
  };
}

export function everyone(conf: ConfState): readonly NodeId[] {
  const all = new Set([...conf.voters, ...conf.outgoing, ...conf.learners, ...conf.learnersNext]);
  return [...all].toSorted();
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeConfChange(change: ConfChange): Uint8Array {
  return encoder.encode(JSON.stringify(change));
}

/** An empty entry of kind `config` leaves the joint state. */
export function decodeConfChange(data: Uint8Array): ConfChange {
  if (data.length === 0) return { steps: [], transition: 'auto' };
  return JSON.parse(decoder.decode(data)) as ConfChange;
}
