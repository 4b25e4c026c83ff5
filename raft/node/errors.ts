import type { Dropped } from '../core/index.ts';

/**
 * - `not-leader`, `no-leader`: ask another node, or wait for an election; nothing was proposed.
 * - `transferring`: the lead is being handed over; nothing was proposed, the next leader takes it.
 * - `replaced`: another leader's entry stands in the proposal's place; it will never be applied.
 * - `busy`: too much is under way; nothing was proposed, and it may be tried again.
 * - `lost`: the lead changed while it waited; the outcome is unknown.
 * - `refused`: it cannot be done as asked, such as a change that does not fit the membership.
 * - `full`: this node's disk has no room; nothing was proposed or read, and it goes on when there is.
 * - `failed`: the disk failed or an invariant broke; the node must be opened anew.
 * - `closed`: the node was closed.
 */
export type RaftErrorCode =
  | 'not-leader'
  | 'no-leader'
  | 'transferring'
  | 'replaced'
  | 'busy'
  | 'lost'
  | 'refused'
  | 'full'
  | 'failed'
  | 'closed';

export class RaftError extends Error {
  override readonly name = 'RaftError';
  readonly code: RaftErrorCode;

  constructor(code: RaftErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
  }
}

export function diskIsFull(folder: string): RaftError {
  return new RaftError('full', `no room is left in ${folder}: this node goes on when there is`);
}

export function refusal(dropped: Dropped): RaftError {
  if (dropped === 'no-leader') return new RaftError('no-leader', 'there is no leader at present');
  if (dropped === 'not-leader') return new RaftError('not-leader', 'this node is not the leader');
  if (dropped === 'not-voter') {
    return new RaftError('refused', 'the leadership can go to a voter only');
  }
  if (dropped === 'conf-pending') {
    return new RaftError('busy', 'a membership change is under way: try again when it is done');
  }
  if (dropped === 'transferring') {
    return new RaftError('transferring', 'the leadership is being handed over: try again');
  }
  return new RaftError('busy', 'too many proposals are under way: try again');
}
