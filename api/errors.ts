/** The one place where SwarmError's codes meet HTTP's, with Docker's choices. */
import type { ErrorCode, SwarmError } from '../lib/errors.ts';

const statusOf: Readonly<Record<ErrorCode, number>> = {
  'invalid-argument': 400,
  // As Docker: the request asks for what the state of things does not allow.
  'failed-precondition': 400,
  unauthenticated: 401,
  'permission-denied': 403,
  'not-found': 404,
  'already-exists': 409,
  aborted: 409,
  cancelled: 499,
  internal: 500,
  unimplemented: 501,
  unavailable: 503,
  'resource-exhausted': 503,
  'deadline-exceeded': 504,
};

export function httpStatus(error: SwarmError): number {
  // A body that is too large is the only error that HTTP has a better number for.
  return error.details['httpStatus'] === 413 ? 413 : statusOf[error.code];
}
