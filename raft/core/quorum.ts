/** Majorities of one set of voters, or of two at once while a joint change is under way. */
import type { NodeId } from './types.ts';

type VoteResult = 'won' | 'lost' | 'pending';

export interface VoterSets {
  readonly incoming: ReadonlySet<NodeId>;
  /** Empty unless joint. */
  readonly outgoing: ReadonlySet<NodeId>;
}

/** The highest index that a quorum has, `match` giving what each voter has. */
export function committedIndex(voters: VoterSets, match: (node: NodeId) => number): number {
  return Math.min(majorityIndex(voters.incoming, match), majorityIndex(voters.outgoing, match));
}

export function voteResult(
  voters: VoterSets,
  vote: (node: NodeId) => boolean | undefined,
): VoteResult {
  const results = [majorityVote(voters.incoming, vote), majorityVote(voters.outgoing, vote)];
  if (results.includes('lost')) return 'lost';
  return results.includes('pending') ? 'pending' : 'won';
}

/** A set without voters holds nothing back: the other one decides. */
function majorityIndex(voters: ReadonlySet<NodeId>, match: (node: NodeId) => number): number {
  if (voters.size === 0) return Infinity;
  const indexes = [...voters].map(match).sort((a, b) => b - a);
  return indexes[Math.floor(voters.size / 2)] ?? 0;
}

function majorityVote(
  voters: ReadonlySet<NodeId>,
  vote: (node: NodeId) => boolean | undefined,
): VoteResult {
  if (voters.size === 0) return 'won';
  const needed = Math.floor(voters.size / 2) + 1;
  let yes = 0;
  let missing = 0;
  for (const voter of voters) {
    const cast = vote(voter);
    if (cast === undefined) missing += 1;
    else if (cast) yes += 1;
  }
  if (yes >= needed) return 'won';
  return yes + missing >= needed ? 'pending' : 'lost';
}
