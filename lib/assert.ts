/** A programmer's error: the process may not go on with a broken invariant. */
class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Stays on in production. Operating errors are SwarmErrors, never assertions. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
