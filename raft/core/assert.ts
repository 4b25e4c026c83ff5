/** A broken invariant: the node must stop rather than go on with a state that cannot be. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Stays on in production. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
