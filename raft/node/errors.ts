/**
 * - `not-leader`, `no-leader`: ask another node, or wait for an election.
 * - `busy`: too much is under way; nothing was proposed, and it may be tried again.
 * - `lost`: the lead changed while it waited; the outcome is unknown.
 * - `refused`: the change does not fit the present membership.
 * - `failed`: the disk failed or an invariant broke; the node must be opened anew.
 * - `closed`: the node was closed.
 */
export type RaftErrorCode =
  | 'not-leader'
  | 'no-leader'
  | 'busy'
  | 'lost'
  | 'refused'
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
