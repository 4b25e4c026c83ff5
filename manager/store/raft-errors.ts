/** What the raft library throws, in the words of a swarm. */
import { SwarmError, type ErrorCode } from '../../lib/errors.ts';
import { unsent } from '../../lib/grpc/index.ts';
import { InvariantError, LogError, RaftError, type LogErrorCode } from '../../raft/index.ts';

/** An older copy of the folder would be worse than none: what it lacks was acknowledged. */
const wayOut =
  'this node goes on as a worker; have another manager run "ts-swarm node demote" for it and, once ' +
  '"ts-swarm node ls" shows it without a manager status, "ts-swarm node promote"; if there is no ' +
  'other, restore a backup of the swarm ("ts-swarm leave --force", "ts-swarm swarm restore")';
const lost = { reason: 'log-lost' };

/** Whether this manager's log is gone, wholly or in part, and can only be had anew from others. */
export function isLogLost(error: SwarmError): boolean {
  return error.details['reason'] === lost.reason;
}

/** What a person is told who needs one. */
export const noLeader =
  'The swarm does not have a leader. It is possible that too few managers are online: make sure ' +
  'that more than half of them are, or, where they are lost for good, go on from this one with ' +
  '`ts-swarm init --force-new-cluster`.';

const untried = 'untried';

/**
 * For a proposal that never reached a log: this manager does not lead, or not for much longer. What
 * was asked for can be asked again of the next leader, as nothing of it was done.
 */
export function untriedError(message = noLeader, cause?: unknown): SwarmError {
  return new SwarmError('unavailable', message, { cause, details: { reason: untried } });
}

/** Whether nothing was done of what failed with it, here or at another manager. */
export function isUntried({ details: { reason } }: SwarmError): boolean {
  return reason === untried || reason === unsent;
}

/** Of what the raft library throws. */
export function toSwarmError(thrown: unknown): SwarmError {
  if (thrown instanceof RaftError) {
    const { code, message } = thrown;
    if (code === 'no-leader') return untriedError(noLeader, thrown);
    if (code === 'not-leader' || code === 'transferring' || code === 'replaced') {
      return untriedError(message, thrown);
    }
    if (code === 'busy' || code === 'full') {
      return new SwarmError('resource-exhausted', message, { cause: thrown });
    }
    if (code === 'refused')
      return new SwarmError('failed-precondition', message, { cause: thrown });
    return new SwarmError('unavailable', message, { cause: thrown.cause ?? thrown });
  }
  if (thrown instanceof InvariantError) {
    const message =
      `what this manager's disk holds of the swarm's log is not what it had acknowledged ` +
      `(${thrown.message}), as after a disk that was cut short or put back: ${wayOut}`;
    return new SwarmError('internal', message, { cause: thrown, details: lost });
  }
  return thrown instanceof LogError ? fromLog(thrown) : SwarmError.from(thrown);
}

const logCodes: Readonly<Record<LogErrorCode, ErrorCode>> = {
  full: 'resource-exhausted',
  busy: 'resource-exhausted',
  'too-large': 'invalid-argument',
  locked: 'failed-precondition',
  failed: 'unavailable',
  closed: 'unavailable',
  corrupt: 'internal',
  missing: 'internal',
  'wrong-key': 'failed-precondition',
};

function fromLog(error: LogError): SwarmError {
  const code = logCodes[error.code];
  const before = code === 'resource-exhausted' ? 'the change was not stored: ' : '';
  const after = code === 'internal' ? `; ${wayOut}` : '';
  const { path, offset } = error;
  return new SwarmError(code, `${before}${error.message}${after}`, {
    cause: error,
    details: {
      ...(code === 'internal' ? lost : {}),
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
    },
  });
}
