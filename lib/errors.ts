/** gRPC's names for what went wrong; mapped once each to gRPC, HTTP and exit codes. */
export const errorCodes = [
  'cancelled',
  'invalid-argument',
  'deadline-exceeded',
  'not-found',
  'already-exists',
  'permission-denied',
  'unauthenticated',
  'resource-exhausted',
  'failed-precondition',
  'aborted',
  'unimplemented',
  'internal',
  'unavailable',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/**
 * An operating error. The message is one sentence for a user: what was wrong, and what to do.
 * `details` are for programs (ids, limits), never needed to understand the message.
 */
export class SwarmError extends Error {
  override readonly name = 'SwarmError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Any thrown value as a SwarmError; what is not one already is `internal`. */
  static from(thrown: unknown): SwarmError {
    if (thrown instanceof SwarmError) return thrown;
    if (isAbort(thrown)) return new SwarmError('cancelled', 'cancelled', { cause: thrown });
    return new SwarmError('internal', messageOf(thrown), { cause: thrown });
  }
}

function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === 'AbortError';
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The errno name of a system error (ENOENT, EADDRINUSE, …), where there is one. */
export function errnoOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/**
 * For a promise, or a stream, whose failure reaches its reader by another way: unheard, it would
 * end the process when it comes before that reader does.
 */
export function noteHandled(_error: unknown): void {}
