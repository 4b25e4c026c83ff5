import { SwarmError, type ErrorCode } from '../../../lib/errors.ts';

/** For assert.rejects: a SwarmError of this code, whose message matches. */
export function isErrorCode(code: ErrorCode, message = /./): (error: unknown) => boolean {
  return (error) =>
    error instanceof SwarmError && error.code === code && message.test(error.message);
}
