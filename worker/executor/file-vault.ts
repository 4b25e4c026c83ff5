import { withAbort } from '../../lib/abort.ts';
import { SwarmError } from '../../lib/errors.ts';
import type { AssignedFile, FileReference } from '../../types/index.ts';

export interface FileAssignments {
  /** What was told before is void: all that is needed is told again, now or a little later. */
  readonly complete: boolean;
  readonly update: readonly AssignedFile[];
  readonly remove: readonly string[];
}

/**
 * The secrets and configs of this node's tasks, by id. They are here and nowhere else: a daemon that
 * starts has none until a manager tells it.
 */
export class FileVault {
  readonly #files = new Map<string, AssignedFile>();
  #news = Promise.withResolvers<void>();

  assign({ complete, update, remove }: FileAssignments): void {
    if (complete) this.#files.clear();
    for (const file of update) this.#files.set(file.id, file);
    for (const id of remove) this.#files.delete(id);
    if (update.length === 0) return;
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers<void>();
    resolve();
  }

  /** How many there are: for tests and metrics. */
  get size(): number {
    return this.#files.size;
  }

  /**
   * Waits until all of them have been told. Throws SwarmError `not-found` where the managers say
   * that one is there no more.
   */
  async get(
    references: readonly FileReference[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, AssignedFile>> {
    for (;;) {
      signal.throwIfAborted();
      const found = new Map<string, AssignedFile>();
      for (const { kind, id, name } of references) {
        const file = this.#files.get(id);
        if (file === undefined) continue;
        if (file.data === undefined) {
          throw new SwarmError('not-found', `the ${kind} ${name} (${id}) is there no more`);
        }
        found.set(id, file);
      }
      if (references.every(({ id }) => found.has(id))) return found;
      await withAbort(this.#news.promise, signal);
    }
  }
}
